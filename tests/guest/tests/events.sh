#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1200
# What raises a dm event: a job's beginning and end, out_of_space, the mode; on the store
# and all its stacks, with the news in the status by then. And nothing else does. Jobs
# that do not go on by themselves.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh

modprobe dm-cowstack
make_disk fast 12
make_disk slow 16
make_disk slow2 16
size=$((16 * 2048))
table_over /dev/fast | dmsetup create ssd
dmcommit format /dev/mapper/ssd --name st >/dev/null
attach_store st /dev/mapper/ssd on_full error
dmsetup message st 0 create_volume 1 "$size" v
dmsetup message st 0 create_volume 2 "$size" w

up()
{
	dmsetup create v --table "$(stack_line 1 "$size" /dev/slow st "$@")"
}

up
dmsetup create w --table "$(stack_line 2 "$size" /dev/slow2 st)"

numbers()
{
	echo "$(events_of st) $(events_of v) $(events_of w)"
}

# raises DEVICES TEXT COMMAND…: an event on each of these, for which "dmsetup wait" has
# waited until then, and not longer
raises()
{
	local device number waiter waiters=() told=0

	for device in $1; do
		number=$(events_of "$device")
		timeout 180 dmsetup wait "$device" "$number" >/dev/null &
		waiters+=($!)
	done
	sleep 0.3
	is "$(kill -0 "${waiters[@]}" 2>&1)" "" "nothing before: $2"
	"${@:3}" >/dev/null 2>&1
	for waiter in "${waiters[@]}"; do
		wait "$waiter" && told=$((told + 1))
	done
	is "$told" "${#waiters[@]}" "an event on $1: $2"
}

everyone="st v w"

put_and_synchronize()
{
	put 8 1 /dev/mapper/v
	synchronize /dev/mapper/v
}

# --- what raises none ---
numbers=$(numbers)
put 0 4 /dev/mapper/v >/dev/null
synchronize /dev/mapper/v >/dev/null
blkdiscard -o 0 -l 65536 /dev/mapper/v
dmsetup message v 0 snapshot
dmsetup suspend w
dmsetup resume w
dmsetup message st 0 create_volume 3 "$size" x
dmsetup message st 0 delete_volume 3
dmsetup message v 0 commit speed 5 2>/dev/null
dmsetup message v 0 set resume_commit 1
dmsetup status >/dev/null
sleep 1.5
is "$(numbers)" "$numbers" "I/O, flushes, snapshots, suspends, volumes and questions raise none"

# --- jobs ---
raises "$everyone" "a commit is started" dmsetup message v 0 commit start speed 1
is "$(status_field v 7)" running "the status says so"
is "$(status_field w 7)" idle "the other stack has no job"
raises "$everyone" "it is cancelled" dmsetup message v 0 commit cancel
# It may have to end what it is about.
is "$(wait_for_job v) $(status_field v 6)" "cancelled mixed" "the status says so"
dmsetup message v 0 commit start speed 1
sleep 0.5
raises "$everyone" "it completes" dmsetup message v 0 commit speed 0
is "$(status_field v 7) $(status_field v 6)" "completed valid" "the status says so"
# With nothing to copy both are one.
raises "$everyone" "a commit of nothing" dmsetup message v 0 commit start
is "$(status_field v 7)" completed "it is completed at once"
numbers=$(numbers)
dmsetup message v 0 commit cancel 2>/dev/null
is "$(numbers)" "$numbers" "a cancel of none raises none"

# --- room ---
# What was committed is on its way to be free, and would be room that comes by itself.
wait_for_value st freeing 0 >/dev/null
raises "$everyone" "the store is full" \
	dd if=/dev/zero of=/dev/mapper/w bs=64k oflag=direct
is "$(status_field st 6)" 1 "the status says so"
numbers=$(numbers)
put 100 1 /dev/mapper/v >/dev/null
is "$(numbers)" "$numbers" "the next write without room raises none"
raises "$everyone" "there is room again" blkdiscard -o 0 -l $((1 << 20)) /dev/mapper/w
is "$(status_field st 6)" 0 "the status says so"
blkdiscard /dev/mapper/w
synchronize /dev/mapper/w >/dev/null
is "$(wait_for_value st freeing 0)" 0 "all of it is free again"

# --- a job that does not go on by itself ---
put 0 64 /dev/mapper/v >/dev/null
synchronize /dev/mapper/v >/dev/null
content=$(content /dev/mapper/v)
dmsetup message v 0 commit start speed 64K

has_done_something()
{
	[[ $(status_field v 11) != 0/* ]]
}

await has_done_something
top=$(status_field v 9)
dmsetup remove v
base=$(content /dev/slow)
raises "st w" "a commit comes up paused" up resume_commit 0
is "$(status_field v 7) $(status_field v 8) $(status_field v 9) $(status_field v 6)" \
	"paused commit $top mixed" "resume_commit 0: it is paused, with its range"
like "$(status_field v 11)" "^[1-9][0-9]*/64$" "what was done is done"
sleep 1.5
is "$(content /dev/slow)" "$base" "nobody writes to the base"
is "$(content /dev/mapper/v)" "$content" "the volume shows what it did"
check_fails "no layer is dropped" dmsetup message v 0 drop "$top"
check "a snapshot is taken" dmsetup message v 0 snapshot
check "a speed is taken" dmsetup message v 0 commit speed 128K
dmsetup remove v
up
is "$(status_field v 7)" paused "once paused it waits to be told, whatever the feature says"
is "$(status_field v 12)" 131072 "and has its speed"
dmsetup suspend v
dmsetup resume v
is "$(status_field v 7)" paused "a suspend changes nothing of that"
raises "$everyone" "it is told" dmsetup message v 0 commit start
is "$(status_field v 7) $(status_field v 9) $(status_field v 12)" "running $top 131072" \
	"it goes on with its range, at its speed"
dmsetup message v 0 set resume_commit 0
dmsetup remove v
up
is "$(status_field v 7)" running "the new table's feature counts, not what was set before"
dmsetup message v 0 commit speed 0
is "$(wait_for_job v) $(status_field v 6)" "completed valid" "and it completes"
is "$(content /dev/slow)" "$content" "the base alone is the volume"
put 0 8 /dev/mapper/v >/dev/null
dmsetup message v 0 commit start speed 64K
dmsetup remove v
up resume_commit 0
raises "$everyone" "one that is paused is cancelled" dmsetup message v 0 commit cancel
is "$(status_field v 7)" cancelled "the status says so"
dmsetup remove v
up
is "$(status_field v 7)" idle "it does not come back"
content=$(content /dev/mapper/v)
dmsetup message v 0 commit start
is "$(wait_for_job v) $(status_field v 6)" "completed valid" "another takes its layers"
is "$(content /dev/slow)" "$content" "the base alone is the volume"

# --- the mode ---
put 0 8 /dev/mapper/v >/dev/null
synchronize /dev/mapper/v >/dev/null
exchange ssd /dev/fast 256 1536 error
raises "$everyone" "the journal cannot be written" put_and_synchronize
is "$(status_field st 1) $(status_field v 1) $(status_field w 1)" "ro ro ro" "the status says so"
raises "v w" "the store loses its table" dmsetup wipe_table st
is "$(status_field v 1) $(status_field w 1)" "Fail Fail" "the status says so"
dmsetup remove v w
dmsetup remove st
dmsetup remove ssd
check "the module unloads" rmmod dm_cowstack
check "and the store is clean" dmcommit check /dev/fast
done_testing
