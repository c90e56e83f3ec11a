#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Promela models: no error as they are, one with each rule broken.
set -u

tests=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$tests/guest/lib/tap.sh"

status=0
output=$("$tests/model/run" 2>&1) || status=$?

# Its table, line by line: model and rule, figures, what was found.
while read -r line; do
	case $line in
	*WRONG:*) not_ok "$line" ;;
	*) ok "$line" ;;
	esac
done < <(grep -E '^(journal|commit|layers) ' <<<"$output")
is "$status" 0 "all is as it should be: $(tail -n 1 <<<"$output")"
[ "$status" -eq 0 ] || diag "$output"
done_testing
