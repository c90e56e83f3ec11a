#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/62-offline.sh
#
# host/offline with the power lost at each operation, ten times over.
# COWSTACK_LONG_PERCENT scales the times; with less than a tenth it is each twentieth
# operation, once.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
percent=${COWSTACK_LONG_PERCENT:-100}
seeds=$((percent / 10))
export COWSTACK_OFFLINE_EVERY=1
if [ "$seeds" -eq 0 ]; then
	seeds=1
	COWSTACK_OFFLINE_EVERY=20
fi
COWSTACK_OFFLINE_SEEDS=$(seq -s ' ' "$seeds")
export COWSTACK_OFFLINE_SEEDS

output=$(bash tests/host/offline.sh 2>&1 | tee >(grep -v '^ok' >&2); exit "${PIPESTATUS[0]}")
status=$?
! grep -q '^not ok' <<<"$output" || status=1
sed -n "s/^# \\([0-9]*\\) power cuts$/totals: power_cuts=\\1 seeds=1-$seeds/p" <<<"$output" | tail -n 1
exit "$status"
