#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# parts: cuts-1 cuts-2 cuts-3 cuts-4 cuts-5 cuts-6 cuts-7 cuts-8 cuts-9 cuts-10 tiers replay pull requests errors blocks thin lines storm planted
#
# The module in guests, over disks whose power is cut, whose requests are replayed, that
# are pulled, that are full, of whose requests each fails; table lines and messages with any
# words; and half an hour of everything at once: the numbers that are wanted before a release.
# Each part is a guest, started anew before faults of the program's own could add up; of
# "planted" each bug. Its seed is COWSTACK_SEED (1); of cuts-N the N-th from there.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/lib/common.sh

percent=${COWSTACK_LONG_PERCENT:-100}
seed=${COWSTACK_SEED:-1}
part=${1:?which part?}

# share NUMBER: of it what is wanted now, one at least
share()
{
	echo $((($1 * percent + 99) / 100))
}

# sum_totals: of lines "# totals: WHAT=NUMBER …"; what was not asked for is 0
sum_totals()
{
	sed -n 's/^# totals: //p' "$work/output" | awk '
		{
			for (i = 1; i <= NF; i++) {
				split($i, pair, "=")
				if (!(pair[1] in sum))
					names[++n] = pair[1]
				sum[pair[1]] += pair[2]
			}
		}
		END {
			for (i = 1; i <= n; i++)
				if (sum[names[i]])
					printf "%s=%d ", names[i], sum[names[i]]
		}'
}

# guest SCRIPT [ARG]…: with the options that the script names
guest()
{
	local script=tests/guest/tests/$1.sh options status=0
	shift

	read -r -a options <<<"$(sed -n 's/^# guest: //p' "$script" | tr '\n' ' ')"
	say "$(basename "$script" .sh) $*"
	tests/guest/run "${options[@]}" --timeout 14400 "$script" "$@" >"$work/output" 2>&1 ||
		status=$?
	if [ "$status" -ne 0 ]; then
		say "$part FAILED, status $status:"
		grep -v '^# cut ' "$work/output" >&2 || true
		grep '^# cut ' "$work/output" | tail -n 40 >&2 || true
	fi
	echo "totals: $(sum_totals)seed=$seed kernel=$(tests/fetch-kernel-files --release)"
	return "$status"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --silent crash-test guest-programs >&2

case $part in
cuts-*)
	seed=$((seed + ${part#cuts-} - 1))
	cuts=$(share 1000)
	# Torn writes of metadata, cuts in recoveries: a share of all.
	guest crash --jobs --cuts "$cuts" --torn $((cuts / 8)) --recoveries $((cuts / 16)) \
		--seed $seed
	;;
tiers) guest crash-tiers --cuts "$(share 400)" --seed $seed ;;
replay) guest replay --replay "$(share 3000)" --seed $seed ;;
pull) guest pull --pull "$(share 200)" --full "$(share 50)" --seed $seed ;;
requests)
	points=0
	[ "$percent" -ge 100 ] || points=$(share 1000)
	guest nth-request --points $points --stops "$(share 100)" --seed $seed
	;;
errors) guest pull --errors "$(share 500)" --seed $seed ;;
blocks) guest blocks "$(share 100)" $seed ;;
lines) guest hostile lines --count "$(share 20000)" --seed $seed ;;
thin) guest thin-store "$(share 50)" $seed ;;
storm) guest storm $seed "$(share 1800)" ;;
planted)
	status=0
	tests/crash/planted_bugs.sh >"$work/output" || status=$?
	[ "$status" -eq 0 ] || cat "$work/output" >&2
	echo "totals: planted_bugs=$(grep -c '^ok ' "$work/output") kernel=$(tests/fetch-kernel-files --release)"
	exit "$status"
	;;
*) die "no part $part" ;;
esac
