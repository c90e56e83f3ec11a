#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/unit/planted_bugs.sh [PART-OF-A-NAME]
#
# What the fault-seeded builds (test_faults.sh) do not break: plants one bug at a time
# into a copy of core and the tests, and expects the test that is for it to fail.
set -u

cd "$(dirname "$(readlink -f "$0")")" || exit 1
copy=build/planted
only=${1:-}
export COWSTACK_CUT_STATES=${COWSTACK_CUT_STATES:-200000} COWSTACK_CUT_RECOVERIES=0 \
	COWSTACK_WORKLOADS=100 COWSTACK_PULLS=200 COWSTACK_THIN=400

pass=0
fail=0

report()
{
	local number=$((pass + fail + 1))

	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
		pass=$((pass + 1))
	else
		echo "not ok $number - $2"
		fail=$((fail + 1))
	fi
	[ -z "${3-}" ] || echo "# $3"
}

# The objects are copied with their times, so that only what changed is compiled.
make_copy()
{
	rm -rf "$copy"
	mkdir -p "$copy/kernel" "$copy/tests/unit/build"
	cp -a ../../kernel/core "$copy/kernel/"
	cp -a ./*.c ./*.h Makefile "$copy/tests/unit/"
	cp -a build/objects "$copy/tests/unit/build/"
}

# plant NAME FILE FROM TO TEST EVIDENCE
# FROM is a text in FILE, TO what comes in its place; EVIDENCE, a regular expression,
# is in what TEST prints.
plant()
{
	local name=$1 file=$copy/$2 test=$5 output found

	[[ $name = *"$only"* ]] || return 0
	make_copy
	if ! FROM=$3 TO=$4 perl -0pi -e \
	     's/\Q$ENV{FROM}\E/$ENV{TO}/ or $missing = 1; END { exit $missing }' "$file"; then
		report 1 "$name is planted in $2"
		return
	fi
	if ! output=$(make -C "$copy/tests/unit" KSRC="$KSRC" "build/$test" 2>&1); then
		report 1 "$name is built" "${output##*error:}"
		return
	fi
	output=$("$copy/tests/unit/build/$test" 2>&1)
	if found=$(grep -m1 -E "$6" <<<"$output"); then
		report 0 "$test catches $name" "${found#\# }"
	else
		report 1 "$test catches $name" "$(tail -n 1 <<<"$output")"
	fi
}

io='^# .*, seed [0-9]+, io-errors [0-9]+: '
allocation='^# .*, seed [0-9]+, allocations-failed [0-9]+: |LeakSanitizer|not ok .*each_allocation'
thin='^# .*, seed [0-9]+, thin device [0-9]+: '
state='^# seed [0-9]+: '

KSRC=${KSRC:-$(../fetch-kernel-files --where)}
make --silent KSRC="$KSRC" build/test_cuts build/test_errors build/test_huge \
	build/test_step build/test_property || exit 1
echo "TAP version 13"

# --- an I/O that fails ---
plant "a job that goes on after an error" tests/unit/commit_driver.c \
	$'\telse\n\t\tjob_stop(d, v);' $'\telse\n\t\tv->commit.state = COMMIT_LET_GO;' \
	test_errors "$io"
plant "a failed step that is taken for durable" tests/unit/store_driver.c \
	'if (step.blocks && write_step(d, &step)) {' \
	'if (step.blocks && write_step(d, &step) && d->verbose > 1) {' \
	test_errors "$io"
plant "a flush that is answered though the step has failed" tests/unit/store_driver.c \
	$'\t\tdriver_run_steps(d);\n\t\treturn !d->ro;' $'\t\tdriver_run_steps(d);\n\t\treturn true;' \
	test_errors "$io"
plant "a stream that keeps the room of a batch that failed" tests/unit/stream_driver.c \
	$'\t\tstop(d, v);\n\t\treturn;\n\t}\n\tgive_back_room(d, job);' \
	$'\t\tjob_stop(d, v);\n\t\treturn;\n\t}' test_errors "$io"
plant "a write that is acknowledged where the thin device has no room" \
	tests/unit/volume_driver.c $'\t\tw->fails = true;\n' $'\t\tw->fails = false;\n' \
	test_errors "$thin"

# --- an allocation that fails ---
plant "a layer that leaks where there is no memory for the chain" \
	kernel/core/change_layers.c $'\t\tcowstack_change_free(c);\n\t\treturn -ENOMEM;' \
	$'\t\treturn -ENOMEM;' test_errors "$allocation"
plant "a snapshot without memory that says something else" kernel/core/change_layers.c \
	'c->chain ? change_new_layer(c, now) : -ENOMEM' \
	'c->chain ? change_new_layer(c, now) : -EINVAL' test_errors "$allocation"

# --- states after a cut ---
plant "checksums that are all the same" kernel/core/environment_user.h \
	'return crc32(crc, data, bytes);' 'return data && bytes > 1 << 30 ? crc : 0;' \
	test_cuts "$state"
plant "a step whose torn end is left out" kernel/core/load.c \
	$'if (!belongs_to_step(l, i))\n\t\t\treturn 0;' \
	$'if (!belongs_to_step(l, i)) {\n\t\t\t*blocks = i;\n\t\t\treturn 0;\n\t\t}' \
	test_step '^not ok .*mixes_of_three_blocks'
plant "superblocks of which the older one is not mended" tests/unit/store_driver.c \
	'if (report->other_superblock &&' 'if (report->other_superblock && d->verbose > 1 &&' \
	test_cuts "$state"
plant "a store that is used before what was loaded is durable" tests/unit/store_driver.c \
	$'\tmake_loaded_durable(d);\n' '' test_property "$state"
plant "a checkpoint that does not flush before its superblock" tests/unit/store_driver.c \
	$'if (device_flush(&d->store))\n\t\t\tdriver_set_ro(d);' ';' test_cuts "$state"

# --- huge ---
plant "a chunk of the store in 32 bits" kernel/core/types.h \
	'(from_dchunk(chunk) << g->chunk_shift)' '((u32)from_dchunk(chunk) << g->chunk_shift)' \
	test_huge '^not ok .*huge'
plant "a chunk of the volume in 32 bits" kernel/core/chunk_map.h \
	'return from_vchunk(chunk) / COWSTACK_PAGE_CHUNKS;' \
	'return (u32)from_vchunk(chunk) / COWSTACK_PAGE_CHUNKS;' test_huge '^not ok .*huge'
plant "a committed chunk in 32 bits" kernel/core/commit_plan.c \
	$'u64 start = from_vchunk(chunk) << g->chunk_shift;\n\tu32 count = 0;' \
	$'u64 start = (u32)from_vchunk(chunk) << g->chunk_shift;\n\tu32 count = 0;' test_huge '^not ok .*huge'

echo "1..$((pass + fail))"
echo "# Totals: pass:$pass fail:$fail xfail:0 xpass:0 skip:0 error:0"
rm -rf "$copy"
[ "$fail" -eq 0 ]
