#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: functions.sh WORK…, in a guest: does each on dm-linear and on cowstack, and says
# "mark WORK DEVICE" when the first of its I/Os begins. What functions there are, and
# where, goes to /dev/vda. Used by tests/benchmark/functions.
. measure.sh
begin_part

# under_way WORK DEVICE PATH OPTION…
under_way()
{
	must run_fio --filename="$3" --ioengine=psync \
		--exec_prerun="sh -c 'echo mark $1 $2 >/dev/ttyS1'" "${@:4}"
}

# do_work WORK DEVICE PATH
do_work()
{
	case $1 in
	read-*) under_way "$@" --rw=randread --bs=4k --size=128m --number_ios=20000 ;;
	rewrite) under_way "$@" --rw=randwrite --bs=4k --size=128m --number_ios=20000 ;;
	first-write) under_way "$@" --rw=write:60k --bs=4k --number_ios=20000 ;;
	first-write-sync)
		under_way "$@" --rw=write:60k --bs=4k --number_ios=20000 --fdatasync=1
		;;
	esac
}

# Large enough to be in the middle of it when the emulator begins to write down.
make_ssd ssd 4096 discard=0 cache_size=3000
make_ssd base 128 discard=0
make_ssd wide 4096 discard=0
fill /dev/base
make_linear linear /dev/ssd
must dd if=/dev/zero of=/dev/ssd bs=1M count=160 oflag=direct
for work in "$@"; do
	[ "$work" = commit ] || do_work "$work" linear /dev/mapper/linear
done
remove_devices linear

# The whole of a base of 512 MiB, whose chunks were written in random order.
commit()
{
	make_ssd image 512 discard=0
	fill /dev/image
	make_stack volume store "$id" /dev/image
	must stopwatch scatter /dev/mapper/volume 0 $((512 * MiB)) 65536
	must sync /dev/mapper/volume
	echo "mark commit cowstack" >/dev/ttyS1
	must stopwatch job volume commit start
	delete_stack volume store "$id"
}

make_store store /dev/ssd
id=1
for work in "$@"; do
	if [ "$work" = commit ]; then
		commit
		id=$((id + 1))
		continue
	fi
	if [[ $work == first-write* ]]; then
		make_stack volume store $id /dev/wide
	else
		make_stack volume store $id /dev/base
	fi
	case $work in
	read-layer | rewrite) fill /dev/mapper/volume ;;
	esac
	do_work "$work" cowstack /dev/mapper/volume
	delete_stack volume store $id
	id=$((id + 1))
done
awk '$2 ~ /^[tT]$/ { print $1, $3 }' /proc/kallsyms >/tmp/symbols
dd if=/tmp/symbols of=/dev/vda bs=64k conv=sync 2>/dev/null
sync
remove_devices store
