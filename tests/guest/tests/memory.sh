#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400 --add build/tests/fail_each
# only on the debug kernel: no other can make allocations fail
# Allocations of the module that fail, on kernels that can make them (tests/run --debug):
# a table or message is refused and nothing of it stays; I/O and a commit get through.
# Each step of a constructor fails by name, and beyond that one allocation after the other.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/problems.sh
. /lib/cowstack-tests/quiet_log.sh
. /lib/cowstack-tests/allocations.sh

skip_without_failures
modprobe dm-cowstack
# Disks that have all of their memory, and give none of it back: they work in our threads
# too, and without memory they fail.
for disk in "ssd 40" "base 16" "shadow 16"; do
	# shellcheck disable=SC2086 # two words
	make_disk $disk discard=0
	dd if=/dev/zero of="/dev/${disk% *}" bs=1M oflag=direct 2>/dev/null
done
size=$((16 * 2048))
dmcommit format /dev/ssd --name st >/dev/null

# set_failures PERCENT: of everybody's
set_failures()
{
	echo "$1" >$debug/failslab/probability
	echo "$1" >$debug/fail_page_alloc/probability
}

# fail_all TEXT ARGUMENT…: as fail_each does it
fail_all()
{
	local text=$1 said least='[0-9]+'
	shift

	# What is asked for in a resume may be such as cannot fail; what a job needs is had in
	# another way where one does.
	[[ $2 = resume || $4 = "commit start" ]] || least='[1-9][0-9]*'
	said=$(fail_each "$@" 2>&1)
	like "$said" "^tries [1-9][0-9]* refused $least$" \
		"$text, with each allocation failing ($said)"
}

# How many lines of the log so far say that this was the reason.
refusals_with()
{
	grep -c -F ": $1 (" $kept_log
}

has_more_refusals()
{
	[ "$(refusals_with "$1")" -gt "$2" ]
}

# without_memory FUNCTION KINDS COMMAND…: for anything that FUNCTION, or who is called by it,
# asks for. KINDS is fail_page_alloc where only what is as large as pages is to fail.
without_memory()
{
	local function=$1 kind kinds=$2 status=0
	shift 2

	for kind in $kinds; do
		limit_failures "$kind" "$function"
		echo 100 >$debug/$kind/probability
	done
	"$@" || status=$?
	for kind in $kinds; do
		echo 0 >$debug/$kind/probability
		limit_failures "$kind"
	done
	return $status
}

# step_fails FUNCTION TEXT NAME TABLE [KINDS]: without memory for FUNCTION, NAME's table is
# refused with TEXT.
step_fails()
{
	local before

	before=$(refusals_with "$2")
	without_memory "$1" "${5:-failslab fail_page_alloc}" \
		dmsetup load "$3" --table "$4" >/dev/null 2>&1 &&
		not_ok "$1() does without memory"
	# Another process copies the log.
	await has_more_refusals "$2" "$before"
	is $(($(refusals_with "$2") - before)) 1 "$1() finds no memory: \"$2\""
}

# start_fails FUNCTION STATE: without memory for FUNCTION, no commit of v starts. STATE is
# that of its job then.
start_fails()
{
	local said

	said=$(without_memory "$1" "failslab fail_page_alloc" \
		dmsetup message v 0 commit start 2>&1) && not_ok "$1() does without memory"
	like "$said" "Cannot allocate memory" "$1() finds no memory: no commit starts"
	is "$(status_field v 7)" "$2" "the status knows"
}

# The commit ends, and there is something for the next one.
end_job()
{
	wait_for_job v >/dev/null
	[ "$(dmsetup message v 0 layers | wc -l)" -gt 2 ] || dmsetup message v 0 snapshot
}

write_both()
{
	dd if=/dev/urandom of=/tmp/data bs=64k count="$2" 2>/dev/null
	dd if=/tmp/data of=/dev/shadow bs=64k seek="$1" oflag=direct conv=notrunc 2>/dev/null &&
		dd if=/tmp/data of=/dev/mapper/v bs="${3:-64k}" seek="$(($1 * 64 / ${4:-64}))" \
			oflag=direct conv=notrunc,fsync 2>/dev/null
}

# Allocations that fail have their traces there.
quiet_log
prepare_failures

table="0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
dmsetup create st --notable
step_fails store_ctr "cowstore: no memory" st "$table"
step_fails store_open "cowstore: no memory for a store" st "$table"
step_fails cowstack_load "cowstore: ssd: no memory" st "$table"
for function in journal_init checkpoint_init reclaim_init defer_init; do
	step_fails $function "cowstore: no memory for a store's threads" st "$table"
done
fail_all "a store" 12 load st "$(sectors_of /dev/ssd)" cowstore /dev/ssd
dmsetup remove st
dd if=/dev/zero of=/dev/ssd bs=4k seek=16 count=1 oflag=direct conv=notrunc 2>/dev/null
fail_all "a store's resume that mends a superblock" \
	0 resume st "$(sectors_of /dev/ssd)" cowstore /dev/ssd
attach_store st /dev/ssd
fail_all "a volume" 0 message st "create_volume 1 $size v" "dmsetup message st 0 delete_volume 1"
dmsetup message st 0 create_volume 1 "$size" v
table=$(stack_line 1 "$size" /dev/base st)
dmsetup create v --notable
step_fails stack_ctr "cowstack: no memory" v "$table"
step_fails cowstack_volume_bring_up "cowstack: no memory for the volume's index" v "$table"
# What it needs before is small.
step_fails stack_open "cowstack: no memory for a stack" v "$table" fail_page_alloc
step_fails base_sample_new "cowstack: base base cannot be read" v "$table"
fail_all "a stack" 6 load v "$size" cowstack "/dev/base /dev/mapper/st 1"
dmsetup remove v
dmsetup create v --table "$table"
check "content is written" write_both 0 60
fail_all "a snapshot" 0 message v snapshot
check "more content is written" write_both 30 60
declare -f end_job wait_for_job status_field >/tmp/end_job
echo end_job >>/tmp/end_job
layers=$(dmsetup message v 0 layers)
start_fails new_job idle
is "$(dmsetup message v 0 layers)" "$layers" "and nothing of it stays"
# By then it is on record.
start_fails run_job paused
check "with memory it goes on" dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "to its end"
end_job
check "other content is written" write_both 60 60
fail_all "a commit" 6 message v "commit start" "bash /tmp/end_job"
end_job

# --- one in four, for all that there is, and I/O beside ---
check "a commit is to start" dmsetup message v 0 commit start speed 2M
rounds=8
set_failures 25
for ((i = 0; i < rounds; i++)); do
	write_both $((i * 7 % 200)) 4 || break
	write_both $((i * 13 % 200)) 2 4k 4 || break
	dmsetup status v >/dev/null
done
is "$i" $rounds "writes get through"
[ "$i" -eq $rounds ] || diag "$(dmsetup status st)"
check "so do reads" cmp -n $((200 * 65536)) /dev/mapper/v /dev/shadow
check "and discards" blkdiscard -o $((14 << 20)) -l $((1 << 20)) /dev/mapper/v
blkdiscard -z -o $((14 << 20)) -l $((1 << 20)) /dev/shadow
dmsetup message v 0 commit speed 0
is "$(wait_for_job v)" completed "the commit completes"
set_failures 0
check "content is what was written" cmp /dev/mapper/v /dev/shadow
check "no metadata was lost" test "$(status_field st 1)" = rw
dmsetup remove v
dmsetup remove st
dmsetup create st --notable
fail_all "a store that holds something" 12 load st "$(sectors_of /dev/ssd)" cowstore /dev/ssd
dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd
check "the module unloads" rmmod dm_cowstack

is "$(problems_kept)" "" "the log tells of nothing else"
end_quiet_log
done_testing
