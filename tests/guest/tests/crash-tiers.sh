#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 900 --add tests/crash/build/crash_test
# debug: --cuts 20 --work-seconds 20
# Power cuts over two levels: a store on the SSD, over stacks in a store on the HDD, over
# a master image. Each of the three disks loses its cache alone, and together.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
echo 1 >/sys/kernel/rcu_expedited
echo 5 >/proc/sys/kernel/printk
exec crash_test --tiers "${@:---cuts=22}"
