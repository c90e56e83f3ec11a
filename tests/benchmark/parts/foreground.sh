#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: users' writes and flushes beside commits, discards, deletes and snapshots
# guest: --memory 2048 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
. measure.sh
. jobs.sh
begin_part "$@"
[ -n "$quick" ] || modprobe dm-snapshot

size=160
place="$((128 * MiB)) $((32 * MiB))"	# where users write
make_spindle hdd $size
make_fast sdd $size
make_fast ssd 320 cache_size=1024
warm sdd $size
warm ssd 320

# what_there_is: 96 MiB to commit, and words for all that users write to
what_there_is()
{
	must stopwatch scatter /dev/mapper/v 0 $((96 * MiB)) 65536
	must dmsetup message v 0 snapshot
	must stopwatch scatter /dev/mapper/v $place 65536
	must sync /dev/mapper/v
}

# --- writes beside a commit ---

# show_beside BASE DEVICE BYTES IDLE-NS: what the users had while BYTES went to the base;
# to what one of their writes takes without a job
show_beside()
{
	if [ "$1" = hdd ]; then
		result foreground-hdd.p99 "$2" $((took[p99] / 1000)) us
		result foreground-hdd.worst "$2" "$(ratio "${took[worst]}" 1000000)" ms
	else
		result foreground-ssd.throughput "$2" \
			"$(ratio $(($4 * 100)) $((took[ns] / took[count])))" %
	fi
	[ "${took[left]}" -gt 0 ] || fail "$2 to $1: the writes ended before the job"
	result "foreground-${1/sdd/ssd}.speed" "$2" "$(speed "$3" "${took[ns]}")" MiB/s
}

for base in hdd sdd; do
	up $base $size
	what_there_is
	timed write /dev/mapper/v 20000 4 $place
	idle=$((took[ns] / took[count]))
	if [ $base = hdd ]; then
		result foreground-hdd.p99 idle $((took[p99] / 1000)) us
		result foreground-hdd.worst idle "$(ratio "${took[worst]}" 1000000)" ms
	fi
	timed write /dev/mapper/v 600000 4 $place v commit start top 1
	show_beside $base cowstack $((96 * MiB)) $idle
	must wait_for_job v
	down
done

# Where users write is merged last, as what was written last goes first.
# merge_beside BASE BYTES
merge_beside()
{
	local line="0 $((size * 2048)) snapshot%s /dev/$1 /dev/ssd P 128"

	must dd if=/dev/zero of=/dev/ssd bs=4k count=1 oflag=direct
	must dmsetup create snap --table "$(printf "$line" '')"
	must stopwatch scatter /dev/mapper/snap $place 65536
	timed write /dev/mapper/snap 20000 4 $place
	idle=$((took[ns] / took[count]))
	must stopwatch scatter /dev/mapper/snap 0 "$2" 65536
	must dmsetup remove snap
	must dmsetup create snap --notable
	must dmsetup load snap --table "$(printf "$line" -merge)"
	must dmsetup mknodes snap
	timed write /dev/mapper/snap 600000 4 $place snap merge
	show_beside "$1" snapshot-merge $(($2 + 32 * MiB)) $idle
	must dmsetup remove snap
}

if [ -z "$quick$waits" ]; then
	merge_beside hdd $((16 * MiB))
	merge_beside sdd $((96 * MiB))
fi

# --- flushes beside other work of the store ---

# Over a base as large as that, so that each chunk that is discarded is a word.
make_disk tib $((1 << 20)) irqmode=0 memory_backed=0 discard=0
up sdd $size
what_there_is
huge=$((1 << 31))			# a TiB, behind the commit: its words keep the store busy
[ -z "$quick" ] || huge=$((1 << 27))
timed sync /dev/mapper/v 1500 $place
idle=${took[p99]}
result sync-p99.idle idle $((idle / 1000)) us
timed sync /dev/mapper/v 1500 $place v commit start top 1
result sync-p99.commit cowstack "$(ratio "${took[p99]}" "$idle")" x
must wait_for_job v
must dmsetup message st 0 create_volume 2 $huge w
must dmsetup create w --table "$(stack_line 2 $huge /dev/tib st)"
blkdiscard /dev/mapper/w &
other=$!
timed sync /dev/mapper/v 1500 $place
kill -0 $other 2>/dev/null || progress "the discard ended before"
result sync-p99.discard cowstack "$(ratio "${took[p99]}" "$idle")" x
wait $other
must dmsetup remove w
must dmsetup message st 0 delete_volume 2
timed sync /dev/mapper/v 1500 $place
progress "freeing: $(status_value st freeing)"
result sync-p99.delete cowstack "$(ratio "${took[p99]}" "$idle")" x
wait_for_value st freeing 0 >/dev/null
down

# --- a snapshot under writes ---

# A disk that takes its time, so that there is something in flight.
remove_disk tib
remove_disk ssd
make_fast ssd 320 irqmode=2 completion_nsec=100000
up sdd $size
must stopwatch scatter /dev/mapper/v $place 65536
must sync /dev/mapper/v
steps=$(status_value st steps)
must dmsetup message v 0 snapshot
result snapshot.steps cowstack $(($(status_value st steps) - steps)) steps
# Where in a write the message comes is chance, and half of the stall: the median of these.
stalls=()
messages=()
for round in 1 2 3 4 5 6 7; do
	must stopwatch scatter /dev/mapper/v $place 65536
	must sync /dev/mapper/v
	timed snapshot /dev/mapper/v v $place 32
	stalls+=("$(ratio "${took[stall]}" "${took[in_flight]}")")
	messages+=("$((took[message] / 1000))")
	progress "snapshot $round: ${took[stall]} ns, to ${took[in_flight]}"
done
result snapshot.message cowstack "$(median "${messages[@]}")" us
result snapshot.stall cowstack "$(median "${stalls[@]}")" x
down

# --- a store that is 90 % full ---

remove_disk ssd
make_fast ssd 128
up hdd $size
must stopwatch scatter /dev/mapper/v 0 $((112 * MiB)) 65536
# First writes, each in a chunk of its own: room is gone before the commit is done.
must stopwatch message v snapshot
timed write /dev/mapper/v 7000 4 $((112 * MiB)) $((48 * MiB)) v commit start top 1
result full-90.worst cowstack "$(ratio "${took[worst]}" 1000000)" ms
must wait_for_job v
down
end_part
