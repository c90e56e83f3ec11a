#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 1200 --add tests/crash/build/crash_test
# debug: --pull 4 --full 2 --errors 6
# Disks that are pulled in the midst of a commit and come back under another name, and
# stores that are full, in work and in mid-commit, until room comes back; and single
# requests that fail, while stacks come up, in work, in a commit.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
# A disk that comes back has another node.
modprobe nbd nbds_max=6 max_part=0
echo 1 >/sys/kernel/rcu_expedited
echo 5 >/proc/sys/kernel/printk
[ $# -gt 0 ] || set -- --pull 6 --full 5 --errors 24
exec crash_test "$@"
