#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 900 --add /usr/bin/script --add /usr/bin/jq --add /usr/bin/flock
# guest in check: --cpus 1
# dmcommit around commits: ranges, control, dry run, errors, clones, streams; bases and
# stores in files; bases that share devices with their store; the progress bar.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/tool.sh

# job KEY: of the job of vm
job()
{
	json_value "$(dmcommit status vm --json | sed '1,/"job"/d')" "$1"
}

# fill MB [SEEK]: of vm, at MB SEEK
fill()
{
	dd if=/dev/urandom of=/dev/mapper/vm bs=1M count="$1" \
		seek="${2:-0}" oflag=direct conv=fsync 2>/dev/null
}

# layer N: id of the Nth layer of vm from the top, from 1
layer()
{
	dmsetup message vm 0 layers | sed -n "$1p" | cut -d' ' -f1
}

# job_is STATE: vm's
job_is()
{
	[ "$(status_field vm 7)" = "$1" ]
}

wait_until()
{
	await job_is "$1"
	is "$(status_field vm 7)" "$1" "the job is $1"
}

new_vm()
{
	silent "create" create vm --base /dev/hdd --store st
}

no_vm()
{
	silent "down" down vm
	silent "delete" delete vm --force
}

# --- wrong usage ---

test_usage()
{
	local command

	for command in pause resume pin unpin clone empty stream; do
		works "$command --help" "$command" --help
	done
	fails 2 "top = base" "both 4" start vm --top 4 --base 4
	fails 2 "a reversed range" "above" start vm --top 4 --base 6
	fails 2 "a reversed range of a stream" "above" \
		stream vm --top 4 --base 6
	fails 2 "retained copies of a layer" "--retain" \
		start vm --base 4 --retain
	fails 2 "errors of nothing" "--errors" status --errors
	fails 2 "a clone with a bad name" "a/b" clone vm a/b
	fails 2 "a stream with a time" "--until" stream vm --until 12:00
	fails 3 "pause of what is not there" "vm" pause vm
	fails 3 "clone of what is not there" "vm" clone vm other
}

# --- ranges, checked before the kernel is asked ---

test_ranges()
{
	local top frozen

	new_vm
	top=$(layer 1)
	fails 4 "clone without a frozen layer" "snapshot" clone vm other
	fails 4 "clone of the top" "top" clone vm other --layer "$top"
	fails 3 "a layer that is not there" "99; it has $top" \
		start vm --top 99 --base 0
	fails 4 "the top as top" "top of vm" start vm --top "$top"
	fails 4 "the top as destination" "top of vm" start vm --base "$top"
	fill 1
	silent "snapshot" snapshot vm --name monday
	fill 1
	silent "snapshot" snapshot vm --name tuesday
	frozen=$(layer 2)
	fails 3 "a name that is not there" "$frozen \(tuesday\), $top \(monday\)" \
		start vm --top friday
	fails 2 "names in the wrong order" "above" \
		start vm --top monday --base tuesday
	fails 3 "pin of what is not there" "99" pin vm 99
	fails 3 "empty of what is not there" "99" empty vm 99
	fails 4 "drop of the top" "top of vm" drop vm "$(layer 1)"
	fails 4 "pin of the top" "top of vm" pin vm "$(layer 1)"
	fails 4 "empty of the top" "top of vm" empty vm "$(layer 1)"
	fails 4 "a clone with a name that is taken" "vm already" clone vm vm
	no_vm
	fails 3 "clone of what was deleted" "vm" clone vm other
}

# --- words ---

test_words()
{
	new_vm
	works "status" status vm
	like "$output" 'unknown: no finished commit' "a base that never was"
	fill 4
	silent "start" start vm --speed 64K
	# The base is marked before the first write, by the job's own thread.
	check "a part of it is done" await has_moved vm
	works "status" status vm
	like "$output" 'mixed: a commit into it is unfinished and goes on' \
		"while a commit runs"
	like "$output" 'commit of layer [0-9]+ into the base: running' \
		"what the job is"
	silent "cancel" cancel vm
	wait_until cancelled
	works "status" status vm
	like "$output" 'mixed: a commit into it was not finished' \
		"after a cancel"
	silent "down" down vm
	fails 4 "delete of a volume whose base alone is no state of it" "mixed.*--force" delete vm
	silent "up" up vm --base /dev/hdd
	works "start --wait" start vm --wait
	works "status" status vm
	like "$output" 'valid: the base alone is the volume as of .*20[0-9][0-9]-' \
		"after a commit"
	is "$(job errors)" 0 "there were no errors"
	works "list" list
	silent "down" down vm
	silent "detach" detach st
	works "check" check /dev/ssd
	like "$output" 'volume [0-9]+, vm, .*valid: the base alone' \
		"check says it too"
	json "check --json" check /dev/ssd --json
	is "$(value base_alone)" valid "for programs as well"
	silent "attach" attach /dev/ssd
	silent "delete" delete vm
}

# --- the bar ---

# Column of each frame's closing bracket, where a frame has one.
bar_columns()
{
	tr '\r' '\n' <"$1" | awk '/^vm \[/ { print index($0, "]") }' | sort -u
}

test_bar()
{
	new_vm
	fill 24
	stty cols 80 2>/dev/null
	commit_on_terminal '[0-9]:[0-9][0-9] left'
	is "$(bar_columns /tmp/terminal | wc -l)" 1 "the bar keeps its width"
	like "$(tr '\r' '\n' </tmp/terminal)" '[0-9]+ % +[0-9.]+[KM] of +24M' \
		"it has figures"
	check_fails "never 0 of 0" grep -q ' 0 of *0 ' /tmp/terminal
	check "it says how long it will be" grep -q '[0-9]:[0-9][0-9] left' /tmp/terminal
	no_vm
}

# --- a base over its own store, a store over its base ---

test_apart()
{
	local sectors

	sectors=$(sectors_of /dev/ssd)
	dmsetup create lower --table "0 $sectors linear /dev/ssd 0"
	dmsetup create upper --table "0 $sectors linear /dev/mapper/lower 0"
	fails 4 "a base through two mapped devices on its store's" \
		"/dev/mapper/upper lies on /dev/ssd.*store st" \
		create vm --base /dev/mapper/upper --store st
	dmsetup remove upper
	dmsetup remove lower
	new_vm
	dmsetup create upper --table \
		"0 $(sectors_of /dev/hdd) linear /dev/mapper/vm 0"
	fails 4 "a base through a mapped device on a volume of its store" \
		"/dev/mapper/upper lies on store st" \
		create other --base /dev/mapper/upper --store st
	dmsetup remove upper

	mkfs.ext4 -q /dev/mapper/vm
	mount /dev/mapper/vm /mnt
	truncate -s 4M /mnt/image
	fails 4 "a base in a file on a volume of its store" \
		"/mnt/image lies on store st" \
		create other --base /mnt/image --store st
	is "$(losetup -a)" "" "which left no loop device"
	umount /mnt
	no_vm

	partition /dev/whole
	silent "format of a partition" format "${disk}p1" --name part
	fails 4 "a base under its store" "${disk}p1.*lies on base $disk" \
		create vm --base "$disk" --store "${disk}p1"
	check_fails "the store is not attached" test -e /dev/mapper/part
	silent "create in another partition" \
		create vm --base "${disk}p2" --store "${disk}p1"
	no_vm
	silent "detach" detach part
	unpartition
	silent "attach again" attach /dev/ssd
}

# partition DEVICE: a loop device over it, with two partitions; sets $disk
partition()
{
	{
		head -c 446 /dev/zero
		# status, CHS, type, CHS, first sector, sectors: 16 MiB from 1 MiB, then 4
		printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\200\0\0'
		printf '\0\0\0\0\203\0\0\0\0\210\0\0\0\040\0\0'
		head -c 32 /dev/zero
		printf '\125\252'
	} >/tmp/table
	dd if=/tmp/table of="$1" bs=512 conv=notrunc,fsync 2>/dev/null
	disk=$(losetup --find --show --partscan "$1")
	silent "detach to have the module to itself" detach st
}

unpartition()
{
	losetup -d "$disk"
}

# --- files ---

loops()
{
	losetup --noheadings --list --output NAME | wc -l
}

# loop_of FILE: its loop device, as the kernel calls it
loop_of()
{
	losetup --noheadings --output NAME --associated "$1" | tr -d ' '
}

test_files()
{
	local loop before

	mkdir -p /files
	mkfs.ext4 -q /dev/files
	mount /dev/files /files
	truncate -s 16M /files/base /files/base2
	truncate -s 32M /files/store
	silent "format of a file" format /files/store --name fst
	silent "create with two files" \
		create vm --base /files/base --store /files/store
	is "$(loops)" 2 "each has a loop device"
	loop=$(loop_of /files/base)
	is "$(cat "/sys/block/${loop#/dev/}/loop/dio")" 1 "with direct I/O"
	is "$(cat "/sys/block/${loop#/dev/}/loop/autoclear")" 0 \
		"that stays until it is detached"
	json "status" status vm --json
	is "$(value base_file)" /files/base "the base's file is shown"
	is "$(value file)" /files/store "and the store's"
	works "status for people" status vm
	like "$output" "$loop, file /files/base" "who see it too"
	works "status of a store by its file" status /files/store
	fails 4 "format of a file in use, even with --force" "in use" \
		format /files/store --force
	fails 4 "check of a file in use" "in use" check /files/store
	fails 4 "attach of it" "attached already" attach /files/store

	fill 4
	works "start --wait" start vm --wait
	check "the file is the image" cmp /files/base /dev/mapper/vm
	silent "create over the same file" \
		create other --base /files/base --store fst
	is "$(loops)" 2 "it has the loop device there is"
	silent "down of one" down other
	is "$(loop_of /files/base)" "$loop" "the other still has it"
	silent "down of the other" down vm
	is "$(loop_of /files/base)" "" "and then nobody has"

	truncate -s 48M /files/store
	before=$(json_value "$(dmcommit status fst --json)" total_bytes)
	silent "grow of a file that has grown" grow fst
	json "status of it" status fst --json
	is $(($(value total_bytes) - before)) $((16 << 20)) "it has the room"
	silent "detach by the file" detach /files/store
	is "$(loops)" 0 "no loop device is left"

	silent "up" up vm --base /files/base --store /files/store
	silent "down" down vm
	fails 4 "up over another file" "accept-base" \
		up vm --base /files/base2 --store fst
	fails 1 "create over half a sector" "whole number of sectors" \
		create third --base /tmp/error --store fst
	is "$(loops)" 1 "which left no loop device but the store's"
	test_files_of_others
	test_files_held
	silent "delete" delete vm
	silent "delete" delete other
	silent "detach" detach fst
	is "$(loops)" 0 "no loop device is left"
	umount /files
}

test_files_of_others()
{
	local loop

	loop=$(losetup --find --show /files/base)
	silent "up over a file that somebody attached" \
		up vm --base /files/base --store fst
	is "$(loop_of /files/base)" "$loop" "it uses that loop device"
	silent "down" down vm
	is "$(loop_of /files/base)" "$loop" "and leaves it"
	losetup -d "$loop"

	loop=$(losetup --find --show --offset 4096 /files/base)
	fails 4 "up over a file of which a part is in use" "part of.*$loop" \
		up vm --base /files/base --store fst
	losetup -d "$loop"
	loop=$(losetup --find --show --read-only /files/base)
	fails 4 "up over a read-only loop device" "$loop.*read-only" \
		up vm --base /files/base --store fst
	silent "up with --read-only-base" \
		up vm --base /files/base --store fst --read-only-base
	silent "down" down vm
	losetup -d "$loop"
	silent "up with --read-only-base" \
		up vm --base /files/base --store fst --read-only-base
	is "$(blockdev --getro "$(loop_of /files/base)")" 1 \
		"which attaches it read-only"
	silent "down" down vm

	dmcommit create a --base /files/base2 --store fst &
	dmcommit create b --base /files/base2 --store fst
	wait $!
	is "$(loop_of /files/base2 | wc -l)" 1 \
		"two at a time have one loop device between them"
	silent "down" down a
	silent "down" down b
	silent "delete" delete a
	silent "delete" delete b
	is "$(loops)" 1 "which is gone when both are"
}

is_locked()
{
	! flock -n "$1" true
}

# What one command is at work on, or somebody has locked, is waited for by none.
test_files_held()
{
	local loop worker

	silent "up" up vm --base /files/base --store fst
	fill 4
	silent "down" down vm
	silent "detach" detach fst
	loop=$(losetup --find --show /files/store)
	dmcommit start vm --offline --store /files/store --base /files/base --speed 64K \
		>/dev/null 2>&1 &
	worker=$!
	check "a commit is at work on files" await is_waiting $worker
	fails 4 "attach of the loop device of such a file" "cannot open store device" \
		attach "$loop"
	kill $worker
	wait $worker
	losetup -d "$loop"

	check_fails "no file is locked any more" is_locked /files/base
	flock -o -s /files/base sleep 1000 &
	worker=$!
	check "a file is locked by somebody" await is_locked /files/base
	fails 4 "up over it" "in use" up vm --base /files/base --store /files/store
	kill $worker
	wait $worker
	silent "up when it is not" up vm --base /files/base --store /files/store
	works "its commit goes on" speed vm 0
	works "to its end" wait vm
	silent "down" down vm
	is "$(loops)" 1 "no loop device is left but the store's"
}

# --- control ---

test_control()
{
	local waiter

	new_vm
	fails 1 "pause without a job" "no job" pause vm
	fails 1 "resume without a job" "no job" resume vm
	fill 8
	silent "start" start vm --speed 64K
	dmcommit wait vm >/tmp/waited 2>&1 &
	waiter=$!
	check "somebody waits for it" await is_waiting $waiter
	check "a part of it is done" await has_moved vm
	silent "pause" pause vm
	wait "$waiter"
	is "$?" 7 "wait for a job that was paused"
	like "$(cat /tmp/waited)" '^dmcommit: vm.*paused.*resume' "it says so"
	silent "pause of what is paused" pause vm
	works "status" status vm
	like "$output" 'paused, .* of .*; dmcommit resume vm' "and so does status"
	like "$output" 'mixed: a commit into it is unfinished: ' \
		"the base is in the middle"
	fails 4 "start with a range" "has its range" start vm --top "$(layer 2)"
	silent "down" down vm
	silent "up" up vm --base /dev/hdd
	is "$(status_field vm 7)" paused "it stays paused over a removal"
	silent "resume" resume vm
	silent "resume of what runs" resume vm
	silent "pause" pause vm
	works "start goes on with it" start vm --speed 0 --wait
	is "$(job state)" completed "to its end"
	fails 1 "pause when it has ended" "no job" pause vm

	fill 8
	fails 7 "start --wait until a time that has passed" "paused" \
		start vm --until 1 --wait
	works "start goes on after it" start vm --no-yield --wait
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" valid \
		"the base is whole"
	fill 2
	works "start --verify" start vm --verify --wait
	no_vm
}

# has_field DEVICE NUMBER WORD: of its status
has_field()
{
	[ "$(status_field "$1" "$2")" = "$3" ]
}

test_queue()
{
	partition /dev/whole
	silent "attach" attach /dev/ssd
	silent "create" create vm --base "${disk}p1" --store st
	silent "create" create other --base "${disk}p2" --store st
	fill 2
	dd if=/dev/urandom of=/dev/mapper/other bs=1M count=2 oflag=direct \
		2>/dev/null
	silent "start of one" start other --speed 32K
	# Whose turn it is, is seen by the jobs' own threads.
	await has_field other 6 mixed
	silent "start of the other" start vm
	await has_field vm 7 queued
	works "status" status vm
	like "$output" 'queued, .*another job on the same disk' \
		"it waits for the first"
	silent "the first is let off" speed other 0
	works "wait for the one that waited" wait vm
	works "wait for the first" wait other
	no_vm
	silent "down" down other
	silent "delete" delete other
	unpartition
}

# --- ranges in full ---

test_pins()
{
	local pinned

	new_vm
	fill 2
	silent "snapshot --pin" snapshot vm --pin
	pinned=$(layer 2)
	like "$(dmcommit layers vm)" "$pinned.*frozen.*yes" "it is pinned"
	fill 2 2
	silent "snapshot" snapshot vm
	fails 4 "a range over it" "$pinned.*pinned.*unpin" \
		start vm --top "$(layer 2)" --base 0
	fails 4 "a stream over it" "$pinned.*pinned" stream vm --base none
	fails 4 "a commit into it" "$pinned.*pinned" \
		start vm --top "$(layer 2)" --base "$pinned"
	silent "unpin" unpin vm "$pinned"
	works "a commit into it" start vm --top "$(layer 2)" --base "$pinned" \
		--wait
	is "$(layer 2)" "$pinned" "what was above it has left the chain"
	is "$(job base)" "$pinned" "the job says where it went"
	works "a commit of it" start vm --top "$pinned" --base 0 --wait
	is "$(dmcommit layers vm | grep -c frozen)" 0 "it has left too"
	no_vm
}

test_retain()
{
	new_vm
	fill 2
	works "start --retain" start vm --retain --wait
	json "status" status vm --json
	is "$(value base_alone)" valid "the base is whole"
	is "$(json_value "$(sed '1,/"store"/d;/}/q' <<<"$output")" clean_bytes)" \
		$((2 << 20)) "and the store has copies"
	silent "empty" empty vm "$(layer 2)"
	silent "empty of the base's" empty vm 0
	fill 1
	silent "snapshot" snapshot vm
	fails 4 "empty of what is not clean" "make_empty" empty vm "$(layer 2)"
	no_vm
}

test_dry_run()
{
	local before

	new_vm
	fill 3
	silent "snapshot" snapshot vm
	fill 1
	before=$(dmsetup message vm 0 layers)
	json "--dry-run --json" start vm --dry-run --json --speed 1M
	is "$(value chunks)" 48 "chunks"
	is "$(value data_bytes)" $((3 << 20)) "the newest of each, once"
	is "$(value zero_bytes)" 0 "no zeroes"
	like "$(value requests)" '^[1-9][0-9]*$' "requests"
	is "$(value freed_bytes)" $((4 << 20)) "room of both layers"
	is "$(value rate) $(value seconds)" "$((1 << 20)) 3" "the time"
	is "$(value top) $(value base)" "$(layer 1) 0" "the range"
	works "--dry-run" start vm --dry-run
	like "$output" 'data +3M.*room +4M' "for people"
	works "--dry-run of a layer" start vm --dry-run --top "$(layer 2)"
	like "$output" "layer $(layer 2) .*room +3M" "which has its own figures"
	is "$(dmsetup message vm 0 layers)" "$before" "nothing was changed"
	is "$(status_field vm 7)" idle "and no job was"
	works "start --wait" start vm --wait
	is "$(status_value vm rate_bytes | sed 's/^[1-9][0-9]*$/some/')" some \
		"its rate stays known"
	json "--dry-run --json" start vm --dry-run --json
	is "$(value rate)" "$(status_value vm rate_bytes)" "and is that of the next"
	works "--dry-run with nothing to do" start vm --dry-run
	like "$output" 'nothing to commit' "it says so"
	no_vm
}

# --- errors ---

# bad_base EVERY: /dev/mapper/bad, /dev/hdd with an error chunk in each EVERY of 64 KiB
bad_base()
{
	local sectors at

	sectors=$(sectors_of /dev/hdd)
	for ((at = 0; at < sectors; at += 128 * $1)); do
		echo "$at 128 error"
		[ "$1" -eq 1 ] ||
			echo "$((at + 128)) $((128 * ($1 - 1))) linear /dev/hdd $((at + 128))"
	done >/tmp/bad
	dmsetup suspend --noflush bad
	dmsetup reload bad /tmp/bad
	dmsetup resume bad
}

good_base()
{
	dmsetup suspend --noflush bad
	dmsetup reload bad --table "0 $(sectors_of /dev/hdd) linear /dev/hdd 0"
	dmsetup resume bad
}

test_errors()
{
	dmsetup create bad --table "0 $(sectors_of /dev/hdd) linear /dev/hdd 0"
	silent "create" create vm --base /dev/mapper/bad --store st
	fill 32
	works "no errors yet" status vm --errors
	bad_base 4
	fails 6 "a commit that stops" "stopped.*start goes on" start vm --wait
	works "status" status vm
	like "$output" 'stopped, .*; dmcommit start vm goes on' "it says so"
	fails 6 "a commit that reports" "errors in.*--errors" \
		start vm --on-error report --wait
	fails 6 "wait for what has ended with errors" "errors in" wait vm
	is "$(job errors | sed 's/^[1-9][0-9]*$/some/')" some "they are counted"
	works "status --errors" status vm --errors
	is "$(tail -n +2 <<<"$output" | wc -l)" 128 \
		"all of them are listed, of more than one page or not"
	like "$(sed -n 2p <<<"$output")" '^ *0 +128 +64K$' "the first"
	json "status --errors --json" status vm --errors --json
	is "$(grep -c '"sector":' <<<"$output")" 128 "for programs"
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" mixed \
		"the base is not whole"
	good_base
	works "start when the fault is gone" start vm --wait
	works "status --errors" status vm --errors
	is "$output" "" "none is left"
	check "the base is whole" cmp /dev/hdd /dev/mapper/vm
	no_vm
	dmsetup remove bad
	test_many_errors
}

# More places than a page of the kernel's has lines.
test_many_errors()
{
	dmsetup create bad --table "0 $(sectors_of /dev/hdd) linear /dev/hdd 0"
	silent "format with small chunks" format /dev/small --name small \
		--chunk-size 4K
	silent "create" create vm --base /dev/mapper/bad --store /dev/small
	fill 4
	awk -v sectors="$(sectors_of /dev/hdd)" 'BEGIN {
		for (at = 0; at < 8192; at += 8)
			print at, 8, at % 16 ? "error" : "linear /dev/hdd " at
		print at, sectors - at, "linear /dev/hdd", at
	}' >/tmp/bad
	dmsetup suspend --noflush bad
	dmsetup reload bad /tmp/bad
	dmsetup resume bad
	fails 6 "a commit with many errors" "errors in" \
		start vm --on-error report --wait
	works "status --errors" status vm --errors
	is "$(tail -n +2 <<<"$output" | wc -l)" 512 "512 places"
	is "$(tail -n +2 <<<"$output" | sort -nu | wc -l)" 512 "all different"
	good_base
	works "start when the fault is gone" start vm --wait
	no_vm
	silent "detach" detach small
	dmsetup remove bad
}

# --- clones, streams ---

test_clone()
{
	local sum

	new_vm
	fill 2
	sum=$(xxhsum </dev/mapper/vm)
	silent "snapshot" snapshot vm --name golden
	fill 2 1
	silent "clone" clone vm other
	fails 4 "clone of the same name" "other already" clone vm other
	silent "up of the clone" up other --base /dev/hdd
	is "$(xxhsum </dev/mapper/other)" "$sum" "it is the snapshot"
	silent "clone by name" clone vm third --layer golden
	is "$(dmcommit list | grep -c volume)" 3 "three volumes"
	fails 4 "commit of what a clone has too" "" \
		start vm --top golden --base 0
	silent "down of the clone" down other
	silent "delete of the clone" delete other
	fails 4 "clone of what is down, by its top" "top" \
		clone third fourth --layer "$(dmcommit layers third | awk '$3 == "top" || $2 == "top" { print $1 }')"
	silent "clone of what is down" clone third fourth
	silent "delete" delete fourth
	silent "delete" delete third
	no_vm
}

test_stream()
{
	local sum

	new_vm
	fill 2
	silent "snapshot" snapshot vm
	fill 2 1
	silent "snapshot" snapshot vm
	sum=$(xxhsum </dev/mapper/vm)
	works "stream --wait" stream vm --wait
	is "$(dmcommit layers vm | grep -c frozen)" 0 "one layer is left"
	is "$(job kind)" stream "it was a stream"
	works "stream of all of the base" stream vm --base none --no-yield --wait
	is "$(xxhsum </dev/mapper/vm)" "$sum" "it shows what it showed"
	no_vm
}

modprobe dm-cowstack
modprobe loop max_loop=0
make_disk ssd 128
make_disk hdd 32
make_disk files 192
make_disk whole 24
make_disk small 16
test_usage
dmcommit format /dev/ssd --name st
dmcommit attach /dev/ssd
test_ranges
test_words
test_bar
test_apart
test_files

test_control
test_queue
test_dry_run
test_pins
test_retain
test_errors
test_clone
test_stream
check_schemas
done_testing
