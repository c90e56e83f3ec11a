#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400
# guest in check: --cpus 1
# Every table that a constructor or a resume refuses: the reason is in the log, what is
# live goes on as it was, nothing is left. Stores that are damaged are in damage.sh.
#
# Not to be reached from here: "no memory" in its several words, "… is going" (a race), a
# cowstore that begins behind 0 (dm wants it alone in its table), and "another table of
# this cowstore is being loaded" (dm lets a second load of one device wait).
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/beside.sh
. /lib/cowstack-tests/refusals.sh

modprobe dm-cowstack
modprobe sd_mod
# Write-protected: opened for writing it says so itself.
modprobe scsi_debug dev_size_mb=16 wp=1
# It is looked for in its own time.
for ((i = 0; i < 600; i++)); do
	[ ! -b /dev/sda ] || break
	sleep 0.1
done
make_disk ssd 32
make_disk ssd2 24
make_disk base 16
make_disk base2 16
make_disk empty 24
make_disk vast 48
size=$((16 * 2048))
store_size=$((24 * 2048))
# The store's device can grow, or stand still.
dmsetup create fast --table "0 $store_size linear /dev/ssd 0"
dmsetup create fast2 --table "0 $store_size linear /dev/ssd2 0"

# store_table DEVICE [WORD…]
store_table()
{
	echo "0 $(sectors_of "$1") cowstore $*"
}

# two_targets TABLE-LINE TABLE-LINE
two_targets()
{
	printf '%s\n' "$@" | dmsetup create bad
}

# exchange NAME TABLE: another table for what is live
exchange()
{
	dmsetup reload "$1" --table "$2" && dmsetup resume "$1"
}

content()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | xxhsum
}

# base_of ID: what the volume has as its base
base_of()
{
	dmsetup message st 0 volumes | awk -v id="$1" '$1 == id { print $9 }'
}

# resume_refused TEXT DEVICE: dm has exchanged the tables by then, and leaves the
# device suspended with the new one.
resume_refused()
{
	dmesg -c >/dev/null
	check_fails "refused at resume: $1" dmsetup resume "$2"
	is "$(dmesg | grep -c -F -- "$1")" 1 "with one line in the log that says so"
}

# is_free DEVICE…: each can be opened for oneself alone
is_free()
{
	local device

	for device; do
		blkdiscard "$device" || return
	done
}

dmcommit format /dev/mapper/fast --name st >/dev/null
dmcommit format /dev/mapper/fast2 --name st2 >/dev/null

# --- words ---
remember_state
table_refused "cowstore wants: <store dev> [<#feature words> <word>...]" "0 $size cowstore"
table_refused "cowstack wants: <base dev> <cowstore dev> <volume id> [<features>]" \
	"0 $size cowstack"
table_refused "cowstack wants: <base dev> <cowstore dev> <volume id> [<features>]" \
	"0 $size cowstack /dev/base /dev/mapper/st"
for feature in high_watermark low_watermark keep_hot; do
	table_refused "feature $feature is not built yet" "$(store_table /dev/ssd2 2 $feature 1)"
done
for feature in layer auto_commit promote; do
	table_refused "feature $feature is not built yet" \
		"$(stack_line 1 "$size" /dev/base st $feature 1)"
done
# A feature of the one is none of the other.
table_refused "unknown feature resume_commit" "$(store_table /dev/ssd2 2 resume_commit 1)"
table_refused "unknown feature on_full" "$(stack_line 1 "$size" /dev/base st on_full queue)"
table_refused "feature on_full: bad value Queue" "$(store_table /dev/ssd2 2 on_full Queue)"
for value in 86401 -1 1s 4294967301; do
	table_refused "feature no_space_timeout: bad value $value" \
		"$(store_table /dev/ssd2 2 no_space_timeout $value)"
done
# The first of the two is good.
table_refused "feature discard_passdown: bad value 2" \
	"$(store_table /dev/ssd2 4 on_full error discard_passdown 2)"
for feature in accept_base resume_commit read_only_base; do
	table_refused "feature $feature: bad value 2" \
		"$(stack_line 1 "$size" /dev/base st $feature 2)"
done
for words in "x on_full queue" "-2 on_full queue" "1 on_full" "2 on_full" "3 on_full queue x" \
	"4 on_full queue" "0 on_full queue" "18446744073709551618 on_full queue"; do
	table_refused "wrong count of feature words ${words%% *}" "$(store_table /dev/ssd2 $words)"
done
table_refused "wrong count of feature words 1" \
	"0 $size cowstack /dev/base /dev/mapper/st 1 1 accept_base"

# --- the store's device ---
table_refused "cannot open store device /dev/none" "0 $size cowstore /dev/none"
table_refused "cannot open store device /dev/sda" "$(store_table /dev/sda)"
table_refused "empty: no store (block 16)" "$(store_table /dev/empty)"
# 90 TiB in chunks of 4 KiB: the kernel warns of who asks it for that many bits.
vast=$((90 << 31))
dmsetup create vast --table "0 $((48 * 2048)) linear /dev/vast 0
$((48 * 2048)) $((vast - 48 * 2048)) zero"
dmcommit format /dev/mapper/vast --chunk-size 4K >/dev/null
table_refused "dm-2: map does not fit in memory (block 0)" "$(store_table /dev/mapper/vast)"
dmsetup remove vast
table_refused "table must start at 0 and be no longer than /dev/ssd2" \
	"0 $((store_size + 1)) cowstore /dev/ssd2"
blockdev --setro /dev/ssd2
table_refused "store device /dev/ssd2 is read-only" "$(store_table /dev/ssd2)"
blockdev --setrw /dev/ssd2
refused "must appear alone" two_targets "0 8 linear /dev/empty 0" \
	"8 $((store_size - 8)) cowstore /dev/ssd2"
nothing_changed "words, devices of a store"

attach_store st /dev/mapper/fast
for id in 1 2 3 4 5 6; do
	dmsetup message st 0 create_volume $id "$size" v$id
done
dmsetup create v1 --table "$(stack_line 1 "$size" /dev/base st)"
dd if=/dev/urandom of=/dev/mapper/v1 bs=64k count=20 seek=7 oflag=direct conv=fsync 2>/dev/null
content=$(content /dev/mapper/v1)
remember_state
table_refused "dm-0 is the store of st already" "$(store_table /dev/mapper/fast)"
table_refused "base is a stack's base" "$(store_table /dev/base)"
nothing_changed "devices that are in use"
remember_state
dmsetup message st 0 create_volume 9 "$size"
dmsetup message st 0 delete_volume 9
nothing_changed "steps, of which the timer takes some too"

# While a store is being loaded its device is taken.
dmsetup create --notable st2
dmsetup suspend fast2
dmsetup load st2 --table "$(store_table /dev/mapper/fast2)" &
loader=$!
check "a load waits for the store's device" stands_still $loader
number=$(dmsetup info -c --noheadings -o major,minor st2)
table_refused "dm-1 is the store of st2 already" "$(store_table /dev/mapper/fast2)"
dmsetup resume fast2
wait $loader
is "$?" 0 "it is loaded"
# Loaded is not live.
table_refused "$number is no cowstore that is up" "0 $size cowstack /dev/base2 $number 1"
check "and comes up" dmsetup resume st2

# --- a reload onto another device ---
sync /dev/mapper/v1
remember_state
reload_refused "another store, or a stack's base" st2 "$(store_table /dev/mapper/fast)"
nothing_changed "a reload onto a device that is another's"
dmsetup remove st2
remember_state
reload_refused "device holds another store than this cowstore's" st "$(store_table /dev/ssd2)"
reload_refused "device does not hold this cowstore's store" st "$(store_table /dev/empty)"
reload_refused "cannot open store device /dev/none" st "0 $store_size cowstore /dev/none"
reload_refused "feature discard_passdown: bad value 7" st \
	"$(store_table /dev/mapper/fast 2 discard_passdown 7)"
dmsetup create part --table "0 $((store_size / 2)) linear /dev/ssd 0"
reload_refused "device does not hold this cowstore's store" st "$(store_table /dev/mapper/part)"
dmsetup remove part
nothing_changed "reloads of a store"
dmsetup create part --table "0 $store_size linear /dev/ssd 0"
# Of the size that it had when it was formatted, which its superblock says still.
dmsetup suspend st
exchange fast "0 $((32 * 2048)) linear /dev/ssd 0"
dmsetup resume st
check "the store grows" dmsetup message st 0 grow
reload_refused "device is smaller than this cowstore's store" st "$(store_table /dev/mapper/part)"
dmsetup remove part
is "$(content /dev/mapper/v1)" "$content" "the stack shows what it did"

# A copy of it elsewhere is the same store.
make_disk copy 32
dmsetup suspend st
dd if=/dev/ssd of=/dev/copy bs=1M iflag=direct oflag=direct 2>/dev/null
dmsetup resume st
check "a volume over what happens to be a store's copy" \
	dmsetup create v6 --table "$(stack_line 6 "$size" /dev/copy st)"
remember_state
reload_refused "copy is another store, or a stack's base" st "$(store_table /dev/copy)"
nothing_changed "a reload onto a base"
dmsetup remove v6
dmsetup suspend st
dd if=/dev/ssd of=/dev/copy bs=1M iflag=direct oflag=direct 2>/dev/null
old=$(content /dev/ssd)
dmsetup reload st --table "$(store_table /dev/copy)"
# It is the store's from then on, though not in use yet.
table_refused "base /dev/copy is a store" "$(stack_line 6 "$size" /dev/copy st)"
table_refused "copy is the store of st already" "$(store_table /dev/copy)"
check "a reload onto a copy is taken" dmsetup resume st
is "$(content /dev/mapper/v1)" "$content" "the stack shows what it did"
dd if=/dev/urandom of=/dev/mapper/v1 bs=64k count=3 seek=100 oflag=direct conv=fsync 2>/dev/null
content=$(content /dev/mapper/v1)
is "$(content /dev/ssd)" "$old" "nobody writes to the old device"
dmsetup remove v1
dmsetup remove st
attach_store st /dev/copy
dmsetup create v1 --table "$(stack_line 1 "$size" /dev/base st)"
is "$(content /dev/mapper/v1)" "$content" "all is on the new one"

# The stacks above have said what sectors they take.
make_disk copy4k 32 blocksize=4096
sync /dev/mapper/v1
dd if=/dev/copy of=/dev/copy4k bs=1M iflag=direct oflag=direct 2>/dev/null
remember_state
reload_refused "copy4k has larger logical blocks than the store's" st "$(store_table /dev/copy4k)"
reload_refused "base /dev/copy4k has larger logical blocks than the one in use" v1 \
	"$(stack_line 1 "$size" /dev/copy4k st accept_base 1)"
nothing_changed "a reload onto larger sectors"
remove_disk copy4k

# --- a stack's words ---
remember_state
for id in x -1 16777216 1.5; do
	table_refused "bad volume id $id" "$(stack_line $id "$size" /dev/base st)"
done
table_refused "st has no volume 9" "$(stack_line 9 "$size" /dev/base2 st)"
table_refused "volume 1 is up already, as v1" "$(stack_line 1 "$size" /dev/base2 st)"
table_refused "length $((size + 1)) is more than the volume's $size" \
	"$(stack_line 2 $((size + 1)) /dev/base2 st)"
refused "volume 2 stands in the table twice" two_targets \
	"0 2048 cowstack /dev/base2 /dev/mapper/st 2" "2048 2048 cowstack /dev/base2 /dev/mapper/st 2"
# What the first line took is given back.
refused "st has no volume 9" two_targets \
	"0 2048 cowstack /dev/base2 /dev/mapper/st 2" "2048 2048 cowstack /dev/base2 /dev/mapper/st 9"
reload_refused "length $((size + 1)) is more than the volume's $size" v1 \
	"$(stack_line 1 $((size + 1)) /dev/base st)"
reload_refused "st has no volume 9" v1 "$(stack_line 9 "$size" /dev/base st)"
nothing_changed "ids and lengths"

# --- a stack's cowstore ---
remember_state
number=$(dmsetup info -c --noheadings -o major,minor st)
table_refused "cannot open cowstore /dev/mapper/none" "$(stack_line 2 "$size" /dev/base2 none)"
for name in /dev/mapper/st "$number" "/dev/dm-${number#*:}"; do
	table_refused "base $name is the cowstore" "$(stack_line 2 "$size" "$name" st)"
done
table_refused "/dev/ssd2 is no cowstore that is up" "0 $size cowstack /dev/base2 /dev/ssd2 2"
table_refused "/dev/mapper/fast is no cowstore that is up" "$(stack_line 2 "$size" /dev/base2 fast)"
table_refused "/dev/mapper/v1 is no cowstore that is up" "$(stack_line 2 "$size" /dev/base2 v1)"

nothing_changed "cowstores"

# --- a stack's base ---
remember_state
table_refused "cannot open base /dev/none" "$(stack_line 2 "$size" /dev/none st)"
table_refused "base /dev/copy is a store" "$(stack_line 2 "$size" /dev/copy st)"
table_refused "base /dev/mapper/v1 lies in the stack's own store" \
	"$(stack_line 2 "$size" /dev/mapper/v1 st)"
table_refused "base /dev/sda is read-only (read_only_base 1 takes it)" \
	"$(stack_line 2 "$size" /dev/sda st)"
blockdev --setro /dev/base2
table_refused "base /dev/base2 is read-only (read_only_base 1 takes it)" \
	"$(stack_line 2 "$size" /dev/base2 st)"
blockdev --setrw /dev/base2
# dm opens a device once for a table: to open it for more it would close what the first has.
refused "base /dev/base2 is opened read-only in this table" two_targets \
	"0 2048 cowstack /dev/base2 /dev/mapper/st 2 2 read_only_base 1" \
	"2048 2048 cowstack /dev/base2 /dev/mapper/st 3"
nothing_changed "bases"
dmsetup message st 0 create_volume 7 2048 v7
check "the other way round both have it" two_targets \
	"0 2048 cowstack /dev/base2 /dev/mapper/st 7" \
	"2048 2048 cowstack /dev/base2 /dev/mapper/st 3 2 read_only_base 1"
dmsetup remove bad
check "read_only_base takes one that cannot even be opened for writing" \
	dmsetup create v4 --table "$(stack_line 4 "$size" /dev/sda st read_only_base 1)"
dmsetup remove v4
dmsetup create broken --table "0 $size error"
table_refused "cannot be read" "$(stack_line 2 "$size" /dev/mapper/broken st)"
exchange broken "$(printf '0 %s linear /dev/base2 0\n%s 8 error' $((size - 8)) $((size - 8)))"
# Its last sectors are a part of every sample.
table_refused "cannot be read" "$(stack_line 2 "$size" /dev/mapper/broken st)"
reload_refused "cannot be read" v1 "$(stack_line 1 "$size" /dev/mapper/broken st accept_base 1)"
dmsetup remove broken
check "a volume with another base" dmsetup create v3 --table "$(stack_line 3 "$size" /dev/base2 st)"
dmsetup remove v3
dmsetup create part --table "0 $((size - 8)) linear /dev/base2 0"
table_refused "is not the recorded base base2: $((size - 8)) sectors, not $size" \
	"$(stack_line 3 "$size" /dev/mapper/part st)"
dmsetup remove part
dd if=/dev/urandom of=/dev/base2 bs=4k count=1 oflag=direct 2>/dev/null
table_refused "base2 is not the recorded base base2: content differs; see accept_base" \
	"$(stack_line 3 "$size" /dev/base2 st)"
is "$(content /dev/mapper/v1)" "$content" "the stack shows what it did"

# --- features of what is live ---
remember_state
for feature in accept_base read_only_base; do
	refused "cowstack v1: set: feature $feature is set by a reload only" \
		dmsetup message v1 0 set $feature 1
done
refused "cowstack v1: set: feature auto_commit is not built yet" \
	dmsetup message v1 0 set auto_commit 1
refused "cowstack v1: set: feature resume_commit: bad value 2" \
	dmsetup message v1 0 set resume_commit 2
for words in "" resume_commit "resume_commit 1 0"; do
	refused "cowstack v1: set: wants a feature and a value" dmsetup message v1 0 "set $words"
done
refused "cowstack st: set: wants a feature and a value" dmsetup message st 0 set on_full
refused "cowstack v1: set: unknown feature on_full" dmsetup message v1 0 set on_full error
refused "cowstack st: set: feature no_space_timeout: bad value 86401" \
	dmsetup message st 0 set no_space_timeout 86401
refused "cowstack st: set: feature on_full: bad value drop" dmsetup message st 0 set on_full drop
nothing_changed "set"

# --- a first resume that is refused ---
dmsetup suspend st
refused "cowstack v2: the base could not be recorded: error -11" \
	dmsetup create v2 --table "$(stack_line 2 "$size" /dev/base2 st)"
dmsetup resume st
is "$(base_of 2)" - "nothing was recorded"

dmsetup create v2 --notable
dmsetup load v2 --table "$(stack_line 2 "$size" /dev/ssd2 st)"
attach_store st2 /dev/ssd2
resume_refused "cowstack v2: the base is a store by now" v2
check "it goes" dmsetup remove v2
is "$(base_of 2)" - "nothing was recorded"
dmsetup remove st2

# --- and a reload: the old table is gone by then, and can be loaded again ---
dmsetup reload v1 --table "$(stack_line 1 "$size" /dev/ssd2 st accept_base 1)"
attach_store st2 /dev/ssd2
resume_refused "cowstack v1: the base is a store by now" v1
dmsetup remove st2
check "the table that it had is loaded again" exchange v1 "$(stack_line 1 "$size" /dev/base st)"
# With nothing live whoever reads would wait for ever.
[ "$(dmsetup info -c --noheadings -o suspended v1)" = Active ] ||
	exchange v1 "$(stack_line 1 "$size" /dev/base st accept_base 1)"
is "$(content /dev/mapper/v1)" "$content" "the stack shows what it did"

# --- a base that is being committed into ---
dmsetup create v5 --notable
dmsetup load v5 --table "$(stack_line 5 "$size" /dev/base st)"
# One chunk, and then a wait of a day.
dmsetup message v1 0 commit start speed 1
for ((i = 0; i < 600; i++)); do
	[[ $(status_field v1 11) == 0/* ]] || break
	sleep 0.1
done
resume_refused "or is being committed into by another stack" v5
check "it goes" dmsetup remove v5
is "$(base_of 5)" - "nothing was recorded"
table_refused "base /dev/base is being committed into by v1" "$(stack_line 5 "$size" /dev/base st)"
is "$(status_field v1 7)" running "the commit runs all the while"
dmsetup message v1 0 commit cancel
is "$(wait_for_job v1)" cancelled "until it is cancelled"
check "then the base is free for another" dmsetup create v5 --table "$(stack_line 5 "$size" /dev/base st)"
dmsetup remove v5
is "$(content /dev/mapper/v1)" "$content" "the stack shows what it did"

# --- a store that has failed ---
dmsetup wipe_table st
table_refused "/dev/mapper/st is no cowstore that is up" "$(stack_line 2 "$size" /dev/base2 st)"
check "it takes its table back" exchange st "$(store_table /dev/copy)"
table_refused "/dev/mapper/st has failed" "$(stack_line 2 "$size" /dev/base2 st)"
dmsetup remove v1
dmsetup remove st

# --- nothing is left ---
nothing_left
check "the store is clean" dmcommit check /dev/copy
modprobe dm-cowstack
attach_store st /dev/copy
dmsetup create v1 --table "$(stack_line 1 "$size" /dev/base st)"
is "$(content /dev/mapper/v1)" "$content" "the volume shows what it did"
dmsetup remove v1
dmsetup remove st
nothing_left
dmsetup remove fast fast2
check "nobody holds the disks" is_free /dev/ssd /dev/ssd2 /dev/base /dev/base2 /dev/empty /dev/copy
check "nor the one that is read-only" rmmod scsi_debug
done_testing
