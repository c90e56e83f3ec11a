# SPDX-License-Identifier: GPL-2.0
# A machine within the guest. Sourced by bash.

# To make an emulated machine's emulated machine boot soon
nested_words="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable random.trust_cpu=on no_timer_check cryptomgr.notests"

# pack_nested DIRECTORY [MODULE…]: DIRECTORY/initrd is what it boots: busybox, the modules
# that its disk wants, and an init that writes files to it and syncs them, until somebody
# presses the power button; modules button and evdev are for that.
pack_nested()
{
	local root=$1/nested module

	mkdir -p "$root"/{bin,modules,dev,mnt,proc}
	cp "$(command -v busybox)" "$root/bin/"
	for module in virtio_pci virtio_blk ext4 "${@:2}"; do
		modprobe --show-depends "$module"
	done | awk '/^insmod/ && !seen[$2]++ { print $2 }' >"$1/list"
	while read -r module; do
		cp "$module" "$root/modules/"
		basename "$module"
	done <"$1/list" >"$root/order"
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox mount -t devtmpfs dev /dev
		exec >/dev/ttyS0 2>&1
		for module in $(/bin/busybox cat /order); do
			/bin/busybox insmod /modules/$module
		done
		/bin/busybox mount -t ext4 /dev/vda /mnt || echo "no disk"
		i=0
		[ ! -e /dev/input/event0 ] || {
			/bin/busybox dd if=/dev/input/event0 of=/dev/null bs=96 count=1
			echo "power button"
			/bin/busybox sync
			/bin/busybox poweroff -f
		} &
		while :; do
			i=$((i + 1))
			/bin/busybox dd if=/dev/urandom of=/mnt/$((i % 30)) bs=32k count=2 \
				conv=fsync 2>/dev/null && echo "wrote $i"
			/bin/busybox usleep 50000
		done
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$1/initrd"
}
