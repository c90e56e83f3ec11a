#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: what I/O costs by the volume's size, its layers, the stacks of its store
# guest: --memory 2048 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
# not quick
. measure.sh
. jobs.sh
begin_part "$@"

make_fast ssd 320
warm ssd 320

declare -A small
# cost FIGURE COUNT: of v1, in the place that is set: reads of the base anywhere, first
# writes, rewrites. The first COUNT of a FIGURE is what the others are compared with.
cost()
{
	local work

	for work in read first rewrite; do
		case $work in
		read) fio_ns 2000 1 /dev/mapper/v1 --rw=randread --bs=4k ;;
		first)
			# So many that the pages which the first in a region need are few.
			fio_ns 1200 1 /dev/mapper/v1 --rw=randwrite --bs=4k --blockalign=64k \
				"--offset=$offset" --size=768m
			;;
		rewrite)
			fio_ns 2000 1 /dev/mapper/v1 --rw=randwrite --bs=4k \
				"--offset=$((offset + 768 * MiB))" --size=32m
			;;
		esac || {
			fail "$1-$work.$2"
			continue
		}
		if [ -z "${small[$1-$work]:-}" ]; then
			small[$1-$work]=$ns
		else
			result "$1-$work.$2" small "${small[$1-$work]}" ns
			result "$1-$work.$2" cowstack "$ns" ns
		fi
	done
}

# new_store SIZE: with the stack v1 of that many MiB over a base that large, whose last
# GiB is the place
new_store()
{
	must dmcommit format /dev/ssd --force --name st
	must attach_store st /dev/ssd
	make_disk base "$1" irqmode=0 submit_queues=1 memory_backed=0 discard=0 blocksize=4096
	offset=$((($1 - 1024) * MiB))
	new_stack 1 $(($1 * 2048))
	write_place
}

# new_stack ID SECTORS
new_stack()
{
	must dmsetup message st 0 create_volume "$1" "$2" "v$1"
	must dmsetup create "v$1" --table "$(stack_line "$1" "$2" /dev/base st read_only_base 1)"
}

# write_place: what will be rewritten, in the top layer
write_place()
{
	must stopwatch scatter /dev/mapper/v1 $((offset + 768 * MiB)) $((32 * MiB)) 65536
	must sync /dev/mapper/v1
}

end_store()
{
	must dmsetup remove v1
	must dmsetup remove st
	remove_disk base
}

for gib in 1 1024 16384; do
	new_store $((gib << 10))
	cost scale-size $gib
	end_store
done

new_store 1024
cost scale-layers 1
for ((i = 1; i < 64; i++)); do
	must dmsetup message v1 0 snapshot
done
write_place
cost scale-layers 64
end_store

new_store 1024
cost scale-stacks 1
for ((i = 2; i <= 256; i++)); do
	new_stack $i $((64 * 2048))
done
must dmsetup message v1 0 snapshot
write_place
cost scale-stacks 256
for ((i = 2; i <= 256; i++)); do
	must dmsetup remove v$i
done
end_store
end_part
