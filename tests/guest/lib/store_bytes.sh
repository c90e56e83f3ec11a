# SPDX-License-Identifier: GPL-2.0
# The bytes of a store that is not attached, and changing them; kernel/core/format.h says
# what lies where. Sourced by bash. Offsets are in bytes from the device's start.

# number_at DEVICE OFFSET [BYTES]: a little-endian number, of 8 bytes unless told
number_at()
{
	local number

	read -r number < <(od -A n -t "u${3:-8}" -j "$2" -N "${3:-8}" "$1")
	echo "$number"
}

# put_bytes DEVICE OFFSET: what comes on stdin goes there
put_bytes()
{
	dd of="$1" bs=4096 seek="$2" oflag=seek_bytes conv=notrunc,fsync 2>/dev/null
}

# put_number DEVICE OFFSET VALUE [BYTES]
put_number()
{
	local i byte text=

	for ((i = 0; i < ${4:-8}; i++)); do
		printf -v byte '\\x%02x' $(($3 >> 8 * i & 255))
		text+=$byte
	done
	printf '%b' "$text" | put_bytes "$1" "$2"
}

# flip DEVICE OFFSET: other bits in this byte, or, the second time, those it had
flip()
{
	put_number "$1" "$2" $(($(number_at "$1" "$2" 1) ^ 0xa5)) 1
}

# block_at DEVICE BLOCK: of 4 KiB, on stdout
block_at()
{
	dd if="$1" bs=4096 skip="$2" count=1 2>/dev/null
}

# crc32 of stdin: gzip puts the same one behind what it has packed
crc32()
{
	gzip -c | tail -c 8 | od -A n -t u4 -N 4
}

# seal DEVICE BLOCK [BYTES]: its checksum is right again. Of a block of records only the
# bytes that are used count.
seal()
{
	put_number "$1" $(($2 * 4096 + 4)) 0 4
	put_number "$1" $(($2 * 4096 + 4)) \
		$(block_at "$1" "$2" | head -c "${3:-4096}" | crc32) 4
}

# Of the superblock at block 0.
ring_start() { number_at "$1" 80; }
ring_blocks() { number_at "$1" 88; }
tail_position() { number_at "$1" 120; }
index_first() { number_at "$1" 128; }

# step_block DEVICE N: the block in which the Nth block behind the tail lies, from 0
step_block()
{
	echo $(($(ring_start "$1") + ($(tail_position "$1") + $2) % $(ring_blocks "$1")))
}

# page_blocks DEVICE: the blocks of the map pages that the index's first block names
page_blocks()
{
	local at end type bytes

	at=$(($(index_first "$1") * 4096 + 64))
	end=$((at + $(number_at "$1" $((at - 16)) 4)))
	while [ "$at" -lt "$end" ]; do
		type=$(number_at "$1" "$at" 2)
		bytes=$(number_at "$1" $((at + 2)) 2)
		[ "$bytes" -gt 0 ] || return
		[ "$type" -ne 9 ] || number_at "$1" $((at + 16))
		at=$((at + bytes))
	done
}
