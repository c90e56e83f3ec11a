#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 600 --add build/tests/tree_work --module btrfs --module xxhash_generic
# guest: --add /usr/sbin/mkfs.xfs --add /usr/sbin/xfs_repair
# guest: --add /usr/bin/btrfs --add /usr/sbin/mkfs.btrfs
# guest: --add /lib/x86_64-linux-gnu/libgcc_s.so.1
# guest in check: --cpus 1
# not on the debug kernel: it has no xfs and no btrfs
# ext4, xfs and btrfs on a stack that is committed while they are mounted: the base alone,
# its journal replayed on a copy, is the file system as of the snapshot, as their own
# checkers see it. Without arguments: three of the mixes below, each with two ways to
# commit; else the first is how often all ways are taken, the second a pattern of mixes.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

rounds=${1:-1}
only=${2:-.*}
kept_files=40
megabytes=320
seed=0

# NAME | TYPE | options of mkfs | of mount | attributes of the base's disk, whose blocks may
# be larger than those of the store's
mixes()
{
	cat <<-'END'
	ext4-journal|ext4|-b 1024 -E lazy_itable_init=1|data=journal,commit=1|
	ext4-discard|ext4|-b 4096|discard,commit=1,noauto_da_alloc|
	ext4-nobarrier|ext4|-b 4096 -O ^metadata_csum|barrier=0,data=writeback|
	xfs-4096|xfs|-s size=4096 -m reflink=1|discard|blocksize=4096
	xfs-small|xfs|-b size=1024 -m rmapbt=1,reflink=1 -i sparse=1|wsync|
	btrfs|btrfs|--checksum xxhash|discard=async,commit=1|
	btrfs-compress|btrfs|-m dup -d dup --mixed|compress=zstd,flushoncommit,commit=1|
	END
}

all_ways="plain snapshot cancelled retained frozen"
declare -A short_ways=(
	[ext4-journal]="snapshot cancelled"
	[xfs-4096]="plain retained"
	[btrfs]="cancelled frozen"
)

# keep: one more tree that must be there from now on; the oldest goes
keep()
{
	seed=$((seed + 1))
	make_tree $seed
	kept+=($seed)
	if [ ${#kept[@]} -gt 3 ]; then
		rm -rf "$mnt/kept${kept[0]}"
		kept=("${kept[@]:1}")
		sync -f "$mnt"
	fi
}

# begin WORD…: at a speed that work beside can meet
begin()
{
	start yield 0 speed 4M "$@"
}

commit_plain()
{
	begin
	sleep 1
	dmsetup message v 0 commit speed 0 2>/dev/null
}

commit_snapshot()
{
	local top

	snapshot
	snapshot
	top=$(layers | cut -d' ' -f2)
	# Later than what goes down
	make_tree 1000000
	snapshot
	start top "$top"
}

commit_cancelled()
{
	# Too slow to come to its end before that
	start yield 0 speed 128K
	check "$name: a part of it is done" await has_moved v
	dmsetup message v 0 commit cancel
	is "$(wait_for_job v) $(base_alone)" "cancelled mixed" "$name: is cancelled"
	check "$name: users see no difference" has_trees $mnt "${kept[@]}"
	start_again
}

# clean_chunks: some or 0
clean_chunks()
{
	[ "$(status_field v 5)" = 0 ] && echo 0 || echo some
}

commit_retained()
{
	begin retain 1
	wait_for_job v >/dev/null
	dd if=/dev/zero of="$mnt/more" bs=64k count=32 conv=fsync 2>/dev/null
	is "$(clean_chunks) $(drop_copies; clean_chunks)" "some 0" "$name: clean copies go"
	start
}

commit_frozen()
{
	check "$name: frozen, and a commit begun" dmcommit start v --freeze --speed 8M
}

# The way to commit, and a look at what it left.
commit_live()
{
	local way=$1

	keep
	commit_$way
	is "$(wait_for_job v) $(base_alone)" "completed valid" \
		"$name: a live commit, $way, completes"
	[ "$type" != btrfs ] || {
		stop_churn
		check "$name: unmounted for a look" umount $mnt
	}
	judge_alone "$type" "$name alone, $way" "${kept[@]}"
	case $way in
	snapshot) is "${not_there#*1000000}" "$not_there" \
			"$name: without what came later" ;;
	esac
	[ "$type" != btrfs ] || {
		check "$name: mounted again" mount_fs "$type" /dev/mapper/v $mnt "$options"
		start_churn $((seed + 100))
	}
	rm -rf $mnt/kept1000000
}

# Nobody writes: byte for byte, and with nothing to replay.
commit_unmounted()
{
	stop_churn
	check "$name: unmounted" umount $mnt
	check "$name: fsck of the stack" fsck_fs "$type" /dev/mapper/v
	commits "$name: a commit of all"
	is "$(base_alone) $(tree_work same /dev/mapper/v /dev/hdd 2>&1)" "valid " \
		"$name: the base is the volume, byte for byte"
	check "$name: fsck of the base" fsck_fs "$type" /dev/hdd
}

remount_anew()
{
	dmsetup remove v
	dmsetup remove st
	attach_store st /dev/ssd
	dmsetup create v --table \
		"$(stack_line 1 $((megabytes * 2048)) /dev/hdd st)"
	check "$name: mounted after all was taken down" \
		mount_fs "$type" /dev/mapper/v $mnt "$options"
	check "$name: has its files" has_trees $mnt "${kept[@]}"
	check "$name: unmounted" umount $mnt
}

# try_mix NAME TYPE MKFS-OPTIONS MOUNT-OPTIONS ATTRIBUTES
try_mix()
{
	local name=$1 type=$2 options=$4 round way
	kept=()

	# shellcheck disable=SC2086 # options are words
	make_stack $megabytes 160 $5
	# shellcheck disable=SC2086
	check "$name: made" make_fs "$type" /dev/mapper/v $3
	check "$name: mounted" mount_fs "$type" /dev/mapper/v $mnt "$options"
	keep
	start_churn $((seed + 100))
	for ((round = 0; round < rounds; round++)); do
		for way in $ways; do
			commit_live $way
		done
	done
	# btrfs wants libgcc_s, but does not say so: it is brought in as a program is.
	[ "$type" != btrfs ] || LD_LIBRARY_PATH=/usr/local/bin \
		check "$name: scrub" btrfs scrub start -B -r $mnt
	commit_unmounted
	remount_anew
	no_file_system_errors
	remove_stack
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
mixes >/tmp/mixes
while IFS='|' read -r name type make options disk <&3; do
	ways=$all_ways
	[ $# -gt 0 ] || ways=${short_ways[$name]:-}
	[ -n "$ways" ] && [[ $name =~ ^($only)$ ]] || continue
	try_mix "$name" "$type" "$make" "$options" "$disk"
	diag "$name: $SECONDS s since the start"
done 3</tmp/mixes
check "the module unloads" rmmod dm_cowstack
done_testing
