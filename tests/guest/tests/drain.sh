#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 600 --add tests/crash/build/crash_test
# Reads that the disk answers late, in chunks that a commit lets go of meanwhile: the room
# comes back when they have ended, and they return what was there.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
echo 1 >/sys/kernel/rcu_expedited
exec crash_test --drain
