#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: requests and bytes that a write makes at the SSD and at the base
# guest: --memory 1024
. measure.sh
begin_part "$@"

count=200
first=(--rw=randwrite --bs=4k --blockalign=64k --ioengine=psync)

make_ssd ssd 128 discard=0 cache_size=512
make_ssd meta 16 discard=0 cache_size=16
# Its requests take no time here: they are only counted.
make_ssd hdd 8192 discard=0
make_ssd small 64 discard=0 cache_size=512

# each FIGURE SUM UNIT: of one of the I/Os, to the nearest
each()
{
	result "$1" "$device" $((($2 + count / 2) / count)) "$3"
}

# count_first_writes DEVICE PATH DISK…: at the disks that are the device's SSD
count_first_writes()
{
	local disks=("${@:3}")

	device=$1
	take_counts "${disks[@]}" hdd
	must run_fio --filename="$2" "${first[@]}" --number_ios=$count
	each first-write.ssd-writes "$(counts_since writes "${disks[@]}")" requests
	each first-write.ssd-bytes $(($(counts_since written "${disks[@]}") * 512)) bytes
	each first-write.ssd-flushes "$(counts_since flushes "${disks[@]}")" requests
	each first-write.ssd-reads "$(counts_since reads "${disks[@]}")" requests
	each first-write.hdd $(($(counts_since writes hdd) + $(counts_since reads hdd))) requests
}

# send_synced DEVICE PATH DISK…: writes with fdatasync each in the half of the device that
# nobody has written to before
send_synced()
{
	device=$1
	take_counts "${@:3}"
	must run_fio --filename="$2" "${first[@]}" --number_ios=$count --fdatasync=1 \
		--offset=4g
}

# count_plain FIGURE PATH OPTION…: reads, or rewrites, of 4 KiB: requests at SSD and base,
# and the bytes of these
count_plain()
{
	device=cowstack
	take_counts ssd small
	must run_fio --filename="$2" --bs=4k --ioengine=psync --number_ios=$count "${@:3}"
	each "$1.requests" $(($(counts_since reads ssd small) + $(counts_since writes ssd small))) requests
	each "$1.bytes" \
		$((($(counts_since read ssd small) + $(counts_since written ssd small)) * 512)) bytes
}

make_store store /dev/ssd
make_stack volume store 1 /dev/hdd
count_first_writes cowstack /dev/mapper/volume ssd

# The journal's steps are what the store counts itself; the rest of the writes are data.
steps=$(status_value store steps)
blocks=$(status_value store step_blocks)
send_synced cowstack /dev/mapper/volume ssd
steps=$(($(status_value store steps) - steps))
blocks=$(($(status_value store step_blocks) - blocks))
each first-write-sync.data-writes $(($(counts_since writes ssd) - steps)) requests
each first-write-sync.metadata-writes $steps requests
each first-write-sync.metadata-bytes $((blocks * 4096)) bytes
each first-write-sync.flushes "$(counts_since flushes ssd)" requests
steps=$(status_value store steps)
send_synced cowstack /dev/mapper/volume ssd
each rewrite-sync.metadata-writes $(($(status_value store steps) - steps)) requests
delete_stack volume store 1

# count_mebibyte DEVICE: reads at the disks of one MiB in one read: $reads
count_mebibyte()
{
	take_counts ssd small
	must dd if="/dev/mapper/$1" of=/dev/null bs=1M count=1 iflag=direct
	reads=$(counts_since reads ssd small)
}

# Of the base, and later of a layer, in which it was written at once.
make_stack volume store 2 /dev/small
make_linear linear /dev/small
count_mebibyte linear
linear=$reads
remove_devices linear
count_mebibyte volume
result read-1m.requests cowstack $((reads - linear)) requests
count_plain read-base /dev/mapper/volume --rw=randread
fill /dev/mapper/volume
count_mebibyte volume
result read-1m-layer.requests cowstack $((reads - linear)) requests
count_plain read-layer /dev/mapper/volume --rw=randread
count_plain rewrite /dev/mapper/volume --rw=randwrite
delete_stack volume store 2
remove_devices store

if [ -z "$quick" ]; then
	modprobe -a dm-snapshot dm-thin-pool
	for size in 4 64; do
		make_snapshot peer /dev/hdd /dev/ssd $((size * 2))
		count_first_writes snapshot-${size}k /dev/mapper/peer ssd
		send_synced snapshot-${size}k /dev/mapper/peer ssd
		each first-write-sync.flushes "$(counts_since flushes ssd)" requests
		remove_devices peer
	done
	make_pool pool /dev/meta /dev/ssd
	make_thin peer pool 1 /dev/hdd
	count_first_writes thin /dev/mapper/peer ssd meta
	send_synced thin /dev/mapper/peer ssd meta
	each first-write-sync.metadata-writes "$(counts_since writes meta)" requests
	each first-write-sync.metadata-bytes $(($(counts_since written meta) * 512)) bytes
	each first-write-sync.flushes "$(counts_since flushes ssd meta)" requests
	remove_devices peer pool
fi
end_part
