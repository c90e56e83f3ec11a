#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 600 --add build/tests/mirror_io --add build/tests/fill
# Volumes of 1 PiB and 20 TiB, whose bases are zeroes but for some MiB: at the start, at
# chunk numbers 2^31 and 2^32, and at the end, which is no end of a chunk. Bases that are
# longer, shorter, and of no whole number of chunks; the stack does not begin its table.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

modprobe dm-cowstack
start=3001
make_disk ssd 192
make_disk pieces 16
make_disk shadow 16
make_disk first 4

# places VOLUME-SECTORS CHUNK-SECTORS: first sectors of the four stretches of up to 4 MiB
places()
{
	local half=$((32 * $2))

	((half <= 4096)) || half=4096
	length=$((2 * half))
	at=(0 $(((1 << 31) * $2 - half)) $(((1 << 32) * $2 - half)) $((($1 / $2) * $2 - half)))
	# The last one ends with the volume.
	last=$(($1 - at[3]))
}

# stretch N: how long it is
stretch()
{
	[ "$1" -eq 3 ] && echo "$last" || echo "$length"
}

# over SECTORS: a base of this length, with the pieces in it
over()
{
	local i end=0 long

	for i in 0 1 2 3; do
		long=$(stretch $i)
		((at[i] + long <= $1)) || long=$(($1 - at[i]))
		((at[i] == end)) || echo "$end $((at[i] - end)) zero"
		echo "${at[i]} $long linear /dev/pieces $((i * length))"
		end=$((at[i] + long))
	done
	((end == $1)) || echo "$end $(($1 - end)) zero"
}

# windows DEVICE FIRST: what lies there, one stretch behind the other
windows()
{
	local i

	for i in 0 1 2 3; do
		echo "$((i * length)) $(stretch $i) linear $1 $((i * ${3:-0} + (${3:-0} ? 0 : at[i] + $2)))"
	done
}

up()
{
	attach_store st /dev/ssd &&
		dmsetup create t <<-END &&
			0 $start linear /dev/first 0
			$start $size cowstack /dev/mapper/base /dev/mapper/st 1
		END
		windows /dev/mapper/t $start | dmsetup create w
}

down()
{
	dmsetup remove w && dmsetup remove t && dmsetup remove st
}

same()
{
	check "$text: $1" cmp /dev/mapper/w /dev/mapper/s
}

message()
{
	dmsetup message t $start "$@"
}

# huge TEXT SECTORS CHUNK-SECTORS BASE-SECTORS
huge()
{
	text=$1
	size=$2
	places "$2" "$3"
	fill 7 /dev/pieces
	fill 7 /dev/shadow
	over "$4" | dmsetup create base
	# What a short base does not have reads as zeroes.
	(($4 >= size)) ||
		dd if=/dev/zero of=/dev/shadow bs=512 seek=$((3 * length + $4 - at[3])) \
			count=$((size - $4)) oflag=direct conv=notrunc status=none
	windows /dev/shadow 0 "$length" | dmsetup create s
	dmcommit format /dev/ssd --name st --chunk-size $(($3 / 2))K --force >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup remove st
	check "$text: comes up" up
	is "$(sectors_of /dev/mapper/t)" $((start + size)) "$text: is as long as it was made"
	same "content before anything is written"
	check "$text: work at all four places" mirror_io /dev/mapper/w /dev/mapper/s 31 120 4 coarse
	check "$text: a snapshot" message snapshot
	check "$text: work in small pieces" mirror_io /dev/mapper/w /dev/mapper/s 32 60 3 fine
	chunks=$(((size + $3 - 1) / $3))
	is "$(dmsetup message st 0 map 1 0 1 | head -n 1)" "$chunks $chunks" \
		"$text: a map of one part"
	diag "$text: $(status_value st memory_bytes) bytes of memory"
	check "$text: comes down" down
	check "$text: comes up again" up
	same "content after a load"
}

finished()
{
	local i

	for ((i = 0; i < 1500; i++)); do
		[[ $(dmsetup status t) == *" running "* ]] || break
		sleep 0.2
	done
	dmsetup status t | grep -o -E '(valid|mixed|unknown) (completed|stopped|running|idle)'
}

end()
{
	check "$text: comes down at the end" down
	check "$text: the store is clean" dmcommit check /dev/ssd
	dmsetup remove s
	dmsetup remove base
}

# --- 1 PiB, a longer base of no whole number of chunks ---
huge "1 PiB" $(((1 << 41) - 37)) 128 $(((1 << 41) + 1011))
check "1 PiB: a commit starts" message commit start
check "1 PiB: work beside it" mirror_io /dev/mapper/w /dev/mapper/s 33 60 2 coarse
is "$(finished)" "valid completed" "1 PiB: it completes"
check "1 PiB: another, of what was written meanwhile" message commit start
is "$(finished)" "valid completed" "1 PiB: completes"
same "content after commits"
windows /dev/pieces 0 "$length" | dmsetup create p
check "1 PiB: the base alone is the volume" cmp /dev/mapper/p /dev/mapper/s
dmsetup remove p
end

# --- 20 TiB in chunks of 4 KiB, a base that is shorter by no whole chunk ---
huge "20 TiB" $(((20 << 31) + 13)) 8 $(((20 << 31) - 55))
for device in w s; do
	dd if=/dev/zero of=/dev/mapper/$device bs=512 seek=$((3 * length + last - 1)) count=1 \
		oflag=direct conv=notrunc status=none
done
dmesg -c >/dev/null
check_fails "20 TiB: a commit past the base's end is refused" message commit start
like "$(dmesg)" "the base ends at sector $(((20 << 31) - 55))" "20 TiB: with that reason"
same "content after it"
end

# --- 20 TiB in chunks of 4 KiB, a base of the same length ---
huge "20 TiB, long base" $(((20 << 31) + 13)) 8 $(((20 << 31) + 13))
check "20 TiB: a commit starts" message commit start
is "$(finished)" "valid completed" "20 TiB: it completes"
same "content after a commit"
windows /dev/pieces 0 "$length" | dmsetup create p
check "20 TiB: the base alone is the volume" cmp /dev/mapper/p /dev/mapper/s
dmsetup remove p
end

check "the module unloads" rmmod dm_cowstack
done_testing
