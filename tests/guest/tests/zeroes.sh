#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400 --add build/tests/mirror_io
# Write-zeroes as such. The block layer hands them to a stack only if the base's device has
# them, so the bases here do: a loop device, whose file gets holes, and scsi_debug, which is
# told to unmap. null_blk is the base that can discard, but has none: zeroes that go down
# there are writes.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/tracing.sh

chunk=16384
mebibytes=8
size=$((mebibytes * 2048))

# --- which bios reach a device ---

watch_bios()
{
	begin_tracing 8192 block/block_bio_queue
}

# number_of DEVICE SEPARATOR: as events print it, or as in /sys/dev
number_of()
{
	# shellcheck disable=SC2046 # two words
	printf "%d$2%d" $(stat -L -c '0x%t 0x%T' "$1")
}

# bios_to DEVICE…: for each "zeroes COUNT SECTORS writes SECTORS discards COUNT", since
# watch_bios. "N" is what kernels say that have no letter for write-zeroes yet.
bios_to()
{
	local device

	end_tracing
	for device in "$@"; do
		sed -n "s/.*block_bio_queue: $(number_of "$device" ,) \([A-Z]*\) [0-9]* + \([0-9]*\) .*/\1 \2/p" \
			$tracing/trace | awk '
			$1 ~ /^(N|WZ)/ { zeroes++; zeroed += $2; next }
			$1 ~ /^F?W/ { written += $2 }
			$1 ~ /^D/ { discards++ }
			END { print "zeroes", zeroes + 0, zeroed + 0, "writes", written + 0,
				"discards", discards + 0 }'
	done
}

nothing="zeroes 0 0 writes 0 discards 0"

# --- the base, and what it is compared with ---

offers_zeroes()
{
	[ "$(<"/sys/dev/block/$(number_of "$1" :)/queue/write_zeroes_max_bytes")" -gt 0 ]
}

# build BASE: stack v over it, with content, and /dev/shadow with the same
build()
{
	base=$1
	dmcommit format /dev/ssd --name st --chunk-size 16K --force >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dd if=/dev/urandom of="$base" bs=1M count=$mebibytes oflag=direct 2>/dev/null
	dd if="$base" of=/dev/shadow bs=1M iflag=direct oflag=direct 2>/dev/null
	dmsetup create v --table "$(stack_line 1 "$size" "$base" st)"
}

tear_down()
{
	dmsetup remove v && dmsetup remove st && dmcommit check /dev/ssd
}

# write_zeroes FIRST COUNT: sectors of the volume, and of what it is compared with
write_zeroes()
{
	blkdiscard -z -o $(($1 * 512)) -l $(($2 * 512)) /dev/mapper/v &&
		zero_shadow "$1" "$2"
}

zero_shadow()
{
	dd if=/dev/zero of=/dev/shadow bs=$(($2 * 512)) count=1 seek=$(($1 * 512)) \
		oflag=direct,seek_bytes conv=notrunc 2>/dev/null
}

# put_sectors FIRST COUNT
put_sectors()
{
	local device

	dd if=/dev/urandom of=/tmp/new bs=$(($2 * 512)) count=1 iflag=fullblock 2>/dev/null
	for device in /dev/mapper/v /dev/shadow; do
		dd if=/tmp/new of=$device bs=$(($2 * 512)) seek=$(($1 * 512)) \
			oflag=direct,seek_bytes conv=notrunc 2>/dev/null
	done
}

same()
{
	is "$(content /dev/mapper/v)" "$(content /dev/shadow)" "$1"
}

# commit_all TEXT: ends with the base alone being the volume
commit_all()
{
	dmsetup message v 0 commit start
	is "$(wait_for_job v) $(status_field v 6)" "completed valid" "$1"
	is "$(content "$base")" "$(content /dev/shadow)" "the base alone is the volume"
}

# --- over a base that has write-zeroes ---

whole_chunks()
{
	local sectors=$((chunk / 512)) used

	check "the base has write-zeroes" offers_zeroes "$base"
	check "and so the volume has" offers_zeroes /dev/mapper/v
	watch_bios
	check "eight chunks that only the base knows are zeroed" \
		write_zeroes $((3 * sectors)) $((8 * sectors))
	is "$(bios_to /dev/mapper/v)" "zeroes 1 $((8 * sectors)) writes 0 discards 0" \
		"in one bio, which is write-zeroes"
	same "they read as zeroes, and nothing else has changed"
	is "$(status_field v 4)" 0 "no room is used for them"

	put_sectors $((20 * sectors)) $((10 * sectors))
	used=$(status_field v 4)
	watch_bios
	check "six of ten chunks that the volume holds are zeroed" \
		write_zeroes $((22 * sectors)) $((6 * sectors))
	is "$(bios_to /dev/mapper/v "$base")" \
		"zeroes 1 $((6 * sectors)) writes 0 discards 0
$nothing" "by write-zeroes, of which the base hears nothing"
	same "content is right"
	is "$used $(status_field v 4)" "10 4" "and their room is given back"

	# Below a new top the words of six show, and those of eight, which are zeroes already.
	dmsetup message v 0 snapshot
	check "zeroes over a frozen layer, over zeroes and over nothing" \
		write_zeroes 0 $((24 * sectors))
	same "content is right"
	put_sectors $((5 * sectors + 4)) 8
	check "a write into zeroes, and zeroes into that" write_zeroes $((5 * sectors + 6)) 3
	same "content is right too"
	put_sectors $((5 * sectors)) "$sectors"

	# Chunks 0 … 23 without the fifth, and of those below 24 … 27.
	watch_bios
	commit_all "a commit takes zero words down"
	is "$(bios_to "$base" | cut -d' ' -f 1,3-)" \
		"zeroes $((27 * sectors)) writes $((3 * sectors)) discards 0" \
		"just these chunks as write-zeroes, no discard, and of the others what they hold"
}

# edges RANGE…: in sectors, that begin and end within chunks, and within sixteenths of two
edges()
{
	local sectors=$((chunk / 512)) range

	for range in "$@"; do
		# shellcheck disable=SC2086 # two words
		set -- $range
		watch_bios
		if ! write_zeroes "$1" "$2"; then
			not_ok "sectors $1 + $2 are zeroed"
			continue
		fi
		is "$(bios_to /dev/mapper/v | cut -d' ' -f 3-)" "$2 writes 0 discards 0" \
			"sectors $1 + $2 are zeroed by write-zeroes"
		# Now over what the volume holds, and once more over zeroes.
		put_sectors $(($1 - 1)) $(($2 + 2))
		write_zeroes "$1" "$2"
		write_zeroes "$1" "$2"
		same "and again over data, with their neighbours as they were"
	done
	put_sectors $((size - 2 * sectors)) $((2 * sectors))
	check "the volume's last sectors are zeroed" write_zeroes $((size - sectors - 5)) $((sectors + 5))
	same "and only they"
	watch_bios
	commit_all "a commit takes edges down"
	is "$(bios_to "$base" | cut -d' ' -f 6-)" "discards 0" "without a discard"
}

# A discard of whole chunks promises as much here as zeroes do.
discards()
{
	local sectors=$((chunk / 512)) first=$((200 * chunk / 512))

	put_sectors $((first + 8 * sectors)) $((8 * sectors))
	check "chunks of base and volume are discarded" \
		blkdiscard -o $((first * 512)) -l $((16 * chunk)) /dev/mapper/v
	zero_shadow "$first" $((16 * sectors))
	same "they read as zeroes"
	put_sectors $((first + 20 * sectors)) "$sectors"
	watch_bios
	commit_all "a commit takes them down"
	is "$(bios_to "$base" | cut -d' ' -f 1,3-)" "$1" "$2"
	is "$(dd if="$base" bs=512 skip="$first" count=$((16 * sectors)) iflag=direct 2>/dev/null |
		tr -d '\0' | wc -c)" 0 "what was discarded reads as zeroes in the base"
}

random_ones()
{
	watch_bios
	check "write-zeroes, writes and discards of any size: content" \
		mirror_io /dev/mapper/v /dev/shadow 7 250 4 coarse
	like "$(bios_to /dev/mapper/v)" "^zeroes [1-9][0-9]+ " "dozens of them were write-zeroes"
	check "content where several write into one sixteenth" \
		mirror_io /dev/mapper/v /dev/shadow 8 200 4 fine
	commit_all "a commit takes all that down"
}

# over BASE NAME EDGES…
over()
{
	diag "the base is $2"
	build "$1"
	whole_chunks
	edges "${@:3}"
	discards "zeroes $((16 * chunk / 512)) writes $((chunk / 512)) discards 0" \
		"as write-zeroes"
	random_ones
	check "the store is clean" tear_down
}

modprobe dm-cowstack
make_disk ssd 96
make_disk shadow $mebibytes

modprobe loop
truncate -s ${mebibytes}M /tmp/image
losetup /dev/loop0 /tmp/image
over /dev/loop0 "a loop device" "1 1" "31 2" "33 30" "65 62" "97 96" "129 94" "159 98" \
	"300 300" "2047 4099"
losetup -d /dev/loop0

modprobe scsi_debug dev_size_mb=$mebibytes lbpu=1 lbpws=1 lbprz=1 delay=0
modprobe sd_mod
for ((i = 0; i < 600; i++)); do
	disk=$(echo /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*)
	[ ! -b "/dev/${disk##*/}" ] || break
	sleep 0.1
done
over "/dev/${disk##*/}" scsi_debug "31 2" "159 98" "2047 4099"

make_disk base $mebibytes
diag "the base is null_blk"
build /dev/base
check_fails "this base has no write-zeroes" offers_zeroes /dev/base
discards "zeroes 0 writes $((17 * chunk / 512)) discards 0" \
	"as writes of zeroes, not as discards, though the base could"
check "the store is clean" tear_down
check "the module unloads" rmmod dm_cowstack
done_testing
