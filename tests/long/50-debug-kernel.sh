#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# parts: suite-1 suite-2 suite-3 suite-4 suite-5 suite-6 suite-7 suite-8 allocations requests damaged-1 damaged-2 damaged-3 damaged-4 storm
#
# All that the debug kernel is for: the guests' tests on it without a report, all but those
# that say why not, an eighth of them in each part; an allocation that fails, and a request
# of a disk, at 500 places each; 1,000 damaged stores, in four parts; ten minutes of
# everything at once on four processors.
#
# COWSTACK_LONG_PERCENT scales places, stores and minutes; below 100 the tests are those of
# make check alone.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-$((RANDOM * 32768 + RANDOM))}
jobs=${COWSTACK_LONG_JOBS:-2}
part=${1:?which part?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# share NUMBER: that much of it, one at least
share()
{
	local part=$(($1 * percent / 100))

	echo $((part > 0 ? part : 1))
}

# stage TEXT COMMAND…: its output goes to $work/output
stage()
{
	local text=$1 start=$SECONDS
	shift

	say "$text"
	if "$@" >"$work/output" 2>&1; then
		say "$text: $((SECONDS - start)) s"
	else
		cat "$work/output"
		say "$text: FAILED after $((SECONDS - start)) s"
		status=1
	fi
}

# faults_told: how many failed, by fault_test's own count
faults_told()
{
	sed -n 's/^# \([0-9]*\) faults, .*/\1/p' "$work/output"
}

prepare()
{
	tests/install-packages
	tests/fetch-kernel-files
	make --silent all guest-programs KERNEL="$(tests/fetch-kernel-files --release)"
	make --silent crash-test debug-module
}
prepare >&2

# list_eighth N: names of tests
list_eighth()
{
	if [ "$percent" -lt 100 ]; then
		grep -l '^# debug kernel: in check' tests/guest/tests/*.sh |
			sed 's,.*/\(.*\)\.sh$,debug/\1,'
	else
		tests/run --debug --list
	fi | awk -v n="$1" 'NR % 8 == n % 8'
}

# Sets $totals.
run_suite()
{
	local names counts passed failed

	mapfile -t names < <(list_eighth "$1")
	# Without a name it would be all of them.
	[ "${#names[@]}" -gt 0 ] || die "with $percent percent no test is left for suite-$1"
	stage "tests on the debug kernel: ${names[*]}" tests/run -j "$jobs" --debug \
		"${names[@]}"
	counts=$(tail -n 1 "$work/output" |
		sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
	read -r passed failed skipped <<<"${counts:-0 1 0}"
	totals="tests=${#names[@]} findings=$passed failed=$failed skipped=$skipped"
}

debug=(tests/guest/run --kernel debug --memory 2048 --timeout $((300 + 18000 * percent / 100)))
case $part in
suite-*) run_suite "${part#suite-}" ;;
allocations | requests)
	stage "$part that fail" "${debug[@]}" --cpus 1 --add tests/crash/build/fault_test \
		"tests/guest/tests/nth-${part%s}.sh" --points "$(share 500)" --seed "$seed"
	told=$(faults_told)
	[ -n "$told" ] || status=1
	totals="$part=${told:-0} seed=$seed"
	;;
damaged-*)
	seed=$((seed + ${part#damaged-} - 1))
	stage "damaged stores" "${debug[@]}" --cpus 1 --add tests/crash/build/hostile_test \
		--add tests/crash/build/hostile.tar tests/guest/tests/hostile.sh \
		stores --count "$(share 250)" --seed "$seed"
	told=$(sed -n 's/^# totals: //p' "$work/output")
	[ -n "$told" ] || status=1
	totals="${told:-damaged-stores=0} seed=$seed"
	;;
storm)
	seconds=$(share 600)
	stage "everything at once, $seconds s" "${debug[@]}" --memory 3072 --cpus 4 \
		--add build/tests/mirror_io --add build/tests/dm_storm \
		tests/guest/tests/storm.sh "$seed" "$seconds"
	told=$(sed -n 's/^# totals: //p' "$work/output")
	[ -n "$told" ] || status=1
	totals="${told:-storm_seconds=0} processors=4 seed=$seed"
	;;
*) die "no part $part" ;;
esac
echo "totals: $totals kernel=$(tests/build-debug-kernel --release)"
exit $status
