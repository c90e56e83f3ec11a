#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: reads of 4 KiB: in the base and in layers, at depths from 1 to 64
# guest: --memory 1536
. measure.sh
begin_part "$@"

read=(--rw=randread --bs=4k)
# The last sixteenth of each chunk of a MiB times 16.
read_last=(--rw=randread --bs=4k --blockalign=64k --offset=60k)

make_ssd ssd 256 discard=0
make_ssd base 128 discard=0
# Of each of its chunks there will be sixteen.
make_ssd small 8 discard=0
for disk in ssd base small; do
	fill /dev/$disk
done
make_linear linear /dev/base
measure "read-base-1 read-base-16 read-base-64 read-full-64 read-layer-1 read-spread-16:linear" \
	$ios /dev/mapper/linear "${read[@]}"
remove_devices linear

make_store store /dev/ssd
make_stack volume store 1 /dev/base
depth=1
for next in 1 2 4 8 16 32 64; do
	[ -z "$quick" ] || [ $next = 1 ] || [ $next = 64 ] || continue
	add_layers volume $((next - depth))
	depth=$next
	measure read-base-$depth:cowstack $ios /dev/mapper/volume "${read[@]}"
done
delete_stack volume store 1

make_stack volume store 2 /dev/base
fill /dev/mapper/volume
measure read-layer-1:cowstack $ios /dev/mapper/volume "${read[@]}"
add_layers volume 63
measure read-full-64:cowstack $ios /dev/mapper/volume "${read[@]}"
delete_stack volume store 2

make_stack volume store 3 /dev/base
for ((layer = 0; layer < 16; layer++)); do
	write_apart /dev/mapper/volume 64 $((layer * 64)) 1024
	[ $layer = 15 ] || add_layers volume 1
done
measure read-spread-16:cowstack $ios /dev/mapper/volume "${read[@]}"
delete_stack volume store 3

make_stack volume store 4 /dev/small
fill /dev/mapper/volume
measure_one read-partial-1:cowstack $ios /dev/mapper/volume "${read_last[@]}"
for ((layer = 0; layer < 15; layer++)); do
	add_layers volume 1
	write_apart /dev/mapper/volume 4 $((layer * 4)) 64
done
measure_one read-partial-16:cowstack $ios /dev/mapper/volume "${read_last[@]}"
delete_stack volume store 4
make_linear linear /dev/small
measure_one "read-partial-1:linear" $ios /dev/mapper/linear "${read_last[@]}"
remove_devices linear store
end_part
