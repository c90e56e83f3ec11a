#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest/guides with a real machine in the guest: QEMU on a stack, and a commit under it.
# COWSTACK_LONG_PERCENT knows nothing to scale here.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

firmware=/usr/share/qemu
script=tests/guest/tests/guides.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

read -r -a options < <(sed -n 's/^# guest: //p' "$script")
for file in /usr/bin/qemu-system-x86_64 /usr/share/seabios/bios-256k.bin \
	$firmware/linuxboot_dma.bin $firmware/pvh.bin $firmware/kvmvapic.bin \
	/usr/lib/*/qemu/accel-tcg-x86_64.so; do
	options+=(--add "$file")
done
make --silent all guest-programs KERNEL="$(tests/fetch-kernel-files --release)" >&2 ||
	die "what the guest needs does not build"
status=0
tests/guest/run "${options[@]}" --add-kernel --timeout 1800 "$script" >"$work/output" ||
	status=$?
cat "$work/output" >&2
echo "totals: guides_passed=$(grep -c '^ok ' "$work/output") guides_failed=$(grep -c '^not ok ' "$work/output") seed=none"
exit "$status"
