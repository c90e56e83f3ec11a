#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every command of dmcommit, as its table has them: help, version, wrong words, devices
# that are not there or no stores, closed files, no permission, no module; what it prints
# for programs against the schemas. guest/tool-contract does what wants the module.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/guest/lib/json.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
error_file=$work/error
json_pile=$work/json
schema_directory=userspace/schema
lib=tests/guest/lib
PATH=$PWD/userspace:$PATH
. tests/guest/lib/tool.sh
. tests/guest/lib/contract.sh
. tests/golden/golden.sh
commands=("${all_commands[@]}")
release=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

# --- words ---

# Says something, on stdout alone.
speaks()
{
	run dmcommit "$@"
	is_done && [ -n "$output" ]
}

# Of 80 columns, and whatever characters it has.
is_for_any_terminal()
{
	! LC_ALL=C grep -nE '.{80}|[^ -~]| $' <<<"$1" >&2
}

helps()
{
	local option value help

	speaks "$1" --help || return 1
	help=$output
	speaks "$1" -h && [ "$output" = "$help" ] || return 1
	speaks help "$1" && [ "$output" = "$help" ] || return 1
	[[ $help == "usage: dmcommit $1"* ]] || return 1
	is_for_any_terminal "$help" || return 1
	while read -r option value; do
		[ "$option" = --version ] || grep -q -e "$option" <<<"$help" ||
			{ diag "$1 --help: no $option"; return 1; }
	done <<<"${options_of[$1]%$'\n'}"
}

knows_version()
{
	speaks "$1" --version && [[ $output =~ ^dmcommit\ $release(-[0-9a-f]+(-dirty)?)?$ ]]
}

refuses_option()
{
	usage_with_samples "$1"
	refused 2 "$1: unknown option --bogus; see dmcommit $1 --help\$" \
		"${words[@]}" --bogus &&
		refused 2 "unknown option -x" "${words[@]}" -x
}

refuses_missing()
{
	[ -n "${required_of[$1]// /}" ] || return 0
	if [[ ${arguments_of[$1]} =~ ^[^\[] ]]; then
		refused 2 "$1: .*usage: dmcommit $1" "$1" || return 1
	fi
	usage_with_samples "$1"
	while [ ${#words[@]} -gt 2 ]; do
		unset "words[-1]"
		refused 2 "$1: .*(missing|needs a value)" "${words[@]}" || return 1
	done
}

refuses_too_many()
{
	usage_with_samples "$1"
	refused 2 "\"[wo]\" is one too many; usage: dmcommit $1" "${words[@]}" w o r d
}

refuses_empty()
{
	usage_with_samples "$1"
	[ ${#words[@]} -gt 1 ] || return 0
	words[1]=
	refused 2 "$1: an argument is empty" "${words[@]}"
}

refuses_values()
{
	local option value

	while read -r option value; do
		[ "$value" = - ] && continue
		usage_with_samples "$1"
		refused 2 "$option needs a value" "${words[@]}" "$option" || return 1
		[ "$option" = --set ] ||
			refused 2 "$option was given twice" "$1" "$option" 1 "$option" 1 || return 1
	done <<<"${options_of[$1]%$'\n'}"
}

test_words()
{
	check "there are commands" test ${#commands[@]} -ge 29
	for_all "each has help, which names its options" helps "${commands[@]}"
	for_all "each knows the version" knows_version "${commands[@]}"
	for_all "each refuses an option that is none" refuses_option "${commands[@]}"
	for_all "each says what is missing" refuses_missing "${commands[@]}"
	for_all "each refuses an argument too many" refuses_too_many "${commands[@]}"
	for_all "each refuses an empty argument" refuses_empty "${commands[@]}"
	for_all "each option wants its value, once" refuses_values "${commands[@]}"
	check "no command" refused 2 "dmcommit --help" ""
	check "no such command" refused 2 '"frobnicate"; see dmcommit --help' frobnicate
	check "help for no such command" refused 2 '"frobnicate"' help frobnicate
	check "help for two" refused 2 '"map" is one too many; see dmcommit --help' help list map
	check "all help together" is_for_any_terminal "$(dmcommit --help)"
	# Where nobody can be asked what there is, and with words that say what is wanted.
	check "a rate" refused 2 '"fast" is no rate: give bytes per second' speed vm fast
	check "a speed" refused 2 '"5Q" is no rate: give bytes per second' start vm --speed 5Q
	check "a size" refused 2 '"1000" is no size: give bytes, a multiple of 512' resize vm 1000
	check "the size of a new volume" refused 2 '"0" is no size: give bytes' \
		create vm --base /dev/nothing --store ssd --size 0
	check "a feature's value" refused 2 'on_full: "never" is not queue or error' \
		attach /dev/nothing --set on_full=never
}

# --- files that are closed, or full ---

# A file descriptor that is closed must not become the device's, or what is said would
# be written onto it.
test_closed()
{
	local store=$work/closed.store sum

	run bash -c 'dmcommit --help >&-'
	verdict "a closed stdout is noticed" is_refusal 1 "standard output"
	run bash -c 'dmcommit --help >/dev/full'
	verdict "so is a full one" is_refusal 1 "standard output: No space left"
	run bash -c 'dmcommit --help 2>&-'
	is "$status" 0 "stderr may be closed"
	golden_unpack chain
	mv "$work/chain.store" "$store"
	sum=$(sha256sum <"$store")
	run bash -c 'dmcommit check "$1" >&-' - "$store"
	verdict "check with a closed stdout" is_refusal 1 "standard output"
	dmcommit format "$store" 2>&- >&- <&- && diag "it was formatted"
	dmcommit check "$store" <&- >&- 2>&-
	is "$(sha256sum <"$store")" "$sum" "nothing is said onto a store"
}

# --- devices ---

takes_device()
{
	[[ ${arguments_of[$1]} == DEV* ]]
}

# Without device-mapper in this machine's kernel what asks it first says that.
no_mapper="the kernel's device-mapper does not answer; is module dm_mod loaded\?"

refuses_missing_device()
{
	usage_with_samples "$1"
	takes_device "$1" || return 0
	run dmcommit "${words[@]}"
	is_refusal 3 "/dev/nothing" || is_refusal 1 "$no_mapper" ||
		{ diag "$1: status $status, $error"; return 1; }
}

# refuses_kind COMMAND: a terminal's driver, a directory
refuses_kind()
{
	local device

	takes_device "$1" || return 0
	usage_with_samples "$1"
	for device in /dev/null "$work"; do
		words[1]=$device
		run dmcommit "${words[@]}"
		is_refusal 1 "${device##*/}: this is no block device; give one" ||
			is_refusal 1 "$no_mapper" || { diag "$1: status $status, $error"; return 1; }
	done
}

refuses_what_is_private()
{
	takes_device "$1" || return 0
	usage_with_samples "$1"
	words[1]=private
	run as_nobody dmcommit "${words[@]}"
	is_refusal 1 "private: .*not permitted; are you root\?" ||
		is_refusal 1 "cannot list mapped devices: not permitted; are you root\?" ||
		is_refusal 1 "$no_mapper" || { diag "$1: status $status, $error"; return 1; }
}

# as_nobody COMMAND…: in $work, and from there: it may lie where nobody may go
as_nobody()
(
	cd "$work" || exit
	PATH=bin:$PATH
	[ "$(id -u)" -ne 0 ] ||
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	"$@"
)

# What asks the kernel says so where it cannot be asked.
wants_the_module()
{
	usage_with_samples "$1"
	takes_device "$1" || refused 1 "$no_mapper" "${words[@]}"
}

test_devices()
{
	# A directory that nobody may enter would do, too; but the file is what is meant.
	chmod 755 "$work"
	install -m 600 /dev/null "$work/private"
	[ "$(id -u)" -eq 0 ] || chmod 000 "$work/private"
	mkdir "$work/bin"
	cp userspace/dmcommit "$work/bin"
	for_all "a device that is not there" refuses_missing_device "${commands[@]}"
	for_all "no block device" refuses_kind "${commands[@]}"
	for_all "a device that is another's" refuses_what_is_private "${commands[@]}"
	if [ -e /dev/mapper/control ]; then
		skip "no module" "this kernel has device-mapper; guest/tool-contract asks without ours"
	else
		for_all "no module" wants_the_module "${commands[@]}"
	fi
	truncate -s 4M "$work/zeroes"
	check "a device that is no store" refused 3 "zeroes holds no store" check "$work/zeroes"
}

# --- JSON ---

has_schema()
{
	[ -f "$schema_directory/$1.json" ]
}

# faults_of COMMAND DOCUMENT
faults_of()
{
	printf '{"command": "%s", "document": %s}\n' "$1" "$2" >"$work/pile"
	json_faults "$work/pile"
}

# Whatever the commands print is held against these.
test_schemas()
{
	local name document block

	check "there are commands that print JSON" test ${#json_commands[@]} -ge 8
	for_all "each of them has a schema" has_schema "${json_commands[@]}"
	for name in $(golden_names); do
		golden_unpack "$name"
		json "check --json of golden store $name" check "$work/$name.store" --json
	done
	golden_unpack grown
	json "a plan of start --offline --json" start 1 --offline --dry-run --json \
		--store "$work/grown.store" --base "$work/grown.base"
	json "start --offline --json" start 1 --offline --json \
		--store "$work/grown.store" --base "$work/grown.base"
	# Both superblocks, but for their magic.
	for block in 0 16; do
		dd if=/dev/zero of="$work/chain.store" bs=8 seek=$((block * 512 + 8)) count=256 \
			conv=notrunc 2>/dev/null
	done
	run dmcommit check "$work/chain.store" --json
	is "$status $(json_value "$output" clean)" "5 false" "a damaged store is found out"
	is "$(faults_of check "$output")" "" "its JSON has its form, too"
	check_schemas

	document='{"kind":"commit","state":"running","top":7,"base":0,"done_bytes":1,"total_bytes":2,"rate":0,"limit":0,"eta_seconds":null,"error":0,"errors":0}'
	is "$(faults_of wait "$document")" "" "a job is one"
	for name in 's/7/"7"/' 's/7/-7/' 's/running/walking/' 's/"top":7,//' \
		's/"top":7/"top":7,"bottom":6/' 's/null/false/' 's/.*/[]/'; do
		[ -n "$(faults_of wait "$(sed "$name" <<<"$document")")" ] || break
		name=
	done
	is "$name" "" "and what is none is found out"
	like "$(faults_of frobnicate '{}')" 'no schema' "so is what has no schema"
	like "$(faults_of wait "$document}")" 'error' "so is what is no JSON"
}

test_words
test_closed
test_devices
test_schemas
done_testing
