#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each build with a broken rule (kernel/core/fault.h) has to be caught. Make puts
# this next to the directory faults, which holds those builds.
set -u

faults=$(dirname "$(readlink -f "$0")")/faults
export COWSTACK_SEQUENCES=${COWSTACK_FAULT_SEQUENCES:-20000} COWSTACK_LOADS=1

declare -A broken=(
	[1]="skips the destination's flush"
	[2]="skips the store's flush in a step"
	[3]="drops words before the copy is durable"
	[4]="drops a chunk's words in two steps"
	[5]="acknowledges early"
	[6]="reuses a chunk before its step is durable"
	[7]="reuses a chunk before its I/O has drained"
	[8]="checkpoints the live page"
	[9]="overwrites a clean chunk in place"
	[10]="checks no range on load"
)

# What says that the fault was noticed, and not that the program broke down.
declare -A evidence=([10]='^not ok .*ranges_are_checked')
content='^# seed [0-9]+: '

# Faults that streams alone are to be found out by: of every other job and of what
# guests write the order is right then.
streams=(2 3 4)

# Faults that one of the states after a cut shows, and one that a base shows that was
# pulled and comes back without its cache.
cuts=(1 2 3 4 5 8 9)
pulled='^# .*, seed [0-9]+, pull [0-9]+: '

echo "TAP version 13"
echo "1..$((10 + ${#streams[@]} + ${#cuts[@]} + 1))"
pass=0
fail=0

# by_what BUILD: the test that it is a build of
by_what()
{
	case $1 in
	cuts-*) echo unit/test_cuts ;;
	errors-*) echo unit/test_errors ;;
	10) echo unit/test_hostile ;;
	*) echo unit/test_property ;;
	esac
}

# note_caught BUILD WHAT FOUND: for tests/fault-table; a seed says how many sequences it took
note_caught()
{
	local what=$3 after="at once"

	if [[ $3 =~ ^'# seed '([0-9]+)': '(.*) ]]; then
		what=${BASH_REMATCH[2]} after="${BASH_REMATCH[1]} sequences"
	elif [[ $3 =~ ^'# '(.*seed )([0-9]+)', '(.*) ]]; then
		what=${BASH_REMATCH[3]} after="${BASH_REMATCH[2]} workloads"
	fi
	what=${what#not ok* - }
	echo "# caught | $1 | $2 | core | $(by_what "$1") | ${what//|/ } | $after"
}

# check N WHAT EVIDENCE
check()
{
	local number=$((pass + fail + 1)) output found

	output=$("$faults/$1" 2>&1)
	if found=$(grep -m1 -E "$3" <<<"$output"); then
		echo "ok $number - $2 is caught"
		echo "# ${found#\# }"
		note_caught "$1" "${2#a }" "$found"
		pass=$((pass + 1))
	else
		echo "not ok $number - $2 is caught"
		sed 's/^/# /' <<<"$output"
		fail=$((fail + 1))
	fi
}

for n in {1..10}; do
	check "$n" "a build that ${broken[$n]}" "${evidence[$n]:-$content}"
done
export COWSTACK_STREAM_FAULTS=1
for n in "${streams[@]}"; do
	check "$n" "a stream that ${broken[$n]}" "$content"
done
unset COWSTACK_STREAM_FAULTS
for n in "${cuts[@]}"; do
	check "cuts-$n" "of all that a cut may leave, a build that ${broken[$n]}" "$content"
done
check errors-1 "with a base that is pulled, a build that ${broken[1]}" "$pulled"
echo "# Totals: pass:$pass fail:$fail xfail:0 xpass:0 skip:0 error:0"
[ "$fail" -eq 0 ]
