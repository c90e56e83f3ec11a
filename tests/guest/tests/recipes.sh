#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1280 --cpus 2 --timeout 600 --add Documentation/tiers.rst
# guest in check: --cpus 1
# Runs the commands of Documentation/tiers.rst as they stand there: each literal block
# that begins with a comment, by "bash -e". Five machines do for twenty; lvcreate and
# lvextend are ours, as a guest has no LVM; disks die between two blocks.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/recipes.sh

recipes=/usr/local/bin/tiers.rst

# mortal NAME MB: a disk that can die
mortal()
{
	make_disk "real-$1" "$2"
	dmsetup create "disk-$1" --table \
		"0 $(sectors_of "/dev/real-$1") linear /dev/real-$1 0"
	ln -s "/dev/mapper/disk-$1" "/dev/$1"
}

# dies NAME
dies()
{
	dmsetup load "disk-$1" --table "0 $(sectors_of "/dev/$1") error"
	dmsetup suspend --noflush --nolockfs "disk-$1"
	dmsetup resume "disk-$1"
	diag "/dev/$1 is dead"
}

write_lvm()
{
	mkdir -p /tmp/bin /dev/vg
	cat >/tmp/bin/lvcreate <<-'END'
		#!/bin/bash
		# -L SIZE -n NAME vg: the image is the first half of the disk
		first=0
		[ "$4" = image ] || first=131072
		dmsetup create "vg-$4" --table "0 $((${2%M} * 2048)) linear /dev/hdd $first"
		ln -s "/dev/mapper/vg-$4" "/dev/vg/$4"
	END
	cat >/tmp/bin/lvextend <<-'END'
		#!/bin/bash
		# -L +SIZE /dev/vg/store
		more=${2#+}
		now=$(blockdev --getsz "$3")
		dmsetup load "vg-${3##*/}" --table \
			"0 $((now + ${more%M} * 2048)) linear /dev/hdd 131072"
		dmsetup resume "vg-${3##*/}"
	END
	chmod +x /tmp/bin/lvcreate /tmp/bin/lvextend
	PATH=/tmp/bin:$PATH
}

# Before a block, by its first line: what is not the administrator's doing.
prepare()
{
	local i

	case $1 in
	*"each night"*)
		for i in 1 2 3 4 5; do
			mkfs.ext4 -qF "/dev/mapper/vm$i"
		done
		;;
	*"the SSD is dead"*)
		dmcommit snapshot cold1 --name before --pin
		dd if=/dev/urandom of=/dev/mapper/vm1 bs=1M count=4 oflag=direct \
			2>/dev/null
		dmcommit start vm1 --speed 64K
		# Its base is mixed by then, and will be for a minute.
		for ((i = 0; i < 600; i++)); do
			[ "$(status_field vm1 6)" != mixed ] || break
			sleep 0.1
		done
		for i in 2 3 4 5; do
			dd if=/dev/urandom of="/dev/mapper/vm$i" bs=64k count=1 \
				seek=40 oflag=direct 2>/dev/null
		done
		dies nvme1n1
		;;
	*"the HDD is dead"*)
		mount /dev/mapper/vm2 /mnt
		cp /tmp/blocks/* /mnt
		umount /mnt
		dies sdd
		;;
	esac
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_disk sdb 16
make_disk nvme0n1 32
make_disk sdc 16
mortal sdd 128
mortal nvme1n1 64
make_disk nvme2n1 64
make_disk sde 16
make_disk hdd 128
dd if=/dev/urandom of=/dev/sdc bs=1M count=16 oflag=direct 2>/dev/null
write_lvm
sed -i 's/seq 20/seq 5/; s/seq 2 20/seq 2 5/' "$recipes"
cut_out "$recipes"
blocks=(/tmp/blocks/*)
is "${#blocks[@]}" 12 "all blocks are found"
run_blocks
check "what was on the SSD alone is there again" mount -o ro /dev/mapper/vm2 /mnt
is "$(cat /mnt/[0-9]* | xxhsum)" "$(cat /tmp/blocks/* | xxhsum)" "file by file"
umount /mnt
done_testing
