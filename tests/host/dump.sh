#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# dmcommit dump and restore: golden stores come back as they were, from text and from
# gzip's; what is no dump, or no place for one, is refused and changes nothing.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$PWD/userspace/dmcommit
describe=$PWD/tests/golden/build/native/describe

# without_places TEXT: what describe says, without where metadata lies
without_places()
{
	grep -E '^(layer|volume|features|chunk|  )' <<<"$1" | sort
}

# shellcheck disable=SC2317 # called by check
# restored STORE: into $work/new, from $work/dump, over what is left of it
restored()
{
	cp "$1" "$work/new" &&
		dd if=/dev/zero of="$work/new" bs=4096 count=1 conv=notrunc status=none &&
		dd if=/dev/zero of="$work/new" bs=4096 count=1 seek=16 conv=notrunc status=none &&
		"$tool" restore "$work/new" --from "${2:-$work/dump}"
}

# is_whole NAME: what was restored is the store that there was
is_whole()
{
	local store=$work/$1.store

	check "$1: it is restored" restored "$store"
	is "$("$tool" dump "$work/new" 2>&1)" "$(<"$work/dump")" "$1: the dump of it is the same"
	is "$("$tool" check "$work/new" | sed -e 1d -e 's/, [^,]* of [^,]* used//' \
		-e '/journal steps/s/ in .*//' | sort)" \
		"$("$tool" check "$store" | sed -e 1d -e 's/, [^,]* of [^,]* used//' \
			-e '/journal steps/s/ in .*//' | sort)" "$1: check says the same of it"
	is "$(without_places "$("$describe" "$work/new" 2>&1)")" \
		"$(without_places "$("$describe" "$store" 2>&1)")" "$1: so do its records and its content"
	"$tool" dump "$work/new" --compress --output "$work/gz"
	check "$1: a compressed one is restored too" restored "$store" "$work/gz"
	is "$("$tool" dump "$work/new" 2>&1)" "$(<"$work/dump")" "$1: … and is the same"
}

check "the programs are built" make -s -C tests/golden native
for name in $(golden_names); do
	golden_unpack "$name"
	check "$name: it is dumped" "$tool" dump "$work/$name.store" --output "$work/dump"
	is_whole "$name"
done

# --- bad input, each an edit of a good dump, and what is said of it ---
cp "$work/chain.store" "$work/new"
"$tool" dump "$work/chain.store" >"$work/good"
before=$(sha256sum "$work/new")
# refuses EDIT MESSAGE
refuses()
{
	local output

	sed -e "$1" "$work/good" >"$work/bad"
	output=$("$tool" restore "$work/new" --from "$work/bad" --force 2>&1)
	is "$? ${output#dmcommit: "$work/bad"}" "1 $2; nothing was changed" "$1: it is refused"
}
refuses '1s/1$/2/' ', line 1: this is no dump, and no backup'
refuses '2s/^store/shop/' ', line 2: this is no line of a dump'
refuses '2d' ', line 2: a line "store" should be here'
refuses '2s/uuid=e/uuid=E/' ', line 2: spelling is missing or wrong'
refuses '2s/uuid=e1/uuid=e/' ', line 2: uuid is missing or wrong'
refuses '2s/name=chain/name=-x/' ', line 2: name is not a name'
refuses '2s/compat=0x0/compat=0x1 /' ', line 2: ro_compat is missing or wrong'
refuses '2s/ro_compat=0x0/ro_compat=0x1/' \
	', line 2: a feature is not known to this version, which may not write such a store'
refuses '2s/chunk_sectors=128/chunk_sectors=100/' \
	', line 2: chunk size is not a power of two from 4 KiB to 1 MiB'
refuses '2s/ring_blocks=224/ring_blocks=223/' ', line 2: journal ring is out of range'
refuses '2s/next_layer=9/next_layer=0/' ', line 2: layer ids are used up'
refuses '2s/next_layer=9/next_layer=09/' ', line 2: spelling is missing or wrong'
refuses '2s/next_layer=9/next_layer=+9/' ', line 2: next_layer is missing or wrong'
refuses '3s/id=1/id=0/' ', line 3: layers do not ascend'
refuses '4s/id=2/id=1/' ', line 4: layers do not ascend'
refuses '6s/parent=1/parent=3/' ', line 6: layer lies on none, or on one that is not frozen'
refuses '6s/parent=1/parent=7/' ', line 6: layer lies on none, or on one that is not frozen'
refuses '3s/frozen,pinned/pinned,frozen/' ', line 3: spelling is missing or wrong'
refuses '3s/frozen,pinned/frozen,dusty/' ', line 3: flags is missing or wrong'
refuses '9d' ', line 12: volume has no top layer of its own'
refuses '10s/top=5/top=50/' ', line 10: volume has no top layer of its own'
refuses '10s/top=5/top=4/' ': volume has no top layer of its own'
refuses '10s/id=1 /id=16777216 /' ', line 12: volume record makes no sense'
refuses '10s/name=system/name=data-7/' ': two volumes have one name'
refuses '10s/sectors=2048/sectors=64/' ": layer holds what lies behind its volume's end"
refuses '11s/mixed_top=0/mixed_top=100/' ': commit of a layer that never was'
refuses '12s/kind=none/kind=nothing/' ', line 12: kind is missing or wrong'
refuses '12d' ', line 12: a line "job" should be here'
refuses '13s/id=7/id=1/' ', line 13: volumes do not ascend'
refuses '22s/layer=1/layer=9/' ', line 23: words of no layer, or out of range'
refuses '25s/layer=2/layer=1/' ', line 25: maps do not ascend'
refuses '24s/first=2/first=0/' ', line 24: runs do not ascend'
refuses '24s/count=1/count=0/' ', line 24: runs do not ascend'
refuses '24s/count=1/count=18446744073709551615/' ', line 24: runs do not ascend'
refuses '24s/count=1/count=18446744073709551616/' ', line 24: count is missing or wrong'
refuses '24s/chunk=1/chunk=0/' ', line 24: chunk 0 is named twice'
refuses '24s/chunk=1/chunk=112/' ', line 24: a chunk is out of range'
refuses '24s/chunk=1/chunk=-/' ', line 24: map word makes no sense'
refuses '24s/mask=0xffff/mask=0x0/' ', line 24: map word makes no sense'
refuses '24s/mask=0xffff/mask=0x1ffff/' ', line 24: mask is missing or wrong'
refuses '24s/flags=-/flags=zero/' ', line 24: map word makes no sense'
refuses '30s/count=4/count=1152921504606846976/' ', line 30: run of no layer, or out of range'
refuses '31s/$/ /' ', line 31: spelling is missing or wrong'
# shellcheck disable=SC2016 # sed's own
refuses '$s/runs=11/runs=12/' ', line 39: there was more, or less, than its end says'
# shellcheck disable=SC2016
refuses '$d' ', line 39: the dump is cut off'
# shellcheck disable=SC2016
refuses '$s/$/\n/' ', line 40: there is something behind the end'
refuses '24s/first/\x00first/' ', line 24: this is no line of text'
refuses "24s/first/$(printf '%01024d' 0)/" ', line 24: this is no line of text'
for less in 4 200; do
	gzip -c "$work/good" | head -c "-$less" >"$work/bad"
	check_fails "a compressed one that lacks its last $less bytes is refused" \
		"$tool" restore "$work/new" --from "$work/bad" --force
done
is "$(sha256sum "$work/new")" "$before" "none of them changed anything"

# --- bad places ---
ln -s new "$work/link"
# is_refused STATUS MESSAGE TEXT COMMAND…
is_refused()
{
	local output status=0

	output=$("${@:4}" 2>&1) || status=$?
	is "$status $output" "$1 dmcommit: $2" "$3"
}
is_refused 4 "$work/new holds this store, and it is sound: what came after the dump would be lost; --force overwrites it" \
	"a store that is sound is not overwritten" "$tool" restore "$work/new" --from "$work/good"
cp "$work/gone.store" "$work/other"
truncate -s 8M "$work/other"
is_refused 4 "$work/other holds another store, gone; --force overwrites it" \
	"nor is another" "$tool" restore "$work/other" --from "$work/good"
check "but with --force" "$tool" restore "$work/other" --from "$work/good" --force
is "$("$tool" dump "$work/other" 2>&1)" "$(<"$work/good")" "… by the store of the dump"
truncate -s $((8 * 1048576 - 4096)) "$work/other"
is_refused 1 "$work/other is too small for the store of $work/good; give a larger device" \
	"a device that is too small is refused" "$tool" restore "$work/other" --from "$work/good" --force
truncate -s 0 "$work/other"
truncate -s 8M "$work/other"
mke2fs -q -F "$work/other"
check_fails "a file system is not overwritten" "$tool" restore "$work/other" --from "$work/good"
check_fails "a dump of what is no store" "$tool" dump "$work/good"
is "$("$tool" dump "$work/nothing" 2>/dev/null)$?" 3 "a device that is not there has status 3"
is "$("$tool" restore "$work/new" --from "$work/nothing" 2>/dev/null)$?" 3 "so has a dump that is not"
is_refused 1 "/dev/full: No space left on device" "a full disk is noticed" \
	"$tool" dump "$work/small.store" --output /dev/full
is_refused 4 "--output $work/link is the store itself, which the dump would overwrite; give another file" \
	"a store is not overwritten by its own dump" "$tool" dump "$work/new" --output "$work/link"
is "$(sha256sum "$work/new")" "$before" "… it is as it was"
is "$(gzip -dc "$work/gz" 2>&1 | head -n 1)" "cowstack-dump 1" "gzip reads what is compressed"
is "$("$tool" restore "$work/new" --from - --force <"$work/good" 2>&1)" "" "a dump comes from a pipe too"
done_testing
