#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A million inputs to each fuzzer but that of the tool's check, which runs the loader
# that the others do: a tenth.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-$(date +%s)}

declare -A inputs=(
	[superblock]=1000000 [journal]=1000000 [map]=1000000 [check]=100000
	[table]=1000000 [message]=1000000 [tool]=1000000
)

make -s -C tests/fuzz >&2
totals=
status=0
for target in superblock journal map check table message tool; do
	runs=$((inputs[$target] * percent / 100))
	say "$target: $runs inputs, seed $seed"
	line=$(tests/fuzz/run --runs "$runs" --seed "$seed" "$target") || status=1
	say "$line"
	[[ $line =~ ^$target:\ ([0-9]+)\ inputs ]] || continue
	totals+=" $target=${BASH_REMATCH[1]}"
done
echo "totals:$totals seed=$seed"
exit "$status"
