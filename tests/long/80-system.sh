#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/80-system.sh
#
# tests/system/run with 20 power cuts while the machine boots.
#
# COWSTACK_LONG_PERCENT scales the cuts; COWSTACK_SEED chooses when they come.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
seed=${COWSTACK_SEED:-1}
cuts=$(((20 * ${COWSTACK_LONG_PERCENT:-100} + 99) / 100))
make --silent all guest-programs KERNEL="$(tests/fetch-kernel-files --release)" >&2 || exit 1
output=$(tests/system/run --cuts "$cuts" --seed "$seed") || true
printf '%s\n' "$output" >&2
passed=$(grep -c '^ok ' <<<"$output")
failed=$(grep -c '^not ok ' <<<"$output")
made=$(grep -c '^ok .*power cut' <<<"$output")
echo "totals: findings=$passed failed=$failed power_cuts=$made seed=$seed"
[ "$failed" -eq 0 ] && [ "$made" -ge "$cuts" ] && grep -q '^1\.\.' <<<"$output"
