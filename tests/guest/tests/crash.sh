#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 1800 --add tests/crash/build/crash_test
# debug: --jobs --cuts 40 --wraps 10 --work-seconds 20
# Power cuts at every phase and at every stage of every kind of job, two volumes at stake;
# torn metadata, cuts in recoveries; and then while the smallest ring goes round a hundred
# times. As arguments go to crash_test, a long run is:
# tests/guest/run --cpus 1 --timeout 7200 --add tests/crash/build/crash_test
# tests/guest/tests/crash.sh --jobs --cuts 3000 --wraps 100 --seed 5
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
# Bringing devices up and down waits for grace periods more than for anything else.
echo 1 >/sys/kernel/rcu_expedited
# Each cut is good for dozens of I/O errors, and a serial line is slow.
echo 5 >/proc/sys/kernel/printk
[ $# -gt 0 ] || set -- --jobs --cuts 300 --torn 100 --recoveries 20 --wraps 100
exec crash_test "$@"
