#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1200 --add build/tests/mirror_io --add build/tests/fill
# debug: 256
# Streams: what lies below comes up, into the top that is written or a frozen layer,
# with the base too where asked. The content is compared with a model all along.
# Argument: KiB of each of the 32 parts of the volume, by which all is measured.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh

modprobe dm-cowstack
unit=$((${1:-1024} << 10))
make_disk ssd $((160 * unit >> 20))
ssd=/dev/ssd
make_disk base $((32 * unit >> 20))
make_disk shadow $((32 * unit >> 20))
size=$((32 * unit / 512))
head -c $((8 * unit + (2 << 20))) /dev/urandom >/tmp/random

# put OFFSET BYTES: random content, to the volume and its mirror
put()
{
	local device

	tail -c +$((RANDOM * 64 + 1)) /tmp/random | head -c "$2" >/tmp/piece

	for device in /dev/mapper/v /dev/shadow; do
		dd if=/tmp/piece of=$device bs=$(($2 < 65536 ? $2 : 65536)) \
			seek="$1" oflag=direct,seek_bytes conv=notrunc status=none
	done
}

# fresh BASE-SECTORS
fresh()
{
	local name

	for name in v clone cut st; do
		[ ! -e /dev/mapper/$name ] || dmsetup remove $name
	done
	dmcommit format $ssd --name st --force >/dev/null
	attach_store st $ssd
	dmsetup message st 0 create_volume 1 "$size" v
	fill $1 /dev/base /dev/shadow
	blkdiscard -z -o $(($1 * 512)) /dev/shadow
	dmsetup create cut --table "0 $1 linear /dev/base 0"
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/cut st)"
}

# What was read of a device before may lie in its cache.
content_of()
{
	blockdev --flushbufs "$1"
	xxhsum <"$1"
}

content_is_right()
{
	[ "$(content_of /dev/mapper/v)" = "$(content_of /dev/shadow)" ]
}

# Layers 1 … 4 with whole chunks, parts and zeroes, over each other; 5 is the top.
make_layers()
{
	local layer

	for layer in 1 2 3 4; do
		put $((layer * unit)) $((128 << 10))
		put $(((layer * 4) << 10)) 4096
		put $(((64 << 10) + layer * 512)) 512
		put $((8 * unit + (layer << 14))) $((48 << 10))
		blkdiscard -o $(((16 + layer) * unit)) -l 65536 /dev/mapper/v
		dd if=/dev/zero of=/dev/shadow bs=64k count=1 seek=$(((16 + layer) * unit / 65536)) \
			oflag=direct conv=notrunc status=none
		put $(((16 + layer) * unit + 8192)) 4096
		snapshot
	done
	put $((30 * unit)) 4096
	put $((9 << 10)) 1024
}

# done_as STATE LAYERS TEXT
done_as()
{
	is "$(wait_for_job v) $(status_field v 8)" "$1 stream" "$3: $1"
	is "$(layers)" "$2" "$3: layers $2"
	check "$3: content" content_is_right
}

# --- refusals ---
fresh $size
make_layers
before=$(layers)
is "$before" "5 4 3 2 1" "a chain of five"
says "top 9: no such layer" stream start top 9
says "base 9: no such layer" stream start base 9
says "base 5: does not lie below top 5" stream start base 5
says "base 3: does not lie below top 2" stream start top 2 base 3
says "unknown word until" stream start until 5
says "unknown word retain" stream start retain 1
says "bad value nothing" stream start base nothing
says "stream stop: unknown word" stream stop
dmsetup message v 0 pin 2
says "layer 2 is pinned" stream start
says "layer 2 is pinned" stream start top 4
dmsetup message v 0 unpin 2
is "$(layers)" "$before" "nothing has changed"

# --- a frozen layer takes what lies below it, down to another ---
dmsetup message v 0 stream start top 4 base 2
done_as completed "5 4 2 1" "into a frozen layer"
dmsetup message v 0 stream start top 4 base 2
done_as completed "5 4 2 1" "once more, with nothing between"

# --- the top takes all that is left, and then the base is still there ---
dmsetup message v 0 stream start
done_as completed "5" "into the top"
is "$(status_field v 6)" unknown "the base was not written to"
put $((7 * unit)) $((64 << 10))
dmsetup message v 0 commit start
is "$(wait_for_job v) $(status_field v 6)" "completed valid" "a commit of what was streamed"
check "the base alone is the volume" test "$(content_of /dev/base)" = "$(content_of /dev/shadow)"

# --- what only this volume uses moves: whole chunks cost words alone ---
fresh $size
put $((4 * unit)) $((6 * unit))
snapshot
put 0 4096
dmsetup suspend v && dmsetup resume v
used=$(status_field v 4)
written=$(sectors_written ssd)
dmsetup message v 0 stream start
done_as completed "2" "whole chunks"
written=$(($(sectors_written ssd) - written))
check "in $((written / 2)) KiB written" test $written -lt 512
is "$(status_field v 4)" "$used" "as many chunks as before"

# --- with all of the base, which ends before the volume and within a chunk ---
short=$((size - 2 * unit / 512 - 56))
fresh $short
make_layers
dmsetup message v 0 stream start base none
done_as completed "5" "with the base"
dd if=/dev/zero of=/dev/base bs=1M oflag=direct 2>/dev/null
check "nothing of the base shows any more" content_is_right
dmsetup remove v
dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd
attach_store st /dev/ssd
check_fails "and the base another" \
	dmsetup create v --table "$(stack_line 1 $size /dev/mapper/cut st)"
dmsetup create v --table "$(stack_line 1 $size /dev/mapper/cut st accept_base 1)"
check "what was loaded is the same" content_is_right

# --- no room: with figures, before anything moves ---
fresh $size
put 0 65536
snapshot
i=2
while [ "$(status_field st 3 | cut -d/ -f1)" -lt $((2100 * unit >> 20)) ] && [ $i -lt 6 ]; do
	dmsetup message st 0 create_volume $i $size
	dmsetup create fill$i --table "$(stack_line $i $size /dev/mapper/cut st read_only_base 1)"
	fill 1 /dev/mapper/fill$i 2>/dev/null
	i=$((i + 1))
done
says "chunks would have to be copied, the store has room for" stream start base none
is "$(layers)" "2 1" "nothing has moved"
for name in $(dmsetup ls | sed -n 's/^\(fill[0-9]*\).*/\1/p'); do
	dmsetup remove $name
done

# --- what another volume uses too is copied, and left to it ---
fresh $size
make_layers
dmsetup message st 0 clone_volume 2 1 2 clone
dmsetup create clone --table "$(stack_line 2 $size /dev/mapper/cut st)"
other=$(content_of /dev/mapper/clone)
says "top 2: belongs to another volume too" stream start top 2
dmsetup message v 0 stream start top 4
done_as completed "5 4" "past a clone"
is "$(content_of /dev/mapper/clone)" "$other" "the clone shows what it did"
is "$(layers clone | cut -d' ' -f2-)" "2 1" "on the layers that it had"
dmsetup remove clone
dmsetup message st 0 delete_volume 2
check "content without the clone" content_is_right

# --- nor does it go on through a layer that another volume has pinned meanwhile ---
fresh $size
make_layers
dmsetup message st 0 clone_volume 2 1 2 clone
dmsetup create clone --table "$(stack_line 2 $size /dev/mapper/cut st)"
dmsetup message v 0 stream start top 4 speed 64K
dmsetup message v 0 commit pause
wait_for_job v >/dev/null
check "the other pins a layer" dmsetup message clone 0 pin 2
dmsetup remove clone
dmsetup message st 0 delete_volume 2
says "layer 2 is pinned" stream start
is "$(layers)" "5 4 3 2 1" "it stays in the chain"
check "content beside it" content_is_right

# --- steering ---
fresh $size
make_layers
put $((20 * unit)) $((8 * unit))
snapshot
dmsetup message v 0 stream start base none speed $((2 * unit))
is "$(status_field v 7)" running "one that runs"
dmesg -c >/dev/null
says "a job is running" commit start
says "a job is running" stream start
dmsetup message v 0 commit pause
is "$(wait_for_job v)" paused "pause"
says "another kind of job stands still" commit start
says "goes on without" stream start top 5
check_fails "a layer that it takes from: no clone" dmsetup message st 0 clone_volume 2 1 3
put $((5 * unit)) 65536
check "content between" content_is_right
dmsetup remove v
dmsetup create v --table "$(stack_line 1 $size /dev/mapper/cut st)"
is "$(status_field v 7)" paused "paused stays over a removal"
dmsetup message v 0 commit cancel
is "$(wait_for_job v)" cancelled "cancel"
check "content after a cancel" content_is_right
says "top 3: shows no point in time" commit start top 3
dmsetup message v 0 stream start
is "$(wait_for_job v)" completed "a new one goes to the end"
check "content at the end" content_is_right

# --- while users write, with snapshots, suspends, and a removal ---
fresh $size
make_layers
disturb()
{
	local i

	for ((i = 0; i < 4; i++)); do
		dmsetup message v 0 stream start speed $((6 * unit)) || echo start
		sleep 0.5
		dmsetup message v 0 snapshot || echo snapshot
		sleep 0.5
		dmsetup suspend v && sleep 0.1 && dmsetup resume v || echo suspend
		dmsetup suspend v && dmsetup suspend st && dmsetup resume st && dmsetup resume v ||
			echo store
		# It may have come to its end.
		dmsetup message v 0 commit speed 0 2>/dev/null
		is_running="$(wait_for_job v)"
		[ "$is_running" = completed ] || echo "$is_running"
		dmsetup message v 0 snapshot || echo snapshot
	done
}
disturb >/tmp/failed 2>&1 &
disturber=$!
runs=0
differing=0
while kill -0 $disturber 2>/dev/null && [ $runs -lt 100 ]; do
	runs=$((runs + 1))
	mirror_io /dev/mapper/v /dev/shadow $runs 60 4 coarse || differing=$((differing + 1))
done
wait $disturber
is "$(cat /tmp/failed)" "" "streams beside writers"
is "$differing" 0 "content while users write, $runs runs"
dmsetup message v 0 stream start
is "$(wait_for_job v)" completed "the last one"
is "$(layers | wc -w)" 1 "one layer is left"
check "content" content_is_right

# --- while users discard many chunks at a time: neither may wait for what the other has ---
# A stream waits for writes in flight, which are long enough here for a discard to come.
make_disk late $((320 * unit >> 20)) irqmode=2 completion_nsec=20000000 discard=0
ssd=/dev/late
fresh $size
write_and_discard()
{
	fio --output=/tmp/fio --eta=never --filename=/dev/mapper/v --size=2m --direct=1 \
		--ioengine=libaio --iodepth=16 --time_based --runtime=15 --name=write \
		--rw=randwrite --bs=4k --name=discard --rw=randtrim --bs=128k --rate_iops=,,20
}

streams=0
state=completed
status=0
# Fifteen seconds are time for dozens, unless the machine has others to serve.
for ((runs = 0; runs < 9 && streams < 3 && status == 0; runs++)); do
	write_and_discard &
	writer=$!
	while kill -0 $writer 2>/dev/null && [ "$state" = completed ]; do
		dmsetup message v 0 snapshot
		dmsetup message v 0 stream start yield 0
		state=$(wait_for_job v)
		streams=$((streams + 1))
	done
	wait $writer
	status=$?
done
is "$status $state" "0 completed" "streams beside writes and discards of several chunks"
check "there were some" test $streams -ge 3
diag "$streams streams"
dmsetup remove v
dmsetup remove cut
dmsetup remove st
check "the store is clean" dmcommit check $ssd
check "the module unloads" rmmod dm_cowstack
done_testing
