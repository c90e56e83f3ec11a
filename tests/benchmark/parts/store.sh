#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: format, load of a TiB of words, memory, flushes of many volumes in one step
# guest: --memory 3072 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
. measure.sh
. jobs.sh
begin_part "$@"

# --- format ---

make_fast ssd 1024
timed run dmcommit format /dev/ssd --name st
result format.small cowstack "$(ratio "${took[ns]}" 1000000)" ms
remove_disk ssd
make_fast ssd $((16 << 20))
timed run dmcommit format /dev/ssd --name st
result format.large cowstack "$(ratio "${took[ns]}" 1000000)" ms
remove_disk ssd

# --- 64 volumes with fdatasync at once ---

# share FIGURE NSEC: on a disk that takes so long for a request
share()
{
	local steps flushes i devices=()

	make_fast ssd 512 irqmode=2 completion_nsec="$2"
	must dmcommit format /dev/ssd --name st
	must attach_store st /dev/ssd
	for ((i = 1; i <= 64; i++)); do
		must dmsetup message st 0 create_volume $i $((16 * 2048)) v$i
		must dmsetup create v$i --table \
			"$(stack_line $i $((16 * 2048)) /dev/base st read_only_base 1)"
		devices+=(/dev/mapper/v$i)
	done
	steps=$(status_value st steps)
	flushes=$(status_value st flushes_served)
	timed share 40 0 $((16 * MiB)) "${devices[@]}"
	steps=$(($(status_value st steps) - steps))
	flushes=$(($(status_value st flushes_served) - flushes))
	result "$1.flushes" cowstack "$(ratio $flushes $steps)" flushes/step
	result "$1.busy" cowstack "$((took[busy] * 100 / took[ns]))" %
	# What the processor needs for a write with its flush, and what a step lasts.
	result "$1.cpu" cowstack "$(ratio $((took[busy] / flushes)) 1000)" us
	result "$1.step" cowstack "$(ratio $((took[ns] / steps)) 1000)" us
	for ((i = 1; i <= 64; i++)); do
		must dmsetup remove v$i
	done
	must dmsetup remove st
	remove_disk ssd
}

make_fast base 16
share share-64 100000
[ -n "$quick" ] || share share-64-slow 1000000

# --- memory ---

make_fast ssd 4096
must dmcommit format /dev/ssd --force --name st
must attach_store st /dev/ssd
huge=$((16 << 31))			# 16 TiB
must dmsetup message st 0 create_volume 1 $huge v
must dmsetup create v --table "$(stack_line 1 $huge /dev/base st)"
before=$(status_value st memory_bytes)
for ((i = 0; i < 64; i++)); do
	must dd if=/dev/zero of=/dev/mapper/v bs=4k count=1 \
		seek=$((i * (huge / 8 / 64) + 77)) oflag=direct
done
result memory.region cowstack \
	"$(ratio $((($(status_value st memory_bytes) - before) / 64)) 1024)" KiB
before=$(status_value st memory_bytes)
must stopwatch scatter /dev/mapper/v $((4 << 40)) $((1 << 30)) 65536 50
result memory.gib cowstack \
	"$(ratio $(($(status_value st memory_bytes) - before)) 1048576)" MiB
must dmsetup remove v
must dmsetup remove st

# --- memory by what the machine has less of: ours again, by regions, and peers ---

# free_kib: what is free, with what processors hold ready for themselves, which MemFree has
# not; caches aside, once nothing more comes back
free_kib()
{
	local i free last=0

	for ((i = 0; i < 10; i++)); do
		sync
		echo 3 >/proc/sys/vm/drop_caches
		sleep 1
		free=$(awk '
			$1 == "pages" && $2 == "free" { pages += $3 }
			$1 == "count:" { pages += $2 }
			END { print pages * 4 }' /proc/zoneinfo)
		[ $((free - last)) -gt 32 ] || break
		last=$free
	done
	echo "$free"
}

# less_free_kib BEFORE: what is less free than then
less_free_kib()
{
	echo $(($1 - $(free_kib)))
}

# write_regions ID: of a new volume, 4 KiB in each of 2048 regions of 32 MiB
write_regions()
{
	must dmsetup message st 0 create_volume "$1" $huge v
	must dmsetup create v --table "$(stack_line "$1" $huge /dev/plain st)"
	before=$(free_kib)
	must run_fio --filename=/dev/mapper/v --ioengine=psync --bs=4k --rw=write:32764k \
		--number_ios=2048
	less=$(less_free_kib "$before")
	must dmsetup remove v
	must dmsetup message st 0 "delete_volume $1"
	wait_for_value st freeing 0 >/dev/null
}

# fill_snapshot CHUNK-KIB MIB: $less is what a dm-snapshot takes for so much, each chunk of it
# written once in random order (of what is in a row it makes one), that of its beginning aside
fill_snapshot()
{
	must dmsetup create peer --table \
		"0 $((1024 * 2048)) snapshot /dev/plain /dev/cow P $(($1 * 2))"
	must stopwatch scatter /dev/mapper/peer 0 $((16 * MiB)) $(($1 * 1024))
	before=$(free_kib)
	must stopwatch scatter /dev/mapper/peer $((16 * MiB)) $(($2 * MiB)) $(($1 * 1024))
	less=$(less_free_kib "$before")
	must dmsetup remove peer
	progress "snapshot-${1}k: $less KiB less for $2 MiB"
	result memory.gib snapshot-${1}k "$(ratio $((less * 1024 / $2)) 1024)" MiB
}

# Disks that keep nothing, so that what they hold does not count; a store has to be kept,
# on a disk that has all its pages already. What the kernel keeps from the first time on does
# not count.
measure_free()
{
	local before less turn

	remove_disk ssd
	make_fast ssd 640 discard=0
	warm ssd 640
	make_disk plain 1024 irqmode=0 memory_backed=0 discard=0 blocksize=4096
	make_disk cow 1280 irqmode=0 memory_backed=0 discard=0 blocksize=4096
	must dmcommit format /dev/ssd --force --name st
	must attach_store st /dev/ssd
	for turn in 1 2; do
		write_regions $turn
		progress "regions, turn $turn: $less KiB less"
	done
	result memory-free.region cowstack "$(ratio "$less" 2048)" KiB
	must dmsetup remove st
	modprobe -a dm-snapshot dm-writecache
	fill_snapshot 64 992
	fill_snapshot 4 248
	# Its memory is there from the beginning, for as much as the cache can hold.
	for turn in 1 2; do
		must dd if=/dev/zero of=/dev/ssd bs=4k count=1 oflag=direct
		before=$(free_kib)
		must dmsetup create peer --table \
			"0 $((1024 * 2048)) writecache s /dev/plain /dev/ssd 4096 0"
		less=$(less_free_kib "$before")
		progress "writecache, turn $turn: $less KiB less"
		must dmsetup remove peer
	done
	result memory.gib writecache "$(ratio $((less * 8 / 5)) 1024)" MiB
	remove_disk plain
	remove_disk cow
}

if [ -z "$quick" ]; then
	measure_free
	remove_disk ssd
	make_fast ssd 4096
fi

# --- load of 16 million words ---

# load FIGURE: the store comes up; its reads are in /tmp/requests
load()
{
	begin_trace
	timed run dmsetup create st --table "0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
	[ "${took[status]}" = 0 ] || fail "the store does not come up"
	end_trace ssd
	result "$1.cpu" cowstack "$(ratio "${took[busy]}" 1000000000)" s
}

# Over a base as large as that, so that each chunk that is discarded is a word.
tib=$((1 << 31))
[ -z "$quick" ] || tib=$((1 << 27))
must dmcommit format /dev/ssd --force --name st
must attach_store st /dev/ssd
must dmsetup message st 0 create_volume 1 $tib v
remove_disk base
make_disk base $((tib / 2048)) irqmode=0 memory_backed=0 discard=0
must dmsetup create v --table "$(stack_line 1 $tib /dev/base st)"
progress "discard of $((tib / 2048)) MiB"
must blkdiscard /dev/mapper/v
must sync /dev/mapper/v
must dmsetup remove v
must dmsetup remove st
load load

# A ring that is half used makes a checkpoint, which writes the pages to their homes.
must dmsetup message st 0 create_volume 2 $((64 * 2048)) w
must dmsetup create w --table "$(stack_line 2 $((64 * 2048)) /dev/base st)"
timed sync /dev/mapper/w $(($(status_value st journal_blocks) * 3 / 4)) 0 $((64 * MiB))
must dmsetup remove w
must dmsetup message st 0 delete_volume 2
for ((i = 0; i < 30; i++)); do
	[ "$(status_value st checkpoints)" = 0 ] || break
	sleep 1
done
[ $i -lt 30 ] || fail "no checkpoint was made"
mapped=$(status_value st map_pages)
ring_end=$(((32 + $(status_value st journal_blocks)) * 8))
must dmsetup remove st
load load-pages
# Of the small volume of --quick the goal says nothing.
[ -n "$quick" ] || result load-pages.mapped cowstack "$(ratio $((mapped * 512)) 1000000)" M
# What lies behind the ring: pages, and the index that leads to them.
read -r blocks reads again < <(awk -v ring_end=$ring_end '
	$1 == "ssd" && $2 ~ /R/ && $3 >= ring_end {
		reads++
		for (i = 0; i < $4; i += 8) {
			blocks++
			if (seen[$3 + i]++)
				again++
		}
	}
	END { print blocks + 0, reads + 0, again + 0 }' /tmp/requests)
[ "$blocks" -ge "$mapped" ] || fail "$blocks blocks read of $mapped pages"
result load-pages.times cowstack "$(ratio "$blocks" "$mapped")" x
result load-pages.again cowstack "$again" blocks
result load-pages.each cowstack "$(ratio "$blocks" "$reads")" pages/read
must dmsetup remove st
end_part
