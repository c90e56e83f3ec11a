#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: functions.sh WORK…, in a guest: does each on dm-linear and on cowstack, and says
# "mark WORK DEVICE" when the first of its I/Os begins. What functions there are, and
# where, and which module's, goes to /dev/vda. Used by tests/benchmark/functions.
. measure.sh
begin_part

# under_way WORK DEVICE PATH OPTION…
under_way()
{
	must run_fio --filename="$3" --ioengine=psync \
		--exec_prerun="sh -c 'echo mark $1 $2 >/dev/ttyS1'" "${@:4}"
}

# do_work WORK DEVICE PATH: so much that it is not over when the emulator begins to write
# down
do_work()
{
	case $1 in
	read-*) under_way "$@" --rw=randread --bs=4k --size=128m --number_ios=40000 ;;
	rewrite) under_way "$@" --rw=randwrite --bs=4k --size=128m --number_ios=20000 ;;
	first-write) under_way "$@" --rw=write:60k --bs=4k --number_ios=20000 ;;
	first-write-sync)
		under_way "$@" --rw=write:60k --bs=4k --number_ios=20000 --fdatasync=1
		;;
	esac
}

# new_ssd WORK: that has nothing yet, so that it costs linear and us the same
new_ssd()
{
	if [ "$1" = first-write-sync ]; then
		make_ssd ssd 16384 discard=0 cache_size=1024
	else
		make_ssd ssd 4096 discard=0
	fi
}

# on_linear WORK
on_linear()
{
	new_ssd "$1"
	case $1 in
	read-* | rewrite) must dd if=/dev/zero of=/dev/ssd bs=1M count=128 oflag=direct ;;
	esac
	make_linear linear /dev/ssd
	do_work "$1" linear /dev/mapper/linear
	remove_devices linear
	remove_disk ssd
}

# on_cowstack WORK
on_cowstack()
{
	local base=base

	[[ $1 != first-write* ]] || base=wide
	new_ssd "$1"
	make_store store /dev/ssd
	make_stack volume store 1 /dev/$base
	case $1 in
	read-layer | rewrite) fill /dev/mapper/volume ;;
	esac
	do_work "$1" cowstack /dev/mapper/volume
	remove_devices volume store
	remove_disk ssd
}

# The whole of a base of 512 MiB, whose chunks were written in random order.
commit()
{
	new_ssd commit
	make_store store /dev/ssd
	make_ssd image 512 discard=0
	fill /dev/image
	make_stack volume store 1 /dev/image
	must stopwatch scatter /dev/mapper/volume 0 $((512 * MiB)) 65536
	must sync /dev/mapper/volume
	echo "mark commit cowstack" >/dev/ttyS1
	must stopwatch job volume commit start
	remove_devices volume store
	remove_disk ssd
}

make_ssd base 128 discard=0
make_ssd wide 4096 discard=0
fill /dev/base
for work in "$@"; do
	if [ "$work" = commit ]; then
		commit
	else
		on_linear "$work"
		on_cowstack "$work"
	fi
done
awk '$2 ~ /^[tT]$/ { print $1, $3, $4 }' /proc/kallsyms >/tmp/symbols
dd if=/tmp/symbols of=/dev/vda bs=64k conv=sync 2>/dev/null
sync
echo "about kernel $(uname -r)"
