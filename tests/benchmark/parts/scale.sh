#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: what a write and a read cost by the volume's size, its layers, the store's stacks
# guest: --memory 2048 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
. measure.sh
. jobs.sh
begin_part "$@"

make_fast ssd 512
make_fast base 64

# cost FIGURE: what a rewrite at depth 1 of v1 takes, to what it took when this was last
# asked with FIGURE ending in .1
cost()
{
	timed write /dev/mapper/v1 5000 1 0 $((32 * MiB))
	if [[ $1 == *.1 ]]; then
		least=${took[ns]}
		result "$1" cowstack $((took[ns] / took[count])) ns
	else
		result "$1" cowstack "$(ratio "${took[ns]}" "$least")" x
	fi
}

new_store()
{
	must dmcommit format /dev/ssd --force --name st
	must attach_store st /dev/ssd
}

# new_stack ID SECTORS
new_stack()
{
	must dmsetup message st 0 create_volume "$1" "$2" "v$1"
	must dmsetup create "v$1" --table "$(stack_line "$1" "$2" /dev/base st read_only_base 1)"
}

for gib in 1 1024 16384; do
	new_store
	new_stack 1 $((gib << 21))
	must stopwatch scatter /dev/mapper/v1 0 $((32 * MiB)) 65536
	must sync /dev/mapper/v1
	cost scale-size.$gib
	must dmsetup remove v1
	must dmsetup remove st
done

new_store
new_stack 1 $((64 * 2048))
for depth in 1 64; do
	while [ "$(dmsetup message v1 0 layers | wc -l)" -lt $depth ]; do
		must dmsetup message v1 0 snapshot
	done
	must stopwatch scatter /dev/mapper/v1 0 $((32 * MiB)) 65536
	must sync /dev/mapper/v1
	cost scale-layers.$depth
done
must dmsetup remove v1
must dmsetup remove st

new_store
new_stack 1 $((64 * 2048))
must stopwatch scatter /dev/mapper/v1 0 $((32 * MiB)) 65536
must sync /dev/mapper/v1
cost scale-stacks.1
for ((i = 2; i <= 256; i++)); do
	new_stack $i $((64 * 2048))
done
cost scale-stacks.256
for ((i = 1; i <= 256; i++)); do
	must dmsetup remove v$i
done
must dmsetup remove st
end_part
