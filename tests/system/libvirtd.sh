# SPDX-License-Identifier: GPL-2.0
# libvirt's daemons in a Debian of "tests/build-system-root libvirt". Sourced by bash after
# tap.sh.

# What Debian's libvirt-daemon-system would have made, and systemd would have started.
start_libvirt()
{
	local end=$((SECONDS + 300))

	groupadd -r libvirt
	useradd -r -U -d /var/lib/libvirt libvirt-qemu
	mkdir -p /var/log/libvirt/qemu
	virtlogd >/tmp/virtlogd.log 2>&1 &
	libvirtd >/tmp/libvirtd.log 2>&1 &
	until virsh list >/dev/null 2>&1 || [ $SECONDS -ge $end ]; do
		sleep 1
	done
	check "libvirtd answers" virsh list
}

# What they and QEMU said, for a diagnosis.
show_libvirt()
{
	tail -n 40 /tmp/virtlogd.log /tmp/libvirtd.log /var/log/libvirt/qemu/*.log 2>&1 |
		sed 's/^/# /'
}
