#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 384 --cpus 2 --timeout 1800 --blank 1184 --add build/tests/press_memory
# debug: 1 40
# Four levels of stacks with swap on top, in a guest with little memory: a program takes
# more than there is, while commits go from level to level. Arguments: how often it writes all
# of its memory; MiB that are left to it besides, where the kernel is slow.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh

passes=${1:-3}
spare=${2:-0}
levels="1 2 3 4"

# The kernel ends a process as soon as memory is short and writing it out makes no
# progress for some seconds. No disk can keep it from that, so nothing here may bring it
# about but a stack that stands still. There is swap for all that the program takes, on a
# volume that its store can hold twice, as its top and as what is being committed: swap
# waits neither for room in itself, nor for a commit to make some. The levels below get
# full.
free=128				# MiB that are left to the program and the kernel
taken=$((free + 80))			# MiB that the program takes
swap=$(((taken + 16) * 2048))
store=$((144 * 2048))
top_store=$((swap * 2 + 48 * 2048))

# All on one disk: its requests wait for each other.
make_levels()
{
	local i below=/dev/mapper/part0 at=$swap sectors=$store

	dmsetup create part0 --table "0 $swap linear /dev/vda 0"
	for i in $levels; do
		[ "$i" != 4 ] || sectors=$top_store
		dmsetup create "part$i" --table "0 $sectors linear /dev/vda $at"
		at=$((at + sectors))
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

# commit LEVEL…: one is begun, but where the one before has not ended
commit()
{
	local i

	for i; do
		dmsetup message "level$i" 0 commit start 2>/dev/null &&
			commits=$((commits + 1))
		sleep 0.3
	done
}

# commit_beside PID: level after level, from the top, until the process has ended
commit_beside()
{
	commits=0
	while kill -0 "$1" 2>/dev/null; do
		commit 4 3 2 1
	done
}

# end_commit LEVEL: it may wait for room below, which commits there make; prints its state
end_commit()
{
	local i state

	for ((i = 0; i < 600; i++)); do
		state=$(status_field "level$1" 7)
		[ "$state" = running ] || [ "$state" = queued ] || break
		# shellcheck disable=SC2046 # levels
		commit $(seq $(($1 - 1)) -1 1)
		sleep 0.2
	done
	echo "$state"
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
# Those who cannot wait for memory, as the disk's driver, have a reserve, and the log has a
# report whenever it is used up.
echo 12288 >/proc/sys/vm/min_free_kbytes
mkswap /dev/mapper/level4 >/dev/null
check "swap is on the top level" swapon /dev/mapper/level4
available=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
left=$((free + spare))
locked=$((available > left ? available - left : 0))
diag "$available MiB are available, $locked MiB are locked, $taken MiB are taken"
# Should memory get short all the same, it is the program that goes, and the rest is told.
echo -1000 >/proc/self/oom_score_adj
(
	echo 1000 >/proc/self/oom_score_adj
	exec press_memory "$taken" "$passes" "$locked"
) >/tmp/pressed &
pid=$!
commit_beside "$pid"
wait "$pid"
is "$? $(cat /tmp/pressed)" \
	"0 $((taken * 256)) pages, $passes passes, 0 wrong" \
	"more memory than there is holds what was written"
diag "$(vmstat pswpout) pages out, $(vmstat pswpin) pages in, $commits commits begun"
check "much went through swap" test "$(vmstat pswpout)" -gt 20000
check "and came back" test "$(vmstat pswpin)" -gt 10000
check "commits went on beside" test "$commits" -ge 4
for i in 4 3 2 1; do
	is "$(end_commit "$i")" completed "the commit of level $i has ended"
done
check "swap is off again" swapoff /dev/mapper/level4
take_down
for i in 0 $levels; do
	dmsetup remove "part$i"
done
nothing_left
done_testing
