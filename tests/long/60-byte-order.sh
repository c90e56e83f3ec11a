#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/60-byte-order.sh
#
# Each conversion of byte order in kernel/core, left out by itself in a big-endian build:
# golden stores and 6 seeds of work have to show it. And more seeds, written on one side
# and worked with on the other, both ways.
#
# COWSTACK_LONG_PERCENT scales both numbers: 151 conversions at the time of writing, 1,000
# seeds.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/golden/golden.sh
. tests/golden/byte_order.sh
percent=${COWSTACK_LONG_PERCENT:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

say()
{
	echo "byte-order: $*" >&2
}

make -s -C tests/golden native big || exit 1
for name in $(golden_names); do
	golden_unpack "$name"
done
is_alike "$big" >&2 || exit 1

mapfile -t conversions < <(list_conversions)
count=$(((${#conversions[@]} * percent + 99) / 100))
caught=0
for ((i = 0; i < count; i++)); do
	conversion=${conversions[i * ${#conversions[@]} / count]}
	if by=$(is_caught "$conversion"); then
		caught=$((caught + 1))
		say "$conversion: $by"
	else
		failed=$((failed + 1))
		say "NOT CAUGHT: $conversion ${by:-}"
	fi
done

first=${COWSTACK_SEED:-1000}
seeds=$(((1000 * percent + 99) / 100))
for ((seed = first; seed < first + seeds; seed++)); do
	"$native/work" write "$seed" "$work/little" &&
		"$emulate" "$big/work" read "$seed" "$work/little" &&
		"$emulate" "$big/work" write "$seed" "$work/big" &&
		cmp "$work/little" "$work/big" >&2 &&
		"$native/work" read "$seed" "$work/big" || {
		failed=$((failed + 1))
		say "FAILED: seed $seed"
	}
	[ $((seed % 100)) -ne 99 ] || say "seed $seed"
done
echo "totals: conversions=$count caught=$caught stores=$((2 * seeds)) failed=$failed seed=$first"
[ "$failed" -eq 0 ]
