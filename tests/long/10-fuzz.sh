#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# parts: superblock journal map check dump backup table message tool
#
# A million inputs to each fuzzer but those that go through files: that of the tool's check,
# which runs the loader that the others do, and that of backups.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-$(date +%s)}
target=${1:?which fuzzer?}

declare -A inputs=(
	[superblock]=1000000 [journal]=1000000 [map]=1000000 [check]=100000
	[dump]=1000000 [backup]=200000 [table]=1000000 [message]=1000000 [tool]=1000000
)

make -s -C tests/fuzz >&2
runs=$((inputs[$target] * percent / 100))
status=0
say "$target: $runs inputs, seed $seed"
line=$(tests/fuzz/run --runs "$runs" --seed "$seed" "$target") || status=1
say "$line"
[[ $line =~ ^$target:\ ([0-9]+)\ inputs ]] || exit 1
echo "totals: $target=${BASH_REMATCH[1]} seed=$seed"
exit "$status"
