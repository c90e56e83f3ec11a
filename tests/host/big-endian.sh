#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Core built for a big-endian machine (s390x, run by qemu-user): it reads golden stores
# as we do, writes the same bytes, goes on with stores that were written here, and its
# unit tests pass. A conversion that is left out is noticed.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
. tests/golden/byte_order.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check "core and its tests are built for both" make -s -C tests/golden native big
check "the machine is big-endian" \
	test "$(od -A n -t x1 -j 5 -N 1 "$big/describe" | tr -d ' ')" = 02
for name in $(golden_names); do
	golden_unpack "$name"
	is "$(golden_describe "$emulate" "$big/describe" "$name")" \
		"$(<"$golden_directory/$name.text")" "$name: the same text and content"
done
# shellcheck disable=SC2086 # seeds are words
is "$("$emulate" "$big/work" compare $byte_order_seeds)" \
	"$("$native/work" compare $byte_order_seeds)" \
	"the same work leaves the same bytes: seeds $byte_order_seeds"
for seed in 7 8 9; do
	check "seed $seed: a store is written here" "$native/work" write $seed "$work/little"
	check "seed $seed: there it is read, and worked with" \
		"$emulate" "$big/work" read $seed "$work/little"
	check "seed $seed: a store is written there" \
		"$emulate" "$big/work" write $seed "$work/big"
	check "seed $seed: here it is read, and worked with" \
		"$native/work" read $seed "$work/big"
done
for test in $(make -s -C tests/golden list-tests); do
	output=$("$emulate" "$big/$test" 2>&1)
	is "$? $(grep -c '^not ok' <<<"$output")" "0 0" \
		"unit/$test: $(sed -n 's/^# Totals: \(pass:[0-9]*\).*/\1/p' <<<"$output")"
done

# One of each kind of place; tests/long has all.
for kind in format.c:cowstack_superblock_encode record.c:record_write_layer load.c:fill_page \
	load_records.c:apply_words; do
	file=${kind%%:*}
	conversion=$(list_conversions | awk -F : -v file="$file" -v from="$(grep -n "${kind#*:}(" \
		"kernel/core/$file" | head -n 1 | cut -d : -f 1)" '$1 == file && $2 > from' | head -n 1)
	caught=$(is_caught "$conversion")
	is "$?" 0 "without the conversion at $conversion: ${caught:-nothing is noticed}"
done
done_testing
