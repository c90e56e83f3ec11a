#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: stage.sh first|next|last removed|cut SEED
# What tests/host/kernels.sh does on one kernel, with what the one before it left:
# vda the store, vdb the base, vdc what the volume must be.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh

place=$1
ending=$2
seed=$3
size=$(sectors_of /dev/vdb)

copy()
{
	dd if="$1" of="$2" bs=1M iflag=direct oflag=direct status=none
}

prepare()
{
	dd if=/dev/urandom of=/dev/vdb bs=1M count=$((size / 2048)) oflag=direct status=none
	copy /dev/vdb /dev/vdc
	check "a store is formatted" dmcommit format /dev/vda --name st --chunk-size 16K
}

# The shadow is a disk whose discards are known to leave zeroes.
come_up()
{
	modprobe dm-cowstack
	make_disk shadow $((size / 2048))
	copy /dev/vdc /dev/shadow
	check "the store comes up" attach_store st /dev/vda
	[ "$place" != first ] || dmsetup message st 0 create_volume 1 "$size" v
	check "the volume comes up" \
		dmsetup create v --table "$(stack_line 1 "$size" /dev/vdb st)"
}

work()
{
	check "content is right under $2 threads" \
		mirror_io /dev/mapper/v /dev/shadow $((seed + $1)) 250 "$2" fine
}

# More than a job that is kept slow gets done in this guest's time
fill()
{
	dd if=/dev/urandom of=/tmp/data bs=1M count=10 status=none
	dd if=/tmp/data of=/dev/mapper/v bs=1M seek=$1 oflag=direct status=none
	dd if=/tmp/data of=/dev/shadow bs=1M seek=$1 oflag=direct status=none
	rm /tmp/data
}

# done_of: "DONE TOTAL" of the job, in chunks
done_of()
{
	status_field v 11 | tr / ' '
}

# The job that another kernel began, with writers beside.
finish_the_job()
{
	local finished total

	read -r finished total < <(done_of)
	is "$(state)" running "the commit that another kernel began goes on"
	diag "from $finished of $total chunks"
	work 1 2
	check "it may go faster" dmsetup message v 0 commit speed 0
	is "$(wait_for_job v)" completed "and completes"
	is "$(base_alone)" valid "and the base alone is as of its snapshot"
}

# Nearly stopped when some of it is done, so that it is unfinished at the end.
begin_a_job()
{
	local i finished total

	check "a commit starts" start speed 1M yield 0
	for ((i = 0; i < 1200; i++)); do
		read -r finished total < <(done_of)
		[ "$finished" -eq 0 ] || break
		sleep 0.1
	done
	check "it is told to be slow" dmsetup message v 0 commit speed 32K
	work 4 2
	read -r finished total < <(done_of)
	diag "$finished of $total chunks are done"
	check "a part of it is done" [ "$finished" -gt 0 ]
	is "$(state)" running "and a part is not"
}

remove_all()
{
	check "the stack goes" dmsetup remove v
	check "the store goes" dmsetup remove st
	check "the store is clean" dmcommit check /dev/vda
	check "nothing is left in use" rmmod dm_cowstack
}

[ "$place" != first ] || prepare
[ "$place" = first ] || check "the store is as it should be" dmcommit check /dev/vda
come_up
check "content is what it was" cmp /dev/mapper/v /dev/shadow
[ "$place" = first ] || finish_the_job
if [ "$place" = last ]; then
	commits "a last commit completes"
	check "the base alone is the volume" cmp /dev/vdb /dev/shadow
else
	work 2 1
	check "a snapshot is taken" snapshot
	work 3 4
	fill $((seed / 10 % 6))
	begin_a_job
fi
copy /dev/shadow /dev/vdc
if [ "$ending" = removed ]; then
	remove_all
else
	# What is not flushed may be lost; and then the guest is switched off.
	check "all is flushed" dd if=/dev/null of=/dev/mapper/v conv=fsync,notrunc
fi
done_testing
