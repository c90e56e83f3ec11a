#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/62-offline.sh
#
# host/offline with the power lost at each operation, ten times over; of its largest store,
# whose commit has thousands, at each once. In two processes, each with its own seeds.
# COWSTACK_LONG_PERCENT scales the times; with less than a tenth it is each twentieth
# operation, once.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh
percent=${COWSTACK_LONG_PERCENT:-100}
seeds=$((percent / 10))
export COWSTACK_OFFLINE_EVERY=1 COWSTACK_OFFLINE_BIG_EVERY=10
if [ "$seeds" -eq 0 ]; then
	seeds=1
	COWSTACK_OFFLINE_EVERY=20
	COWSTACK_OFFLINE_BIG_EVERY=200
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run_seeds FIRST: every other one from there on
run_seeds()
{
	COWSTACK_OFFLINE_SEEDS=$(seq -s ' ' "$1" 2 "$seeds") bash tests/host/offline.sh 2>&1 |
		tee "$work/$1" | grep -v '^ok' >&2
}

make --silent tool >&2 || die "the tool does not build"
make --silent -C tests/golden native >&2 || die "what describes a store does not build"
status=0
processes=()
for ((first = 1; first <= 2 && first <= seeds; first++)); do
	run_seeds "$first" &
	processes+=($!)
done
for process in "${processes[@]}"; do
	wait "$process" || status=1
done
! grep -h '^not ok' "$work"/* || status=1
cuts=$(sed -n 's/^# \([0-9]*\) power cuts$/\1/p' "$work"/* | awk '{ sum += $1 } END { print sum }')
[ "${cuts:-0}" -gt 0 ] || status=1
echo "totals: power_cuts=${cuts:-0} seeds=1-$seeds"
exit "$status"
