#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1
# kernels: all
# The module comes and goes.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"

has_target()
{
	dmsetup targets | grep -q "^$1 "
}

check "the module loads" modprobe dm-cowstack
check "it brings the target cowstack" has_target cowstack
check "it brings the target cowstore" has_target cowstore
check "it leaves" rmmod dm_cowstack
check_fails "its targets left with it" has_target cowstack
check "it loads again" insmod /lib/cowstack/dm-cowstack.ko
check "it leaves again" modprobe -r dm-cowstack
done_testing
