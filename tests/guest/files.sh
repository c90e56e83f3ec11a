# SPDX-License-Identifier: GPL-2.0
# Putting programs into a guest's file system. Sourced by bash, never run.

is_elf()
{
	[ "$(head -c 4 "$1" | tail -c 3)" = ELF ]
}

# copy_libraries ROOT PROGRAM: to the places where the loader looks for them. A
# static program has none, for which ldd exits with an error.
copy_libraries()
{
	local root=$1 program=$2 library

	ldd "$program" 2>/dev/null | grep -o '/[^ ]*' |
	while read -r library; do
		[ -e "$root$library" ] || install -D "$library" "$root$library"
	done || true
}

# copy_program ROOT PROGRAM [PLACE]
copy_program()
{
	local root=$1 program=$2 place=${3:-/usr/bin/${2##*/}}

	install -D "$program" "$root$place"
	if is_elf "$program"; then
		copy_libraries "$root" "$program"
	fi
}

# An archive of a tree; archives that follow each other in an initial file system
# are unpacked one over the other.
pack_tree()
{
	(cd "$1" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0)
}
