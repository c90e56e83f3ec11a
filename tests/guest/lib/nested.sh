# SPDX-License-Identifier: GPL-2.0
# A machine within the guest. Sourced by bash.

# To make an emulated machine's emulated machine boot soon.
nested_words="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable random.trust_cpu=on no_timer_check cryptomgr.notests"

# What the machine runs: it writes files to its disk and syncs each, says "wrote N", and goes
# on until somebody presses the power button. Then it leaves their checksums in the file sums.
write_nested_init()
{
	cat >"$1" <<-'END'
		#!/bin/busybox sh
		write_files()
		{
			i=0
			until [ -e /stop ]; do
				i=$((i + 1))
				dd if=/dev/urandom of=/mnt/$((i % 30)) bs=32k count=2 \
					conv=fsync 2>/dev/null && echo "wrote $i"
				usleep 50000
			done
		}

		/bin/busybox --install -s /bin
		mount -t devtmpfs dev /dev
		mount -t sysfs sys /sys
		exec >/dev/ttyS0 2>&1
		for module in $(cat /order); do
			insmod /modules/$module
		done
		mount -t ext4 /dev/vda /mnt || {
			echo "no disk"
			sleep 100000
		}
		write_files &
		button=$(grep -l '^Power Button' /sys/class/input/event*/device/name 2>/dev/null)
		[ -n "$button" ] || wait
		button=${button#/sys/class/input/}
		dd if=/dev/input/${button%%/*} of=/dev/null bs=96 count=1 2>/dev/null
		echo "power button"
		: >/stop
		wait
		(cd /mnt && sha256sum [0-9]*) >/sums
		mv /sums /mnt
		umount /mnt && echo "unmounted"
		poweroff -f
	END
	chmod +x "$1"
}

# pack_nested DIRECTORY [MODULE…]: DIRECTORY/initrd is what it boots: busybox, the modules that
# its disk wants, and those, as button and evdev for its power button
pack_nested()
{
	local root=$1/nested module

	mkdir -p "$root"/{bin,modules,dev,mnt,sys}
	cp "$(command -v busybox)" "$root/bin/"
	for module in virtio_pci virtio_blk crc32c_generic ext4 "${@:2}"; do
		modprobe --show-depends "$module"
	done | awk '/^insmod/ && !seen[$2]++ { print $2 }' >"$1/list"
	while read -r module; do
		cp "$module" "$root/modules/"
		basename "$module"
	done <"$1/list" >"$root/order"
	write_nested_init "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$1/initrd"
}
