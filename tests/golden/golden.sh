# SPDX-License-Identifier: GPL-2.0
# Golden stores, unpacked. Sourced by bash, in the tree's root; $work is a directory.

golden_directory=tests/golden

golden_names()
{
	local file

	for file in "$golden_directory"/*.store.xz; do
		basename "$file" .store.xz
	done
}

# golden_unpack NAME: as $work/NAME.store, and its base where it has one
golden_unpack()
{
	xz -dc "$golden_directory/$1.store.xz" >"$work/$1.store"
	[ ! -f "$golden_directory/$1.base.xz" ] ||
		xz -dc "$golden_directory/$1.base.xz" >"$work/$1.base"
}

# golden_describe COMMAND… NAME: what describe, run so, makes of the store
golden_describe()
{
	local name=${*: -1} base=()

	[ ! -f "$work/$name.base" ] || base=("$work/$name.base")
	"${@:1:$#-1}" "$work/$name.store" "${base[@]}" 2>&1
}
