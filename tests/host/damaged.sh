#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Golden stores that are damaged, as tests/golden/damaged.table says: what dmcommit check
# answers, word for word, and that it writes nothing.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$PWD/userspace/dmcommit
edit=$PWD/tests/golden/build/native/edit

# trim TEXT
trim()
{
	local text=$1

	text=${text#"${text%%[! ]*}"}
	echo "${text%"${text##*[! ]}"}"
}

# answer IMAGE EDIT…: status, and what check says, without what is always the same: of
# damage, where it is and what; of a clean store, how much was read
answer()
{
	local output status=0

	cp "$work/$1.store" "$work/store"
	"$edit" "$work/store" "${@:2}" || return
	cp "$work/store" "$work/before"
	output=$(cd "$work" && "$tool" check store 2>&1) || status=$?
	case $status in
	0) output=$(grep -v -e '^store:' -e ' used$' -e '^volume ' <<<"$output" | paste -s -d ' ') ;;
	5) output=$(sed -n 's/^dmcommit: store is damaged\(.*\); see dmcommit check --repair$/\1/p' <<<"$output") ;;
	*) output=${output#dmcommit: } ;;
	esac
	output=${output#:}
	echo "$status | ${output# }"
}

check "the programs are built" make -s -C tests/golden native
for name in $(golden_names); do
	golden_unpack "$name"
done
count=0
while IFS='|' read -r image edits wanted; do
	[[ $image =~ ^[a-z] ]] || continue
	image=$(trim "$image")
	# shellcheck disable=SC2086 # edits are words
	is "$(answer "$image" $edits)" "$(trim "$wanted")" "$image: $(trim "$edits")"
	cmp -s "$work/before" "$work/store" || not_ok "… something was written"
	count=$((count + 1))
done <tests/golden/damaged.table
check "all of the table was read" test "$count" -ge 150
done_testing
