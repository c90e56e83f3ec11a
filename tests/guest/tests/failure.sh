#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800 --add build/tests/mirror_io
# What happens when devices fail: a store that cannot be written turns read-only, one
# that loses its table fails, an error met by a commit stops the commit, one met by a
# read fails the read. What was flushed is there when the devices are whole again.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/store_bytes.sh

modprobe dm-cowstack
# The volume has 64 chunks of 64 KiB, 128 sectors; the base goes on behind its end.
size=$((64 * 128))
base_end=$((80 * 128))
make_disk fast 16 cache_size=16
make_disk slow 5 cache_size=5
# A store of 32 chunks, which are soon full.
make_disk tiny 3
modprobe brd rd_nr=2 rd_size=4096
ln -s ram0 /dev/shadow
ln -s ram1 /dev/durable
# All that fails lies below these two.
table_over /dev/fast | dmsetup create ssd
table_over /dev/slow | dmsetup create hdd

make_stack()
{
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st "$@")"
}

# up [FEATURE…]: store and volume 1 from devices that are whole
up()
{
	exchange ssd /dev/fast && exchange hdd /dev/slow &&
		attach_store st /dev/mapper/ssd && make_stack "$@"
}

down()
{
	dmsetup remove v && dmsetup remove st
}

# begin_anew DISK [FEATURE…]: a new store on DISK with one volume over a base with new
# content, and its mirror.
begin_anew()
{
	exchange ssd "$1"
	exchange hdd /dev/slow
	dmcommit format /dev/mapper/ssd --name st --force >/dev/null
	copy_chunks /dev/urandom 0 80 /dev/slow >/dev/null
	copy_chunks /dev/slow 0 64 /dev/shadow >/dev/null
	attach_store st /dev/mapper/ssd "${@:2}"
	dmsetup message st 0 create_volume 1 "$size" v
	make_stack
}

# The volume's part of the base
base_content()
{
	content /dev/slow 0 64
}

same()
{
	is "$(content /dev/mapper/v)" "$(content /dev/shadow)" "$1"
}

# What the shadow has now is what a loss may not touch.
remember()
{
	copy_chunks /dev/shadow 0 64 /dev/durable >/dev/null
}

same_as_remembered()
{
	is "$(content /dev/mapper/v)" "$(content /dev/durable)" "$1"
}

modes()
{
	echo "$(status_field st 1) $(status_field v 1)"
}

# What the dd that printed ANSWER got was an error of the device.
io_error()
{
	like "$1" "Input/output error" "$2"
}

tell()
{
	dmsetup message "$1" 0 "${@:2}" 2>&1
}

# refused_in_ro DEVICE MESSAGE…
refused_in_ro()
{
	like "$(tell "$@")" "Read-only file system" "EROFS: ${*:2}"
}

# holds_more_than CHUNKS
holds_more_than()
{
	[ "$(status_field v 4)" -gt "$1" ]
}

# fail_under_write CHUNK RANGE…: the store's device fails while a first write to CHUNK is
# on its way: its data arrives, its word never does.
fail_under_write()
{
	local used writer

	dmsetup suspend ssd
	table_over /dev/fast "${@:2}" | dmsetup load ssd
	used=$(status_field v 4)
	put "$1" 1 /dev/mapper/v /dev/shadow >/tmp/taken &
	writer=$!
	await holds_more_than "$used"
	# -f: without a look at the content, which would wait.
	[ -z "$also_discard" ] ||
		blkdiscard -f -o $((also_discard * 65536)) -l 65536 /dev/mapper/v 2>/dev/null
	dmsetup resume ssd
	wait $writer
	is "$?" 0 "a first write is acknowledged"
}
also_discard=

begin_anew /dev/fast
journal=("$(($(ring_start /dev/fast) * 8))" "$(($(ring_blocks /dev/fast) * 8))")
data=$(number_at /dev/fast 96)
is "${journal[*]} $data" "256 1792 2048" "journal and data lie where they should"

# --- ro: the journal cannot be written ---
check "content from before" mirror_io /dev/mapper/v /dev/shadow 11 100 2 coarse
dmsetup message v 0 snapshot
dmsetup message v 0 snapshot
dmsetup message st 0 create_volume 2 "$size" w
put 0 8 /dev/mapper/v /dev/shadow >/dev/null
check "a flush" synchronize /dev/mapper/v
remember
base=$(content /dev/slow)
exchange ssd /dev/fast "${journal[@]}" error
check "a flush of what is durable needs no journal" synchronize /dev/mapper/v
check "a rewrite" put 1 2 /dev/mapper/v /dev/shadow
check "is durable without it" synchronize /dev/mapper/v
is "$(modes)" "rw rw" "nothing has failed yet"
remember
exchange ssd /dev/fast
forget_log
store_event=$(events_of st)
stack_event=$(events_of v)
# What comes now can be seen, and never becomes durable.
also_discard=6
fail_under_write 20 "${journal[@]}" error
also_discard=
copy_chunks /dev/zero 6 1 /dev/shadow >/dev/null
io_error "$(synchronize /dev/mapper/v)" "the flush after it fails with EIO"
is "$(status_after st "$store_event" 1)" ro "store: an event, mode ro"
is "$(status_after v "$stack_event" 1)" ro "stack: an event, mode ro"
is "$(lines_with "cowstack st: journal cannot be written (error -5): store is read-only")" 1 \
	"one line in the log says so"

io_error "$(synchronize /dev/mapper/v)" "the next flush fails too"
io_error "$(copy_chunks /dev/urandom 30 1 /dev/mapper/v)" "a first write fails"
io_error "$(copy_chunks /dev/urandom 30 1 /dev/mapper/v dsync)" "with FUA too"
io_error "$(dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 seek=5555 oflag=direct 2>&1)" \
	"and one of a part of a sixteenth"
check_fails "a discard fails" blkdiscard -o 0 -l 65536 /dev/mapper/v
check_fails "so do zeroes" blkdiscard -z -o $((40 * 65536)) -l 65536 /dev/mapper/v
flushes=$(flushes_of fast)
flushed_again()
{
	[ "$(flushes_of fast)" -gt "$flushes" ]
}
check "rewrites go on" put 0 2 /dev/mapper/v /dev/shadow /dev/durable
check "and are flushed, though nobody asks for it" await flushed_again
for device in /dev/shadow /dev/durable /dev/mapper/v; do
	dd if=/dev/zero of=$device bs=512 count=1 seek=700 oflag=direct conv=notrunc 2>/dev/null
done
is "$?" 0 "one of a sector too"
copy_chunks /dev/shadow 0 1 /dev/durable >/dev/null
io_error "$(copy_chunks /dev/shadow 0 1 /dev/mapper/v dsync)" \
	"one with FUA fails, as something is not durable"
same "reads go on, content is right"

refused_in_ro v snapshot
refused_in_ro v commit start
refused_in_ro v drop 2
refused_in_ro st create_volume 3 "$size" x
refused_in_ro st resize_volume 2 $((size * 2))
refused_in_ro st delete_volume 2
refused_in_ro st grow
is "$(lines_with "is read-only")" 8 "each has its line in the log, beside that of the mode"
is "$(tell v layers | wc -l) $(tell st volumes | wc -l)" "3 2" "lists are answered, nothing has changed"
check "the tool answers" dmcommit status v
check_fails "a volume that never was up does not come up" \
	dmsetup create w --table "$(stack_line 2 "$size" /dev/shadow st)"
check_fails "nothing is left of it" dmsetup info w
check "a stack comes down" dmsetup remove v
check "and up again, in ro" make_stack
is "$(modes)" "ro ro" "its mode is ro"
same "content is as it was"
exchange ssd /dev/fast
io_error "$(synchronize /dev/mapper/v)" "with its device whole again a flush still fails"
is "$(modes)" "ro ro" "and the mode stays"
check "a rewrite at the end" put 0 2 /dev/mapper/v /dev/shadow /dev/durable
check "the stack goes down" dmsetup remove v
flushes=$(flushes_of fast)
check "so does the store" dmsetup remove st
check "which flushes it" flushed_again
check "the store is clean" dmcommit check /dev/mapper/ssd
check "both come up" up
is "$(modes)" "rw rw" "in mode rw"
same_as_remembered "everything flushed is there, every rewrite, and nothing else"
is "$(content /dev/slow)" "$base" "nobody wrote to the base"
copy_chunks /dev/durable 0 64 /dev/shadow >/dev/null
check "a first write goes on" put 20 2 /dev/mapper/v /dev/shadow
check "and a flush" synchronize /dev/mapper/v

# --- ro: a checkpoint cannot be written, though the journal can ---
# At a commit's end there are layers to be forgotten, which takes a checkpoint; here
# its second superblock fails.
exchange ssd /dev/fast 128 8 error
forget_log
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "a commit completes before its checkpoint"

is_ro()
{
	[ "$(modes)" = "ro ro" ]
}

await is_ro
is "$(modes)" "ro ro" "one that cannot be written turns the store ro"
is "$(lines_with "cowstack st: checkpoint cannot be written (error -5): store is read-only")" 1 \
	"one line in the log says so"
is "$(base_content)" "$(content /dev/shadow)" "the base alone is the volume"
check "a flush goes on, as nothing is lost" synchronize /dev/mapper/v
io_error "$(copy_chunks /dev/urandom 30 1 /dev/mapper/v)" "a first write fails"
check "a flush goes on after it" synchronize /dev/mapper/v
same "content is right"
check "both go down" down
forget_log
check "and come up" up
is "$(lines_with "one superblock of dm-0 is damaged or old")" 1 "the log tells of the old superblock"
is "$(modes)" "rw rw" "in mode rw"
same "content is right"

# --- ro: nothing but a flush fails, and nobody has asked for it ---
put 5 1 /dev/mapper/v /dev/shadow >/dev/null
check "all is durable" synchronize /dev/mapper/v
exchange ssd /dev/fast "${journal[@]}" error_writes
forget_log
check "a rewrite" put 5 1 /dev/mapper/v /dev/shadow
await is_ro
is "$(modes)" "ro ro" "a flush that cannot be made turns the store ro"
is "$(lines_with "cowstack st: device cannot be flushed (error -5): store is read-only")" 1 \
	"one line in the log says so"
exchange ssd /dev/fast
io_error "$(synchronize /dev/mapper/v)" "nobody is told that the rewrite is durable"
same "content is right"
check "both go down" down
check "and come up" up
is "$(modes)" "rw rw" "in mode rw"

# --- ro: a user's flush, which goes straight to the device ---
check "all is durable" synchronize /dev/mapper/v
exchange ssd /dev/fast "${journal[@]}" error_writes
forget_log
io_error "$(synchronize /dev/mapper/v)" "a flush that has no word to write fails"
is "$(modes)" "ro ro" "the store is ro when it is answered"
is "$(lines_with "cowstack st: device cannot be flushed (error -5): store is read-only")" 1 \
	"one line in the log says so"
exchange ssd /dev/fast
io_error "$(synchronize /dev/mapper/v)" "who comes later is not told that all is durable"
same "content is right"
check "both go down" down
check "and come up" up
is "$(modes)" "rw rw" "in mode rw"
check "a flush" synchronize /dev/mapper/v

# --- ro while a commit runs; here the device's flushes fail too ---
put 0 40 /dev/mapper/v /dev/shadow >/dev/null
started=$(content /dev/shadow)
event=$(events_of v)
dmsetup message v 0 commit start speed 32K
check "a start raises an event" event_after v "$event"
put 5 1 /dev/mapper/v /dev/shadow >/dev/null
put 40 3 /dev/mapper/v /dev/shadow >/dev/null
check "a flush beside a commit" synchronize /dev/mapper/v
remember
event=$(events_of v)
forget_log
fail_under_write 50 "${journal[@]}" error_writes
io_error "$(copy_chunks /dev/urandom 51 1 /dev/mapper/v dsync)" "a first write with FUA fails"
is "$(wait_for_job v)" stopped "the job is stopped"
check "that raises an event" event_after v "$event"
like "$(status_field v 13)" "^(5|30)$" "the status has its errno"
is "$(modes) $(status_field v 6)" "ro ro mixed" "the store is ro, the base mixed"
is "$(lines_with "store is read-only from now on") $(lines_with "commit stopped")" "1 1" \
	"a line in the log says the one, a line the other"
is "$(content /dev/mapper/v 0 50)" "$(content /dev/shadow 0 50)" "nothing of the content is lost"
refused_in_ro v commit start
check "both go down" down
check "and come up, the commit not by itself" up resume_commit 0
is "$(modes) $(status_field v 7)" "rw rw paused" "in mode rw, the job paused"
same_as_remembered "everything flushed is there"
dmsetup message v 0 commit start speed 0
is "$(wait_for_job v)" completed "a new start completes"
is "$(status_field v 6)" valid "the base is valid"
is "$(base_content)" "$started" "alone it is the volume as of the first start"
same_as_remembered "the volume shows what it did"
check "both go down" down

# --- the base fails under a read ---
begin_anew /dev/fast
forget_log
exchange hdd /dev/slow $((50 * 128)) 128 error
io_error "$(read_chunk 50 /dev/mapper/v)" "a read of what the base cannot read fails"
check "the one before it does not" read_chunk 49 /dev/mapper/v
check "nor the one behind it" read_chunk 51 /dev/mapper/v
io_error "$(dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 seek=$((50 * 128 + 9)) oflag=direct 2>&1)" \
	"a write that needs that read fails"
check "one that does not is taken" put 51 1 /dev/mapper/v /dev/shadow
check "a flush" synchronize /dev/mapper/v
is "$(modes)" "rw rw" "the store has not failed"
is "$(lines_with "cowstack ")" 0 "the log has nothing of ours"
exchange hdd /dev/slow
same "with the base whole again nothing is left of the write that failed"

# --- the store's device fails under reads and writes, its journal does not ---
exchange ssd /dev/fast "$data" $((16 * 2048 - data)) error
io_error "$(copy_chunks /dev/urandom 10 1 /dev/mapper/v)" "a first write whose data cannot be written fails"
io_error "$(dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 seek=$((11 * 128 + 9)) oflag=direct 2>&1)" \
	"one of a part of a sixteenth too"
io_error "$(read_chunk 51 /dev/mapper/v)" "a read of what the store holds fails"
check "one of what it does not goes on" read_chunk 12 /dev/mapper/v
is "$(modes)" "rw rw" "the store is rw"
exchange ssd /dev/fast
same "with its device whole again nothing is left of the writes that failed"

# begin_slow_commit: so slow that the test is ahead of it. $started is what the base has
# to be in the end, and the first event after $event is that of the job's end.
begin_slow_commit()
{
	started=$(content /dev/shadow)
	event=$(events_of v)
	forget_log
	dmsetup message v 0 commit start speed 16K
	event_after v "$event"
	event=$(events_of v)
}

# The job is let loose, meets the error and stops with EIO; the stack goes on.
commit_stops()
{
	# It may have met it by now.
	dmsetup message v 0 commit speed 0 2>/dev/null
	is "$(status_after v "$event" 7)" stopped "$1: an event, the job is stopped"
	is "$(status_field v 13) $(status_field v 6)" "5 mixed" "$1: EIO, the base is mixed"
	is "$(modes)" "rw rw" "$1: store and stack are rw"
	is "$(lines_with "cowstack v: commit stopped: error -5") $(lines_with "read-only")" "1 0" \
		"$1: one line in the log"
	dmcommit wait v >/dev/null 2>&1
	is "$?" 6 "$1: the tool's exit status is 6"
}

still_usable()
{
	check "$1: a snapshot" dmsetup message v 0 snapshot
	check "$1: all that a stack can do" mirror_io /dev/mapper/v /dev/shadow "$2" 80 2 coarse
}

commit_ends_well()
{
	exchange ssd /dev/fast
	exchange hdd /dev/slow
	dmsetup message v 0 commit start
	is "$(wait_for_job v)" completed "$1: with devices whole again a new start completes"
	is "$(status_field v 6)" valid "$1: the base is valid"
	is "$(base_content)" "$started" "$1: alone it is the volume as of the first start"
	same "$1: the volume shows what was written"
}

# --- the store cannot be read by a commit ---
put 20 1 /dev/mapper/v /dev/shadow >/dev/null
sum=$(content /dev/shadow 20 1)
for ((place = data / 128; place < data / 128 + 64; place++)); do
	[ "$(content /dev/fast "$place" 1)" != "$sum" ] || break
done
put 0 20 /dev/mapper/v /dev/shadow >/dev/null
put 21 11 /dev/mapper/v /dev/shadow >/dev/null
begin_slow_commit
exchange ssd /dev/fast $((place * 128)) 128 error
commit_stops "store unreadable"
io_error "$(read_chunk 20 /dev/mapper/v)" "a guest's read there fails"
check "one beside it does not" read_chunk 21 /dev/mapper/v
check "a write covers it" put 20 1 /dev/mapper/v /dev/shadow
still_usable "store unreadable" 12
commit_ends_well "store unreadable"

# --- the base cannot be written ---
put 16 32 /dev/mapper/v /dev/shadow >/dev/null
begin_slow_commit
exchange hdd /dev/slow $((40 * 128)) 128 error
commit_stops "base unwritable"
still_usable "base unwritable" 13
like "$(status_field v 11)" "^[1-9][0-9]*/" "what lies before the error was done"
commit_ends_well "base unwritable"

# --- the base cannot flush; no write fails: the range that does is not the volume's ---
put 10 4 /dev/mapper/v /dev/shadow >/dev/null
begin_slow_commit
exchange hdd /dev/slow $((base_end - 8)) 8 error_writes
used=$(status_field v 4)
commit_stops "base does not flush"
is "$(status_field v 4)" "$used" "nothing is let go"
dmsetup remove v
make_stack
is "$(status_field v 7) $(status_field v 13)" "stopped 5" "a stopped job stays stopped over a removal"
still_usable "base does not flush" 14
commit_ends_well "base does not flush"

# --- all is copied, then the base's sample cannot be read ---
# A commit knows the sample from what it wrote, unless others may write there too.
dmsetup message v 0 set allow_shared_base 1
begin_slow_commit
exchange hdd /dev/slow $((base_end - 8)) 8 error
commit_stops "base unreadable at the end"
still_usable "base unreadable at the end" 15
commit_ends_well "base unreadable at the end"
check "the stack comes down" dmsetup remove v

# --- failing at load ---
exchange hdd /dev/slow $((base_end - 8)) 8 error
forget_log
check_fails "a base that cannot be read is refused" make_stack
is "$(lines_with "cowstack: base dm-1 cannot be read ($(error_word EIO))")" 1 "with that reason"
exchange hdd /dev/slow
dmsetup remove st

# refused_at_load WHAT TEXT RANGE…: a store whose device fails there is refused with TEXT
refused_at_load()
{
	exchange ssd /dev/fast "${@:3}"
	forget_log
	check_fails "refused: $1" attach_store st /dev/mapper/ssd
	like "$(dmesg)" "cowstore: dm-0: $2 \($(error_word EIO)\)" "with that reason"
	check_fails "nothing is left of it" dmsetup info st
}

refused_at_load "store device dead" 'superblock cannot be read \(block 0\)' 0 $((16 * 2048)) error
refused_at_load "both superblocks" 'superblock cannot be read \(block 0\)' 0 8 error 128 8 error
refused_at_load "journal unreadable" 'cannot be read \(block ([4-9]|3[2-9]|[12][0-9]+)\)' "${journal[@]}" error
timeout -s KILL 120 dmcommit attach /dev/mapper/ssd 2>/tmp/answer
is "$?" 1 "the tool refuses it too"
is "$(wc -l </tmp/answer)" 1 "in one line"
exchange ssd /dev/fast 0 8 error
forget_log
check_fails "a superblock that can be neither read nor written: not brought up" \
	attach_store st /dev/mapper/ssd
is "$(lines_with "cowstack st: superblock cannot be written: error -5")" 1 "with that reason"
check_fails "nothing is left of it" dmsetup info st
check "the module unloads" rmmod dm_cowstack
modprobe dm-cowstack
check "with its device whole again the store comes up" up
same "content is right"

# --- a store that loses its table ---
dmsetup message st 0 create_volume 2 "$size" w
echo "0 $size zero" | dmsetup create nil
dmsetup create w --table "$(stack_line 2 "$size" /dev/mapper/nil st)"
put 16 32 /dev/mapper/v /dev/shadow >/dev/null
put 3 1 /dev/mapper/w >/dev/null
begin_slow_commit
put 60 1 /dev/mapper/v /dev/shadow >/dev/null
check "a flush" synchronize /dev/mapper/v
(while copy_chunks /dev/urandom 3 1 /dev/mapper/w dsync; do :; done) >/tmp/answer &
writer=$!
stack_event=$(events_of w)
forget_log
dmsetup remove --force st 2>/dev/null
is "$(status_after v "$event" 1)" Fail "an event, the stack's status is Fail"
is "$(status_after w "$stack_event" 1)" Fail "the other's too"
is "$(dmsetup status v)" "0 $size cowstack Fail" "Fail alone"
is "$(lines_with "cowstack st: table is gone: store has failed")" 1 "one line in the log says so"
wait $writer
io_error "$(tail -n 5 /tmp/answer)" "a writer fails"
io_error "$(read_chunk 0 /dev/mapper/v)" "a read fails"
io_error "$(copy_chunks /dev/urandom 0 1 /dev/mapper/v)" "a write fails"
io_error "$(synchronize /dev/mapper/v)" "a flush fails"
check_fails "a message fails" dmsetup message v 0 snapshot
is "$(lines_with "cowstack v: snapshot: the store is suspended")" 0 "not because the store were suspended"
like "$(timeout 120 dmcommit status v --json)" '"mode": "fail"' "the tool says fail"
check_fails "no stack comes up on it" dmsetup create x --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
check "the stacks are removed" dmsetup remove v w
check "then what was the store" dmsetup remove st
check "both come up again" up
same "everything flushed is there"
is "$(status_field v 7)" running "the commit goes on"
dmsetup message v 0 commit speed 0
is "$(wait_for_job v)" completed "and completes"
is "$(base_content)" "$started" "the base alone is the volume as of the start"

check "both go down" down

# --- writes that wait for room when the journal fails ---
begin_anew /dev/tiny no_space_timeout 0
copy_chunks /dev/urandom 0 64 /dev/mapper/v >/tmp/answer &
writer=$!
is "$(wait_for_value st parked 1)" 1 "a write waits for room"
exchange ssd /dev/tiny "${journal[@]}" error
check_fails "a snapshot fails, as its step does" dmsetup message v 0 snapshot
wait $writer
io_error "$(cat /tmp/answer)" "the write ends, with EIO"
is "$(modes) $(status_value st parked)" "ro ro 0" "the store is ro, nobody waits"
is "$(tell v layers | wc -l)" 1 "there is no snapshot"
check "both go down" down

# --- whoever waits for a store that loses its table ---
begin_anew /dev/tiny no_space_timeout 0
copy_chunks /dev/urandom 0 64 /dev/mapper/v >/dev/null &
waiting=($!)
is "$(wait_for_value st parked 1)" 1 "a write waits for room"
check "a flush" synchronize /dev/mapper/v
dmsetup suspend st
read_chunk 0 /dev/mapper/v >/dev/null &
waiting+=($!)
copy_chunks /dev/urandom 0 1 /dev/mapper/v >/dev/null &
waiting+=($!)
copy_chunks /dev/urandom 60 1 /dev/mapper/v >/dev/null &
waiting+=($!)
synchronize /dev/mapper/v >/dev/null &
waiting+=($!)
blkdiscard -f -o 0 -l 65536 /dev/mapper/v 2>/dev/null &
waiting+=($!)
sleep 0.5
is "$(kill -0 "${waiting[@]}" 2>&1)" "" \
	"a parked write, a read, a rewrite, a first write, a flush and a discard wait"
dmsetup wipe_table st
failed=0
for process in "${waiting[@]}"; do
	wait "$process" || failed=$((failed + 1))
done
is "$failed" 6 "each fails when the table is gone"
check "the stack is removed" dmsetup remove v
check "then what was the store" dmsetup remove st
check "the module unloads" rmmod dm_cowstack
check "the store is clean" dmcommit check /dev/mapper/ssd
done_testing
