#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Stores of format version 1 that were made once (tests/golden): what the tool and core
# find in them stays what it was, word for word, and nothing is written.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$PWD/userspace/dmcommit
describe=tests/golden/build/native/describe

check "the programs are built" make -s -C tests/golden native
for name in $(golden_names); do
	golden_unpack "$name"
	before=$(sha256sum "$work/$name.store")
	output=$(cd "$work" && "$tool" check "$name.store" 2>&1)
	is "$output" "$(<"$golden_directory/$name.check")" "$name: what dmcommit check says"
	check "$name: JSON says that it is clean" \
		grep -q '"clean": *true' <("$tool" check "$work/$name.store" --json)
	text=$(golden_describe "$describe" "$name")
	is "$text" "$(<"$golden_directory/$name.text")" "$name: each record, word and content"
	[ ! -f "$golden_directory/$name.live" ] ||
		is "$(awk '/^volume/ { id = $2 } /^  content/ { print id " content " $2 }' \
			<<<"$text" | grep -F -f <(sed -n 's/ content .*/ content /p' "$golden_directory/$name.live"))" \
			"$(grep ' content ' "$golden_directory/$name.live")" \
			"$name: the content is what the module showed before the power was cut"
	is "$(sha256sum "$work/$name.store")" "$before" "$name: nothing was written"
done

# The journal and the index have been read of every kind of record.
seen=$(grep -h -E '^(index|journal):' "$golden_directory"/*.text)
for type in STORE VOLUME VOLUME_GONE LAYER LAYER_GONE WORDS CLEAR ZERO CLEAN_GONE; do
	check "a journal has a record $type" grep -q "^journal: .* $type [1-9]" <<<"$seen"
done
for type in STORE VOLUME LAYER PAGE; do
	check "an index has a record $type" grep -q "^index: .* $type [1-9]" <<<"$seen"
done
done_testing
