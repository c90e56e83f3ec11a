#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 768 --cpus 2 --timeout 900
# A store on a thin volume whose pool has no room left: the device under the store fails
# with ENOSPC, or lets everybody wait. What a flush was answered for stays, reads go on;
# when the pool has grown the store comes back, what waited ends, and a commit completes.
# Arguments: how many pools run out, a seed.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/commits.sh

rounds=${1:-5}
RANDOM=${2:-1}
modprobe dm-cowstack
# 64 chunks of 64 KiB; the store, of 16 MiB, could hold them four times.
chunks=64
size=$((chunks * 128))
make_disk data 16
make_disk meta 4
modprobe brd rd_nr=3 rd_size=4096
ln -s ram0 /dev/base
ln -s ram1 /dev/shadow
ln -s ram2 /dev/source
dd if=/dev/urandom of=/dev/source bs=64k iflag=fullblock status=none

# pool CHUNKS: with $feature, where that is any
pool()
{
	echo "0 $(($1 * 128)) thin-pool /dev/meta /dev/data 128 0 ${feature:+1 $feature}"
}

grow_pool()
{
	dmsetup suspend pool
	pool 250 | dmsetup load pool
	dmsetup resume pool
}

up()
{
	attach_store st /dev/mapper/thin on_full error &&
		dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
}

down()
{
	dmsetup remove v && dmsetup remove st
}

begin_anew()
{
	dd if=/dev/zero of=/dev/meta bs=1M count=4 oflag=direct status=none
	pool "$1" | dmsetup create pool
	dmsetup message pool 0 create_thin 0
	dmsetup create thin --table "0 $((16 * 2048)) thin /dev/mapper/pool 0"
	dmcommit format /dev/mapper/thin --name st --force >/dev/null
	attach_store st /dev/mapper/thin on_full error
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
	dd if=/dev/mapper/v of=/dev/shadow bs=1M count=4 iflag=direct oflag=direct status=none
}

end_round()
{
	[ ! -e /dev/mapper/v ] || dmsetup remove v
	[ ! -e /dev/mapper/st ] || dmsetup remove st
	dmsetup remove thin
	dmsetup remove pool
}

# A program costs an emulated machine a tenth of a second, so four chunks go at once.
step=4

# put_from SOURCE-CHUNK CHUNK DEVICE: so many, with a flush behind them
put_from()
{
	dd if=/dev/source of="$3" bs=$((step * 65536)) count=1 seek=$(($2 * 65536)) \
		skip=$(($1 * 65536)) iflag=skip_bytes oflag=direct,seek_bytes \
		conv=notrunc,fsync 2>/tmp/answer
}

# fill_pool: until a write or its flush fails; what was answered is in the shadow, too
fill_pool()
{
	local source

	for ((chunk = 0; chunk < chunks; chunk += step)); do
		source=$((RANDOM % (chunks - step)))
		put_from $source $chunk /dev/mapper/v || return 0
		put_from $source $chunk /dev/shadow
		# Every so often a layer, which a commit may take down.
		((chunk % 16 != 8)) || snapshot
	done
	return 1
}

# same_as DEVICE FIRST CHUNKS: as the shadow, past the page cache
same_as()
{
	blockdev --flushbufs "$1"
	blockdev --flushbufs /dev/shadow
	cmp -n $(($3 * 65536)) -i $(($2 * 65536)) "$1" /dev/shadow
}

# same_but CHUNK TEXT: all but those whose write failed
same_but()
{
	check "$2" same_as /dev/mapper/v 0 "$1"
	[ $(($1 + step)) -ge $chunks ] ||
		check "$2, behind it too" same_as /dev/mapper/v $(($1 + step)) $((chunks - $1 - step))
}

# in a round with error_if_no_space
fail_round()
{
	local mode

	# Not by check, whose command could not say which chunk it was.
	fill_pool
	is "$?" 0 "$text: the pool runs out"
	like "$(cat /tmp/answer)" "No space left|Input/output error|Read-only" "$text: the write or its flush fails"
	mode=$(status_field st 1)
	diag "$text: chunk $chunk failed, the store is $mode"
	same_but "$chunk" "$text: what was flushed reads as it was"
	# A commit meets the same device: it completes, or stops and says so.
	if start on_error stop 2>/dev/null; then
		commits_begun=$((commits_begun + 1))
		like "$(wait_for_job v)" "completed|stopped" "$text: a commit comes to an end"
		same_but "$chunk" "$text: and what was flushed reads as it was"
	fi
	grow_pool
	check "$text: the stack comes down" down
	check "$text: with room in the pool it comes up" up
	is "$(status_field st 1)" rw "$text: in mode rw"
	same_but "$chunk" "$text: nothing that was flushed is lost"
}

has_run_out()
{
	[[ $(dmsetup status pool) == *out_of_data_space* ]]
}

# in a round in which the pool lets everybody wait
queue_round()
{
	fill_pool >/dev/null &
	writer=$!
	await has_run_out
	like "$(dmsetup status pool)" out_of_data_space "$text: the pool runs out"
	check "$text: a writer waits" kill -0 $writer
	check "$text: a read of the base goes on" read_chunk $((chunks - 1)) /dev/mapper/v
	grow_pool
	wait $writer
	chunk=$chunks
	is "$(status_field st 1)" rw "$text: with room in the pool the store is rw"
	same_but $chunks "$text: the writer has ended, nothing is lost"
}

commits_begun=0
for ((round = 1; round <= rounds; round++)); do
	feature=error_if_no_space
	((round % 3 != 0)) || feature=
	# Of the store's first MiB 17 chunks are written by format.
	room=$((20 + RANDOM % 30))
	text="round $round, $room chunks${feature:+, errors}"
	begin_anew $room
	if [ -n "$feature" ]; then
		fail_round
	else
		queue_round
	fi
	# What failed is written again, and all goes down.
	for device in /dev/mapper/v /dev/shadow; do
		put_from 3 $((chunk % chunks)) $device
	done
	same_but $chunks "$text: all can be written again"
	commits "$text: a commit completes"
	# The first may have been the rest of one that stopped.
	commits "$text: and one of all there is"
	check "$text: the base is the volume" same_as /dev/base 0 $chunks
	down
	check "$text: the store is clean" dmcommit check /dev/mapper/thin
	end_round
done
# One round alone may have left the store ro.
[ "$rounds" -lt 5 ] ||
	check "commits have met a full pool ($commits_begun)" test $commits_begun -gt 0
check "the module unloads" rmmod dm_cowstack
echo "# totals: thin=$((round - 1)) commits_on_full_pool=$commits_begun"
done_testing
