#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: sequential reads and first writes of 128 KiB
# guest: --memory 1536
. measure.sh
begin_part "$@"

count=1000
[ -z "$quick" ] || count=400

make_ssd ssd 160 discard=0
make_ssd base 128 discard=0
for disk in ssd base; do
	fill /dev/$disk
done

make_linear linear /dev/base
measure_one "seq-read-base seq-read-layer:linear" $count /dev/mapper/linear --rw=read --bs=128k
measure_one seq-first-write:linear $count /dev/mapper/linear --rw=write --bs=128k
remove_devices linear

make_store store /dev/ssd
make_stack volume store 1 /dev/base
measure_one seq-read-base:cowstack $count /dev/mapper/volume --rw=read --bs=128k
delete_stack volume store 1
make_stack volume store 2 /dev/base
measure_one seq-first-write:cowstack $count /dev/mapper/volume --rw=write --bs=128k
fill /dev/mapper/volume
measure_one seq-read-layer:cowstack $count /dev/mapper/volume --rw=read --bs=128k
delete_stack volume store 2
remove_devices store
end_part
