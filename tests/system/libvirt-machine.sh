#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 2048 --cpus 2 --timeout 1800 --add-kernel --module button --module evdev
# guest: --add Documentation/libvirt.rst --add tests/system/libvirtd.sh
# In a guest whose /dev/vda is a Debian of "tests/build-system-root libvirt": runs the commands
# of Documentation/libvirt.rst as they stand there, beside libvirtd: part machine of
# tests/long/76-libvirt.sh. As the machine is emulated, its XML is told that there is no KVM;
# and that there is a kernel, and a file for its console, as nothing is installed on its disk.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/recipes.sh
. /lib/cowstack-tests/nested.sh
. /usr/local/bin/libvirtd.sh

root=/mnt
console=/var/log/vm.console

# This script again, with the Debian as its root, as a boot makes it: libvirt goes to other
# mount namespaces, where a root that is none but by chroot is lost.
enter_debian()
{
	local directory

	mount -t ext4 /dev/vda $root
	for directory in dev proc sys tmp boot guest lib/cowstack-tests usr/local/bin; do
		mkdir -p "$root/$directory"
		mount --rbind "/$directory" "$root/$directory"
	done
	mount -t tmpfs run $root/run
	mkdir -p $root/run/lock
	cd $root
	mount --move . /
	exec chroot . /bin/bash "/guest/${0##*/}" inside
}

# As udev does: libvirt finds by these what a mapped device lies on.
link_by_number()
{
	local number

	mkdir -p /dev/block
	for number in /sys/dev/block/*; do
		ln -sf "../$(basename "$(readlink "$number")")" "/dev/block/${number##*/}"
	done
}

# tell_of_emulation FILE: the XML that is in there
tell_of_emulation()
{
	sed -i -e "s/<domain type='kvm'>/<domain type='qemu'>/" \
		-e "s,^ *</os>,<kernel>/boot/vmlinux</kernel><initrd>/tmp/initrd</initrd><cmdline>$nested_words</cmdline></os><cpu mode='maximum'/>," \
		-e "s,^ *</devices>,<serial type='file'><source path='$console'/></serial></devices>," "$1"
}

machine_writes()
{
	[ "$(grep -c wrote $console)" -ge 3 ]
}

await_machine()
{
	local end=$((SECONDS + 600))

	until machine_writes || [ $SECONDS -ge $end ]; do
		sleep 1
	done
	check "the machine is up and writes" machine_writes
	machine_writes || tail -n 20 $console | sed 's/^/# /'
}

# In the /dev that libvirt makes for QEMU.
test_owners()
{
	local dev ssd

	dev=/proc/$(cat /run/libvirt/qemu/vm.pid)/root/dev
	ssd=$(dmsetup info -c --noheadings -o blkdevname ssd)
	is "$(stat -L -c %U "$dev/mapper/vm")" libvirt-qemu "the stack is the user's that QEMU runs as"
	is "$(stat -L -c %U "$dev"/{sdb,"$ssd"} | paste -s -d ,)" root,root "base and store are root's"
}

give_up()
{
	show_libvirt
	done_testing
}

# Each block wants what the one before it has left. libvirtd looks for hooks when it starts.
prepare()
{
	[ "$tap_failures" -eq 0 ] || give_up
	case $1 in
	*"once: a store"*) mkfs.ext4 -qF /dev/sdb ;;
	*"the machine")
		link_by_number
		start_libvirt
		tell_of_emulation "$block"
		;;
	*"a commit while"*)
		await_machine
		test_owners
		;;
	esac
}

# What the machine had when it was shut down, in the image alone.
test_image()
{
	check "the machine unmounted its disk" grep -q unmounted $console
	check "the image is a clean file system" e2fsck -fn /dev/sdb
	mount -t ext4 -o ro /dev/sdb $root
	check "with the machine's files as they were" \
		bash -c "cd $root && sha256sum --quiet -c sums && [ \$(wc -l <sums) -ge 3 ]"
	umount $root
}

is_up()
{
	dmsetup info -c --noheadings -o name | grep -q -x vm
}

test_held()
{
	check "the machine starts again" virsh start vm
	exec {held}</dev/mapper/vm
	check "it is switched off while somebody else has its stack open" virsh destroy vm
	check "the stack stays up" is_up
	like "$(cat /tmp/libvirtd.log)" 'cannot take down vm' "libvirtd's log says so"
	check "the next start finds it up" virsh start vm
	exec {held}<&-
	check "it is switched off" virsh destroy vm
	check_fails "and its stack goes down" is_up
}

test_refusal()
{
	sed -i 's,/dev/sdb,/dev/sdc,' /etc/dmcommit/stacks.conf
	virsh start vm >/tmp/said 2>&1
	like "$(cat /tmp/said)" 'dmcommit: .*/dev/sdc' "virsh says why a machine's stack does not come up"
	like "$(virsh domstate vm)" 'shut off' "and the machine is off"
}

if [ "${1:-}" != inside ]; then
	modprobe dm-cowstack
	make_disk sdb 48
	make_disk nvme0n1 32
	make_disk sdc 48
	pack_nested /tmp button evdev
	enter_debian
fi
cut_out /usr/local/bin/libvirt.rst
blocks=(/tmp/blocks/*)
is "${#blocks[@]}" 6 "all blocks are found"
# A command of the guide that never ends must not leave us without a word.
(sleep 1500 && virsh domstate vm --reason && tail /tmp/said $console && show_libvirt) 2>&1 |
	sed 's/^[^#]/# &/' &
run_blocks
test_image
test_held
test_refusal
[ "$tap_failures" -eq 0 ] || give_up
done_testing
