#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/76-libvirt.sh PART
# parts: hook machine
#
# Documentation/libvirt.rst, in a Debian with libvirt. Part machine: in a guest, libvirtd runs a
# machine there, and all commands of the text are run as they stand (libvirt-machine.sh). Part
# hook: what needs no machine, in seconds, in namespaces of its own; dmcommit is a stand-in that
# says what it is told: libvirt's schema and its QEMU driver take the XML, its hook brings the
# stack up and down for machines that have one, virsh says why one does not come up.
# COWSTACK_LONG_PERCENT knows nothing to scale here. Needs root.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

part=${1:?which part?}
work=$(mktemp -d)
root=$work/root
trap 'umount "$root" 2>/dev/null; rm -rf "$work"' EXIT

unpack_debian()
{
	tests/build-system-root libvirt &&
		tar -xf "$(tests/build-system-root --where libvirt)" -C "$root" --exclude='./dev/*'
}

test_hook()
{
	mount -t tmpfs root "$root" && unpack_debian && mkdir -p "$root/test" ||
		die "no Debian with libvirt"
	cp tests/guest/lib/{tap,recipes}.sh tests/system/libvirtd.sh Documentation/libvirt.rst \
		"$root/test"
	cp tests/system/libvirt-hook.sh "$root/test/run"
	timeout 300 unshare --mount --pid --net --ipc --fork chroot "$root" bash /test/run
}

test_machine()
{
	local script=tests/system/libvirt-machine.sh options

	make --silent all guest-programs KERNEL="$(tests/fetch-kernel-files --release)" >&2 ||
		die "what the guest needs does not build"
	unpack_debian && truncate -s 2G "$work/disk" &&
		mke2fs -q -t ext4 -d "$root" "$work/disk" || die "no Debian with libvirt"
	read -r -a options < <(sed -n 's/^# guest: //p' "$script" | tr '\n' ' ')
	tests/guest/run "${options[@]}" --disk "$work/disk" "$script"
}

mkdir "$root"
status=0
case $part in
hook | machine) "test_$part" 2>&1 | tee "$work/output" >&2 || status=$? ;;
*) die "no part $part" ;;
esac
grep -q '^1\.\.' "$work/output" || status=1
echo "totals: libvirt_passed=$(grep -c '^ok ' "$work/output") libvirt_failed=$(grep -c '^not ok ' "$work/output") seed=none"
exit "$status"
