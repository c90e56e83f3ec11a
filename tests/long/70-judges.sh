#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# parts: filesystems fio stress power space lvm swap
#
# Others' programs judge a stack for some ten minutes each: guest/judge-* with more rounds,
# more seconds, all file systems and all their mixes; and swap on four levels of stacks.
# COWSTACK_LONG_PERCENT scales the numbers, COWSTACK_SEED is the seed of the power cuts.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-1}
part=${1:?which part?}
time_limit=7200
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# share NUMBER: of the whole, one at least
share()
{
	local number=$(($1 * percent / 100))

	echo $((number > 0 ? number : 1))
}

# judge TEST ARGUMENT…
judge()
{
	local script=tests/guest/tests/$1.sh options status=0 start=$SECONDS
	shift

	say "$script $*"
	read -r -a options < <(sed -n 's/^# guest: //p' "$script" | tr '\n' ' ')
	tests/guest/run "${options[@]}" --timeout "$time_limit" "$script" "$@" \
		>"$work/output" || status=$?
	cat "$work/output" >>"$work/all"
	passed=$((passed + $(grep -c '^ok ' "$work/output")))
	failed=$((failed + $(grep -c '^not ok ' "$work/output")))
	if [ "$status" -ne 0 ]; then
		say "status $status"
		cat "$work/output" >&2
		# An end without a finding is one too.
		grep -q '^not ok ' "$work/output" || failed=$((failed + 1))
	fi
	say "$((SECONDS - start)) s, $passed passed, $failed failed so far"
}

# count PATTERN: findings that match
count()
{
	grep -c "^ok .*$1" "$work/all"
}

make --silent guest-programs crash-test >&2 || die "what guests need does not build"
case $part in
filesystems) judge judge-filesystems "$(share 2)" ;;
fio) judge judge-fio "$(share 25)" 8 ;;
stress) judge judge-stress "$(share 90)" "ext4 xfs btrfs" ;;
power) judge judge-power "$(share 60)" "ext4 xfs btrfs" "$seed" ;;
space | lvm) judge "judge-$part" ;;
swap) judge tiers-swap "$(share 30)" ;;
*) die "no part $part" ;;
esac

echo "totals: findings=$passed failed=$failed live_commits=$(count 'a live commit') fsck_clean=$(count 'fsck') fio_runs=$(count 'fio verifies') power_cuts=$(count 'cut .*: fsck') seed=$seed kernel=$(tests/fetch-kernel-files --release)"
[ "$failed" -eq 0 ]
