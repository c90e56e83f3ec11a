#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 600 --add build/tests/tree_work --module btrfs
# guest: --add /usr/bin/stress-ng --add /usr/bin/dbench
# guest: --add /usr/sbin/mkfs.xfs --add /usr/sbin/xfs_repair --add /usr/sbin/xfs_growfs
# guest: --add /usr/bin/btrfs --add /usr/sbin/mkfs.btrfs
# debug: 5 ext4
# Stress of file systems by others' programs, which verify what they read: stress-ng for
# its many odd calls (holes, maps, links, attributes, aio), dbench for many files
# in directories that are renamed and flushed; commits, snapshots and cancels beside. Then
# the volume grows, file systems with it. Arguments: seconds of each, file systems.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

seconds=${1:-5}
types=${2:-ext4 xfs}
kept_files=30
megabytes=320
grown=400

# The base is longer than the volume, which grows up to that.
make_short_stack()
{
	make_disk hdd $grown
	make_disk ssd 192
	dmcommit format /dev/ssd --name st >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 "create_volume 1 $((megabytes * 2048)) v"
	dmsetup create v --table \
		"$(stack_line 1 $((megabytes * 2048)) /dev/hdd st)"
}

run_stress()
{
	stress-ng --temp-path $mnt --verify --timeout "${seconds}s" \
		--hdd 1 --hdd-bytes 4m --hdd-opts direct,dsync \
		--iomix 1 --iomix-bytes 4m --fallocate 1 --fallocate-bytes 8m \
		--fpunch 1 --sync-file 1 --sync-file-bytes 4m --revio 1 --revio-bytes 4m \
		--aiol 1 --rename 1 --dentry 1 --dentries 64 --dirmany 1 --dirmany-bytes 4k \
		--link 1 --symlink 1 --xattr 1 --fiemap 1 --fiemap-bytes 4m
}

# dbench puts a number of each of its clients in place of that of client1.
describe_load()
{
	local i d='\clients\client1'

	echo "Deltree \"$d\" NT_STATUS_OK"
	echo 'Mkdir "\clients" NT_STATUS_OK'
	echo "NTCreateX \"$d\" 0x1 0x2 10000 NT_STATUS_OK"
	echo 'Close 10000 NT_STATUS_OK'
	for i in 1 2 3 4 5 6; do
		cat <<-END
		NTCreateX "$d\\f$i" 0x40 0x2 1000$i NT_STATUS_OK
		WriteX 1000$i 0 65534 65534 NT_STATUS_OK
		WriteX 1000$i 65534 30000 30000 NT_STATUS_OK
		Flush 1000$i NT_STATUS_OK
		ReadX 1000$i 4096 65534 65534 NT_STATUS_OK
		QUERY_PATH_INFORMATION "$d\\f$i" 1004 NT_STATUS_OK
		WriteX 1000$i 12288 4096 4096 NT_STATUS_OK
		Close 1000$i NT_STATUS_OK
		Rename "$d\\f$i" "$d\\g$i" NT_STATUS_OK
		END
	done
	echo "FIND_FIRST \"$d\\*\" 0 100 6 NT_STATUS_OK"
	for i in 1 2 3 4; do
		echo "Unlink \"$d\\g$i\" 0x6 NT_STATUS_OK"
	done
}

# run_dbench: it says so at its end, where all went well
run_dbench()
{
	describe_load >/tmp/load
	dbench -c /tmp/load -D $mnt -t "$seconds" --sync-dir 4 &&
		rm -rf $mnt/clients
}

# passes TEXT FILE COMMAND: and no line of its output complains, as stress-ng and dbench
# spell that
passes()
{
	local status=0

	"$3" >"$2" 2>&1 || status=$?
	is "$status $(grep -E '(fail|error): |^\[[0-9]+\] ' "$2" | head -n 3)" "0 " "$1"
	[ "$status" -eq 0 ] || diag "$(tail -n 15 "$2")"
}

grow_fs()
{
	case $type in
	ext4) resize2fs /dev/mapper/v ;;
	xfs) xfs_growfs $mnt ;;
	btrfs) btrfs filesystem resize max $mnt ;;
	esac
}

# In KiB
size_of_fs()
{
	echo $(($(stat -f -c '%b * %S / 1024' $mnt)))
}

# Volume and file system grow while mounted; btrfs shrinks so too.
grow()
{
	local before

	before=$(size_of_fs)
	check "$type: the volume grows" dmcommit resize v ${grown}M
	check "$type: so does what is on it" grow_fs
	check "$type: to be seen" test "$(size_of_fs)" -gt $((before + 50000))
	make_tree 2
	[ "$type" != btrfs ] || check "btrfs shrinks while mounted" \
		btrfs filesystem resize $((megabytes + 20))M $mnt
}

shrink_ext4()
{
	check "ext4: as resize2fs wants it" e2fsck -f -y /dev/mapper/v
	check "ext4 shrinks" resize2fs /dev/mapper/v $((megabytes / 2))M
	check "ext4: fsck" fsck_fs ext4 /dev/mapper/v
}

judge()
{
	check "$type: unmounted" umount $mnt
	check "$type: fsck of the stack" fsck_fs "$type" /dev/mapper/v
	[ "$type" != ext4 ] || shrink_ext4
	commit_rest "$type: a commit of all"
	is "$(base_alone) $(tree_work same /dev/mapper/v /dev/hdd 2>&1)" "valid " \
		"$type: the base is the volume, byte for byte"
	judge_alone "$type" "$type alone" 1 2
}

try_type()
{
	make_short_stack
	check "$type: made" make_fs "$type" /dev/mapper/v
	check "$type: mounted" mount_fs "$type" /dev/mapper/v $mnt
	make_tree 1
	start_disturbing 0.4
	passes "$type: stress-ng" /tmp/stress run_stress
	passes "$type: dbench" /tmp/dbench run_dbench
	diag "$(grep -E 'passed|skipped|Throughput' /tmp/stress /tmp/dbench)"
	grow
	stop_disturbing
	judge
	no_file_system_errors
	check "$type: the stack goes" dmsetup remove v
	check "$type: the store goes" dmsetup remove st
	check "$type: the store is clean" dmcommit check /dev/ssd
	remove_disk hdd
	remove_disk ssd
	diag "$type: $SECONDS s since the start"
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
for type in $types; do
	try_type
done
check "the module unloads" rmmod dm_cowstack
done_testing
