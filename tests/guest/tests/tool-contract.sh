#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 300 --add /usr/bin/jq --add /usr/bin/setpriv
# Every command of dmcommit, as its table has them, with the module there: what does not
# exist, what is of another kind, what may not be, what cannot be printed, and what is
# printed for programs. host/contract does what needs no module.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/tool.sh
. /lib/cowstack-tests/contract.sh
commands=("${all_commands[@]}")
# One that does not end by itself has a test of its own.
endless=monitor

# --- what is not there ---

# refuses_missing COMMAND: a device, a store, a volume
refuses_missing()
{
	usage_with_samples "$1"
	case ${arguments_of[$1]} in
	DEV*) refused 3 "/dev/nothing" "${words[@]}" ;;
	STORE*) refused 3 "nothing.*; see dmcommit list" "${words[@]}" ;;
	*VOL\|STORE*)
		[ ${#words[@]} -gt 1 ] || words+=(nothing)
		refused 3 "nothing is no attached store, and no volume of one; see dmcommit list" "${words[@]}"
		;;
	VOL*) case $1 in
		create) refused 3 "/dev/nothing" "${words[@]}" ;;
		*) refused 3 "nothing.*; see dmcommit list" "${words[@]}" ;;
		esac ;;
	esac
}

# refuses_missing_layer COMMAND: whose layer is an argument
refuses_missing_layer()
{
	[[ ${arguments_of[$1]} == "VOL LAYER" ]] || return 0
	refused 3 "vm has no layer 99; it has [0-9]" "$1" vm 99
}

# --- what is of another kind ---

# refuses_kind COMMAND: a store for a volume and the other way, a stack for a store's device
refuses_kind()
{
	usage_with_samples "$1"
	case ${arguments_of[$1]} in
	DEV*)
		words[1]=/dev/null
		refused 1 "/dev/null: this is no block device; give one" "${words[@]}"
		;;
	STORE*)
		words[1]=vm
		refused 3 "no store vm is attached; see dmcommit list" "${words[@]}"
		;;
	VOL\|*) ;;
	VOL*)
		[ "$1" != create ] || return 0
		words[1]=ssd
		refused 3 "no volume ssd .*; see dmcommit list" "${words[@]}"
		;;
	esac
}

# --- what cannot be read ---

refuses_unreadable()
{
	[[ ${arguments_of[$1]} == DEV* ]] || return 0
	usage_with_samples "$1"
	words[1]=/dev/mapper/broken
	case $1 in
	format | restore) refused 1 "/dev/mapper/broken: Input/output error\$" "${words[@]/FILE//tmp/dump}" ;;
	*) refused 1 "/dev/mapper/broken: block 0 cannot be read: Input/output error; .*check --repair\$" "${words[@]}" ;;
	esac
}

# --- what may not be ---

as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# The nodes are root's. Commands that ask only words first have been asked above.
refuses_nobody()
{
	usage_with_samples "$1"
	run as_nobody dmcommit "${words[@]}"
	case ${arguments_of[$1]} in
	DEV*)
		words[1]=/dev/other
		run as_nobody dmcommit "${words[@]}"
		;;
	esac
	is_refusal 1 "not permitted; are you root\?" && return 0
	diag "$1: status $status, $error"
	return 1
}

# --- what cannot be printed ---

printing_words()
{
	usage_with_samples "$1"
	case $1 in
	check) words[1]=/dev/other ;;
	*) [ ${#words[@]} -lt 2 ] || words[1]=vm ;;
	esac
}

notices_full_output()
{
	printing_words "$1"
	run bash -c "dmcommit ${words[*]} --json >/dev/full"
	is_refusal 1 "standard output: No space left" || { diag "$1: $status, $error"; return 1; }
	run bash -c "dmcommit ${words[*]} --json >&-"
	is_refusal 1 "standard output" || { diag "$1, closed: $status, $error"; return 1; }
}

# --- what is printed for programs ---

prints_json()
{
	printing_words "$1"
	run dmcommit "${words[@]}" --json
	is_done_json "$1" || { diag "$1: $status, $error, $output"; return 1; }
}

# --- no module ---

test_no_module()
{
	local module=/lib/modules/$(uname -r)

	check "no module is loaded" test ! -d /sys/module/dm_cowstack
	run dmcommit list
	is "$status" 0 "there is nothing to list"
	mount -t tmpfs none "$module"
	run dmcommit attach /dev/ssd
	verdict "attach without the module says so" is_refusal 1 "dm-cowstack"
	run dmcommit create vm --base /dev/hdd --store /dev/ssd
	verdict "so does create" is_refusal 1 "dm-cowstack"
	umount "$module"
}

make_disk ssd 64
make_disk other 64
make_disk hdd 32
silent "format" format /dev/ssd --name ssd
silent "format of one that stays detached" format /dev/other --name other
test_no_module
modprobe dm-cowstack
silent "create" create vm --base /dev/hdd --store /dev/ssd
mapfile -t ending < <(printf '%s\n' "${commands[@]}" | grep -vx "$endless")
mapfile -t printing < <(printf '%s\n' "${json_commands[@]}" | grep -vx "$endless")
for_all "what is not there" refuses_missing "${ending[@]}"
for_all "layers that are not there" refuses_missing_layer "${ending[@]}"
for_all "what is of another kind" refuses_kind "${ending[@]}"
dmcommit dump /dev/other --output /tmp/dump
dmsetup create broken --table "0 $(sectors_of /dev/other) error"
for_all "what cannot be read" refuses_unreadable "${ending[@]}"
dmsetup remove broken
for_all "nobody may do it" refuses_nobody "${ending[@]}"
mapfile -t plain < <(printf '%s\n' "${printing[@]}" | grep -vxE 'start|stream')
for_all "what cannot be printed is a failure" notices_full_output "${plain[@]}"
run bash -c 'dmcommit status vm --watch --json >/dev/full'
verdict "so it is for one that prints again and again" is_refusal 1 "standard output: No space left"
for_all "those that print JSON do" prints_json "${printing[@]}"
dmcommit wait vm >/dev/null
json "of a store" status ssd --json
json "of all" status --json
json "of a dry run" start vm --dry-run --json
json "of no errors" status vm --errors --json
silent "down" down vm
json "of a volume that is down" status vm --json
silent "detach" detach ssd
json "of nothing" status --json
json "trees of nothing" tree --json
json "lists of nothing" list --json
check "the store is clean" dmcommit check /dev/ssd
check_schemas
done_testing
