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

# count NAME LEAST PATTERN: findings that match, as a total; there must be so many
count()
{
	local number

	number=$(grep -c "^ok .*$3" "$work/all")
	totals+=" $1=$number"
	[ "$number" -ge "$2" ] || failed=$((failed + 1))
}

make --silent guest-programs crash-test >&2 || die "what guests need does not build"
totals=
case $part in
filesystems)
	judge judge-filesystems "$(share 2)"
	count live_commits "$(share 2)" 'a live commit'
	count fsck_clean "$(share 2)" fsck
	;;
fio)
	judge judge-fio "$(share 25)" 8
	count fio_runs $((2 * $(share 25))) 'fio verifies'
	count disturbed $((2 * $(share 25))) 'snapshots were taken and commits started beside'
	;;
stress)
	judge judge-stress "$(share 90)" "ext4 xfs btrfs"
	count stressed 6 ': \(stress-ng\|dbench\)$'
	count fsck_clean 6 fsck
	;;
power)
	judge judge-power "$(share 60)" "ext4 xfs btrfs" "$seed"
	count power_cuts $((3 * $(share 60))) 'cut .*: fsck'
	;;
space | lvm) judge "judge-$part" ;;
swap) judge tiers-swap "$(share 30)" ;;
*) die "no part $part" ;;
esac

echo "totals: findings=$passed failed=$failed$totals seed=$seed kernel=$(tests/fetch-kernel-files --release)"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
