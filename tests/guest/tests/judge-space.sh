#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400 --add build/tests/tree_work --add build/tests/fill
# guest: --module btrfs --add /usr/sbin/fstrim --add /usr/sbin/mkfs.xfs --add /usr/bin/btrfs
# guest: --add /usr/sbin/mkfs.btrfs --add /usr/sbin/xfs_repair
# guest in check: --cpus 1
# not on the debug kernel: it has no xfs and no btrfs
# blkdiscard and fstrim: what is discarded comes back in the store, reads as zero, and at a
# commit goes down as room of the base too.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

megabytes=320
kept_files=30
chunk=65536

# A base whose holes can be seen: a file, through loop.
make_sparse_stack()
{
	rm -f /run/disk
	mkdir -p /run/disk
	mount -t tmpfs -o size=600m disk /run/disk
	truncate -s "${megabytes}M" /run/disk/base
	base=$(losetup -f --show /run/disk/base)
	make_disk ssd 160
	dmcommit format /dev/ssd --name st >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 "create_volume 1 $((megabytes * 2048)) v"
	dmsetup create v --table "$(stack_line 1 $((megabytes * 2048)) "$base" st)"
}

# used: chunks of data that the store has for layers, when nothing is being freed
used()
{
	wait_for_value st freeing 0 >/dev/null
	status_field v 4
}

# base_kilobytes: what the base really takes
base_kilobytes()
{
	sync -f /run/disk/base
	du -k /run/disk/base | cut -f 1
}

# is_zero OFFSET LENGTH DEVICE: in bytes
is_zero()
{
	read_anew "$3"
	cmp -n "$2" "$3" /dev/zero -i "$1:0"
}

test_blkdiscard()
{
	local before

	dd if=/dev/pattern of=/dev/mapper/v bs=1M count=48 oflag=direct 2>/dev/null
	is "$(used)" 768 "48 MiB are 768 chunks"
	check "blkdiscard of 16 MiB" blkdiscard -o $((8 << 20)) -l $((16 << 20)) /dev/mapper/v
	is "$(used)" 512 "their chunks have come back"
	check "they read as zero" is_zero $((8 << 20)) $((16 << 20)) /dev/mapper/v
	commits "a commit"
	check "what is there has gone down" tree_work same /dev/mapper/v "$base"
	like "$(base_kilobytes)" '^3[23][0-9]{3}$' "32 MiB of the base are taken"
	check "blkdiscard of what the base holds" \
		blkdiscard -o $((24 << 20)) -l $((16 << 20)) /dev/mapper/v
	is "$(used)" 0 "zeroes take no chunk"
	check "they read as zero" is_zero $((24 << 20)) $((16 << 20)) /dev/mapper/v
	commits "a commit"
	check "the base reads as zero there" is_zero $((24 << 20)) $((16 << 20)) "$base"
	like "$(base_kilobytes)" '^16[0-9]{3}$' "and has a hole"
	check "blkdiscard -z" blkdiscard -z -o 0 -l $((4 << 20)) /dev/mapper/v
	# Neither at a sector's chunk nor at a page.
	check "blkdiscard from odd sectors" \
		blkdiscard -o $(((4 << 20) + 512)) -l $(((2 << 20) + 1536)) /dev/mapper/v
	check "-z reads as zero" is_zero 0 $((4 << 20)) /dev/mapper/v
	before=$(dd if=/dev/mapper/v bs=1M count=8 2>/dev/null | xxhsum)
	commits "a commit"
	is "$(dd if=/dev/mapper/v bs=1M count=8 2>/dev/null | xxhsum)" "$before" \
		"what is read is as it was before the commit"
	check "and the base is that" tree_work same /dev/mapper/v "$base"
	check "blkdiscard of all" blkdiscard -f /dev/mapper/v
	commits "a commit"
	is "$(used) $(base_kilobytes)" "0 0" "neither store nor base holds anything"
}

# trims_below MOST COMMAND…: fstrim, COMMAND, and so on until $after, the figure of that, is
# below MOST: a file system lets go of what a removed file held in its own time
trims_below()
{
	local i

	for ((i = 0; i < 60; i++)); do
		sync -f $mnt
		fstrim $mnt || return
		after=$("${@:2}")
		[ "$after" -ge "$1" ] || return 0
		sleep 1
	done
	return 1
}

# committed_kilobytes: what the base takes after a commit
committed_kilobytes()
{
	dmcommit start v --wait >/dev/null && base_kilobytes
}

# test_fstrim TYPE
test_fstrim()
{
	local full after options=()

	# Else a thread of the kernel's fills what is not used yet, in its own time.
	[ "$1" != ext4 ] || options=(-E lazy_itable_init=0,lazy_journal_init=0)
	check "$1" make_fs "$1" /dev/mapper/v "${options[@]}"
	check "$1: mounted" mount_fs "$1" /dev/mapper/v $mnt
	make_tree 1
	dd if=/dev/pattern of=$mnt/large bs=1M count=40 conv=fsync 2>/dev/null
	full=$(used)
	check "$1: much is used" test "$full" -gt 640
	rm $mnt/large
	trims_below $((full - 600)) used
	check "$1: fstrim, and room has come back: $full chunks, then $after" \
		test "$after" -lt $((full - 600))
	dd if=/dev/pattern of=$mnt/large bs=1M count=40 conv=fsync 2>/dev/null
	check "$1: committed while mounted" dmcommit start v --wait
	full=$(base_kilobytes)
	rm $mnt/large
	trims_below $((full - 36000)) committed_kilobytes
	check "$1: fstrim of what the base holds, committed: $full KiB, then $after" \
		test "$after" -lt $((full - 36000))
	check "$1: has its files" has_trees $mnt 1
	check "$1: unmounted" umount $mnt
	commits "$1: a commit of the rest"
	judge_alone "$1" "$1 alone" 1
	check "$1: blkdiscard of all" blkdiscard -f /dev/mapper/v
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe loop
make_sparse_stack
make_disk pattern 48
fill 1 /dev/pattern
test_blkdiscard
for type in ext4 xfs btrfs; do
	test_fstrim $type
done
no_file_system_errors
check "the stack goes" dmsetup remove v
check "the store goes" dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd
check "the module unloads" rmmod dm_cowstack
done_testing
