#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# alone
# The main job, as "make demo" shows it, with less work before the commit.
set -u

tests=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$tests/guest/lib/tap.sh"

status=0
output=$("$tests/demo/run" --short 2>&1) || status=$?

# Its summary, line by line.
while read -r mark text; do
	case $mark in
	✓) ok "$text" ;;
	✗) not_ok "$text" ;;
	esac
done < <(sed -n '/^Shown/,$p' <<<"$output")
is "$status" 0 "the demo ends well"
if [ "$status" -ne 0 ]; then
	diag "$output"
fi
done_testing
