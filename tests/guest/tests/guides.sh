#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 900 --add Documentation/guides.rst
# Runs the commands of Documentation/guides.rst as they stand there: each literal block that
# begins with a comment. With QEMU in the guest (tests/long/75-guides.sh adds it) the machine
# of the first guide is real: it boots the guest's own kernel, and its init writes files to its
# disk and syncs them for ever. Without, a process does that, as emulation of an emulated
# machine takes minutes.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/recipes.sh
. /lib/cowstack-tests/nested.sh

# The command of the guide, by emulation, and without firmware's settings.
write_qemu()
{
	cat >/tmp/bin/qemu-system-x86_64 <<-'END'
		#!/bin/bash
		export QEMU_MODULE_DIR=/usr/local/bin
		exec /usr/local/bin/qemu-system-x86_64 -nodefaults -no-user-config -L /usr/local/bin \
			-accel tcg -cpu max -kernel /boot/vmlinux -initrd /tmp/initrd \
			-append "$nested_words" "$@"
	END
}

# What has the machine's disk, its console and its pid file, and ends as a machine does.
write_stand_in()
{
	cat >/tmp/bin/qemu-system-x86_64 <<-'END'
		#!/bin/bash
		mount /dev/mapper/vm /mnt
		(
			trap 'umount /mnt; rm vm.pid; exit' TERM
			for ((i = 0; ; i++)); do
				dd if=/dev/urandom of=/mnt/$((i % 30)) bs=32k count=2 \
					conv=fsync 2>/dev/null && echo "wrote $i"
				sleep 0.05
			done
		) >console 2>&1 </dev/null &
		echo $! >vm.pid
	END
}

machine_writes()
{
	[ "$(grep -c wrote /tmp/work/console)" -ge 3 ]
}

prepare()
{
	case $1 in
	*"once: a store"*) mkfs.ext4 -qF /dev/sdb ;;
	*"a commit under the machine"*)
		for ((seconds = 0; seconds < 300; seconds++)); do
			! machine_writes || break
			sleep 1
		done
		check "the machine is up and writes" machine_writes
		machine_writes || tail -n 20 /tmp/work/console | sed 's/^/# /'
		;;
	esac
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_disk sdb 48
make_disk nvme0n1 48
make_disk sdc 48
make_disk sdd 48
mkdir -p /tmp/bin
if [ -x /usr/local/bin/qemu-system-x86_64 ]; then
	pack_nested /tmp
	export nested_words
	write_qemu
else
	write_stand_in
fi
chmod +x /tmp/bin/qemu-system-x86_64
PATH=/tmp/bin:$PATH
cut_out /usr/local/bin/guides.rst
blocks=(/tmp/blocks/*)
is "${#blocks[@]}" 11 "all blocks are found"
run_blocks
printf '! true\ntrue\n' >/tmp/must-fail
check_fails "a line about what must fail is looked at" run_block /tmp/must-fail
done_testing
