#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Promela models within larger bounds.  Bounds know no percent: with a share of
# less than a half (COWSTACK_LONG_PERCENT) it is those of make check.
set -u

tests=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
options=()
[ "${COWSTACK_LONG_PERCENT:-100}" -lt 50 ] || options=(--long)

last=$("$tests/model/run" "${options[@]}" 2>&1 | tee >(cat >&2) | tail -n 1
	exit "${PIPESTATUS[0]}")
status=$?
sed -n 's/^\([0-9]*\) states without an error, \([0-9]*\) broken rules found, \([0-9]*\) wrong$/totals: states=\1 broken_rules_found=\2 wrong=\3 seed=none/p' <<<"$last"
exit "$status"
