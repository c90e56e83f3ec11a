#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1200 --add tests/crash/build/cut_disks
# Flushes that fail, and what is under way beside them. The disk tells of what it has lost
# only once, and answers the next flush: whoever relied on that one had words for nothing.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh

modprobe dm-cowstack
modprobe nbd nbds_max=2 max_part=0
size=$((4 * 2048))		# 64 chunks

# tell WORD…: to the disks; prints the answer
tell()
{
	local answer

	echo "$*" >&"${disks[1]}"
	read -r -u "${disks[0]}" answer
	echo "$answer"
}

flush_is_held()
{
	[ "$(tell held)" = "held 1" ]
}

up()
{
	attach_store st /dev/nbd0 &&
		dmsetup create v --table "$(stack_line 1 $size /dev/nbd1 st "$@")"
}

down()
{
	dmsetup remove v && dmsetup remove st
}

# What the volume has to show: /tmp/shadow, where nothing else is told
same()
{
	is "$(content /dev/mapper/v)" "$(content_of_file /tmp/shadow)" "$1"
}

content_of_file()
{
	xxhsum <"$1"
}

# begin STORE-DISK: new disks, of which the store's is as cut_disks wants it told, and on
# them volume 1, which holds its chunks 0 to 7; all of it is durable
begin()
{
	coproc disks { exec cut_disks 1 "$1" 16; }
	disk_process=$!
	read -r -u "${disks[0]}" _
	dd if=/dev/urandom of=/tmp/shadow bs=64k count=64 iflag=fullblock 2>/dev/null
	copy_chunks /tmp/shadow 0 64 /dev/nbd1 >/dev/null
	dmcommit format /dev/nbd0 --name st --force >/dev/null
	attach_store st /dev/nbd0
	dmsetup message st 0 create_volume 1 $size v
	dmsetup message st 0 create_volume 2 $size w
	dmsetup remove st
	up
	write_new 0 8
	synchronize /dev/mapper/v >/dev/null
	synchronize /dev/nbd1 >/dev/null
	rest
	is "$(tell cached)" "cached 0 0" "a volume on disks of $1 and 16 MB; all of it is durable"
	forget_log
}

# The disks' process has no use for them when it ends.
end()
{
	down
	eval "exec ${disks[1]}>&-"
	wait $disk_process
}

# No step is under way, and none will be.
rest()
{
	at_rest requests_of nbd0 >/dev/null
}

# write_new CHUNK COUNT: new content, which the shadow has too
write_new()
{
	put "$1" "$2" /dev/mapper/v >/dev/null &&
		dd if=/tmp/new of=/tmp/shadow bs=64k seek="$1" conv=notrunc 2>/dev/null
}

# write_at_risk CHUNK COUNT: likewise; the shadow does not have it
write_at_risk()
{
	put "$1" "$2" /dev/mapper/v >/dev/null
}

modes()
{
	echo "$(status_field st 1) $(status_field v 1)"
}

is_ro()
{
	[ "$(modes)" = "ro ro" ]
}

# start_flush: one of a user's, in the background; $flusher, and its answer in /tmp/flushed
start_flush()
{
	synchronize /dev/mapper/v >/tmp/flushed &
	flusher=$!
}

# hold_flush_beside WRITE…: a user's flush waits at the disk, and a first write comes
hold_flush_beside()
{
	tell hold 0 >/dev/null
	start_flush
	check "a user's flush is at the disk" await flush_is_held
	check "a first write beside it" "$@"
}

# flushes_in_group GROUP DEVICE: how many milliseconds eight take
flushes_in_group()
{
	local began=${EPOCHREALTIME/./}

	(
		echo $BASHPID >"$1/cgroup.procs"
		for _ in 1 2 3 4 5 6 7 8; do
			synchronize "$2" >/dev/null
		done
	)
	echo $(((${EPOCHREALTIME/./} - began) / 1000))
}

# move_store DEVICE: where it is found by another name
move_store()
{
	dmsetup suspend st &&
		dmsetup load st --table "0 $(sectors_of /dev/nbd0) cowstore $1" &&
		dmsetup resume st && [[ $(dmsetup deps -o devname st) = *"($(basename "$1"))"* ]]
}

# The journal has taken another flush than $served.
one_is_served()
{
	[ "$(status_value st flushes_served)" -gt "$served" ]
}

# now_ro WHY…: what is to be seen when a flush has failed; any of these is the reason
now_ro()
{
	local why lines=0

	check "the store turns ro" await is_ro
	for why; do
		lines=$((lines + $(lines_with "cowstack st: $why (error -5): store is read-only")))
	done
	is "$lines" 1 "one line in the log says why"
	like "$(synchronize /dev/mapper/v)" "Input/output error" "a flush fails from then on"
}

# comes_back: down and up again, from what the disks have
comes_back()
{
	check "both go down" down
	check "and come up" up
	is "$(modes)" "rw rw" "in mode rw"
	check "a flush is answered again" synchronize /dev/mapper/v
	forget_log
}

begin 16

# --- a step beside a user's flush that fails ---
# The user's finds nothing changed, and is at the disk. Then comes a first write, whose data
# the disk loses, and the step that would lead to it.
hold_flush_beside write_at_risk 20 2
# Longer than the timer needs, and a step.
sleep 3
steps=$(status_value st steps)
tell lose >/dev/null
wait $flusher
like "$(cat /tmp/flushed)" "Input/output error" "it fails"
now_ro "device cannot be flushed"
is "$(status_value st steps)" "$steps" "no step was made behind it"
comes_back
same "nothing leads to what the disk has lost"

# --- the same, and another user waits for that step ---
rest
hold_flush_beside write_at_risk 30 1
synchronize /dev/mapper/v >/tmp/second &
second=$!
sleep 2
check "the flush behind it is not answered before it" kill -0 $second
tell lose >/dev/null
wait $flusher $second
like "$(cat /tmp/flushed)" "Input/output error" "it fails"
like "$(cat /tmp/second)" "Input/output error" "so does the one behind it"
now_ro "device cannot be flushed"
comes_back
same "nothing leads to what the disk has lost"

# --- one that ends well holds nobody up ---
rest
hold_flush_beside write_new 30 1
tell release >/dev/null
wait $flusher
is "$(grep -c error /tmp/flushed)" 0 "it ends well"
check "so does one behind the write" synchronize /dev/mapper/v
is "$(tell cached)" "cached 0 0" "all is durable"
is "$(modes)" "rw rw" "the store is rw"
same "content is right"

# --- of a group that may send little ---
# What waits for a flush at the disk is everybody's step, so no group's limit holds it back.
if mkdir /tmp/groups && mount -t cgroup2 none /tmp/groups 2>/dev/null &&
	grep -qw io /tmp/groups/cgroup.controllers; then
	echo +io >/tmp/groups/cgroup.subtree_control
	mkdir /tmp/groups/slow
	echo "$(cat /sys/block/nbd0/dev) wiops=2" >/tmp/groups/slow/io.max
	rest
	check "of the disk itself, it holds flushes back" \
		test "$(flushes_in_group /tmp/groups/slow /dev/nbd0)" -ge 2000
	free=$(flushes_in_group /tmp/groups /dev/mapper/v)
	held=$(flushes_in_group /tmp/groups/slow /dev/mapper/v)
	diag "$free ms without a limit, $held ms with it"
	check "of the volume it does not" test "$held" -lt $((free * 2 + 1000))
	# Below a device of dm's own, which sends flushes for those that it gets.
	echo "0 $(sectors_of /dev/nbd0) linear /dev/nbd0 0" | dmsetup create between
	check "it moves onto another device of dm's" move_store /dev/mapper/between
	rest
	held=$(flushes_in_group /tmp/groups/slow /dev/mapper/v)
	diag "$held ms through another device of dm's"
	check "nor below another device of dm's" test "$held" -lt $((free * 2 + 1000))
	check "and back" move_store /dev/nbd0
	dmsetup remove between
else
	skip "no group's limit holds a flush back" "no limits for groups in this kernel"
fi

# --- a user's flush beside a checkpoint's that fails ---
# A volume that is deleted has its record in a step, and takes a checkpoint to be forgotten,
# which has a flush of its own.
rest
checkpoints=$(status_value st checkpoints)
tell hold 1 >/dev/null
dmsetup message st 0 delete_volume 2
check "a checkpoint's flush is at the disk" await flush_is_held
is "$(status_value st checkpoints)" "$checkpoints" "none was made yet"
# Nothing has changed, so the flush would go straight to the disk.
served=$(status_value st flushes_served)
synchronize /dev/mapper/v >/dev/null &
second=$!
check "a user's flush beside it waits for a step" await one_is_served
# In place, so no word changes.
check "a rewrite beside it" write_at_risk 2 1
start_flush
sleep 2
check "no user's flush is answered before it" all_run $flusher $second
tell lose >/dev/null
wait $flusher $second
like "$(cat /tmp/flushed)" "Input/output error" "nor is it told that the rewrite is durable"
now_ro "checkpoint cannot be written" "device cannot be flushed"
comes_back
same "what was durable is there, of the rewrite nothing"

# --- a load of which the cache is lost ---
# What was loaded may have lain there alone. Nothing is written before that is durable.
check "both go down" down
dd if=/dev/zero of=/dev/nbd0 bs=4096 seek=16 count=1 oflag=direct,dsync conv=notrunc 2>/dev/null
forget_log
tell hold 0 >/dev/null
attach_store st /dev/nbd0 &
loader=$!
check "a load's flush is at the disk" await flush_is_held
tell lose >/dev/null
wait $loader
is "$? $(status_field st 1)" "0 ro" "if it fails, the store comes up in ro"
is "$(lines_with "cowstack st: device cannot be flushed (error -5): store is read-only")" 1 \
	"one line in the log says why"
dmsetup suspend st
dmsetup resume st
is "$(status_field st 1)" ro "a second resume does not change that"
dmsetup remove st
check "both come up" up
is "$(modes) $(lines_with "one superblock of nbd0 is damaged or old")" "rw rw 2" \
	"in mode rw, and only now the superblock is mended"
same "content is right"
check "both go down" down
check "and come up" up
is "$(lines_with "one superblock of nbd0 is damaged or old")" 2 "it is whole"
end

# --- a disk without FUA: what is sent there with it is flushed by the block layer ---
# The base has it, so the stack is sent such writes.
begin 16,nofua
is "$(cat /sys/block/nbd0/queue/fua /sys/block/nbd1/queue/fua | xargs)" "0 1" \
	"the store's disk has no FUA, the base's has"
tell hold 0 >/dev/null
dd if=/dev/urandom of=/dev/mapper/v bs=64k count=1 seek=2 oflag=direct,dsync conv=notrunc \
	2>/tmp/flushed &
flusher=$!
check "a flush for a rewrite with FUA is at the disk" await flush_is_held
check "a first write beside it" write_at_risk 20 2
sleep 3
steps=$(status_value st steps)
tell lose >/dev/null
wait $flusher
like "$(cat /tmp/flushed)" "Input/output error" "the rewrite fails"
now_ro "device cannot be flushed"
is "$(status_value st steps)" "$steps" "no step was made behind it"
comes_back
same "nothing leads to what the disk has lost"

# A step's own: it is written behind one flush, and made durable by another.
rest
tell hold 1 >/dev/null
check "a first write" write_at_risk 24 1
start_flush
check "a step's second flush is at the disk" await flush_is_held
tell lose >/dev/null
wait $flusher
like "$(cat /tmp/flushed)" "Input/output error" "the flush that waits for it fails"
now_ro "journal cannot be written"
comes_back
same "the step is not there"

# A checkpoint's: behind the step's two there is that of its pages, and one for each superblock.
rest
tell hold 3 >/dev/null
dmsetup message st 0 delete_volume 2
check "the flush of a superblock is at the disk" await flush_is_held
check "a rewrite beside it" write_at_risk 2 1
start_flush
tell lose >/dev/null
wait $flusher
like "$(cat /tmp/flushed)" "Input/output error" "a flush does not tell that it is durable"
now_ro "checkpoint cannot be written" "device cannot be flushed"
comes_back
same "what was durable is there, of the rewrite nothing"
check "a rewrite with FUA" dd if=/tmp/shadow of=/dev/mapper/v bs=64k count=1 oflag=direct,dsync \
	conv=notrunc 2>/dev/null
is "$(tell cached)" "cached 0 0" "is durable when it is answered"
rest
end

done_testing
