#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tables of on-disk-format.rst are those of the code: each field of format.h stands
# there with the offset that format.c asserts and its size, and nothing else does. What
# documents refer to is there.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=kernel/core
document=Documentation/on-disk-format.rst

# "OFFSET SIZE FIELD" of each field
fields_of_code()
{
	awk '
		BEGIN {
			bytes["u8"] = 1; bytes["__le16"] = 2; bytes["__le32"] = 4; bytes["__le64"] = 8
			bytes["struct disk_block_header"] = 48; bytes["struct disk_job_record"] = 80
			count["COWSTACK_NAME_SIZE"] = 64; count["COWSTACK_UUID_SIZE"] = 16
		}
		/^struct disk_.* {$/ { structure = $2 }
		/^}/ { structure = "" }
		structure != "" && /;/ && !/}/ && !/struct disk_record header/ {
			sub(/^[ \t]+/, ""); sub(/;.*/, "")
			name = $NF; type = $0
			sub(/ *[^ ]+$/, "", type)
			n = 1
			if (match(name, /\[.*\]/)) {
				n = substr(name, RSTART + 1, RLENGTH - 2)
				name = substr(name, 1, RSTART - 1)
				if (n in count)
					n = count[n]
			}
			if (n != "")
				size[structure "." name] = bytes[type] * n
		}
		/^ASSERT_OFFSET/ {
			gsub(/[(),;]/, " ")
			if ($2 "." $3 in size)
				print $4, size[$2 "." $3], $3
		}' "$core/format.h" "$core/format.c" | sort -u
}

# The rows of its tables that begin with two numbers; the header of a block stands there
# as a field of what has one.
fields_of_document()
{
	sed -n 's/^\([0-9]\+\) \+\([0-9]\+\) \+``\([a-z_]*\)``.*/\1 \2 \3/p' "$document" |
		grep -v ' header$' | sort -u
}

fields_of_code >"$work/code"
fields_of_document >"$work/document"
check "the code has fields" test "$(wc -l <"$work/code")" -ge 60
is "$(comm -23 "$work/code" "$work/document")" "" "each field of the code is in the tables"
is "$(comm -13 "$work/code" "$work/document")" "" "each field of the tables is in the code"
records()
{
	awk '/COWSTACK_RECORD_[A-Z_]* = [0-9]/ { sub(/COWSTACK_RECORD_/, ""); sub(/,.*/, ""); print $3, $1 }' \
		"$core/format.h"
}
is "$(sed -n 's/^\([0-9]\+\) \+``\([A-Z_]*\)`` .*/\1 \2/p' "$document")" "$(records)" \
	"the types of records are the code's"

# --- documents ---

# missing_documents: named in some text, and not there
missing_documents()
{
	local name

	grep -ohE '[a-z-]+\.rst\>' Documentation/*.rst README CONTRIBUTING CHANGELOG \
		userspace/man/*.in | sort -u | while read -r name; do
		[ -f "Documentation/$name" ] || echo "$name"
	done
}

# missing_sections: `NAME`_ where the same document has no such title
missing_sections()
{
	local file name

	for file in Documentation/*.rst; do
		grep -oE '`[^`]+`_' "$file" | tr -d '`_' | sort -u | while read -r name; do
			grep -q -x -e "$name" "$file" || echo "$file: $name"
		done
	done
}

is "$(missing_documents)" "" "each document that is named is there"
is "$(missing_sections)" "" "so is each section"
is "$(grep -xE '[a-z-]+\.rst' Documentation/index.rst | sort)" \
	"$(cd Documentation && printf '%s\n' *.rst | grep -v -x index.rst | sort)" \
	"index.rst has all of them"
done_testing
