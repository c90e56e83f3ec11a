#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 600 --add build/tests/tree_work --module btrfs
# guest: --add tests/crash/build/cut_disks
# guest: --add /usr/sbin/mkfs.xfs --add /usr/sbin/xfs_repair
# guest: --add /usr/bin/btrfs --add /usr/sbin/mkfs.btrfs
# debug: 3 ext4
# The power of both disks is cut while a file system on the stack is at work and a commit
# runs; the store's disk, the base's, or both lose what their caches held. Each time all
# that was synced before is there, and the file system's own checker finds nothing wrong.
# Arguments: cuts, file systems, seed.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

cuts=${1:-6}
types=${2:-ext4}
seed=${3:-1}
kept_files=15
store=/dev/nbd0
base=/dev/nbd1
declare -A megabytes=([ext4]=64 [xfs]=320 [btrfs]=128)

# tell WORD…: to the disks; prints the answer
tell()
{
	local answer

	echo "$*" >&"${disks[1]}"
	read -r -u "${disks[0]}" answer
	echo "$answer"
}

bring_up()
{
	attach_store st $store && dmsetup create v --table \
		"$(stack_line 1 "$(sectors_of $base)" $base st)"
}

# work_on: what is synced from now on has to outlive the cut
work_on()
{
	local tree=$((seed * 100000 + number))

	make_tree $tree
	kept+=($tree)
	if [ ${#kept[@]} -gt 4 ]; then
		rm -rf "$mnt/kept${kept[0]}"
		kept=("${kept[@]:1}")
		sync -f $mnt
	fi
	start_churn $((tree + 50000))
	sleep 0.$((RANDOM % 10))
	if [ $((RANDOM % 2)) -eq 0 ]; then
		start yield 0 speed 1M retain 1
	else
		start yield 0 speed 1M
	fi 2>/dev/null
	wait_for_progress $((RANDOM % 40))
}

# wait_for_progress PERCENT: of a commit, or its end
wait_for_progress()
{
	local i words

	for ((i = 0; i < 100; i++)); do
		read -ra words < <(dmsetup status v)
		[ "${words[9]}" = running ] || return
		[ $((${words[13]%/*} * 100)) -le $((${words[13]#*/} * $1)) ] || return
	done
}

# What was at work fails in any way.
let_go()
{
	kill -KILL $churn
	wait $churn
	umount $mnt
	dmsetup remove v
	dmsetup remove st
} >/dev/null 2>&1

# cut_once LOSERS TEXT
cut_once()
{
	local state

	work_on
	state=$(status_field v 7)
	[ "$state" != running ] || running=$((running + 1))
	diag "$2: $(tell cut "$1"), $state $(status_field v 11)"
	let_go
	tell on >/dev/null
	dmesg -c >/dev/null
	check "cut $number, $2: the stack comes up" bring_up
	check "cut $number: mounts" mount_fs "$type" /dev/mapper/v $mnt
	check "cut $number: what was synced is there" has_trees $mnt "${kept[@]}"
	umount $mnt
	check "cut $number: fsck" fsck_fs "$type" /dev/mapper/v
	no_file_system_errors
	mount_fs "$type" /dev/mapper/v $mnt
}

finish()
{
	umount $mnt
	commit_rest "$type: a commit of all"
	check "$type: the base is the volume" tree_work same $base /dev/mapper/v
	dmsetup remove v
	check "$type: fsck of the base" fsck_fs "$type" $base
	mount_fs "$type" $base $mnt
	check "$type: has its files" has_trees $mnt "${kept[@]}"
	umount $mnt
	dmsetup remove st
	check "$type: the store is clean" dmcommit check $store
}

try_type()
{
	local losers=("2 the base's cache is lost" "1 the store's cache is lost"
		"3 both caches are lost")

	coproc disks { exec cut_disks $seed 96 "${megabytes[$type]}"; }
	disk_process=$!
	read -r -u "${disks[0]}" _
	kept=()
	running=0
	dmcommit format $store --name st >/dev/null
	attach_store st $store
	dmsetup message st 0 "create_volume 1 $(sectors_of $base) v"
	dmsetup remove st
	check "$type: the stack" bring_up
	check "$type: made" make_fs "$type" /dev/mapper/v
	mount_fs "$type" /dev/mapper/v $mnt
	# More of them where a slow machine comes too late for its commits.
	for ((number = 0; number < cuts || (2 * running < cuts && number < 4 * cuts); number++)); do
		cut_once ${losers[number % 3]%% *} "${losers[number % 3]#* }"
	done
	check "$type: half of the cuts came into a commit" test $((2 * running)) -ge "$cuts"
	finish
	eval "exec ${disks[1]}>&-"
	wait $disk_process
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=2 max_part=0
# Each cut is good for dozens of I/O errors, and a serial line is slow.
echo 5 >/proc/sys/kernel/printk
RANDOM=$seed
for type in $types; do
	try_type
done
check "the module unloads" rmmod dm_cowstack
done_testing
