#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 2048 --cpus 2 --timeout 2400 --add-kernel --module button --module evdev
# guest: --add Documentation/libvirt.rst
# In a guest whose /dev/vda is the Debian that "tests/build-system-root libvirt" makes: runs
# the commands of Documentation/libvirt.rst as they stand there, beside libvirtd. Its
# machine is emulated, as in guides.sh, so its XML is told of a kernel and that there is no KVM.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/recipes.sh
. /lib/cowstack-tests/nested.sh

root=/mnt
console=/var/log/vm.console

# enter_debian: this script again, with that as its root; nothing is written to the disk
enter_debian()
{
	local directory

	modprobe overlay
	mkdir -p /run/lower /run/upper /run/nested
	mount -t ext4 -o ro,noload /dev/vda /run/lower
	mount -t tmpfs upper /run/upper
	mkdir /run/upper/{upper,work}
	mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper/upper,workdir=/run/upper/work \
		root $root
	for directory in dev proc sys tmp guest lib/cowstack-tests usr/local/bin; do
		mkdir -p "$root/$directory"
		mount --rbind "/$directory" "$root/$directory"
	done
	mount -t tmpfs run $root/run
	mkdir -p $root/boot
	cp /boot/vmlinux $root/boot
	exec chroot $root /bin/bash "/guest/${0##*/}" inside
}

# What Debian's libvirt-daemon-system would have made, and systemd would have started.
start_libvirt()
{
	local i

	groupadd -r libvirt
	useradd -r -U -d /var/lib/libvirt libvirt-qemu
	virtlogd -d
	libvirtd -d
	for ((i = 0; i < 120; i++)); do
		! virsh list >/tmp/said 2>&1 || break
		sleep 1
	done
	check "libvirtd answers" virsh list
}

# for_test FILE: what an emulated machine wants in its XML
for_test()
{
	sed -i -e "s/<domain type='kvm'>/<domain type='qemu'>/" \
		-e "s,^ *</os>,<kernel>/boot/vmlinux</kernel><initrd>/tmp/initrd</initrd><cmdline>$nested_words</cmdline></os><cpu mode='maximum'/>," \
		-e "s,^ *</devices>,<serial type='file'><source path='$console'/></serial></devices>," "$1"
}

machine_writes()
{
	[ "$(grep -c wrote $console)" -ge 3 ]
}

prepare()
{
	local i

	case $1 in
	*"once: a store"*) mkfs.ext4 -qF /dev/sdb ;;
	*"the machine") for_test "$2" ;;
	*"a commit while"*)
		for ((i = 0; i < 600; i++)); do
			! machine_writes || break
			sleep 1
		done
		check "the machine is up and writes" machine_writes
		machine_writes || tail -n 20 $console | sed 's/^/# /'
		;;
	esac
}

# What the text says of a stack that does not come up.
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
export HOME=/root
cut_out /usr/local/bin/libvirt.rst
blocks=(/tmp/blocks/*)
is "${#blocks[@]}" 6 "all blocks are found"
start_libvirt
run_blocks
test_refusal
[ "$tap_failures" -eq 0 ] || tail -n 60 /var/log/libvirt/qemu/vm.log | sed 's/^/# /'
done_testing
