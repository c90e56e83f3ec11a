#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# All that the debug kernel is for: every guest's test on it without a report; an
# allocation that fails, and a request of a disk, at 500 places each; ten minutes of
# everything at once on four processors.
#
# COWSTACK_LONG_PERCENT scales places and minutes; below 100 the tests are those of
# make check alone. COWSTACK_SEED: the first seed.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-$((RANDOM * 32768 + RANDOM))}
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

names=()
if [ "$percent" -lt 100 ]; then
	mapfile -t names < <(grep -l -x '# debug kernel: in check' tests/guest/tests/*.sh |
		sed 's,.*/\(.*\)\.sh$,debug/\1,')
fi
stage "guests' tests on the debug kernel" tests/run -j 2 --debug "${names[@]}"
counts=$(tail -n 1 "$work/output" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, .*/\1 \2/p')
read -r passed failed <<<"${counts:-0 1}"

debug=(tests/guest/run --kernel debug --memory 2048 --timeout $((300 + 18000 * percent / 100)))
stage "allocations that fail" "${debug[@]}" --cpus 1 --add tests/crash/build/fault_test \
	tests/guest/tests/nth-allocation.sh --points "$(share 500)" --seed "$seed"
allocations=$(faults_told)
stage "requests that fail" "${debug[@]}" --cpus 1 --add tests/crash/build/fault_test \
	tests/guest/tests/nth-request.sh --points "$(share 500)" --seed "$seed"
requests=$(faults_told)

seconds=$(share 600)
stage "everything at once, $seconds s" "${debug[@]}" --memory 3072 --cpus 4 \
	--add build/tests/mirror_io --add build/tests/dm_storm \
	tests/guest/tests/storm.sh "$seed" "$seconds"

echo "totals: findings=$passed failed=$failed allocations=${allocations:-0} requests=${requests:-0} stress_seconds=$seconds processors=4 kernel=$(tests/build-debug-kernel --release) seed=$seed"
exit $status
