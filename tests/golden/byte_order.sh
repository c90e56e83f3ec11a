# SPDX-License-Identifier: GPL-2.0
# A big-endian build of core, and what it is compared by. Sourced by bash, after
# golden.sh and tap.sh.

emulate=qemu-s390x-static
big=tests/golden/build/big
native=tests/golden/build/native
byte_order_seeds="1 2 3 4 5 6"
# Unit tests that fill every field there is, with bytes that all differ.
byte_order_tests="test_load test_format"

# is_alike DIRECTORY: the programs there, big-endian, come to what ours come to: golden
# stores read alike, and the same work leaves the same bytes. Prints the first that does
# not.
is_alike()
{
	local name

	for name in $(golden_names); do
		[ "$(golden_describe timeout 60 $emulate "$1/describe" "$name")" = \
			"$(<"$golden_directory/$name.text")" ] || {
			echo "$name reads otherwise"
			return 1
		}
	done
	# shellcheck disable=SC2086 # seeds are words
	[ "$(timeout 60 $emulate "$1/work" compare $byte_order_seeds 2>&1)" = \
		"$("$native/work" compare $byte_order_seeds)" ] || {
		echo "what is written differs"
		return 1
	}
}

# list_conversions: FILE:LINE:NUMBER of each in core, but of incompatible feature bits:
# none is known, so whichever there is refuses the store
list_conversions()
{
	local file

	for file in kernel/core/*.c; do
		awk -v file="${file##*/}" '!/new\.incompat = / {
			text = $0
			for (n = 1; match(text, /(cpu_to_le|le)(16|32|64)(_to_cpu)?\(/); n++) {
				print file ":" NR ":" n
				text = substr(text, RSTART + RLENGTH)
			}
		}' "$file"
	done
}

# without_conversion FILE:LINE:NUMBER: that source with this conversion left out
without_conversion()
{
	local file line number

	IFS=: read -r file line number <<<"$1"
	awk -v line="$line" -v number="$number" '
		NR == line {
			for (n = 1; match($0, /(cpu_to_le|le)(16|32|64)(_to_cpu)?\(/); n++) {
				call = substr($0, RSTART, RLENGTH - 1)
				head = head substr($0, 1, RSTART - 1)
				if (n == number) {
					match(call, /[0-9]+/)
					call = "(u" substr(call, RSTART, RLENGTH) ")"
					match($0, /(cpu_to_le|le)(16|32|64)(_to_cpu)?\(/)
				}
				head = head call "("
				$0 = substr($0, RSTART + RLENGTH)
				if (n == number)
					break
			}
			$0 = head $0
		}
		{ print }' "kernel/core/$file"
}

# build_without FILE:LINE:NUMBER PROGRAM…: into $work/fault/
build_without()
{
	local file=${1%%:*} program

	mkdir -p "$work/fault"
	without_conversion "$1" >"$work/fault/$file"
	s390x-linux-gnu-gcc -std=gnu11 -O1 -w -Ikernel/core -Itests/golden/big \
		-c -o "$work/fault/$file.o" "$work/fault/$file" || return
	for program in "${@:2}"; do
		# shellcheck disable=SC2046 # objects are words
		s390x-linux-gnu-gcc -static -o "$work/fault/$program" "$work/fault/$file.o" \
			$(make -s -C tests/golden "objects-$program" | tr ' ' '\n' |
				grep -v "/${file%.c}.o\$" | sed 's,^,tests/golden/,') -lpthread || return
	done
}

# is_caught FILE:LINE:NUMBER: prints by what. Most are by what lies in stores, which costs
# less than a test.
is_caught()
{
	local test

	build_without "$1" describe work || {
		echo "does not build"
		return 1
	}
	is_alike "$work/fault" || return 0
	for test in $byte_order_tests; do
		build_without "$1" "$test" || {
			echo "$test does not build"
			return 1
		}
		timeout 60 $emulate "$work/fault/$test" >/dev/null 2>&1 || {
			echo "unit/$test fails"
			return 0
		}
	done
	return 1
}
