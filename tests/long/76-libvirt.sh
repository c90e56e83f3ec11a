#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Of Documentation/libvirt.rst what needs no machine: that libvirt's schema and its QEMU
# driver take the XML; that its hook, called by libvirtd, brings the stack up and takes it
# down for machines that have one, and that virsh says why one does not come up. In a Debian
# with libvirt, in namespaces of its own; dmcommit is a stand-in that says what it is told.
# COWSTACK_LONG_PERCENT knows nothing to scale here. Needs root.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

work=$(mktemp -d)
root=$work/root
trap 'umount "$root" 2>/dev/null; rm -rf "$work"' EXIT

make_root()
{
	mkdir "$root" && mount -t tmpfs root "$root" || return
	tests/build-system-root libvirt || return
	tar -xf "$(tests/build-system-root --where libvirt)" -C "$root" --exclude='./dev/*' || return
	mkdir -p "$root/test"
	cp tests/guest/lib/{tap,recipes}.sh Documentation/libvirt.rst "$root/test"
	cp tests/system/libvirt.sh "$root/test/run"
}

make_root || die "no Debian with libvirt"
status=0
timeout 300 unshare --mount --pid --net --ipc --fork \
	chroot "$root" bash /test/run >"$work/output" 2>&1 || status=$?
cat "$work/output" >&2
grep -q '^1\.\.' "$work/output" || status=1
echo "totals: libvirt_passed=$(grep -c '^ok ' "$work/output") libvirt_failed=$(grep -c '^not ok ' "$work/output") seed=none"
exit "$status"
