#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/crash/planted_bugs.sh [PART-OF-A-NAME]
#
# As tests/unit/planted_bugs.sh, but into a copy of the module, which the tests in guests
# have to find lost data with: of the rules for order those that no FAULT=N breaks. That
# they find nothing in the module as it is, make check shows.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/lib/common.sh

copy=build/planted-module
only=${1:-}
kernel=$(tests/fetch-kernel-files --release) || exit 1

# Anew: what was planted in a run that was cut off must not stay. With their times, so that
# objects are taken for no newer than they are.
make_copy()
{
	rm -rf "$copy"
	mkdir -p "$copy"
	cp -a Kbuild kernel "$copy"
}

# build_copy FILE FROM TO…: FILE as it is, but for these texts
build_copy()
{
	local file=$copy/$1 status=0
	cp "$1" "$file"
	shift

	while [ $# -gt 0 ]; do
		FROM=$1 TO=$2 perl -0pi -e \
			's/\Q$ENV{FROM}\E/$ENV{TO}/ or $missing = 1; END { exit $missing }' \
			"$file" || return
		shift 2
	done
	make --silent -C "/lib/modules/$kernel/build" M="$PWD/$copy" \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$copy/log" 2>&1 || status=$?
	cp "$copy/dm-cowstack.ko" "$copy/planted.ko"
	return $status
}

# look PROGRAM SCRIPT OPTION…: what the test has found. A bring-up has to fail for the base's
# content: a module that does not come up at all would be no finding.
look()
{
	COWSTACK_MODULE=$copy/planted.ko tests/guest/run --cpus 1 --timeout 3600 \
		--add "tests/crash/build/$1" "tests/guest/tests/$2.sh" "${@:3}" >"$copy/output" 2>&1
	grep -a -m 1 -E \
		'^(# (lost|another sector|base alone|bring-up failed: Stale|a store does not load)|not ok .*(what the disk has lost|waits for a step))' \
		"$copy/output" | sed 's/^# //'
}

# plant NAME FILE FROM TO… -- PROGRAM SCRIPT OPTION…
plant()
{
	local name=$1 file=$2 texts=() found
	shift 2

	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	[[ $name = *"$only"* ]] || return 0
	if ! build_copy "$file" "${texts[@]}"; then
		not_ok "$name is planted in $file"
		diag "$(tail -n 3 "$copy/log")"
		return
	fi
	say "$name"
	found=$(look "$@")
	if [ -n "$found" ]; then
		ok "$2 ${*:3} catches $name"
		diag "$found"
	else
		not_ok "$2 ${*:3} catches $name"
		diag "$(tail -n 5 "$copy/output")"
	fi
	cp "$file" "$copy/$file"
}

make_copy
make --silent crash-test || exit 1
plant "a load that is not made durable" kernel/store_target.c \
	$'\n\tmake_loaded_durable(store);' $'\n\t(void)make_loaded_durable;' \
	-- fault_test nth-request --from base --only work --points 1 --stops 20
# Past the flag of a step, and past the count of those that a step waits for: without one of
# the two alone the block layer, which sends one flush after the other, hides it.
plant "a flush that does not wait for the step under way" kernel/io_flush.c \
	'if (!journal_is_dirty(store) && io_enter_drain(io)) {' \
	$'if (!cowstack_words_are_dirty(&store->metadata) && io_enter_drain(io)) {
		send_direct_flush(store, bio);
		return DM_MAPIO_SUBMITTED;' \
	-- crash_test crash --only work --flushes 60 --cuts 200
plant "a base that is written to and not marked so" kernel/commit.c \
	'begin.mixed_top = job->record.top;' \
	'begin.mixed_top = job->stack->volume->info.mixed_top;' \
	-- crash_test crash --only write --cuts 100
plant "a superblock that is not behind the pages it names" kernel/checkpoint_io.c \
	'error = flush_device(store);' 'error = 0;' \
	-- crash_test crash --only checkpoint --cuts 100
plant "a flush of the base that fails and is taken for done" kernel/commit_sweep.c \
	'return block_flush(job->stack->base);' \
	$'block_flush(job->stack->base);\n\treturn 0;' \
	-- fault_test nth-request --from base --only commit --points 0
plant "a step that does not wait for a user's flush" kernel/device_flush.c \
	'wait_event(store->flush_idle, !atomic_read(&store->direct_flushes));' '' \
	-- cut_disks flushes
plant "a user's flush beside a checkpoint's" kernel/device_flush.c \
	'if (smp_load_acquire(&store->flushing)) {' 'if (false) {' \
	-- cut_disks flushes
plant "a step behind a flush that has failed" kernel/journal_io.c \
	'if (store_is_rw(store) && !READ_ONCE(store->words_lost))' 'if (store_is_rw(store))' \
	-- cut_disks flushes
done_testing
