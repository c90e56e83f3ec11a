#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In a Debian of "tests/build-system-root libvirt", as its first process: part hook of
# tests/long/76-libvirt.sh.
. /test/tap.sh
. /test/recipes.sh
. /test/libvirtd.sh

make_devices()
{
	local name minor

	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t tmpfs run /run
	mount -t tmpfs tmp /tmp
	mount -t tmpfs dev /dev
	while read -r name minor; do
		mknod -m 666 "/dev/$name" c 1 "$minor"
	done <<-'END'
		null 3
		zero 5
		full 7
		random 8
		urandom 9
	END
	mknod -m 666 /dev/ptmx c 5 2
	mkdir /dev/pts /dev/shm
	mount -t devpts -o newinstance,ptmxmode=666 pts /dev/pts
	ln -s /proc/self/fd /dev/fd
}

# It notes what it is told, and fails where /tmp/fails says why.
make_stand_in()
{
	cat >/usr/local/bin/dmcommit <<-'END'
		#!/bin/bash
		echo "$*" >>/tmp/calls
		[ ! -e /tmp/fails ] || { cat /tmp/fails >&2; exit 4; }
	END
	chmod 755 /usr/local/bin/dmcommit
	: >/tmp/calls
}

# heredoc FILE: what the guide writes into that file, as it writes it
heredoc()
{
	awk -v file="$1" '
		inside && /^END$/ { exit }
		inside
		index($0, "<<'\''END'\''") && index($0, file) { inside = 1 }' /tmp/blocks/*
}

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
make_devices
cut_out /test/libvirt.rst
is "$(echo /tmp/blocks/* | wc -w)" 6 "all blocks are found"
make_stand_in
mkdir -p /etc/dmcommit /etc/libvirt/hooks
heredoc /etc/dmcommit/stacks.conf >/etc/dmcommit/stacks.conf
heredoc /etc/libvirt/hooks/qemu >/etc/libvirt/hooks/qemu
chmod 755 /etc/libvirt/hooks/qemu
heredoc vm.xml >/tmp/vm.xml
is "$(grep -c '^ *stack *vm ' /etc/dmcommit/stacks.conf)" 1 "the list has a line of the stack"

# --- the XML ---
check "libvirt's schema takes the machine" virsh -c test:///default define --validate /tmp/vm.xml
sed "s/cache='none'/cache='some'/" /tmp/vm.xml >/tmp/wrong.xml
check_fails "and nothing that is wrong" virsh -c test:///default define --validate /tmp/wrong.xml
start_libvirt
sed -i "s/type='kvm'/type='qemu'/" /tmp/vm.xml
check "its QEMU driver takes it" virsh define --validate /tmp/vm.xml
like "$(virsh domblklist vm)" 'vda +/dev/mapper/vm' "with the stack for a disk"

# --- the hook ---
check "the hook has nothing to do with other machines" /etc/libvirt/hooks/qemu other prepare begin -
is "$(cat /tmp/calls)" "" "it calls nobody for them"
echo "dmcommit: /dev/sdb is not the base of vm" >/tmp/fails
virsh start vm >/tmp/said 2>&1
like "$(cat /tmp/said)" 'dmcommit: /dev/sdb is not the base of vm' "virsh says why a stack does not come up"
like "$(virsh domstate vm)" 'shut off' "and the machine is off"
is "$(paste -s -d , /tmp/calls)" "up vm,down vm" "the stack was to come up, and to go when it did not start"
rm /tmp/fails
: >/tmp/calls
virsh start vm >/tmp/said 2>&1
is "$(head -n 1 /tmp/calls),$(tail -n 1 /tmp/calls)" "up vm,down vm" \
	"also where it comes up and the machine does not start for want of its disk"
[ "$tap_failures" -eq 0 ] || show_libvirt
done_testing
