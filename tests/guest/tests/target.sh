#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400 --add build/tests/mirror_io --add build/tests/ima_status
# A stack as one target of several: anywhere in the table, over a base that is shorter
# or longer. What a table says is what was asked for. Features that change while live.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/beside.sh

modprobe dm-cowstack
make_disk ssd 64
make_disk plain 4
make_disk long 16
make_disk short 8
make_disk shadow 32
# Neither a multiple of a chunk nor of a sixteenth, wherever one can be had.
start=3001
first=$((11 * 2048 + 5))
second=$((9 * 2048 + 3))
end=$((start + first + second))
long_end=$((16 * 2048))
short_end=$((8 * 2048))

for disk in long short plain; do
	dd if=/dev/urandom of=/dev/$disk bs=1M oflag=direct 2>/dev/null
done

dmcommit format /dev/ssd --name st >/dev/null
uuid=$(json_value "$(dmcommit check /dev/ssd --json)" uuid)
attach_store st /dev/ssd
# The first volume goes on behind the table's end, and so does its base.
dmsetup message st 0 create_volume 1 $((14 * 2048)) one
dmsetup message st 0 create_volume 2 "$second" two

# copy FROM SECTOR SECTORS TO SECTOR
copy()
{
	dd if="$1" of="$4" bs=512 skip="$2" count="$3" seek="$5" iflag=fullblock \
		conv=notrunc,fsync 2>/dev/null
}

copy /dev/zero 0 65536 /dev/shadow 0
copy /dev/plain 7 $start /dev/shadow 0
copy /dev/long 0 $first /dev/shadow $start
copy /dev/short 0 $short_end /dev/shadow $((start + first))
dmsetup create s --table "0 $end linear /dev/shadow 0"

lines()
{
	cat <<-END
	0 $start linear /dev/plain 7
	$start $first cowstack /dev/long /dev/mapper/st 1
	$((start + first)) $second cowstack /dev/short /dev/mapper/st 2
	END
}

# part SECTOR SECTORS DEVICE: a sum of that part, not of what the page cache had of it
part()
{
	blockdev --flushbufs "$3" 2>/dev/null
	dd if="$3" bs=512 skip="$1" count="$2" 2>/dev/null | xxhsum
}

# same_part TEXT SECTOR SECTORS DEVICE SECTOR: it is the shadow's part
same_part()
{
	is "$(part "$5" "$3" "$4")" "$(part "$2" "$3" /dev/shadow)" "$1"
}

# --- two stacks behind something else ---
check "a stack behind another target, and one behind that" dmsetup create t <<<"$(lines)"
is "$(dmsetup table t | cut -d' ' -f1-3)" "$(lines | cut -d' ' -f1-3)" \
	"each is where the table says"
is "$(dmsetup status t | grep -c " cowstack rw ")" 2 "both have a status"
is "$(sectors_of /dev/mapper/t)" "$end" "the length is all of it"
check "content before anything is written" cmp /dev/mapper/t /dev/mapper/s
is "$(part $((start + first + short_end)) $((second - short_end)) /dev/mapper/t)" \
	"$(part 0 $((second - short_end)) /dev/zero)" "behind its base's end a stack reads zeroes"

# edge SECTOR SECTORS: written to both; in one bio, though it lies on two targets
edge()
{
	dd if=/dev/urandom of=/tmp/new bs=512 count="$2" 2>/dev/null
	dd if=/tmp/new of=/dev/mapper/t bs=$(($2 * 512)) count=1 seek=$(($1 * 512)) \
		oflag=direct,seek_bytes conv=notrunc 2>/dev/null &&
		dd if=/tmp/new of=/dev/mapper/s bs=512 seek="$1" oflag=direct \
			conv=notrunc 2>/dev/null
}

for at in $start $((start + first)); do
	check "the last sector before $at" edge $((at - 1)) 1
	check "the first sector from $at on" edge "$at" 1
	check "sectors on both sides of $at" edge $((at - 7)) 20
done
check "the last sector of all" edge $((end - 1)) 1
check "a MiB that ends with the table" edge $((end - 2048)) 2048
check "a write over the shorter base's end" edge $((start + first + short_end - 9)) 30
check "content" cmp /dev/mapper/t /dev/mapper/s
check "a first part of a chunk is zeroed" blkdiscard -f -z -o $((start * 512)) -l 4096 /dev/mapper/t
blkdiscard -f -z -o $((start * 512)) -l 4096 /dev/mapper/s
check "content" cmp /dev/mapper/t /dev/mapper/s
check "work everywhere" mirror_io /dev/mapper/t /dev/mapper/s 21 500 3 coarse
check "work in small pieces" mirror_io /dev/mapper/t /dev/mapper/s 22 300 4 fine

# --- messages go to a sector of the stack's own ---
check_fails "no message to what is no stack" dmsetup message t 0 snapshot
check "a snapshot of the first" dmsetup message t $start snapshot
check "a snapshot of the second" dmsetup message t $((end - 1)) snapshot
check_fails "none behind the end" dmsetup message t "$end" snapshot
is "$(dmsetup message t $start layers | wc -l) $(dmsetup message t $((start + first)) layers | wc -l)" \
	"2 2" "each has its own layers"
check "a feature of the second" dmsetup message t $((start + first)) set resume_commit 0
is "$(dmsetup table t | grep -c 'resume_commit 0')" 1 "is not the first's"
dmsetup message t $((start + first)) set resume_commit 1
check "work over frozen layers" mirror_io /dev/mapper/t /dev/mapper/s 23 200 3 coarse

# --- the table again, from what it prints, while it is in use ---
reload()
{
	dmsetup table t | dmsetup reload t && dmsetup resume t
}

again()
{
	sleep 0.2
	reload
}
begin_beside again
check "work while the table is loaded again and again" \
	mirror_io /dev/mapper/t /dev/mapper/s 24 250 3 coarse
end_beside
is "$?" 0 "nothing failed beside it"

# --- a commit of one of two ---
behind=$(part "$first" $((long_end - first)) /dev/long)
before=$(part 0 "$short_end" /dev/short)
check "a commit of the first" dmsetup message t $start commit start
for ((i = 0; i < 600; i++)); do
	[[ $(dmsetup status t | sed -n 2p) == *" running commit "* ]] || break
	sleep 0.2
done
like "$(dmsetup status t | sed -n 2p)" ' valid completed commit ' "completes"
like "$(dmsetup status t | sed -n 3p)" ' unknown idle - ' "the second has nothing of it"
same_part "its base alone is the volume" $start "$first" /dev/long 0
is "$(part "$first" $((long_end - first)) /dev/long)" "$behind" \
	"what lies behind the table's end is as it was"
is "$(part 0 "$short_end" /dev/short)" "$before" "the other base too"
check "content" cmp /dev/mapper/t /dev/mapper/s
dmesg -c >/dev/null
check_fails "a commit of the second is refused" dmsetup message t $((start + first)) commit start
like "$(dmesg)" "the base ends at sector $short_end, the layers hold [0-9]+ sectors behind it" \
	"as its base ends before the volume"

# --- each by itself, elsewhere ---
dmsetup remove t
check "the second volume at 0" dmsetup create two --table "$(stack_line 2 "$second" /dev/short st)"
same_part "has what was written to it" $((start + first)) "$second" /dev/mapper/two 0
dmsetup remove two
check "the first, all of it" dmsetup create one --table "$(stack_line 1 $((14 * 2048)) /dev/long st)"
same_part "has what was written to it" $start "$first" /dev/mapper/one 0
is "$(part "$first" 1024 /dev/mapper/one)" "$(part "$first" 1024 /dev/long)" \
	"behind that it shows its base"
dmsetup remove one
same_part "what is no stack's is as it was written" 0 $start /dev/plain 7

# --- the table says what was asked for, and loads again ---
# prints DEVICE FIELD WANTED [WORD…]: loaded with these feature words its table ends in
# WANTED, from that field on; and what it prints loads again and prints the same.
prints()
{
	local device=$1 field=$2 wanted=$3 printed
	shift 3

	dmsetup table "$device" | cut -d' ' -f1-$((field - 1)) | sed "s/\$/ $# $*/" |
		dmsetup reload "$device" && dmsetup resume "$device"
	printed=$(dmsetup table "$device")
	is "$(cut -d' ' -f"$field"- <<<"$printed")" "$wanted" "$device with \"$*\" prints \"$wanted\""
	dmsetup reload "$device" <<<"$printed" && dmsetup resume "$device"
	is "$(dmsetup table "$device")" "$printed" "which loads again"
}

# Defaults are left out, and come in one order.
prints st 5 ""
prints st 5 "" on_full queue no_space_timeout 60 discard_passdown 1
prints st 5 "2 on_full error" on_full error
prints st 5 "2 no_space_timeout 0" no_space_timeout 0
prints st 5 "2 no_space_timeout 86400" no_space_timeout 86400
prints st 5 "2 discard_passdown 0" discard_passdown 0
prints st 5 "6 on_full error no_space_timeout 7 discard_passdown 0" \
	discard_passdown 0 no_space_timeout 7 on_full error
# Said twice, the last one counts.
prints st 5 "2 on_full error" on_full queue on_full error
prints st 5 ""

dmsetup message st 0 create_volume 3 "$long_end" three
dmsetup create v --table "$(stack_line 3 "$long_end" /dev/long st)"
prints v 7 ""
prints v 7 "" accept_base 1
prints v 7 "" accept_base 0 resume_commit 1 read_only_base 0
prints v 7 "2 resume_commit 0" resume_commit 0
prints v 7 "2 read_only_base 1" read_only_base 1
prints v 7 "4 resume_commit 0 read_only_base 1" read_only_base 1 accept_base 1 resume_commit 0
prints v 7 ""

# --- what the integrity measurement is told ---
number_of_st=$(dmsetup info -c --noheadings -o major,minor st)
is "$(ima_status st)" \
	"target_name=cowstore,target_version=1.0.0,store_device=$(cat /sys/block/ssd/dev),uuid=$uuid;" \
	"of a store: its device and its uuid"
is "$(ima_status v)" \
	"target_name=cowstack,target_version=1.0.0,base_device=$(cat /sys/block/long/dev),cowstore=$number_of_st,volume=3;" \
	"of a stack: base, cowstore and volume"
dmsetup create t <<<"$(lines | head -n 2)"
is "$(ima_status t | cut -d, -f1)" "target_name=linear
target_name=cowstack" "for each target of a table"
dmsetup remove t

# --- features that change while live ---
# sets DEVICE WANTED FEATURE VALUE: the message, and what the table says then
sets()
{
	check "$1: set $3 $4" dmsetup message "$1" 0 set "$3" "$4"
	is "$(dmsetup table "$1" | grep -o " [0-9] [a-z_]* .*")" "$2" "the table says \"$2\""
}

sets v " 2 resume_commit 0" resume_commit 0
sets v "" resume_commit 1
sets st " 2 no_space_timeout 5" no_space_timeout 5
sets st " 4 on_full error no_space_timeout 5" on_full error
sets st " 2 no_space_timeout 5" on_full queue
sets st "" no_space_timeout 60
sets st " 2 discard_passdown 0" discard_passdown 0

# discards: how many the store's disk has seen
discards()
{
	awk '{ print $12 }' /sys/block/ssd/stat
}

# write_and_commit: until all that it took is free again
write_and_commit()
{
	dd if=/dev/urandom of=/dev/mapper/v bs=1M count=6 oflag=direct conv=fsync 2>/dev/null
	dmsetup message v 0 commit start
	wait_for_job v >/dev/null
	wait_for_value st freeing 0 >/dev/null
	echo "$(status_field v 7), $(status_field v 4) used, $(status_value st freeing) freeing"
}

wait_for_value st freeing 0 >/dev/null
before="$(discards) $(status_value st discarded)"
is "$(write_and_commit)" "completed, 0 used, 0 freeing" "96 chunks come and go"
is "$(discards) $(status_value st discarded)" "$before" "discard_passdown 0: none was discarded"
sets st "" discard_passdown 1
discarded=$(status_value st discarded)
before=$(discards)
is "$(write_and_commit)" "completed, 0 used, 0 freeing" "96 chunks more"
is "$(($(status_value st discarded) - discarded))" 96 "discard_passdown 1: each was discarded"
check "as the disk has seen" test "$(discards)" -gt "$before"
dmsetup remove v
dmsetup remove s
dmsetup remove st
check "the module unloads" rmmod dm_cowstack
check "and the store is clean" dmcommit check /dev/ssd
done_testing
