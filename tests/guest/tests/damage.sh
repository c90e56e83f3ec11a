#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400
# guest in check: --cpus 1
# Stores that are damaged, or made by a later version: module and tool name what is
# wrong, and where; neither writes anything. One bad superblock of the two is mended.
# With the argument "ranges": only words that lie in no volume's range.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/store_bytes.sh

modprobe dm-cowstack
make_disk ssd 8
make_disk ssd2 8
make_disk base 8
size=$((8 * 2048))
# Where in a block the records begin, and a byte of the first that is no header's.
records=64

content()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | xxhsum
}

up()
{
	attach_store st /dev/ssd &&
		dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
}

down()
{
	dmsetup remove v && dmsetup remove st
}

# tool STATUS TEXT COMMAND…: it says why in one line on stderr
tool()
{
	local status=0

	dmcommit "${@:3}" >/dev/null 2>/tmp/error || status=$?
	like "$status: $(</tmp/error)" "^$1: dmcommit: [^
]*$2[^
]*\$" "dmcommit ${*:3}: exit status $1, and a line that says why"
}

# is_refused TEXT BLOCK ERRNO ATTACH-STATUS CHECK-STATUS: by the module, and by the tool
# with these exit statuses; nothing is written.
is_refused()
{
	local before

	before=$(content /dev/ssd)
	refused "cowstore: ssd: $1 (block $2) ($(error_word "$3"))" \
		dmsetup create st --table "0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
	tool "$4" "" attach /dev/ssd
	if [ "$5" -eq 0 ]; then
		check "dmcommit check may look at it" dmcommit check /dev/ssd
	else
		tool "$5" "$1" check /dev/ssd
	fi
	check_fails "no device has come of it" dmsetup info st
	is "$(content /dev/ssd)" "$before" "nothing was written"
}

# is_damaged TEXT BLOCK
is_damaged()
{
	is_refused "$1" "$2" EUCLEAN 5 5
}

# --- a store with something of everything: map pages at home, an index, steps ---
dmcommit format /dev/ssd2 --name other >/dev/null
dmcommit format /dev/ssd --name st >/dev/null
attach_store st /dev/ssd
for id in 1 2; do
	dmsetup message st 0 create_volume $id "$size" v$id
	dmsetup create v$id --table "$(stack_line $id "$size" /dev/base st)"
	dd if=/dev/urandom of=/dev/mapper/v$id bs=64k count=6 seek=$((id * 9)) oflag=direct \
		conv=fsync 2>/dev/null
done
dmsetup remove v2
# Layers that are gone are forgotten by a checkpoint.
dmsetup message st 0 delete_volume 2
for ((i = 0; i < 600; i++)); do
	[ "$(status_value st checkpoints)" -eq 0 ] || break
	sleep 0.1
done
sleep 0.5
dmsetup remove v1
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
for name in a b c d; do
	dmsetup message v 0 snapshot $name
	dd if=/dev/urandom of=/dev/mapper/v bs=4k count=1 seek=77 oflag=direct conv=fsync 2>/dev/null
done
layers=$(dmsetup message v 0 layers)
content=$(content /dev/mapper/v)
down

check "it is clean" dmcommit check /dev/ssd
report=$(dmcommit check /dev/ssd --json)
check "it has steps to replay" test "$(json_value "$report" journal_steps)" -ge 4
check "and map pages at home" test "$(page_blocks /dev/ssd | wc -l)" -ge 1
dmesg -c >/dev/null

# --- words of chunks that no volume could have, with right checksums ---
# seal_step: the checksum of its records, and that of the block
seal_step()
{
	put_number /dev/ssd $((first * 4096 + 60)) \
		$(block_at /dev/ssd "$first" | tail -c +65 | head -c "$used" | crc32) 4
	seal /dev/ssd "$first" $((records + used))
}

# find_words: a step of one block with words in it; where those begin
find_words()
{
	local n at

	for ((n = 0; n < 60; n++)); do
		first=$(step_block /dev/ssd $n)
		used=$(number_at /dev/ssd $((first * 4096 + 48)) 4)
		[ "$(number_at /dev/ssd $((first * 4096 + 56)) 4)" -eq 1 ] || continue
		for ((at = records; at < records + used; )); do
			words=$((first * 4096 + at))
			[ "$(number_at /dev/ssd $words 2)" -ne 6 ] || return 0
			at=$((at + $(number_at /dev/ssd $((words + 2)) 2)))
		done
	done
	return 1
}

# Not by check, whose command could not say where.
find_words
is "$?" 0 "there is a step with words"
chunk=$(number_at /dev/ssd $((words + 8)))
for far in $((1 << 41)) -1; do
	put_number /dev/ssd $((words + 8)) "$far"
	seal_step
	is_damaged "words of no layer, or out of range" "$first"
done
put_number /dev/ssd $((words + 8)) "$chunk"
seal_step
check "it is whole again" dmcommit check /dev/ssd
[ "${1:-}" != ranges ] || {
	nothing_left
	done_testing
}

# --- superblocks ---
block_at /dev/ssd 0 >/tmp/a
block_at /dev/ssd 16 >/tmp/b
flip /dev/ssd 100
flip /dev/ssd $((16 * 4096 + 100))
is_damaged "superblock has a bad checksum" 0
report=$(dmcommit check /dev/ssd --json 2>/dev/null)
is "$? $(json_value "$report" clean) $(json_value "$report" damage)" \
	"5 false superblock has a bad checksum" "the same in JSON"
# A first one that is nobody's says less than a second that is ours.
head -c 4096 /dev/zero | put_bytes /dev/ssd 0
is_damaged "superblock has a bad checksum" 16
put_bytes /dev/ssd 0 </tmp/a
block_at /dev/ssd2 16 | put_bytes /dev/ssd 65536
is_damaged "superblocks are of two stores" 0
put_bytes /dev/ssd 65536 </tmp/b
check "it is whole again" dmcommit check /dev/ssd

# with_number OFFSET VALUE BYTES COMMAND…: while both superblocks have that number there
with_number()
{
	local place

	for place in 0 16; do
		put_number /dev/ssd $((place * 4096 + $1)) "$2" "$3"
		seal /dev/ssd $place
	done
	"${@:4}"
	put_bytes /dev/ssd 0 </tmp/a
	put_bytes /dev/ssd 65536 </tmp/b
}

with_number 48 2 4 is_refused "format version is not known" 0 EOPNOTSUPP 1 1
with_number 72 $((1 << 40)) 8 is_refused "an incompatible feature is not known" 0 EOPNOTSUPP 1 1
# Who only reads may pass over such a one.
with_number 64 1 8 is_refused "a feature is not known that writers must know" 0 EOPNOTSUPP 1 0
with_number 52 100 4 is_damaged "chunk size is not a power of two from 4 KiB to 1 MiB" 0
with_number 104 $((1 << 20)) 8 is_damaged "device is smaller than its superblock says" 0
with_number 128 3 8 is_damaged "index is out of range" 0
check "it is whole again" dmcommit check /dev/ssd
dmsetup create part --table "0 $((4 * 2048)) linear /dev/ssd 0"
refused "cowstore: dm-0: device is smaller than its superblock says (block 0) ($(error_word EUCLEAN))" \
	dmsetup create st --table "0 $((4 * 2048)) cowstore /dev/mapper/part"
tool 5 "device is smaller than its superblock says" check /dev/mapper/part
dmsetup remove part

# --- the journal ---
first=$(step_block /dev/ssd 0)
flip /dev/ssd $((first * 4096 + records + 9))
is_damaged "journal is damaged before its end" "$first"
flip /dev/ssd $((first * 4096 + records + 9))
# A step may have several blocks; the one behind the first begins another, or goes on.
second=$(step_block /dev/ssd 1)
flip /dev/ssd $((second * 4096 + 4))
is_damaged "journal is damaged before its end" \
	"$([ "$(number_at /dev/ssd $((second * 4096 + 52)) 4)" -eq 0 ] && echo "$second" || echo "$first")"
flip /dev/ssd $((second * 4096 + 4))
check "it is whole again" dmcommit check /dev/ssd
# With right checksums: what a writer of ours never wrote.
type=$(number_at /dev/ssd $((first * 4096 + records)) 2)
blocks=$(number_at /dev/ssd $((first * 4096 + 56)) 4)
is "$blocks" 1 "the first step has one block"
used=$(number_at /dev/ssd $((first * 4096 + 48)) 4)
put_number /dev/ssd $((first * 4096 + records)) 99 2
seal_step
is_damaged "record has a bad type or length" "$first"
put_number /dev/ssd $((first * 4096 + records)) "$type" 2
seal_step
check "it is whole again" dmcommit check /dev/ssd

# --- index and map ---
index=$(index_first /dev/ssd)
flip /dev/ssd $((index * 4096 + records + 20))
is_damaged "index block is damaged" "$index"
flip /dev/ssd $((index * 4096 + records + 20))
page=$(page_blocks /dev/ssd | tail -n 1)
for byte in 0 4095; do
	flip /dev/ssd $((page * 4096 + byte))
	is_damaged "map page is damaged" "$page"
	flip /dev/ssd $((page * 4096 + byte))
done
report=$(flip /dev/ssd $((page * 4096)); dmcommit check /dev/ssd --json 2>/dev/null)
flip /dev/ssd $((page * 4096))
is "$(json_value "$report" clean) $(json_value "$report" block)" "false $page" \
	"in JSON its place is named"
check "it is whole again" dmcommit check /dev/ssd

# --- one superblock of the two ---
# same_superblocks: but for their own places and the checksums over them
same_superblocks()
{
	local a b

	a=$(block_at /dev/ssd 0 | od -A d -t x1 -v | grep -v -e '^0000000 ' -e '^0000016 ')
	b=$(block_at /dev/ssd 16 | od -A d -t x1 -v | grep -v -e '^0000000 ' -e '^0000016 ')
	[ -n "$a" ] && [ "$a" = "$b" ] &&
		[ "$(number_at /dev/ssd 8)" = "$(number_at /dev/ssd $((65536 + 8)))" ]
}

# is_mended TEXT: by the first resume, and by nothing before it
is_mended()
{
	local before

	report=$(dmcommit check /dev/ssd --json)
	is "$? $(json_value "$report" clean) $(json_value "$report" superblocks_differ)" "0 true true" \
		"$1: the store is clean, the tool sees it"
	before=$(content /dev/ssd)
	dmesg -c >/dev/null
	dmsetup create --notable st
	check "$1: it is loaded" dmsetup load st --table "0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
	is "$(dmesg -c | grep -c "one superblock of ssd is damaged or old")" 1 "$1: the log says so"
	is "$(content /dev/ssd)" "$before" "$1: nothing is written yet"
	dmsetup remove st
	check "$1: it comes up" up
	is "$(content /dev/mapper/v)" "$content" "$1: the volume shows what it did"
	is "$(dmsetup message v 0 layers)" "$layers" "$1: the layers are what they were"
	down
	check "$1: both superblocks are the same" same_superblocks
	report=$(dmcommit check /dev/ssd --json)
	is "$(json_value "$report" superblocks_differ)" false "$1: the tool says so too"
}

flip /dev/ssd 3000
is_mended "the first is damaged"
flip /dev/ssd $((65536 + 3000))
is_mended "the second is damaged"
head -c 4096 /dev/zero | put_bytes /dev/ssd 0
is_mended "the first is gone"
block_at /dev/ssd 0 | put_bytes /dev/ssd 65536
is_mended "the second is in no place of its own"
# Each of them by itself is enough: neither rests on what the other says.
flip /dev/ssd 3000
check "the second alone is a store" dmcommit check /dev/ssd
flip /dev/ssd 3000
flip /dev/ssd $((65536 + 3000))
check "the first alone is a store" dmcommit check /dev/ssd
flip /dev/ssd $((65536 + 3000))

nothing_left
done_testing
