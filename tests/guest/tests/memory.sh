#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400
# Allocations of the module that fail, on kernels that can make them (tests/run --debug):
# a table or message is refused and nothing of it stays; I/O and a commit get through.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/problems.sh

debug=/sys/kernel/debug
[ -d $debug/failslab ] && [ -d $debug/fail_page_alloc ] ||
	skip_all "this kernel cannot make allocations fail"
modprobe dm-cowstack
make_disk ssd 64
make_disk base 32
make_disk shadow 32
size=$((32 * 2048))
dmcommit format /dev/ssd --name st >/dev/null

# What has the module on its stack; of that only what may fail at all.
prepare_failures()
{
	local start bytes kind

	start=$(cat /sys/module/dm_cowstack/sections/.text)
	bytes=$(awk '$1 == "dm_cowstack" { print $2 }' /proc/modules)
	for kind in failslab fail_page_alloc; do
		echo 0 >$debug/$kind/verbose
		echo 32 >$debug/$kind/stacktrace-depth
		echo "$start" >$debug/$kind/require-start
		printf '0x%x' $((start + bytes)) >$debug/$kind/require-end
		echo N >$debug/$kind/ignore-gfp-wait
		echo -1 >$debug/$kind/times
	done
	echo 0 >$debug/fail_page_alloc/min-order
	echo N >$debug/fail_page_alloc/ignore-gfp-highmem
}

# set_failures PERCENT: of everybody's
set_failures()
{
	echo "$1" >$debug/failslab/probability
	echo "$1" >$debug/fail_page_alloc/probability
}

# fail_nth N COMMAND…: with the N-th allocation failing
fail_nth()
{
	# shellcheck disable=SC2016 # for the inner shell
	bash -c 'echo "$0" >/proc/self/fail-nth && exec "$@"' "$@" >/tmp/output 2>&1
}

# The kernel keeps little of it.
keep_log()
{
	dmesg -c >>/tmp/log
}

# fail_each TEXT UNDO COMMAND…: with the first, the second … allocation failing, until
# it makes no difference any more. UNDO follows each success.
fail_each()
{
	local text=$1 undo=$2 n refused=0 good=0
	shift 2

	for ((n = 1; good < 8 && n < 200; n++)); do
		if fail_nth "$n" "$@"; then
			good=$((good + 1))
			$undo
		else
			good=0
			refused=$((refused + 1))
		fi
	done
	check "$text ($refused refused)" test "$good" -eq 8
	keep_log
}

remove_store()
{
	dmsetup remove st
}

remove_stack()
{
	dmsetup remove v
}

end_job()
{
	wait_for_job v >/dev/null
	[ "$(dmsetup message v 0 layers | wc -l)" -gt 2 ] || dmsetup message v 0 snapshot
}

write_both()
{
	dd if=/dev/urandom of=/tmp/data bs=64k count="$2" 2>/dev/null
	dd if=/tmp/data of=/dev/shadow bs=64k seek="$1" oflag=direct conv=notrunc 2>/dev/null &&
		dd if=/tmp/data of=/dev/mapper/v bs="${3:-64k}" seek="$(($1 * 64 / ${4:-64}))" \
			oflag=direct conv=notrunc,fsync 2>/dev/null
}

# Allocations that fail have their traces in the log: it is looked at below.
echo 3 >/proc/sys/kernel/printk
prepare_failures

fail_each "a store" remove_store \
	dmsetup create st --table "0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
attach_store st /dev/ssd
fail_each "a volume" "dmsetup message st 0 delete_volume 1" \
	dmsetup message st 0 create_volume 1 "$size" v
dmsetup message st 0 create_volume 1 "$size" v
fail_each "a stack" remove_stack \
	dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
check "content is written" write_both 0 60
fail_each "a snapshot" true dmsetup message v 0 snapshot
fail_each "a list of layers" true dmsetup message v 0 layers
check "more content is written" write_both 30 60
fail_each "a commit" end_job dmsetup message v 0 commit start

# --- one in four, for all that there is, and I/O beside ---
check "a commit is to start" dmsetup message v 0 commit start speed 2m
set_failures 25
for ((i = 0; i < 40; i++)); do
	write_both $((i * 7 % 400)) 4 || break
	write_both $((i * 13 % 400)) 2 4k 4 || break
	dmsetup status v >/dev/null
	keep_log
done
is "$i" 40 "writes get through"
check "so do reads" cmp -n $((400 * 65536)) /dev/mapper/v /dev/shadow
check "and discards" blkdiscard -o $((1 << 24)) -l $((1 << 20)) /dev/mapper/v
blkdiscard -z -o $((1 << 24)) -l $((1 << 20)) /dev/shadow
dmsetup message v 0 commit speed 0
is "$(wait_for_job v)" completed "the commit completes"
set_failures 0
check "content is what was written" cmp /dev/mapper/v /dev/shadow
check "no metadata was lost" test "$(status_field st 1)" = rw
dmsetup remove v
dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd
check "the module unloads" rmmod dm_cowstack

keep_log
is "$(find_problems /tmp/log | grep -v 'Call Trace:')" "" "the log tells of nothing else"
done_testing
