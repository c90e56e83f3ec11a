#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: requests and bytes that a write makes at the SSD and at the base
# guest: --memory 1024
. measure.sh
begin_part "$@"

count=200
first=(--rw=randwrite --bs=4k --blockalign=64k --ioengine=psync)

make_ssd ssd 128 discard=0 cache_size=512
make_ssd meta 16 discard=0
# Its requests take no time here: they are only counted.
make_ssd hdd 8192 discard=0
make_ssd small 64 discard=0 cache_size=512

# each FIGURE SUM UNIT: of one of the writes, to the nearest
each()
{
	result "$1" "$device" $((($2 + count / 2) / count)) "$3"
}

# count_first_writes DEVICE PATH DISK…: at the disks that are the device's SSD
count_first_writes()
{
	local disk writes=0 written=0 flushes=0 reads=0 hdd

	device=$1
	declare -A before
	for disk in "${@:3}" hdd; do
		before[$disk]=$(cat "/sys/block/$disk/stat")
	done
	must run_fio --filename="$2" "${first[@]}" --number_ios=$count
	for disk in "${@:3}"; do
		counts_before=${before[$disk]} counts_disk=$disk
		writes=$((writes + $(counts_since writes)))
		written=$((written + $(counts_since written) * 512))
		flushes=$((flushes + $(counts_since flushes)))
		reads=$((reads + $(counts_since reads)))
	done
	counts_before=${before[hdd]} counts_disk=hdd
	hdd=$(($(counts_since writes) + $(counts_since reads)))
	each first-write.ssd-writes $writes requests
	each first-write.ssd-bytes $written bytes
	each first-write.ssd-flushes $flushes requests
	each first-write.ssd-reads $reads requests
	each first-write.hdd $hdd requests
}

# count_synced DEVICE PATH: what each write and fdatasync makes at the SSD, in the half of
# the device that nobody has written to before
count_synced()
{
	device=$1
	take_counts ssd
	must run_fio --filename="$2" "${first[@]}" --number_ios=$count --fdatasync=1 \
		--offset=4g
	writes=$(counts_since writes)
	written=$(($(counts_since written) * 512))
	flushes=$(counts_since flushes)
}

make_store store /dev/ssd
make_stack volume store 1 /dev/hdd
count_first_writes cowstack /dev/mapper/volume ssd

# The journal's steps are what the store counts itself; the rest of the writes are data.
steps=$(status_value store steps)
blocks=$(status_value store step_blocks)
count_synced cowstack /dev/mapper/volume
steps=$(($(status_value store steps) - steps))
blocks=$(($(status_value store step_blocks) - blocks))
each first-write-sync.data-writes $((writes - steps)) requests
each first-write-sync.metadata-writes $steps requests
each first-write-sync.metadata-bytes $((blocks * 4096)) bytes
each first-write-sync.flushes "$flushes" requests
steps=$(status_value store steps)
count_synced cowstack /dev/mapper/volume
each rewrite-sync.metadata-writes $(($(status_value store steps) - steps)) requests
delete_stack volume store 1

# A MiB of the base that nobody has written, in one read.
make_stack volume store 2 /dev/small
make_linear linear /dev/small
for device in linear volume; do
	take_counts small
	must dd if=/dev/mapper/$device of=/dev/null bs=1M count=1 iflag=direct
	declare "$device=$(counts_since reads)"
done
result read-1m.requests cowstack $((volume - linear)) requests
remove_devices linear
delete_stack volume store 2
remove_devices store

if [ -z "$quick" ]; then
	modprobe -a dm-snapshot dm-thin-pool
	for size in 4 64; do
		make_snapshot peer /dev/hdd /dev/ssd $((size * 2))
		count_first_writes snapshot-${size}k /dev/mapper/peer ssd
		device=snapshot-${size}k
		count_synced $device /dev/mapper/peer
		each first-write-sync.flushes "$flushes" requests
		remove_devices peer
	done
	make_pool pool /dev/meta /dev/ssd
	make_thin peer pool 1 /dev/hdd
	count_first_writes thin /dev/mapper/peer ssd meta
	remove_devices peer pool
fi
end_part
