#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: writes of 4 KiB: first ones and rewrites, with fdatasync and without
# guest: --memory 1536
. measure.sh
begin_part "$@"

write=(--rw=randwrite --bs=4k)
# Each in a chunk of its own, nearly: of 32768 chunks a few are met twice.
first=(--rw=randwrite --bs=4k --blockalign=64k)
firsts=$((ios / 4))

make_ssd ssd 192 discard=0
make_ssd base 64 discard=0
make_ssd wide 2048 discard=0
# With a cache that has to be flushed, and never fills; so large that a checkpoint, which
# comes when half of the journal is full, is as rare as on a real one.
make_ssd cached 16384 discard=0 cache_size=1024
make_ssd small 16 discard=0
for disk in ssd base small; do
	fill /dev/$disk
done

make_linear linear /dev/ssd
measure rewrite:linear $ios /dev/mapper/linear "${write[@]}"
measure first-write:linear $firsts /dev/mapper/linear "${first[@]}"
remove_devices linear
make_linear linear /dev/cached
measure_one "first-write-sync:linear" $firsts /dev/mapper/linear "${first[@]}" --fdatasync=1
# The two blocks that have to be at the disk for it, and the flush, from a program.
writes_each=2
measure_one "first-write-sync:two-blocks" $((firsts * 2)) /dev/mapper/linear "${first[@]}" \
	--fdatasync=2
writes_each=1
# And what it would be if the word had a place beside the data: one block of both.
measure_one "first-write-sync:one-block" $firsts /dev/mapper/linear --rw=randwrite --bs=8k \
	--blockalign=64k --fdatasync=1
must dd if=/dev/zero of=/dev/cached bs=1M count=16 oflag=direct conv=fsync
measure_one "rewrite-sync:linear" $firsts /dev/mapper/linear "${write[@]}" --size=16m --fdatasync=1
remove_devices linear

make_store store /dev/ssd
make_stack volume store 1 /dev/base
fill /dev/mapper/volume
measure rewrite:cowstack $ios /dev/mapper/volume "${write[@]}"
delete_stack volume store 1
make_stack volume store 2 /dev/wide
measure_one first-write:cowstack $firsts /dev/mapper/volume "${first[@]}"
delete_stack volume store 2
if [ -z "$quick" ]; then
	make_stack volume store 3 /dev/wide
	measure_at 32 first-write:cowstack $firsts /dev/mapper/volume "${first[@]}"
	delete_stack volume store 3
fi
remove_devices store

make_store store /dev/cached
make_stack volume store 1 /dev/small
fill /dev/mapper/volume
measure_one rewrite-sync:cowstack $firsts /dev/mapper/volume "${write[@]}" --fdatasync=1
delete_stack volume store 1
make_stack volume store 2 /dev/wide
measure_one first-write-sync:cowstack $firsts /dev/mapper/volume "${first[@]}" --fdatasync=1
delete_stack volume store 2
remove_devices store
end_part
