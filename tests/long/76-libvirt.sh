#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Documentation/libvirt.rst, by libvirtd in a Debian in a guest, with a machine in there:
# tests/system/libvirt.sh. COWSTACK_LONG_PERCENT knows nothing to scale here. As root, as a
# Debian is unpacked.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

script=tests/system/libvirt.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make_disk()
{
	mkdir "$work/root" &&
		tests/build-system-root libvirt &&
		tar -xf "$(tests/build-system-root --where libvirt)" -C "$work/root" --exclude='./dev/*' &&
		truncate -s 2G "$work/disk" &&
		mke2fs -q -t ext4 -d "$work/root" "$work/disk" &&
		rm -rf "$work/root"
}

make_disk || die "no Debian with libvirt"
read -r -a options <<<"$(sed -n 's/^# guest: //p' "$script" | paste -s -d ' ')"
status=0
tests/guest/run "${options[@]}" --disk "$work/disk" "$script" >"$work/output" || status=$?
cat "$work/output" >&2
echo "totals: libvirt_passed=$(grep -c '^ok ' "$work/output") libvirt_failed=$(grep -c '^not ok ' "$work/output") seed=none"
exit "$status"
