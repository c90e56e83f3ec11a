#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 600 --add build/tests/tree_work --add build/tests/fill
# guest: --add /usr/sbin/lvm --add /usr/sbin/thin_check --add /usr/sbin/sfdisk
# guest: --add /usr/bin/partx
# guest in check: --cpus 1
# not on the debug kernel: it knows no partition tables
# Partition tables and LVM, thin pools too, above a stack; store and base on logical
# volumes and on thin ones below, whose pool gets full: errors are said, nothing is lost,
# and all goes on when room has come.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

kept_files=30
megabytes=192
sectors=$((megabytes * 2048))

set_up_lvm()
{
	export LVM_SYSTEM_DIR=/run/lvm LVM_SUPPRESS_FD_WARNINGS=1

	mkdir -p $LVM_SYSTEM_DIR
	cat >$LVM_SYSTEM_DIR/lvm.conf <<-END
	devices {
		types = [ "nullb", 16 ]
		obtain_device_list_from_udev = 0
		external_device_info_source = "none"
		use_devicesfile = 0
		global_filter = [ "a|^/dev/mapper/v\$|", "a|^/dev/hdd\$|", "a|^/dev/pv|", "r|.*|" ]
	}
	activation {
		udev_sync = 0
		udev_rules = 0
		monitoring = 0
		thin_pool_autoextend_threshold = 100
	}
	global {
		thin_check_executable = "/usr/local/bin/thin_check"
	}
	END
	for module in dm-thin-pool dm-snapshot loop; do
		modprobe $module
	done
}

# lvm_does TEXT WORD…
lvm_does()
{
	check "$1" lvm "${@:2}"
}

commit_beside()
{
	commits "$1" yield 0
	is "$(base_alone)" valid "and the base is valid"
}

# --- above: partitions ---

# partitions_of DEVICE: its table, without the names of devices
partitions_of()
{
	sfdisk -d "$1" | sed 's,^/[^ ]*,,; /^device/d'
}

test_partitions()
{
	local loop table

	check "a partition table" sfdisk -q --no-reread --no-tell-kernel /dev/mapper/v <<-END
	label: gpt
	size=64MiB, name=first
	size=96MiB, name=second
	END
	loop=$(losetup -f --show -P /dev/mapper/v)
	check "its partitions" mkfs.ext4 -q -F "${loop}p1"
	check "its partitions" mkfs.ext4 -q -F -b 1024 "${loop}p2"
	check "mounted" mount "${loop}p1" $mnt
	make_tree 1
	commit_beside "a commit beneath a mounted partition"
	make_tree 2
	umount $mnt
	commit_beside "a commit of the rest"
	table=$(partitions_of /dev/mapper/v)
	losetup -d "$loop"
	read_anew /dev/hdd
	check "the base's table is sound" sfdisk -V /dev/hdd
	is "$(partitions_of /dev/hdd)" "$table" "and the one of the volume"
	is "$(partx -g -o NAME,SECTORS /dev/hdd | tr -s ' ' '\n' | grep -c .)" 4 \
		"both partitions are found on the base"
	loop=$(losetup -f --show -r -P /dev/hdd)
	check "the first is a file system" e2fsck -f -n "${loop}p1"
	check "the second is a file system" e2fsck -f -n "${loop}p2"
	mount -o ro "${loop}p1" $mnt
	check "with its files" has_trees $mnt 1 2
	umount $mnt
	losetup -d "$loop"
	wipefs -qa /dev/mapper/v 2>/dev/null
}

# --- above: LVM ---

test_above()
{
	lvm_does "a stack becomes a physical volume" pvcreate -q -y /dev/mapper/v
	lvm_does "a volume group" vgcreate -q -s 1m up /dev/mapper/v
	lvm_does "a logical volume" lvcreate -q -y -n plain -L 40m up
	lvm_does "a thin pool" lvcreate -q -y -T -L 80m --poolmetadatasize 4m up/pool
	lvm_does "a thin volume" lvcreate -q -y -T -V 200m -n thin up/pool
	check "ext4 on the thin one" mkfs.ext4 -q -F /dev/mapper/up-thin
	check "mounted" mount -o discard /dev/mapper/up-thin $mnt
	make_tree 3
	start_churn 3
	commit_beside "a commit beneath a thin pool"
	lvm_does "a snapshot in the pool" lvcreate -q -y -s -n old up/thin
	make_tree 4
	# Too slow to come to its end before that
	start yield 0 speed 128K
	check "a part of it is done" await has_moved v
	check "a commit is cancelled" dmsetup message v 0 commit cancel
	stop_churn
	rm -rf $mnt/kept3
	check "fsck of the pool's snapshot" check_old
	umount $mnt
	check "fsck of the thin volume" e2fsck -f -n /dev/mapper/up-thin
	lvm_does "the group goes down" vgchange -q -an up
	commit_rest "a commit of the rest"
	is "$(base_alone)" valid "and the base is valid"
	dmsetup remove v
	lvm_does "its physical volume is on the base" pvck /dev/hdd
	# thin_check runs on the way, and its word counts.
	lvm_does "the group comes up on the base alone" vgchange -q -ay up
	mount /dev/mapper/up-thin $mnt
	check "with its files" has_trees $mnt 4
	umount $mnt
	lvm_does "and goes down" vgchange -q -an up
	restore_stack
}

# As a crash would leave it: its journal is replayed.
check_old()
{
	lvm lvchange -q -ay -K up/old && mount /dev/mapper/up-old $alone &&
		has_trees $alone 3 && umount $alone &&
		e2fsck -f -n /dev/mapper/up-old
}

# What LVM wrote to the base went past the stack.
restore_stack()
{
	dmsetup create v --table \
		"$(stack_line 1 $sectors /dev/hdd st accept_base 1)"
}

# --- below ---

# make_below BASE STORE: logical volumes of the group down
bring_up_below()
{
	dmcommit format "$2" --name low --force >/dev/null
	attach_store low "$2"
	dmsetup message low 0 "create_volume 1 $(sectors_of "$1") w"
	check "a stack: base $1, store $2" dmsetup create v --table \
		"$(stack_line 1 "$(sectors_of "$1")" "$1" low)"
}

take_down_below()
{
	check "the stack goes" dmsetup remove v
	check "the store goes" dmsetup remove low
	check "the store is clean" dmcommit check "$1"
}

use_below()
{
	check "ext4" mkfs.ext4 -q -F /dev/mapper/v
	check "mounted" mount -o discard /dev/mapper/v $mnt
	make_tree 5
	commit_beside "a commit while mounted"
	make_tree 6
	umount $mnt
	commit_beside "a commit of the rest"
	check "the base is the volume" tree_work same "$1" /dev/mapper/v
	check "fsck of the base" fsck_fs ext4 "$1"
}

test_below()
{
	make_disk pv 256
	lvm_does "a group" vgcreate -q -y -s 1m down /dev/pv
	lvm_does "for the base" lvcreate -q -y -n base -L 48m down
	lvm_does "for the store" lvcreate -q -y -n store -L 48m down
	lvm_does "a thin pool" lvcreate -q -y -T -L 80m --poolmetadatasize 4m -Zn \
		-c 64k --errorwhenfull y down/pool
	lvm_does "a thin base" lvcreate -q -y -T -V 64m -n tbase down/pool
	lvm_does "a thin store" lvcreate -q -y -T -V 64m -n tstore down/pool
	bring_up_below /dev/mapper/down-base /dev/mapper/down-store
	use_below /dev/mapper/down-base
	take_down_below /dev/mapper/down-store
	bring_up_below /dev/mapper/down-tbase /dev/mapper/down-tstore
	use_below /dev/mapper/down-tbase
	take_down_below /dev/mapper/down-tstore
}

# --- a pool that is full ---

# pool_used: data blocks of the pool that are taken, of how many
pool_used()
{
	dmsetup status down-pool-tpool | awk '{ print $6 }'
}

# take_pool KEEP: another thin volume takes all but KEEP blocks of 64 KiB; zeroes are data
# to a pool
take_pool()
{
	local used total

	IFS=/ read -r used total < <(pool_used)
	dd if=/dev/zero of=/dev/mapper/down-greedy bs=64k \
		count=$((total - used - $1)) oflag=direct 2>/dev/null
}

# Blocks are free once the pool has written that down.
give_pool_back()
{
	local i

	blkdiscard /dev/mapper/down-greedy
	for ((i = 0; i < 300; i++)); do
		dd if=/dev/null of=/dev/mapper/down-greedy conv=fsync,notrunc 2>/dev/null
		[[ $(dmsetup status down-pool-tpool) != *" rw "* ]] || return 0
		sleep 0.2
	done
	return 1
}

write_chunks()
{
	dd if="$1" of="$2" bs=64k seek="$3" count="$4" oflag=direct conv=fsync,notrunc 2>&1
}

empty_thin()
{
	blkdiscard -f /dev/mapper/down-tbase 2>/dev/null
	blkdiscard -f /dev/mapper/down-tstore 2>/dev/null
}

# is_one TEXT DEVICE COUNT: its first chunks are those of /dev/one
is_one()
{
	read_anew "$2"
	check "$1" cmp -n $(($3 * 65536)) "$2" /dev/one
}

holds_one()
{
	is_one "$1" /dev/mapper/v "$2"
}

# A base without room: the commit stops, and goes on.
test_full_base()
{
	empty_thin
	bring_up_below /dev/mapper/down-tbase /dev/mapper/down-store
	check "20 MiB are written" write_chunks /dev/one /dev/mapper/v 0 320
	take_pool 100
	start yield 0
	is "$(wait_for_job v) $(base_alone)" "stopped mixed" \
		"a commit into a thin base without room stops"
	like "$(status_field v 13)" '^(5|28)$' "and says why"
	is "$(status_field low 1) $(status_field v 1)" "rw rw" "the stack is as usable as before"
	holds_one "all is there" 320
	check "and written" write_chunks /dev/two /dev/mapper/v 320 100
	check "the pool has room again" give_pool_back
	commits "with room, it is begun again and completes"
	commits "and what came later goes down"
	check "the base is the volume" tree_work same /dev/mapper/down-tbase /dev/mapper/v
	is_one "with the first content" /dev/mapper/down-tbase 320
	take_down_below /dev/mapper/down-store
}

# A store without room of its own below.
test_full_store()
{
	local output

	empty_thin
	bring_up_below /dev/mapper/down-base /dev/mapper/down-tstore
	check "10 MiB are written" write_chunks /dev/one /dev/mapper/v 0 160
	check "a layer" snapshot
	take_pool 40
	output=$(write_chunks /dev/two /dev/mapper/v 160 200)
	like "$output" 'error|No space' "a write for which the pool has no room fails"
	diag "the store is $(status_field low 1)"
	holds_one "what was acknowledged is there" 160
	check "the pool has room again" give_pool_back
	if [ "$(status_field low 1)" != rw ]; then
		dmsetup remove v
		dmsetup remove low
		attach_store low /dev/mapper/down-tstore
		dmsetup create v --table "$(stack_line 1 \
			"$(sectors_of /dev/mapper/down-base)" /dev/mapper/down-base low)"
		holds_one "it is there after a new load" 160
	fi
	check "and all goes on" write_chunks /dev/two /dev/mapper/v 160 200
	take_pool 8
	commits "a commit needs no room in the pool"
	is_one "the base has all of it" /dev/mapper/down-base 160
	give_pool_back
	take_down_below /dev/mapper/down-tstore
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
set_up_lvm
mkdir -p $alone
make_stack $megabytes 224
test_partitions
test_above
remove_stack
test_below
no_file_system_errors
lvm_does "another thin volume" lvcreate -q -y -T -V 128m -n greedy down/pool
make_disk one 32
make_disk two 32
fill 1 /dev/one
fill 2 /dev/two
test_full_base
test_full_store
lvm_does "the group goes down" vgchange -q -an down
check "the module unloads" rmmod dm_cowstack
done_testing
