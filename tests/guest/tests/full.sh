#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1200
# A store that is full: writes wait or fail as asked, the rest goes on, and room
# comes by growing, committing, deleting.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

modprobe dm-cowstack
make_disk big 64
make_disk base 64
size=$((64 * 2048))
# The store's device is a part of a disk, so that it can grow.
dmsetup create ssd --table "0 $((8 * 2048)) linear /dev/big 0"

fill()
{
	dd if=/dev/urandom of=/dev/mapper/v bs=64k count="$1" seek="$2" oflag=direct 2>&1
}

make_v()
{
	dmcommit format /dev/mapper/ssd --name st --force >/dev/null
	attach_store st /dev/mapper/ssd "$@"
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
}

# --- on_full error ---
make_v on_full error
check_fails "a write that finds no room fails" fill 200 0
like "$(fill 1 900)" "No space left" "with ENOSPC"
is "$(status_field st 6)" 1 "out_of_space is said"
check "a rewrite goes on" fill 8 0
check "a read goes on" dd if=/dev/mapper/v of=/dev/null bs=1M count=16 iflag=direct
check "a flush goes on" dd if=/dev/null of=/dev/mapper/v conv=fsync,notrunc
check "a discard goes on" blkdiscard -o 0 -l $((1 << 20)) /dev/mapper/v

has_room()
{
	[ "$(status_field st 6)" = 0 ]
}

check "and makes room" await has_room
check "which a write takes" fill 4 900
before=$(xxhsum </dev/mapper/v)
check "a commit starts on a full store" dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "it completes"
is "$(xxhsum </dev/mapper/v)" "$before" "content is the same"
is "$(status_field v 4)" 0 "and all room is back"
dmsetup remove v
dmsetup remove st

# --- on_full queue: the commit makes room ---
make_v no_space_timeout 0
# A frozen layer that holds nothing gives no room: it does not go first.
dmsetup message v 0 snapshot floor
fill 300 0 >/tmp/queued &
writer=$!
is "$(wait_for_value st parked 1)" 1 "a write waits for room"
check "writes wait, reads do not" dd if=/dev/mapper/v of=/dev/null bs=1M count=4 iflag=direct
check "a commit starts" dmsetup message v 0 commit start
is "$(wait_for_job v) $(dmsetup message v 0 layers | cut -d' ' -f1 | paste -s -d ' ')" \
	"completed 3" "it takes the top, as what is below that is empty"
while kill -0 $writer 2>/dev/null; do
	dmsetup message v 0 commit start 2>/dev/null
	sleep 0.5
done
wait $writer
is "$?" 0 "a writer of more than the store holds ends, as commits make room"
is "$(wait_for_job v)" completed "the last commit too"
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "and one more"
check "the base alone is the volume" cmp /dev/base /dev/mapper/v

# --- growing under a waiting write ---
fill 300 300 >/tmp/queued &
writer=$!
is "$(wait_for_value st parked 1)" 1 "a write waits again"
# One that has to flush waits for the write; who is killed while it does leaves all as it was.
dmsetup suspend v &
suspend=$!
sleep 0.5
check "a flushing suspend waits for it" kill -0 $suspend
kill $suspend
wait $suspend 2>/dev/null
is "$(dmsetup info -c --noheadings -o suspended v)" Active "one that is killed suspends nothing"
check "a read goes on" dd if=/dev/mapper/v of=/dev/null bs=64K count=1 iflag=direct
check "a stack suspends without flushing while it does" dmsetup suspend --noflush v
check "and resumes" dmsetup resume v
dmsetup suspend st
dmsetup reload ssd --table "0 $((48 * 2048)) linear /dev/big 0"
dmsetup suspend ssd
dmsetup resume ssd
dmsetup resume st
check "the store grows" dmsetup message st 0 grow
wait $writer
is "$?" 0 "and the write goes on"
dmsetup remove v
dmsetup remove st

# --- what a cancelled stream has taken from is no point in time: it does not go first ---
dmsetup reload ssd --table "0 $((8 * 2048)) linear /dev/big 0"
dmsetup suspend ssd
dmsetup resume ssd
make_v no_space_timeout 0
fill 40 0 >/dev/null
dmsetup message v 0 snapshot
# Where both have a part something is copied, which takes its time.
for ((chunk = 0; chunk < 40; chunk += 4)); do
	dd if=/dev/urandom of=/dev/mapper/v bs=4k count=1 seek=$((chunk * 16)) oflag=direct 2>/dev/null
done
dmsetup message v 0 snapshot
fill 1 50 >/dev/null
dmsetup message v 0 stream start speed 8K
held=$(dmsetup message v 0 layers | awk '$1 == 1 { print $4 }')

# It has less than it held.
has_less()
{
	[ "$(dmsetup message v 0 layers | awk '$1 == 1 { print $4 }')" -lt "$held" ]
}

await has_less
dmsetup message v 0 commit cancel
is "$(wait_for_job v)" cancelled "a stream is cancelled midway"
check "it has taken of a layer" has_less
sum=$(dd if=/dev/mapper/v bs=64k count=40 iflag=direct 2>/dev/null | xxhsum)
fill 300 60 >/tmp/queued &
writer=$!
is "$(wait_for_value st parked 1)" 1 "a write waits for room"
check "a commit starts" dmsetup message v 0 commit start
is "$(wait_for_job v) $(status_field v 6)" "completed valid" "and completes; the base is valid"
is "$(dd if=/dev/base bs=64k count=40 iflag=direct 2>/dev/null | xxhsum)" "$sum" \
	"alone it has what the stream had taken, too"
while kill -0 $writer 2>/dev/null; do
	dmsetup message v 0 commit start 2>/dev/null
	sleep 0.5
done
wait $writer
is "$(wait_for_job v)" completed "the writer ends, as commits make room"
dmsetup remove v
dmsetup remove st

# --- no_space_timeout ---
dmsetup reload ssd --table "0 $((8 * 2048)) linear /dev/big 0"
dmsetup suspend ssd
dmsetup resume ssd
make_v no_space_timeout 3
start=$SECONDS
like "$(fill 200 0)" "No space left" "a write that waited in vain fails with ENOSPC"
check "after the time that was said" test $((SECONDS - start)) -ge 3
check "not much later" test $((SECONDS - start)) -le 40
dmsetup message st 0 set on_full error
check "a feature is set" test "$(dmsetup table st | grep -c 'on_full error')" = 1
dmsetup remove v
check "deleting the volume gives its room back" dmsetup message st 0 delete_volume 1

holds_nothing()
{
	[[ $(status_field st 3) == [01]/* ]]
}

check "all of it, in the background" await holds_nothing
is "$(wait_for_value st freeing 0)" 0 "nothing is on its way any more"
dmsetup remove st
check "the store is clean" dmcommit check /dev/mapper/ssd
done_testing
