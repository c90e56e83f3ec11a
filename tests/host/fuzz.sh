#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The fuzzers of tests/fuzz: the inputs of the tree, a fixed number of new ones, and
# whether they find the bugs that are planted in copies of the sources.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh

# Of new inputs to each; 1.5 ms of a processor for a store, some µs for a line.
declare -A inputs=(
	[superblock]=2000 [journal]=3000 [map]=3000 [check]=500
	[dump]=10000 [backup]=500 [table]=100000 [message]=100000 [tool]=100000
)
# A bug is found long before that.
declare -A most=(
	[superblock]=20000 [journal]=20000 [map]=40000 [check]=5000
	[dump]=100000 [backup]=5000 [table]=1000000 [message]=1000000 [tool]=1000000
)

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Whatever does not build would be found nothing in.
if ! make -C tests/fuzz all planted >"$log" 2>&1; then
	not_ok "the fuzzers build"
	diag "$(tail -n 30 "$log")"
	done_testing
fi

# nothing_in TARGET OPTION…: its runner's line names what it did
nothing_in()
{
	local text

	if text=$(tests/fuzz/run "${@:2}" "$1" 2>"$log"); then
		ok "$text"
	else
		not_ok "$text"
		diag "$(cat "$log")"
	fi
}

for target in superblock journal map check dump backup table message tool; do
	nothing_in "$target" --runs 0
	nothing_in "$target" --runs "${inputs[$target]}" --seed 1
done

# finds BUG: build/planted/TARGET.BUG
finds()
{
	local program=tests/fuzz/build/planted/$1 target=${1%%.*} text

	text=$(tests/fuzz/run --runs "${most[$target]}" --seed 1 \
		--program "build/planted/$1" "$target" 2>"$log")
	if [ -x "$program" ] && [[ $text == "$target: FOUND: "* ]]; then
		ok "planted bug $1 is found"
		diag "${text#*FOUND: }"
	else
		not_ok "planted bug $1 is found"
		diag "$text"
	fi
}

for program in $(make -s -C tests/fuzz list-planted); do
	finds "$program"
done
done_testing
