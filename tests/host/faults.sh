#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds of the module with one rule broken: the crash test has to notice each, and nothing
# where it does the same to the module as it is. One of them is for the test of requests that
# fail, too: with a power cut behind, it has to notice.
# Arguments: those to look for (all); --list names them, --rules says what they break.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh

most_cuts=60
most_seeds=3

# What the crash test aims at, where that shows the broken rule soonest.
declare -A aim=(
	[1]="--only let-go"
	[1-lower]="--tiers --losers 2 --only let-go"
	[1-master]="--tiers --losers 4 --only master-write"
	[1-request]="guest/nth-request --from store --only commit --points 4"
	[2]="--only work --flushes 30"
	[3]="--only write"
	[4]="--job commit/let-go"
	[5]="--only work --flushes 3 --fua 60"
	[6]="--only give-back --discards 60 --flushes 6"
	[7]="--drain"
	[8]="--only checkpoint"
	[9]="--job retain/empty"
	[10]="guest/damage"
)
declare -A rule=(
	[1]="the destination is flushed before words are dropped"
	[1-lower]="… two levels, the lower store's cache alone is lost"
	[1-master]="… two levels, the master's cache alone is lost"
	[1-request]="… a request of the store fails, then all caches are lost"
	[2]="the store is flushed before a step counts"
	[3]="words are dropped after the copy is durable"
	[4]="the words of all layers of a chunk are dropped at once"
	[5]="an FUA write is answered after its step"
	[6]="freed chunks are reused after the step is durable"
	[7]="freed chunks are reused when I/O on them has ended"
	[8]="a checkpoint's page images are as of its tail"
	[9]="a clean chunk is not overwritten in place"
	[10]="numbers from disk are checked for their range"
)

# run_crash_test MODULE FAULT SEED CUTS: leaves what was found, and after how many cuts.
run_crash_test()
{
	# shellcheck disable=SC2086 # options are words
	output=$(COWSTACK_MODULE=$1 tests/guest/run --cpus 1 --timeout 1800 \
		--add tests/crash/build/crash_test tests/guest/tests/crash.sh \
		--cuts "$4" --seed "$3" ${aim[$2]} 2>&1)
	status=$?
	found=$(sed -n 's/^# FOUND after [0-9]* cuts: //p' <<<"$output")
	cuts=$(sed -n 's/^not ok .* in \([0-9]*\) power cuts$/\1/p' <<<"$output")
}

# find_nothing FAULT SEED CUTS: the same, with no rule broken
find_nothing()
{
	run_crash_test dm-cowstack.ko "$1" "$2" "$3"
	is "$status $found$(grep '^not ok ' <<<"$output")" "0 " \
		"with that rule kept nothing is found in as many cuts"
}

# Of what is read from a store: the test of damaged ones has to see it accepted.
run_damage_test()
{
	local output

	output=$(COWSTACK_MODULE=build/fault-$1/dm-cowstack.ko \
		tests/guest/run --timeout 1800 tests/guest/tests/damage.sh ranges 2>&1)
	found=$(sed -n 's/^not ok [0-9]* - \(refused with .*\)/not \1/p' <<<"$output" | head -n 1)
	cuts=0
	[ -n "$found" ] || diag "fault $1: $output"
}

# run_request_test FAULT SEED: "cuts" are requests that failed.
run_request_test()
{
	local output words
	read -r -a words <<<"${aim[$1]}"

	output=$(COWSTACK_MODULE=build/fault-${1%%-*}/dm-cowstack.ko tests/guest/run \
		--cpus 1 --timeout 1800 --add tests/crash/build/fault_test \
		"tests/guest/tests/${words[0]#guest/}.sh" "${words[@]:1}" --seed "$2" 2>&1)
	found=$(grep -m 1 -B 1 '^# FOUND: ' <<<"$output" | sed -n '1s/^# //p')
	cuts=$(sed -n 's/^# \([0-9]*\) faults, .*/\1/p' <<<"$output")
	[ -n "$found" ] || diag "fault $1, seed $2: $output"
}

# find_fault FAULT SEED
find_fault()
{
	if [ "${aim[$1]}" = guest/damage ]; then
		run_damage_test "$1"
	elif [[ ${aim[$1]} = guest/nth-request* ]]; then
		run_request_test "$1" "$2"
	else
		run_crash_test "build/fault-${1%%-*}/dm-cowstack.ko" "$1" "$2" "$most_cuts"
		[ -n "$found" ] ||
			diag "fault $1, seed $2: $(grep -E '^(not )?ok ' <<<"$output")"
	fi
}

# by_what FAULT, after_what FAULT CUTS: for the table
by_what()
{
	case ${aim[$1]} in
	guest/*) echo "${aim[$1]}" ;;
	*) echo "crash_test ${aim[$1]}" ;;
	esac
}

after_what()
{
	case ${aim[$1]} in
	guest/damage) echo "at once" ;;
	guest/nth-request*) echo "$2 requests that failed" ;;
	--drain) echo "no cut" ;;
	*) echo "$2 cuts" ;;
	esac
}

catch_fault()
{
	local fault=$1 seed before=0

	for ((seed = 1; seed <= most_seeds; seed++)); do
		find_fault "$fault" "$seed"
		[ -z "$found" ] || break
		before=$((before + most_cuts))
	done
	if [ -n "$found" ]; then
		ok "fault $fault is caught"
		notes+="# caught | $fault | ${rule[$fault]} | module | $(by_what "$fault") | $found | $(after_what "$fault" $((before + cuts)))"$'\n'
		table+=$(printf '# %-8s %-54s %-25s %s' "$fault" "${rule[$fault]}" \
			"$found" "$((before + cuts))")$'\n'
		[[ ${aim[$fault]} = guest/* ]] ||
			find_nothing "$fault" "$seed" $((cuts > 0 ? cuts : most_cuts))
	else
		not_ok "fault $fault is caught (not in $before cuts)"
	fi
}

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${!rule[@]}" | sort -V
	exit
fi
if [ "${1:-}" = --rules ]; then
	printf '%s\n' "${rule[@]}" | sort
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
table=
notes=
faults=$(printf '%s\n' "${!rule[@]}" | sort -n)
[ $# -eq 0 ] || faults=$*
targets=$(printf '%s\n' $faults | sed 's,-.*,,' | sort -u |
	sed 's,.*,build/fault-&/dm-cowstack.ko,')
kernel=$(tests/fetch-kernel-files --release)

# shellcheck disable=SC2086 # targets and faults are words
check "modules with a broken rule are built" \
	make --silent -j 2 KERNEL="$kernel" module $targets crash-test
for fault in $faults; do
	catch_fault "$fault"
done
printf '# %-8s %-54s %-25s %s\n' fault "the rule that it breaks" "caught by" "cut"
printf '%s' "$table"
# For tests/fault-table, whose last result is in the documentation.
printf '%s' "$notes"
done_testing
