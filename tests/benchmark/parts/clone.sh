#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: the same reads and writes on dm-clone, with a kernel that has it
# guest: --memory 1536 --kernel 7
# needs: build/kernel-7/dm-cowstack.ko (make kernel-modules)
# not quick
. measure.sh
begin_part "$@"
modprobe dm-clone || {
	fail "this kernel has no dm-clone"
	end_part
}

read=(--rw=randread --bs=4k)
write=(--rw=randwrite --bs=4k)
first=(--rw=randwrite --bs=4k --blockalign=64k)
firsts=600

make_ssd ssd 144 discard=0
make_ssd base 128 discard=0
make_ssd meta 16 discard=0
for disk in ssd base meta; do
	fill /dev/$disk
done
make_linear linear /dev/base
measure "read-base-1 read-layer-1:linear" $ios /dev/mapper/linear "${read[@]}"
measure_one "seq-read-base seq-read-layer:linear" 300 /dev/mapper/linear --rw=read --bs=128k
measure rewrite:linear $ios /dev/mapper/linear "${write[@]}"
measure_one first-write:linear $firsts /dev/mapper/linear "${first[@]}"
remove_devices linear

# What is written first is copied first, a region of 64 KiB at a time.
make_clone peer /dev/base /dev/meta /dev/ssd
measure read-base-1:clone $ios /dev/mapper/peer "${read[@]}"
measure_one seq-read-base:clone 300 /dev/mapper/peer --rw=read --bs=128k
measure_one first-write:clone $firsts /dev/mapper/peer "${first[@]}"
fill /dev/mapper/peer
measure read-layer-1:clone $ios /dev/mapper/peer "${read[@]}"
measure_one seq-read-layer:clone 300 /dev/mapper/peer --rw=read --bs=128k
measure rewrite:clone $ios /dev/mapper/peer "${write[@]}"
remove_devices peer
end_part
