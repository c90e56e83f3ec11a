#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A store that one kernel wrote is every other's: its disks go through guests of all
# kernels in turn and back to the first. Each finishes the commit that the one before
# it began, works, and begins one; stacks are removed before the disks go on, or the guest
# is just switched off. With "--back" each kernel gets disks from each other one.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh

seed=${COWSTACK_SEED:-$((RANDOM * 32768 + RANDOM))}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
truncate -s 96M "$work/store"
truncate -s 16M "$work/base" "$work/shadow"

# stage TEXT PLACE ENDING OPTION…
stage()
{
	local text=$1 place=$2 ending=$3 status=0
	shift 3

	tests/guest/run "$@" --memory 768 --timeout 1800 --add build/tests/mirror_io \
		--disk "$work/store" --disk "$work/base" --disk "$work/shadow" \
		tests/host/carried/stage.sh "$place" "$ending" "$seed" \
		>"$work/output" 2>&1 || status=$?
	is "$status" 0 "$text"
	sed 's/^/# /' "$work/output"
	seed=$((seed + 10))
}

diag "seed $seed"
stage "the machine's own kernel begins" first removed
stage "6.12 goes on, and is switched off" next cut --kernel 6.12
stage "7 goes on" next removed --kernel 7
if [ "${1:-}" = --back ]; then
	stage "7 is switched off" next cut --kernel 7
	stage "6.12 takes what 7 left" next removed --kernel 6.12
	stage "6.1 takes that, and is switched off" next cut
	stage "7 takes it" next removed --kernel 7
fi
stage "the machine's own kernel ends it" last removed
done_testing
