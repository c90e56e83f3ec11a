#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800 --add build/tests/mirror_io --add tests/crash/build/direct_io --add /usr/bin/fallocate
# Stacks on stacks: five machines, each a volume in a store on the SSD over a volume in a
# store on the HDD, all over one master image; what a flush sends where; what may not lie
# on what; a lower store that is full. Documentation/tiers.rst has the recipe.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/tracing.sh

machines="1 2 3 4 5"
megabytes=16
sectors=$((megabytes * 2048))

# done_by TEXT ARGUMENT…: dmcommit does it
done_by()
{
	check "$1" dmcommit "${@:2}"
}

# refuses STATUS TEXT PATTERN ARGUMENT…: dmcommit, by one line on stderr that matches
refuses()
{
	local status=0

	dmcommit "${@:4}" >/tmp/output 2>/tmp/error || status=$?
	is "$status $(wc -l </tmp/error)" "$1 1" "$2: status $1, one line"
	like "$(cat /tmp/error)" "^dmcommit: .*$3" "$2: says why"
}

sum()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | xxhsum
}

# is_same DEVICE DEVICE TEXT: byte for byte, past the page cache
is_same()
{
	is "$(sum "$1")" "$(sum "$2")" "$3"
}

copy()
{
	dd if="$1" of="$2" bs=1M oflag=direct iflag=direct 2>/dev/null
}

# --- up ---

# The HDD holds the master image and, behind it, a store.
make_disks()
{
	local i

	make_disk ssd 64 cache_size=4
	make_disk disk 160 cache_size=4
	dmsetup create master --table "0 $sectors linear /dev/disk 0"
	dmsetup create space --table \
		"0 $(($(sectors_of /dev/disk) - sectors)) linear /dev/disk $sectors"
	dd if=/dev/urandom of=/dev/mapper/master bs=1M count=$megabytes \
		oflag=direct 2>/dev/null
	for i in $machines; do
		make_disk "ref$i" $megabytes
		copy /dev/mapper/master "/dev/ref$i"
	done
	master=$(sum /dev/mapper/master)
}

bring_up()
{
	local i

	done_by "a store on the HDD" format /dev/mapper/space --name hdd
	done_by "a store on the SSD" format /dev/ssd --name ssd
	done_by "attached" attach /dev/mapper/space
	done_by "attached" attach /dev/ssd
	for i in $machines; do
		done_by "machine $i on the HDD" create "cold$i" \
			--base /dev/mapper/master --store hdd --read-only-base
		done_by "machine $i" create "m$i" \
			--base "/dev/mapper/cold$i" --store ssd
	done
}

# work SEED [OPERATIONS]: another on each machine, all at once
work()
{
	local i status=0

	for i in $machines; do
		mirror_io "/dev/mapper/m$i" "/dev/ref$i" $(($1 + i)) "${2:-60}" \
			2 coarse >"/tmp/work$i" 2>&1 &
	done
	for i in $machines; do
		wait -n || status=1
	done
	is "$status" 0 "five machines at work show what plain disks show"
	[ "$status" -eq 0 ] || cat /tmp/work? | sed 's/^/# /'
}

test_down_one()
{
	local before

	# The bases of all of these are alike, and are not one disk.
	done_by "one machine goes down with what it holds" down m2
	before=$(status_value hdd steps)
	done_by "the others may be committed" start m1 --wait
	check "a lower stack answers flushes with steps of its own store" \
		test "$(status_value hdd steps)" -gt "$before"
	done_by "it comes up" up m2 --base /dev/mapper/cold2
	is_same /dev/mapper/m2 /dev/ref2 "with what it held"
}

test_commits()
{
	local i

	for i in $machines; do
		done_by "machine $i goes down to the HDD" start "m$i"
	done
	work 200
	for i in $machines; do
		dmcommit wait "m$i"
		is "$? $(status_field "m$i" 7)" "0 completed" "its commit has ended"
	done
	for i in $machines; do
		done_by "again, with nobody at work" start "m$i" --wait
		is_same "/dev/mapper/cold$i" "/dev/ref$i" \
			"what lies on the HDD alone is the machine"
		is "$(status_field "m$i" 6)" valid "and said to be"
	done
	is "$(sum /dev/mapper/master)" "$master" "the master image is as it was"
	refuses 1 "a commit of the lower volume" "read-only" start cold1
	refused "the base was opened read-only" dmsetup message cold1 0 commit start
	is "$(sum /dev/mapper/master)" "$master" "it still is"
}

# --- flushes ---

test_user_flush()
{
	local nothing="reads 0 writes 0 written 0 flushes 0 discards 0"

	# What earlier work has left is done by then.
	direct_io /dev/mapper/m1 -- s
	direct_io /dev/mapper/cold1 -- s
	at_rest requests_of ssd disk >/dev/null
	is "$(direct_io /dev/mapper/m1 disk -- s = w:0:65536 s w:65536:4096 s = |
		tail -n 1)" "disk $nothing" "a user's flush stays on the SSD"
}

# Prints "DISK OPERATION SECTOR COUNT" of each request, in order.
traced_requests()
{
	sed -n 's/.*block_rq_issue: \([0-9,]*\) \([A-Z]*\) [0-9]* () \([0-9]*\) + \([0-9]*\) .*/\1 \2 \3 \4/p' \
		$tracing/trace |
		sed -e "s/^$(tr : , </sys/block/ssd/dev) /ssd /" \
			-e "s/^$(tr : , </sys/block/disk/dev) /disk /"
}

# Reads requests; says each step of the SSD's journal that came while what had gone to
# the HDD was not in a step of its journal, and how many steps of each there were. A write
# may come between the flush of a step and the step: neither covers it.
check_order()
{
	awk -v ssd_first="$1" -v ssd_end="$2" -v hdd_first="$3" -v hdd_end="$4" '
		function flush()
		{
			flushed = 1
			if (unflushed)
				dirty = 1
			unflushed = 0
		}
		$1 == "disk" && $2 ~ /^F/ { flush() }
		$1 == "disk" && $2 ~ /W/ && $4 {
			if ($3 >= hdd_first && $3 < hdd_end) {
				rest_of_step = step_end == hdd_end && $3 == hdd_first
				if (unflushed && !flushed && !rest_of_step)
					print "a lower step without a flush"
				if ($2 !~ /F/)
					print "a lower step that is not durable"
				dirty = 0
				flushed = 0
				step_end = $3 + $4
				lower++
			} else {
				unflushed = 1
				written++
			}
		}
		$1 == "ssd" && $2 ~ /W/ && $3 >= ssd_first && $3 < ssd_end && $4 {
			if (dirty || unflushed)
				print "let go of before it was durable below"
			upper++
		}
		END {
			if (written < 2 || lower < 2 || upper < 2)
				print written + 0, "writes,", lower + 0, "and",
					upper + 0, "steps: that is no commit"
		}'
}

test_commit_flush()
{
	local ssd=$(($(ring_start /dev/ssd) * 8))
	local hdd=$((sectors + $(ring_start /dev/mapper/space) * 8))

	dd if=/dev/urandom of=/dev/mapper/m1 bs=1M count=8 oflag=direct \
		conv=fsync 2>/dev/null
	copy /dev/mapper/m1 /dev/ref1
	at_rest requests_of ssd disk >/dev/null
	begin_tracing 32768 block/block_rq_issue
	done_by "a commit in several groups" start m1 --speed 4M --no-yield --wait
	end_tracing
	traced_requests >/tmp/requests
	is "$(check_order $ssd $((ssd + $(ring_blocks /dev/ssd) * 8)) \
		$hdd $((hdd + $(ring_blocks /dev/mapper/space) * 8)) \
		</tmp/requests)" "" \
		"what goes down is in a step of the HDD before the SSD lets go of it"
	is_same /dev/mapper/cold1 /dev/ref1 "and is there"
}

# --- what may lie on what ---

# A stack's store may lie on a stack of the store ssd.
test_store_in_store()
{
	dmsetup message ssd 0 "create_volume 91 $sectors inner"
	check "a stack that is to hold a store" dmsetup create inner --table \
		"$(stack_line 91 "$sectors" /dev/ref1 ssd read_only_base 1)"
	done_by "the store in it" format /dev/mapper/inner --name deep
	attach_store deep /dev/mapper/inner
	dmsetup message deep 0 "create_volume 1 $sectors deep1"
	check "a stack in that" dmsetup create deep1 --table \
		"$(stack_line 1 "$sectors" /dev/ref1 deep read_only_base 1)"
	table_refused "cowstack: base /dev/mapper/deep1 lies in the stack's own store" \
		"$(stack_line 90 "$sectors" /dev/mapper/deep1 ssd)"
	dmsetup remove deep1
	dmsetup remove deep
	dmsetup remove inner
	dmsetup message ssd 0 delete_volume 91
}

# Both stores' volumes, through one and through two levels.
test_own_store()
{
	dmsetup message ssd 0 "create_volume 90 $sectors loop"
	dmsetup message hdd 0 "create_volume 90 $sectors loop"
	at_rest dmsetup status >/dev/null
	remember_state
	table_refused "cowstack: base /dev/mapper/m1 lies in the stack's own store" \
		"$(stack_line 90 "$sectors" /dev/mapper/m1 ssd)"
	table_refused "cowstack: base /dev/mapper/m1 lies in the stack's own store" \
		"$(stack_line 90 "$sectors" /dev/mapper/m1 hdd)"
	table_refused "cowstack: base /dev/mapper/cold1 lies in the stack's own store" \
		"$(stack_line 90 "$sectors" /dev/mapper/cold1 hdd)"
	table_refused "cowstack: base /dev/mapper/cold1 is the cowstore" \
		"0 $sectors cowstack /dev/mapper/cold1 /dev/mapper/cold1 90"
	nothing_changed "a base in the stack's own store"
	test_store_in_store
	# The kernel has no way to look below another target: the tool has.
	dmsetup create between --table "0 $sectors linear /dev/mapper/m1 0"
	refuses 4 "a base that another target hides" \
		"between lies on store ssd" \
		up loop --base /dev/mapper/between --store ssd
	refuses 4 "through both levels" "between lies on store hdd" \
		up loop --base /dev/mapper/between --store hdd
	dmsetup remove between
	dmsetup create between --table "0 $sectors linear /dev/mapper/space 0"
	refuses 4 "a base on the device of the store" \
		"between lies on .*store hdd" \
		up loop --base /dev/mapper/between --store hdd
	dmsetup remove between
	dmsetup message ssd 0 delete_volume 90
	dmsetup message hdd 0 delete_volume 90
}

test_take_down()
{
	local i

	refuses 4 "a lower stack first" "cold1 is in use by .*m1.*; take that down first" \
		down cold1
	check_fails "dmsetup gets EBUSY for it" dmsetup remove cold1
	refuses 4 "a store first" "ssd.*" detach ssd
	check_fails "dmsetup gets EBUSY for it" dmsetup remove hdd
	for i in $machines; do
		done_by "machine $i goes down" down "m$i"
		done_by "then what it lies on" down "cold$i"
	done
	refuses 3 "up without its base" "cold1" \
		up m1 --base /dev/mapper/cold1 --store ssd
	done_by "the stores last" detach ssd
	done_by "the stores last" detach hdd
	done_by "check" check /dev/ssd
	done_by "check" check /dev/mapper/space
}

test_up_again()
{
	local i

	for i in $machines; do
		done_by "from below" up "cold$i" --base /dev/mapper/master \
			--store /dev/mapper/space --read-only-base
		done_by "machine $i" up "m$i" --base "/dev/mapper/cold$i" \
			--store /dev/ssd
		is_same "/dev/mapper/m$i" "/dev/ref$i" "it is what it was"
	done
	done_by "one goes down" down m1
	refuses 4 "another machine's disk as its base" "accept-base" \
		up m1 --base /dev/mapper/cold2 --store ssd
	done_by "its own is taken" up m1 --base /dev/mapper/cold1 --store ssd
}

# --- a lower store that is full ---

# field_is FIELD VALUE DEVICE: that word of the status
field_is()
{
	[ "$(status_field "$3" "$1")" = "$2" ]
}

# settled FIELD VALUE DEVICE: waits for that
settled()
{
	await field_is "$@"
}

# Whoever has to wait does so for ever here: the room comes when this test makes it.
# quick TEXT COMMAND…
quick()
{
	check "$1, with no room below" timeout 90 "${@:2}"
}

make_full_tier()
{
	make_disk fast 64
	make_disk slow 20
	make_disk plain $megabytes
	dmcommit format /dev/fast --name fast
	dmcommit format /dev/slow --name slow
	attach_store fast /dev/fast
	attach_store slow /dev/slow no_space_timeout 0
	dmsetup message slow 0 "create_volume 1 $sectors low"
	dmsetup create low --table "$(stack_line 1 $sectors /dev/plain slow)"
}

# fill_ballast: room in the lower store that another volume has
fill_ballast()
{
	dmsetup message slow 0 "create_volume 2 $sectors ballast"
	dmsetup create ballast --table \
		"$(stack_line 2 $sectors /dev/ref5 slow)"
	dd if=/dev/urandom of=/dev/mapper/ballast bs=1M count=9 oflag=direct \
		2>/dev/null
	dmsetup remove ballast
}

# test_full_tier BASE OPTIONS…: a commit of the stack up, over BASE
test_full_tier()
{
	dmsetup message fast 0 "create_volume 1 $sectors up"
	dmsetup create up --table "$(stack_line 1 $sectors "$1" fast)"
	fill_ballast
	dd if=/dev/urandom of=/dev/mapper/up bs=1M count=13 oflag=direct \
		conv=fsync 2>/dev/null
	# Zeroes need room below as well, where they are part of a chunk.
	fallocate --zero-range --offset $((13 << 20)) --length 69632 \
		/dev/mapper/up
	dmsetup message up 0 commit start "${@:2}"
	check "a commit into a store that is full waits" settled 13 28 up
	is "$(status_field up 7)" running "it runs on"
	is "$(status_field slow 6) $(status_value slow parked)" "1 0" \
		"and waits outside of any bio"
	like "$(dmcommit status up)" 'running.*the store below has no room' \
		"the tool says so"
	quick "its users write" dd if=/dev/urandom of=/dev/mapper/up bs=1M \
		count=3 seek=2 oflag=direct conv=fsync,notrunc
	quick "a snapshot is taken" dmsetup message up 0 snapshot
	quick "the job is paused" dmsetup message up 0 commit pause
	check "and stands still" settled 7 paused up
	quick "it goes on" dmsetup message up 0 commit resume
	check "it waits again" settled 13 28 up
	quick "the stack is suspended" dmsetup suspend up
	quick "and resumed" dmsetup resume up
	quick "the store is suspended" dmsetup suspend fast
	quick "and resumed" dmsetup resume fast
	is "$(status_field up 7)" running "it still runs"
	dmsetup message slow 0 delete_volume 2
	is "$(wait_for_job up)" completed "it ends when room comes"
	is "$(status_field up 13)" 0 "without an error"
	dmsetup message up 0 commit start
	is "$(wait_for_job up)" completed "what was written meanwhile goes down too"
	is_same /dev/mapper/up /dev/mapper/low "all of it is below"
	is "$(status_field slow 6)" 0 "nobody wants room there any more"
	dmsetup remove up
	dmsetup message fast 0 delete_volume 1
}

# The room of what is below comes back.
empty_low()
{
	check "what is below is discarded" blkdiscard /dev/mapper/low
	dd if=/dev/null of=/dev/mapper/low conv=fsync,notrunc 2>/dev/null
	is "$(wait_for_value slow freeing 0)" 0 "its room comes back"
}

take_down_full_tier()
{
	dmsetup remove low
	dmsetup remove slow
	dmsetup remove fast
	done_by "check" check /dev/fast
	done_by "check" check /dev/slow
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_disks
bring_up
work 100
test_down_one
test_commits
test_user_flush
test_commit_flush
test_own_store
test_take_down
test_up_again
test_take_down
make_full_tier
test_full_tier /dev/mapper/low
empty_low
dmsetup create between --table "0 $sectors linear /dev/mapper/low 0"
test_full_tier /dev/mapper/between verify 1 yield 0
dmsetup remove between
take_down_full_tier
nothing_left
done_testing
