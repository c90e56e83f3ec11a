#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tests themselves: every fault-seeded build and every planted bug must be caught.
set -u

. "$(dirname "$(readlink -f "$0")")/unit-common"

build test_faults
for script in build/test_faults ./planted_bugs.sh; do
	output=$("$script" 2>&1) || failed=1
	sed "s/^/${script##*/}: /" <<<"$output" >&2
	caught=$(grep -c '^ok ' <<<"$output")
	name=planted-bugs-caught
	[ "$script" = ./planted_bugs.sh ] || name=faults-caught
	take_totals "# totals: $name=$caught"
done
[ "${total[faults-caught]}" = 21 ] && [ "${total[planted-bugs-caught]}" = 15 ] || failed=1
finish
