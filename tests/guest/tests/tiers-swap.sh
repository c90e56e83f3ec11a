#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 384 --cpus 2 --timeout 600 --blank 768 --add build/tests/press_memory
# debug: 2
# Four levels of stacks with swap on top, in a guest with little memory: a program takes
# more than there is, while commits go from level to level. The first argument is how
# often it writes all of its memory.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh

passes=${1:-3}
swap=$((160 * 2048))
store=$((144 * 2048))
levels="1 2 3 4"

# All on one disk: its requests wait for each other.
make_levels()
{
	local i below=/dev/mapper/part0

	dmsetup create part0 --table "0 $swap linear /dev/vda 0"
	for i in $levels; do
		dmsetup create "part$i" --table \
			"0 $store linear /dev/vda $((swap + (i - 1) * store))"
		check "store $i" dmcommit format "/dev/mapper/part$i" \
			--name "s$i"
		attach_store "s$i" "/dev/mapper/part$i"
		dmsetup message "s$i" 0 "create_volume 1 $swap level$i"
		check "level $i" dmsetup create "level$i" --table \
			"$(stack_line 1 $swap "$below" "s$i")"
		below=/dev/mapper/level$i
	done
}

# vmstat KEY
vmstat()
{
	sed -n "s/^$1 //p" /proc/vmstat
}

# commit_beside PID: level after level, from the top, until the process has ended
commit_beside()
{
	local i

	commits=0
	while kill -0 "$1" 2>/dev/null; do
		for i in 4 3 2 1; do
			# Busy, where the one before has not ended.
			dmsetup message "level$i" 0 commit start 2>/dev/null &&
				commits=$((commits + 1))
			sleep 0.3
		done
	done
}

take_down()
{
	local i

	for i in 4 3 2 1; do
		check "level $i goes" dmsetup remove "level$i"
		dmsetup remove "s$i"
		check "store $i is sound" dmcommit check "/dev/mapper/part$i"
	done
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_levels
mkswap /dev/mapper/level4 >/dev/null
check "swap is on the top level" swapon /dev/mapper/level4
available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
megabytes=$((available / 1024 + 80))
diag "$((available / 1024)) MiB are available, $megabytes MiB are taken"
press_memory "$megabytes" "$passes" >/tmp/pressed &
pid=$!
commit_beside "$pid"
wait "$pid"
is "$? $(cat /tmp/pressed)" \
	"0 $((megabytes * 256)) pages, $passes passes, 0 wrong" \
	"more memory than there is holds what was written"
diag "$(vmstat pswpout) pages out, $(vmstat pswpin) pages in, $commits commits begun"
check "much went through swap" test "$(vmstat pswpout)" -gt 20000
check "and came back" test "$(vmstat pswpin)" -gt 10000
check "commits went on beside" test "$commits" -ge 4
for i in $levels; do
	is "$(wait_for_job "level$i")" completed "the commit of level $i has ended"
done
check "swap is off again" swapoff /dev/mapper/level4
take_down
for i in 0 $levels; do
	dmsetup remove "part$i"
done
nothing_left
done_testing
