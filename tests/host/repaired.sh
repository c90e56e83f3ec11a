#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# dmcommit check --repair on golden stores that are damaged, as tests/golden/repaired.table
# says: the words of the first run and of the second. Without a yes nothing is written, and
# the backup brings back what there was, bit for bit.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$PWD/userspace/dmcommit
edit=$PWD/tests/golden/build/native/edit
table=tests/golden/repaired.table

# trim TEXT
trim()
{
	local text=$1

	text=${text#"${text%%[! ]*}"}
	echo "${text%"${text##*[! ]}"}"
}

# first_run OPTION…: status and words, without what other lines of the test look at
first_run()
{
	local output status=0

	output=$(cd "$work" && "$tool" check store --repair "$@" 2>&1 </dev/null) || status=$?
	echo "$status"
	sed -e '/^store: damaged/d' -e '/^store: one of the superblocks/d' -e '/^to be written/d' \
		-e '/^backup:/d' -e '/^store: repaired/d' -e '/^dmcommit: store: what is affected/d' \
		-e 's/^dmcommit: //' -e 's/^ *//' <<<"$output"
}

# is_repaired IMAGE EDITS STATUS SECOND WORDS
is_repaired()
{
	local second status=0

	cp "$work/$1.store" "$work/store"
	# shellcheck disable=SC2086 # edits are words
	"$edit" "$work/store" $2 || return
	cp "$work/store" "$work/before"
	rm -f "$work/backup"
	first_run >/dev/null
	cmp -s "$work/before" "$work/store" || not_ok "… it was written to without a yes"
	is "$(first_run --yes --backup backup)" "$3${5:+$'\n'$5}" "$1: $2"
	second=$(cd "$work" && "$tool" check store 2>&1) || status=$?
	second=$(sed -n -e 's/^\([0-9]* chunks in [0-9]* map pages\).*/\1/p' \
		-e 's/^dmcommit: //p' <<<"$second")
	is "$status | $second" "$4" "… second run"
	[ -f "$work/backup" ] || {
		cmp -s "$work/before" "$work/store" || not_ok "… it was written to without a backup"
		return
	}
	(cd "$work" && "$tool" restore store --from backup) || not_ok "… the backup is not put back"
	cmp -s "$work/before" "$work/store" || not_ok "… the backup brings back something else"
}

check "the programs are built" make -s -C tests/golden native
for name in $(golden_names); do
	golden_unpack "$name"
done
count=0
image=
while IFS= read -r line; do
	case $line in
	'  '*) words+=${words:+$'\n'}${line#  } ;;
	[a-z]*)
		[ -z "$image" ] || is_repaired "$image" "$edits" "$wanted" "$second" "$words"
		IFS='|' read -r image edits wanted second <<<"$line"
		image=$(trim "$image")
		edits=$(trim "$edits")
		wanted=$(trim "$wanted")
		second=$(trim "$second")
		words=
		count=$((count + 1))
		;;
	esac
done <"$table"
is_repaired "$image" "$edits" "$wanted" "$second" "$words"
check "all of the table was read" test "$count" -ge 80

# --- backups ---
cp "$work/chain.store" "$work/store"
"$edit" "$work/store" raw:page:0.0=+1
cp "$work/store" "$work/before"
(cd "$work" && "$tool" check store --repair --yes --backup good >/dev/null 2>&1)
cp "$work/store" "$work/after"
# is_refused STATUS MESSAGE TEXT [OPTION…]
is_refused()
{
	local output status=0

	output=$(cd "$work" && "$tool" restore store --from bad "${@:4}" 2>&1) || status=$?
	is "$status $output" "$1 dmcommit: $2" "$3"
	cmp -s "$work/after" "$work/store" || not_ok "… it was written to all the same"
}
# refuses EDIT MESSAGE
refuses()
{
	sed -e "$1" "$work/good" >"$work/bad"
	is_refused 1 "bad, $2; nothing was changed" "$1: such a backup is refused"
}
refuses '1s/1$/2/' 'line 1: this is no dump, and no backup'
refuses '2s/=1/=2/' 'line 2: it is of a device of another size'
refuses '3s/place=/place=0/' 'line 3: this is no line of a backup'
refuses '3s/place=[0-9]*/place=4096/' 'line 3: the device has no such block'
refuses '4s/^./x/' 'line 4: 64 bytes should be here'
refuses '4s/^.//' 'line 4: 64 bytes should be here'
refuses '5s/^./f/' "line 67: the block's checksum is another"
# shellcheck disable=SC2016 # sed's own
refuses '$d' "line $(wc -l <"$work/good"): the backup is cut off"
cp "$work/good" "$work/bad"
cp "$work/store" "$work/kept"
dd if=/dev/urandom of="$work/store" bs=4096 count=1 conv=notrunc status=none
cp "$work/store" "$work/after"
is_refused 4 "block 0 of store was changed since the backup; --force puts it back all the same" \
	"where something was changed since, it is refused"
check "but not with --force" "$tool" restore "$work/store" --from "$work/good" --force
cmp -s "$work/before" "$work/store" || not_ok "… it brings back something else"
output=$(cd "$work" && "$tool" check store --repair --yes --backup good 2>&1 | tail -n 1)
is "$output" "dmcommit: cannot make the backup good: File exists; nothing was written; give another file with --backup" \
	"a file that is there is no place for a backup"
cmp -s "$work/before" "$work/store" || not_ok "… something was written"

# --- JSON ---
json=$(cd "$work" && "$tool" check store --repair --yes --backup json --json 2>/dev/null)
check "JSON says where it shows" grep -q '"first_sector": 1536' <<<"$json"
check "… and that it was repaired" grep -q '"repaired": true' <<<"$json"
check "… by python's opinion, too" python3 -m json.tool <<<"$json"
is "$("$tool" check "$work/store" --yes 2>&1)" "dmcommit: --yes is for --repair" \
	"what asks is --repair"

# --- a device of another size ---
# resized IMAGE BYTES: before, with so many more
resized()
{
	cp "$work/$1.store" "$work/store"
	truncate -s $(($(stat -c %s "$work/store") + $2)) "$work/store"
	cp "$work/store" "$work/before"
}
# repair OPTION…: status and words
repair()
{
	local output status=0

	output=$(cd "$work" && "$tool" check store --repair --yes "$@" 2>&1) || status=$?
	echo "$status $output"
}
for less in 65536 1048576 7340032 8380416; do
	resized chain -$less
	is "$(cd "$work" && "$tool" check store 2>&1 | sed 's/.*damaged: \([^;]*\);.*/\1/')" \
		"$( ((less <= 7340032)) && echo "device is smaller than its superblock says" ||
			echo "data area overlaps the metadata or the device's end")" \
		"$less bytes less: check says that it is smaller"
	is "$(repair)" "5 dmcommit: store cannot be repaired: it has $((16384 - less / 512)) sectors, and its store 16384; give it that size again, or copy it to a device that has it; nothing was written" \
		"… and so does --repair, with the sizes"
	cmp -s "$work/before" "$work/store" || not_ok "… something was written"
done
resized chain 1048576
like "$(repair)" '^0 store: store chain, .*: clean' "a device that has grown needs no repair"
cmp -s "$work/before" "$work/store" || not_ok "… something was written"
for more in 1048576 -65536; do
	resized chain $more
	"$edit" "$work/store" raw:wipe:0.count=1 raw:wipe:16.count=1
	cp "$work/store" "$work/before"
	is "$(repair)" "5 dmcommit: store cannot be repaired: no superblock is of use, and the store's chunks do not go with the device's size, which may have changed; nothing was written; dmcommit restore writes its metadata from a dump" \
		"superblocks gone, and another size, $more bytes"
	cmp -s "$work/before" "$work/store" || not_ok "… something was written"
done

# --- a name ---
rm -f "$work/named"
cp "$work/chain.store" "$work/store"
is "$(repair --name other)" "4 dmcommit: store: the store's name is chain; --name is for one whose name is lost; nothing was written" \
	"a store that has a name keeps it"
cmp -s "$work/chain.store" "$work/store" || not_ok "… something was written"
like "$(repair --name chain)" '^0 store: store chain, .*: clean' "its own is no other"
is "$(repair --name 'a b' | cut -c 1-2)" "2 " "what is no name is refused"
is "$("$tool" check "$work/store" --name x 2>&1)" "dmcommit: --name is for --repair" "a name is for --repair"
"$edit" "$work/store" raw:wipe:0.count=1 raw:wipe:16.count=1
like "$(repair --name again --backup named)" '
  the store, which has no name, is called again
' "a store whose name went with its superblocks gets one"
like "$(repair)" '^0 store: store again, ' "… which is its name then"
"$edit" "$work/store" raw:wipe:0.count=1 raw:wipe:16.count=1
rm -f "$work/named"
repair --backup named >/dev/null
like "$(repair)" '^0 store: store -, ' "without one it has none"
cp "$work/store" "$work/before"
rm -f "$work/named"
like "$(repair --name later --backup named)" '^0 store: the store has no name
  the store, which has no name, is called later
to be written: 0 blocks of pages and index, 2 superblocks
' "a sound one without a name can be given one later"
like "$(repair)" '^0 store: store later, ' "… which is its name then"
(cd "$work" && "$tool" restore store --from named) || not_ok "… the backup is not put back"
cmp -s "$work/before" "$work/store" || not_ok "… the backup brings back something else"

# --- blocks that cannot be read ---
check "a disk with a bad block is built" gcc -Wall -Wextra -Werror -O1 -shared -fPIC \
	-o "$work/bad.so" tests/host/bad_block.c -ldl
# with_bad BLOCK: what a repair says, with that one unreadable until it is written, but for
# what is always there
with_bad()
{
	cp "$work/chain.store" "$work/store"
	rm -f "$work/bad"
	LD_PRELOAD=$work/bad.so BAD_FILE=$work/store BAD_BLOCK=$1 repair --backup bad |
		sed -e '/^backup:/d' -e '/^  AFFECTED/d' -e '/^dmcommit: store: what/d'
}
start=$(($(od -A n -t u8 -j 80 -N 8 "$work/chain.store")))
blocks=$(($(od -A n -t u8 -j 88 -N 8 "$work/chain.store")))
tail=$(($(od -A n -t u8 -j 120 -N 8 "$work/chain.store")))
# told BLOCK: what a check and a dump say, with that one unreadable
told()
{
	local command

	cp "$work/chain.store" "$work/store"
	for command in "check store" "dump store --output none"; do
		# shellcheck disable=SC2086 # words
		(cd "$work" && LD_PRELOAD=$work/bad.so BAD_FILE=$work/store BAD_BLOCK=$1 \
			"$tool" $command 2>&1) || echo "$?"
	done
}
way="copy what can be read to a new disk, then see dmcommit check --repair"
for block in $start $((start + blocks - 1)); do
	line="dmcommit: store: block $block cannot be read: Input/output error; $way"
	is "$(told "$block")" "$line"$'\n1\n'"$line"$'\n1' "a check that cannot read block $block names it, and so does a dump"
done
# Nothing is there yet; and there is the second step that counts.
for block in $((start + (tail + blocks - 3) % blocks)) $((start + (tail + 1) % blocks)); do
	like "$(with_bad "$block")" "
  the journal ends before step [0-9]+: it cannot be read
(  steps [0-9]+ to [0-9]+ of the journal are lost
)?  block $block of the journal cannot be read; it is written, with no step in it
" "block $block of the journal: it is written"
	like "$(repair)" '^0 store: store chain, .*: clean' "… and the store is whole then"
done

# --- what another has written over the superblocks ---
cp "$work/chain.store" "$work/store"
"$edit" "$work/store" raw:wipe:0.count=17
printf 'LUKS\xba\xbe\x00\x01' | dd of="$work/store" conv=notrunc status=none
cp "$work/store" "$work/before"
output=$(cd "$work" && "$tool" check store --repair --yes 2>&1)
is "$? $output" "4 dmcommit: store holds no superblock of a store, but something else (crypto_LUKS encrypted volume); wipefs lets a store be looked for behind it" \
	"no store is looked for behind what another has written there"
cmp -s "$work/before" "$work/store" || not_ok "… something was written"
done_testing
