#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 1200 --add tests/crash/build/crash_test
# debug: --replay 40
# A recorded run, replayed up to each flush and FUA write of any of three disks, each of
# which loses its cache or keeps it, in all combinations: what is left comes up and holds
# what was acknowledged as durable by then.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
echo 1 >/sys/kernel/rcu_expedited
echo 5 >/proc/sys/kernel/printk
[ $# -gt 0 ] || set -- --replay 100
exec crash_test "$@"
