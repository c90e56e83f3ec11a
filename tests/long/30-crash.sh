#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module in guests, over disks whose power is cut, whose requests are replayed, that
# are pulled, that are full: the numbers that are wanted before a release. Each guest has
# a seed of its own, the next one to that of the guest before; COWSTACK_SEED: the first.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-1}
first_seed=$seed
# Of one guest: it is started anew before a program's faults of its own could add up.
most_cuts=1000

declare -A sum=()
failed=0

# share NUMBER: of it what is wanted now, one at least
share()
{
	echo $((($1 * percent + 99) / 100))
}

# add OUTPUT: the numbers of its line "# totals: WHAT=NUMBER …"
add()
{
	local pair

	for pair in $(sed -n 's/^# totals: //p' "$1"); do
		sum[${pair%%=*}]=$((${sum[${pair%%=*}]:-0} + ${pair#*=}))
	done
}

# guest TEXT SCRIPT [ARG]…: one guest, with the options that the script names
guest()
{
	local text=$1 script=tests/guest/tests/$2.sh options
	shift 2

	read -r -a options < <(sed -n 's/^# guest: //p' "$script" | tr '\n' ' ')
	say "$text: $(basename "$script" .sh) $*"
	if ! tests/guest/run "${options[@]}" --timeout 14400 "$script" "$@" >"$work/output" 2>&1; then
		failed=$((failed + 1))
		say "$text FAILED:"
		grep -v '^# cut ' "$work/output" >&2 || true
		grep '^# cut ' "$work/output" | tail -n 40 >&2 || true
	fi
	add "$work/output"
	seed=$((seed + 1))
}

# cuts NUMBER OPTION…: in guests of most_cuts each
cuts()
{
	local left=$1 now
	shift

	while [ "$left" -gt 0 ]; do
		now=$((left < most_cuts ? left : most_cuts))
		left=$((left - now))
		# Torn writes of metadata, cuts in recoveries: a share of all.
		guest "power cuts, $left to come" crash --cuts $now --torn $((now / 8)) \
			--recoveries $((now / 16)) --seed $seed "$@"
	done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --silent crash-test guest-programs >&2

cuts "$(share 10000)" --jobs
guest "two levels" crash-tiers --cuts "$(share 400)" --seed $seed
guest "replay" replay --replay "$(share 3000)" --seed $seed
guest "pulled, full" pull --pull "$(share 200)" --full "$(share 50)" --seed $seed
guest "errors" pull --errors "$(share 500)" --seed $seed
guest "blocks" blocks "$(share 100)" $seed
guest "thin pools" thin-store "$(share 50)" $seed

line="totals:"
for what in cuts torn recoveries tiers replayed pulled full full_in_commit errors blocks thin; do
	line+=" $what=${sum[$what]:-0}"
done
echo "$line failed_guests=$failed seed=$first_seed"
[ "$failed" -eq 0 ]
