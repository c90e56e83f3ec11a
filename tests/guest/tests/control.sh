#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 600 --add build/tests/mirror_io
# kernels: all
# Tables, status, messages, suspend, reload, resume, removal; bad input.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/beside.sh

modprobe dm-cowstack
make_disk ssd 256
make_disk ssd2 64 cache_size=1
make_disk base 32
make_disk base2 32
make_disk shadow 32
size=$((32 * 2048))

# refuses TEXT COMMAND…: fails, and the kernel log's new lines hold TEXT
refuses()
{
	local text=$1

	shift
	dmesg -c >/dev/null
	if "$@" 2>/dev/null; then
		not_ok "refused: $*"
	elif dmesg | grep -qF -- "$text"; then
		ok "refused with \"$text\""
	else
		not_ok "refused with \"$text\""
		diag "$(dmesg)"
	fi
}

table_refused()
{
	refuses "$1" dmsetup create bad --table "$2"
}

message_refused()
{
	local text=$1 device=$2

	shift 2
	refuses "cowstack $device: $text" dmsetup message "$device" 0 "$@"
}

dmcommit format /dev/ssd --name st >/dev/null
dmcommit format /dev/ssd2 --name st2 >/dev/null

# --- bad tables ---
table_refused "wants" "0 $size cowstore"
table_refused "cannot open store device /dev/none" "0 $size cowstore /dev/none"
table_refused "no store" "0 $size cowstore /dev/base"
table_refused "unknown feature foo" "0 $size cowstore /dev/ssd 2 foo 1"
for feature in high_watermark low_watermark keep_hot; do
	table_refused "feature $feature is not built yet" \
		"0 $size cowstore /dev/ssd 2 $feature 1"
done
table_refused "on_full: bad value maybe" "0 $size cowstore /dev/ssd 2 on_full maybe"
table_refused "wrong count of feature words 3" "0 $size cowstore /dev/ssd 3 on_full queue"
table_refused "no longer than" "0 $((size * 16)) cowstore /dev/ssd"
blockdev --setro /dev/ssd2
table_refused "read-only" "0 $size cowstore /dev/ssd2"
blockdev --setrw /dev/ssd2

attach_store st /dev/ssd on_full error no_space_timeout 7
is "$(dmsetup table st | cut -d' ' -f5-)" "4 on_full error no_space_timeout 7" \
	"the store's table prints what was said"
table_refused "is the store of st already" "0 $size cowstore /dev/ssd"
table_refused "is no cowstore that is up" "0 $size cowstack /dev/base /dev/ssd2 1"
table_refused "has no volume 1" "$(stack_line 1 "$size" /dev/base st)"

# --- messages to the store ---
message_refused "frobnicate: unknown message" st frobnicate
message_refused "create_volume: wrong number of words" st create_volume 1
message_refused "create_volume: bad volume id x" st create_volume x 100
message_refused "create_volume: bad volume id 16777216" st create_volume 16777216 100
message_refused "create_volume: bad size 0" st create_volume 1 0
message_refused "create_volume: bad name a:b" st create_volume 1 100 a:b
message_refused "clone_volume: volume 1: no such volume" st clone_volume 2 1 1
message_refused "volume: volume 1: no such volume" st volume 1
message_refused "layers: bad volume id x" st layers x
message_refused "map: wrong number of words" st map 1 0
message_refused "map: bad number of parts 0" st map 1 0 0
message_refused "map: bad number of parts 513" st map 1 0 513
message_refused "map: volume 1: no such volume" st map 1 0 8
message_refused "set: feature high_watermark is not built yet" st set high_watermark 50
message_refused "set: unknown feature foo" st set foo 1
check "a volume is made" dmsetup message st 0 create_volume 1 "$size" v
message_refused "create_volume: id or name is taken" st create_volume 1 100 other
message_refused "create_volume: id or name is taken" st create_volume 2 100 v
message_refused "resize_volume: 100 sectors is less" st resize_volume 1 100
message_refused "map: layer 9: no such layer" st map 1 9 8
message_refused "delete_volume: volume 9: no such volume" st delete_volume 9

# --- bad stacks ---
table_refused "bad volume id x" "$(stack_line x "$size" /dev/base st)"
table_refused "more than the volume" "$(stack_line 1 $((size + 1)) /dev/base st)"
table_refused "cannot open base /dev/none" "$(stack_line 1 "$size" /dev/none st)"
table_refused "base /dev/ssd is a store" "$(stack_line 1 "$size" /dev/ssd st)"
for feature in layer auto_commit promote; do
	table_refused "feature $feature is not built yet" \
		"$(stack_line 1 "$size" /dev/base st "$feature" 1)"
done
blockdev --setro /dev/base
table_refused "is read-only" "$(stack_line 1 "$size" /dev/base st)"
blockdev --setrw /dev/base
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
table_refused "volume 1 is up already, as v" "$(stack_line 1 "$size" /dev/base st)"
message_refused "delete_volume: volume 1: a table of v names it" st delete_volume 1
dmsetup message st 0 create_volume 2 "$size" w
table_refused "lies in the stack's own store" "$(stack_line 2 "$size" /dev/mapper/v st)"
table_refused "is a stack's base" "0 $size cowstore /dev/base"

# --- disks of larger blocks than metadata has, where the kernel has such ---
make_disk large 64 blocksize=16384 2>/dev/null
block=$(blockdev --getss /dev/large 2>/dev/null)
if [ "${block:-0}" -gt 4096 ]; then
	table_refused "base /dev/large has logical blocks of more than 4096 bytes" \
		"$(stack_line 2 "$size" /dev/large st)"
	table_refused "store device /dev/large has blocks of more than 4096 bytes" \
		"0 $size cowstore /dev/large"
	like "$(dmcommit format /dev/large --force 2>&1)" "/dev/large has logical blocks of 16384 bytes" \
		"nor is a store made on it"
else
	diag "this kernel makes no disks of larger blocks"
fi
remove_disk large

# --- messages to the stack ---
message_refused "commit start: top 1: is being written" v commit start top 1
message_refused "commit start: base 9: no such layer" v commit start base 9
message_refused "commit start: undo: not built yet" v commit start undo 1
message_refused "commit start: unknown word quickly" v commit start quickly 1
message_refused "commit start: speed: bad value much" v commit start speed much
message_refused "commit start: on_error: bad value maybe" v commit start on_error maybe
message_refused "commit pause: there is no job" v commit pause
message_refused "commit resume: there is no job" v commit resume
message_refused "commit cancel: there is no job" v commit cancel
message_refused "commit speed: there is no job" v commit speed 1M
message_refused "drop: layer 77: no such layer" v drop 77
message_refused "drop: layer 1 is the top" v drop 1
message_refused "pin: layer 1 is the top" v pin 1
message_refused "make_empty: layer 1 is the top" v make_empty 1
message_refused "set: feature auto_commit is not built yet" v set auto_commit 0
message_refused "snapshot: bad name a/b" v snapshot a/b

# --- pins and clones, briefly ---
dmsetup message v 0 snapshot golden
check "a frozen layer is pinned" dmsetup message v 0 pin 1
is "$(dmsetup message v 0 layers | tail -n 1 | cut -d' ' -f6)" pinned "as layers tells"
message_refused "drop: layer 1 holds what is nowhere else, is pinned" v drop 1
check "and unpinned" dmsetup message v 0 unpin 1
check "a volume is cloned" dmsetup message st 0 clone_volume 3 1 1 third
is "$(dmsetup message st 0 layers 3 | tail -n 1)" "$(dmsetup message v 0 layers | tail -n 1)" \
	"both have the frozen layer"
message_refused "commit start: top 1: layer 1 belongs to another volume too" v commit start top 1
dmsetup message st 0 delete_volume 3
check "what is nobody else's and empty may be dropped" dmsetup message v 0 drop 1

# --- tables load again, I/O goes on ---
reload()
{
	dmsetup suspend $2 "$1" && dmsetup table "$1" | dmsetup reload "$1" &&
		dmsetup resume "$1"
}

dd if=/dev/base of=/dev/shadow bs=1M oflag=direct 2>/dev/null
# Reloads and suspends of stack and store, once
disturb()
{
	sleep 0.3
	reload v && reload v --noflush && reload st || return
	# No more layers than there may be.
	dmsetup message v 0 snapshot >/dev/null
	return 0
}
begin_beside disturb
check "content under suspend, reload, resume and snapshots" \
	mirror_io /dev/mapper/v /dev/shadow 7 600 4 coarse
end_beside
is "$?" 0 "nothing failed beside it"

# --- removal order, a suspended store ---
check_fails "a store under a stack is busy" dmsetup remove --noudevsync st
dmsetup suspend st
message_refused "snapshot: the store is suspended" v snapshot
dmsetup resume st

# --- a suspend of a store waits for no more than the discard that is under way ---
discards_of()
{
	awk '{ print $12 }' "/sys/block/$1/stat"
}

# slowed MS: what the second store lies on takes so long for each write and discard
slowed()
{
	dmsetup suspend --noflush slow
	dmsetup load slow --table "0 $(sectors_of /dev/ssd2) delay /dev/ssd2 0 0 /dev/ssd2 0 $1"
	dmsetup resume slow
}

# Such pages as must not change while they are written: that is the store's to say too.
stable_writes_of()
{
	cat "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor "$1")/queue/stable_writes"
}

is "$(stable_writes_of v)" 0 "no device of v's needs stable pages"
echo 1 >/sys/block/ssd2/queue/stable_writes
dmsetup create slow --table "0 $(sectors_of /dev/ssd2) linear /dev/ssd2 0"
attach_store st2 /dev/mapper/slow
dmsetup message st2 0 create_volume 1 $((48 * 2048)) x
dmsetup create x --table "$(stack_line 1 $((48 * 2048)) /dev/base2 st2)"
is "$(stable_writes_of x)" 1 "the store of x does"
dd if=/dev/zero of=/dev/mapper/x bs=1M oflag=direct 2>/dev/null
dmsetup remove x
slowed 500
before=$(discards_of ssd2)
dmsetup message st2 0 delete_volume 1
dmsetup suspend st2
within=$(($(discards_of ssd2) - before))
slowed 0
dmsetup resume st2
is "$(wait_for_value st2 freeing 0)" 0 "what was deleted comes back"
all=$(($(discards_of ssd2) - before))
check "of $all discards a suspend has waited for $within" test "$within" -lt 12 -a "$all" -ge 12
is "$(status_value st2 discarded)" 768 "and all of it was discarded"

# --- a flush that comes in the last round before a store's suspend goes back to dm ---
# flushing: one of y after the other, whether those before have ended or not
flushing()
{
	while [ -e /tmp/flushing ]; do
		dd if=/dev/null of=/dev/mapper/y conv=fsync,notrunc 2>/dev/null || touch /tmp/failed &
		sleep 0.2
	done
	wait
}

# waits_in FUNCTION PID: a pattern of its name
waits_in()
{
	# shellcheck disable=SC2053
	[[ $(cat "/proc/$2/wchan" 2>/dev/null) = $1 ]]
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

# hold_last_round: that of a suspend of st2 does not end before "slow" is resumed
hold_last_round()
{
	slowed 3000
	dmsetup suspend st2 &
	suspends=$!
	# What is under way then takes nobody more: another one follows, the last.
	await eval 'waits_in journal_stop $suspends || has_ended $suspends'
	# Ends the one, holds the other.
	dmsetup suspend --noflush slow
	sleep 0.5
	waits_in journal_stop $suspends
}

try_to_hold_last_round()
{
	local i

	for ((i = 0; i < 5; i++)); do
		! hold_last_round || return 0
		slowed 0
		wait $suspends
		dmsetup resume st2
	done
	return 1
}

dmsetup message st2 0 create_volume 2 $((16 * 2048)) y
dmsetup create y --table "$(stack_line 2 $((16 * 2048)) /dev/base2 st2)"
touch /tmp/flushing
flushing &
flusher=$!
try_to_hold_last_round
is "$?" 0 "a last round is being made"
dmsetup suspend --noflush y &
pushes_back=$!
await waits_in "*dm_*" $pushes_back
slowed 0
await has_ended $pushes_back
is "$?" 0 "a stack that is suspended without flushing meanwhile is"
rm /tmp/flushing
wait $suspends
dmsetup resume st2
wait $pushes_back
dmsetup resume y
wait $flusher
check "what was given back ends" test ! -e /tmp/failed
dmsetup remove y
dmsetup remove st2
dmsetup remove slow

# --- what waits for a suspended store goes back to dm ---
# given_back WHAT COMMAND…: it waits; the stack suspends all the same, and it ends later
given_back()
{
	local what=$1 io status

	shift
	dmsetup suspend st
	"$@" 2>/dev/null &
	io=$!
	check "$what waits for the store" stands_still $io
	check "and the stack suspends without flushing" timeout 60 dmsetup suspend --noflush v
	dmsetup resume st
	dmsetup resume v
	wait $io
	status=$?
	is "$status" 0 "$what ends when both are resumed"
}

given_back "a read" dd if=/dev/mapper/v of=/dev/null bs=64K count=1 iflag=direct
given_back "a write" dd if=/dev/zero of=/dev/mapper/v bs=64K count=1 oflag=direct
given_back "a write of one sector" dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 seek=9 oflag=direct
given_back "a flush" dd if=/dev/null of=/dev/mapper/v conv=fsync,notrunc
given_back "a discard" blkdiscard -f -o 0 -l 1M /dev/mapper/v
given_back "zeroing" blkdiscard -f -z -o 1M -l 100K /dev/mapper/v
dd if=/dev/mapper/v of=/dev/shadow bs=1M iflag=direct oflag=direct 2>/dev/null

# --- a wrong base ---
layers=$(dmsetup message v 0 layers)
dmsetup remove v
dd if=/dev/urandom of=/dev/base2 bs=1M count=1 oflag=direct 2>/dev/null
table_refused "is not the recorded base" "$(stack_line 1 "$size" /dev/base2 st)"
check "accept_base takes it" dmsetup create v --table "$(stack_line 1 "$size" /dev/base2 st accept_base 1)"
is "$(dmsetup table v | wc -w)" 6 "accept_base is said once"
dmsetup remove v
table_refused "is not the recorded base" "$(stack_line 1 "$size" /dev/base st)"
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st accept_base 1)"
is "$(dmsetup message v 0 layers)" "$layers" "the layers are what they were"

# --- commit, cancel, speed ---
dd if=/dev/urandom of=/dev/mapper/v bs=1M count=16 oflag=direct 2>/dev/null
content=$(head -c $((16 << 20)) /dev/mapper/v | xxhsum)
dmsetup message v 0 commit start speed 256K
is "$(status_field v 7)" running "a throttled commit runs"
message_refused "commit start: a job is running" v commit start
message_refused "drop: there is a job" v drop 1
# The base is marked by the job's own thread.
for ((i = 0; i < 600; i++)); do
	[ "$(status_field v 6)" != mixed ] || break
	sleep 0.1
done
dmsetup message v 0 commit cancel
is "$(wait_for_job v)" cancelled "it is cancelled"
is "$(status_field v 6)" mixed "which leaves the base mixed"
blockdev --flushbufs /dev/mapper/v
is "$(head -c $((16 << 20)) /dev/mapper/v | xxhsum)" "$content" "content is as before the cancel"
dmsetup message v 0 commit start speed 256K
dmsetup message v 0 commit pause
is "$(wait_for_job v)" paused "a commit is paused"
check "pause of what is paused is done already" dmsetup message v 0 commit pause
dmsetup remove v
like "$(dmsetup message st 0 volume 1)" "mixed paused commit" "it stays so while the volume is down"
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
is "$(status_field v 7)" paused "and when it is up"
dmsetup message v 0 commit resume
is "$(status_field v 7)" running "it is resumed"
dmsetup remove v
like "$(dmsetup message st 0 volume 1)" "mixed running commit" "the record of what was cut off"
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
is "$(status_field v 7)" running "a commit goes on by itself after a removal"
dmsetup message v 0 commit speed 0
is "$(wait_for_job v)" completed "and completes"
is "$(status_field v 6)" valid "the base is valid"
check "the base alone is the volume" cmp /dev/base /dev/mapper/v
check "the rate of the commit stays known ($(status_value v rate_bytes))" \
	test "$(status_value v rate_bytes)" -gt 0

# --- a store moves to another disk ---
move_to()
{
	dmsetup reload st2 --table "0 $(sectors_of "$1") cowstore $1"
}

copy_store()
{
	dd if="$1" of="$2" bs=1M iflag=direct oflag=direct 2>/dev/null
}

volume_names()
{
	dmsetup message st2 0 volumes | awk '{ print $2 }' | xargs
}

make_disk ssd3 64
dmcommit format /dev/ssd2 --name st2 --force >/dev/null
attach_store st2 /dev/ssd2
dmsetup message st2 0 create_volume 1 2048 first
copy_store /dev/ssd2 /dev/ssd3
dmsetup message st2 0 create_volume 2 2048 second
dmsetup suspend st2
refuses "ssd3 has the store as it was: copy again" move_to /dev/ssd3
copy_store /dev/ssd2 /dev/ssd3
check "a copy of the suspended store is taken" move_to /dev/ssd3
dmsetup resume st2
is "$(volume_names)" "first second" "and has all"
check "one of a store at work may be loaded" move_to /dev/ssd2
dmsetup message st2 0 create_volume 3 2048 third
refuses "ssd2 does not hold the store as it was suspended (error -61): copy it again" \
	dmsetup resume st2
dmsetup remove st2
attach_store st2 /dev/ssd3
is "$(volume_names)" "first second third" "but not resumed, when it is old by then"
dmsetup remove st2

# --- many volumes, resize, delete ---
for i in 11 12 13 14 15 16; do
	dmsetup message st 0 create_volume "$i" "$size" "m$i"
	dmsetup create "m$i" --table "$(stack_line "$i" "$size" /dev/base2 st)"
	dd if=/dev/urandom of="/dev/mapper/m$i" bs=64k count=4 seek="$i" oflag=direct 2>/dev/null
done
is "$(dmsetup message st 0 volumes | wc -l)" 8 "eight volumes"
message_refused "commit start: the base is also that of" m11 commit start
for i in 11 12 13 14 15 16; do
	dmsetup remove "m$i"
	dmsetup message st 0 delete_volume "$i"
done
is "$(dmsetup message st 0 volumes | wc -l)" 2 "two are left"
dmsetup message st 0 resize_volume 2 $((size * 2))
dmsetup create w --table "$(stack_line 2 $((size * 2)) /dev/base2 st)"
is "$(sectors_of /dev/mapper/w)" $((size * 2)) "a volume has grown"
dd if=/dev/urandom of=/dev/mapper/w bs=64k count=2 seek=$((size * 512 / 65536 + 3)) oflag=direct 2>/dev/null
message_refused "commit start: the base ends at sector $size, the layers hold 256 sectors" w commit start

# --- loss of the table ---
dmsetup remove w
dmsetup remove --force st 2>/dev/null
is "$(status_field v 1)" Fail "a store that lost its table fails its stacks"
dmsetup remove v
dmsetup remove st 2>/dev/null
check "the module unloads" rmmod dm_cowstack
check "and the store is clean" dmcommit check /dev/ssd
done_testing
