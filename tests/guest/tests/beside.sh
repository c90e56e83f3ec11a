#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1200 --add build/tests/mirror_io
# debug: 1
# A commit beside suspend, resume and reload of its stack and of its store, while users
# write: it goes on by itself, and content is right, in the volume and in the base. An
# argument says how often each of these is to meet one.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh

modprobe dm-cowstack
make_disk ssd 96
make_disk base 16
make_disk shadow 16
size=$((16 * 2048))
dd if=/dev/urandom of=/dev/base bs=1M oflag=direct 2>/dev/null
dd if=/dev/base of=/dev/shadow bs=1M iflag=direct oflag=direct 2>/dev/null
dmcommit format /dev/ssd --name st --chunk-size 16K >/dev/null
attach_store st /dev/ssd
dmsetup message st 0 create_volume 1 "$size" v
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"

# again DEVICE [OPTION]: its table is loaded again
again()
{
	dmsetup suspend ${2:+"$2"} "$1" && dmsetup table "$1" | dmsetup reload "$1" &&
		dmsetup resume "$1"
}

pause()
{
	dmsetup suspend ${2:+"$2"} "$1" && sleep 0.2 && dmsetup resume "$1"
}

# Users' bios wait for the store by then; what was given back comes again.
noflush_in_suspended_store()
{
	local status=0

	dmsetup suspend st
	sleep 0.1
	timeout 90 dmsetup suspend --noflush v || status=1
	dmsetup resume st && dmsetup resume v && return $status
}

stack_then_store()
{
	dmsetup suspend v && dmsetup suspend st && dmsetup resume v && sleep 0.1 &&
		dmsetup resume st
}

store_then_stack()
{
	dmsetup suspend v && dmsetup suspend st && dmsetup resume st && dmsetup resume v
}

snapshot()
{
	dmsetup message v 0 snapshot
}

disturbances=("pause v" "pause v --noflush" "again v" "again v --noflush" "pause st" "again st"
	noflush_in_suspended_store stack_then_store store_then_stack snapshot)
rounds=${1:-3}

# A commit runs, at a speed that lets it be met. One in two yields to the writers, as is
# the default, and so is met while it keeps back; the others while they work.
commit_runs()
{
	local i

	for ((i = 0; i < 100; i++)); do
		[ "$(status_field v 7)" != running ] || return 0
		dmsetup message v 0 commit start speed 3M yield $((starts++ % 2)) 2>/dev/null
	done
	return 1
}

commits_completed()
{
	lines_with "cowstack v: commit of layer"
}

# Runs until each disturbance has met a running commit so many times, and some commits have
# come to their end: the faster the machine, the less of one do they last.  Prints each
# that failed.
disturb()
{
	local round what starts=0

	for ((round = 0; round < rounds || (round < 10 * rounds && $(commits_completed) < 2);
		round++)); do
		for what in "${disturbances[@]}"; do
			commit_runs || echo "no commit for: $what"
			$what || echo "$what"
			sleep 0.1
		done
	done
}

dmesg -c >/dev/null
disturb >/tmp/failed 2>&1 &
disturber=$!
runs=0
differing=0
while kill -0 $disturber 2>/dev/null && [ $runs -lt 2000 ]; do
	runs=$((runs + 1))
	mirror_io /dev/mapper/v /dev/shadow $runs 60 4 coarse || differing=$((differing + 1))
done
wait $disturber
is "$differing" 0 "content while users write"
check "they had time for that" test $runs -ge "$rounds"
is "$(cat /tmp/failed)" "" "each of ${#disturbances[@]} disturbances passed $rounds times beside a commit"
completed=$(commits_completed)
check "several commits completed meanwhile ($completed)" test "$completed" -ge 2
is "$(lines_with "cowstack v: commit stopped")" 0 "none was stopped"

dmsetup message v 0 commit speed 0 2>/dev/null
is "$(wait_for_job v)" completed "the last one completes"
dmsetup message v 0 commit start
is "$(wait_for_job v) $(status_field v 6) $(status_field v 2)" "completed valid 1" \
	"and one of the rest: one layer is left"
is "$(content /dev/mapper/v)" "$(content /dev/shadow)" "the volume is what was written"
is "$(content /dev/base)" "$(content /dev/shadow)" "so is the base alone"

# --- one that is under way when the stack is suspended stays where it is ---
put 0 64 /dev/mapper/v /dev/shadow >/dev/null
dmsetup message v 0 commit start speed 256K
is "$(status_field v 7)" running "a commit of 4 MiB runs"
dmsetup suspend v
done_before=$(status_field v 11)
base=$(content /dev/base)
sleep 1.5
is "$(status_field v 11)" "$done_before" "nothing is done while the stack is suspended"
is "$(content /dev/base)" "$base" "nor written to the base"
dmsetup resume v
is "$(status_field v 7)" running "it goes on by itself"
dmsetup suspend st
base=$(content /dev/base)
sleep 1.5
is "$(content /dev/base)" "$base" "nor while the store is"
dmsetup resume st
dmsetup message v 0 commit speed 0
is "$(wait_for_job v) $(status_field v 6)" "completed valid" "it goes on by itself, to its end"
is "$(content /dev/base)" "$(content /dev/shadow)" "the base alone is the volume"
dmsetup remove v
dmsetup remove st
check "the module unloads" rmmod dm_cowstack
check "and the store is clean" dmcommit check /dev/ssd
done_testing
