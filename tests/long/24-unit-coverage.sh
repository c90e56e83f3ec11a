#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Which lines of kernel/core its tests run: 95 percent at least, of all its files.
# COWSTACK_LONG_PERCENT is of no use here: the numbers are those of make coverage.
set -u

. "$(dirname "$(readlink -f "$0")")/unit-common"

output=$(make --silent coverage 2>&1) || failed=1
sed "s/^/coverage: /" <<<"$output" >&2
take_totals "$output"
require lines-run 1
finish
