#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# parts: 6.12 7 stores
#
# All guests' tests, in full, on one of Debian's other kernels; or ten stores carried
# through all kernels and back, of which make check does one.
#
# COWSTACK_LONG_PERCENT scales both: so many of the tests, spread over their list.
# COWSTACK_SEED: of the first store.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-$((RANDOM * 32768 + RANDOM))}
jobs=${COWSTACK_LONG_JOBS:-2}
part=${1:?which kernel, or stores?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

prepare()
{
	tests/install-packages && tests/fetch-kernel-files &&
		make --silent all guest-programs \
			KERNEL="$(tests/fetch-kernel-files --release)" &&
		make --silent kernel-modules
}

# choose KERNEL: some names, where not all are wanted; the first is always one
choose()
{
	[ "$percent" -ge 100 ] || tests/run --kernel "$1" --list |
		awk -v percent="$percent" '
			NR == 1 || int(NR * percent / 100) > int((NR - 1) * percent / 100)'
}

# count WHAT: from the last lines of tests/run
count()
{
	tail -n 2 "$work/output" | grep -o "[0-9]* $1" | cut -d ' ' -f 1
}

# suite KERNEL: adds to $totals
suite()
{
	local kernel=$1 start=$SECONDS
	local -a names

	mapfile -t names < <(choose "$kernel")
	say "kernel $kernel: ${names[*]:-all tests}"
	if ! tests/run -j "$jobs" --kernel "$kernel" "${names[@]}" >"$work/output" 2>&1; then
		status=1
		grep -A 100000 ' FAILED: ' "$work/output" >&2
	fi
	tail -n 1 "$work/output" >&2
	say "kernel $kernel: $((SECONDS - start)) s"
	totals+=" tests=$(count groups) findings=$(count passed) failed=$(count failed) skipped=$(count skipped) kernel=$(tests/fetch-other-kernels --release "$kernel")"
}

# carry NUMBER: stores through all kernels
carry()
{
	local i carried=0

	for ((i = 0; i < $1; i++)); do
		if COWSTACK_SEED=$((seed + 1000 * i)) bash tests/host/kernels.sh --back \
			>"$work/output" 2>&1; then
			carried=$((carried + 1))
			say "store $((i + 1)) of $1 is carried through all kernels"
		else
			status=1
			cat "$work/output" >&2
		fi
	done
	totals+=" stores_carried=$carried"
}

prepare >&2 || die "it does not build"
totals=
if [ "$part" = stores ]; then
	stores=$((10 * percent / 100))
	carry $((stores > 0 ? stores : 1))
	totals+=" kernel=$(tests/fetch-kernel-files --release) seed=$seed"
else
	suite "$part"
fi
echo "totals:$totals"
exit $status
