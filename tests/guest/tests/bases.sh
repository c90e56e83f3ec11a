#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400
# guest in check: --cpus 1
# Bases that several volumes have, and bases that are the wrong ones.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh

megabytes=16
size=$((megabytes * 2048))

# writes_of DISK…: writes, discards and flushes that have come to each
writes_of()
{
	local disk

	for disk in "$@"; do
		awk -v disk="$disk" '{ print disk, $5, $12, $16 }' \
			"/sys/block/$disk/stat"
	done
}

# quiet DISK…: waits until nothing comes to them for longer than the second after which what
# is in memory is written: stores write and discard in their own time
quiet()
{
	local i before

	for ((i = 0; i < 100; i++)); do
		before=$(writes_of "$@")
		sleep 1.2
		[ "$(writes_of "$@")" != "$before" ] || return
	done
}

sum()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | xxhsum
}

# put NAME MB [SEEK]
put()
{
	dd if=/dev/urandom of="/dev/mapper/$1" bs=1M count="$2" seek="${3:-0}" \
		oflag=direct conv=fsync 2>/dev/null
}

# start_refused TEXT STACK [WORD]…: and there is neither job nor snapshot
start_refused()
{
	local layers

	layers=$(dmsetup message "$2" 0 layers)
	refused "commit start: $1" dmsetup message "$2" 0 commit start "${@:3}"
	is "$(dmsetup message "$2" 0 layers)" "$layers" "no snapshot of $2 was taken"
}

up()
{
	check "$1 is up" dmsetup create "$1" --table "$(stack_line "${@:2}")"
}

commit()
{
	check "$1 may commit${2:+ with }${*:2}" dmsetup message "$1" 0 commit start "${@:2}"
	is "$(wait_for_job "$1")" completed "and does"
}

make_stacks()
{
	dmcommit format /dev/ssd --name st
	dmcommit format /dev/ssd2 --name st2
	attach_store st /dev/ssd
	attach_store st2 /dev/ssd2
	dmsetup message st 0 "create_volume 1 $size a"
	dmsetup message st 0 "create_volume 2 $size b"
	dmsetup message st2 0 "create_volume 1 $size c"
	dd if=/dev/urandom of=/dev/base bs=1M oflag=direct count=$megabytes \
		2>/dev/null
	dmesg -c >/dev/null
}

# --- one base, several volumes ---

test_live()
{
	local before

	up a 1 $size /dev/base st
	up b 2 $size /dev/base st
	put a 2
	before=$(writes_of base)
	start_refused "the base is also that of b" a
	dmcommit start a 2>/tmp/error
	is "$?" 4 "the tool's status"
	like "$(cat /tmp/error)" '^dmcommit: .*also that of b' "the tool's line"
	dmsetup remove b
	up c 1 $size /dev/base st2
	start_refused "the base is also that of c" a
	start_refused "the base is also that of c" a base 0 retain 1
	is "$(writes_of base)" "$before" "nothing came to the base"
	dmsetup remove c
}

test_records()
{
	# Both recorded the base as it still is.
	up b 2 $size /dev/base st
	put b 1 4
	dmsetup remove b
	put a 1
	start_refused "the base is also that of volume 2 (b), which is down" a
	start_refused "the base is also that of volume 2 (b), which is down" a \
		speed 1M
	# Its table would go live over whatever is there by then.
	check "a table is loaded" dmsetup create --notable b
	check "that is not resumed yet" dmsetup load b --table \
		"$(stack_line 2 $size /dev/base st)"
	start_refused "the base is also that of volume 2 (b), which is down" a
	dmsetup remove b
	dmsetup message st 0 "create_volume 3 $size d"
	up d 3 $size /dev/base st
	dmsetup remove d
	start_refused "the base is also that of volume 2 (b), which is down" a
	dmsetup message st 0 delete_volume 2
	# The other that is down holds nothing. What was read stays in the page cache.
	cat /dev/base >/dev/null
	commit a
	is "$(xxhsum </dev/base)" "$(sum /dev/mapper/a)" \
		"who reads the base through the page cache, not for the first time, sees a"
	dmsetup message st 0 delete_volume 3
}

test_shared()
{
	local own

	dmsetup message st 0 "create_volume 2 $size b"
	up b 2 $size /dev/base st
	put b 1 8
	own=$(dd if=/dev/mapper/b bs=1M skip=8 count=1 iflag=direct 2>/dev/null |
		xxhsum)
	put a 2
	dmesg -c >/dev/null
	start_refused "the base is also that of b" a
	check "it is told that it may" dmsetup message a 0 set allow_shared_base 1
	like "$(dmsetup table a)" ' 2 allow_shared_base 1$' "the table says so"
	start_refused "retain 1: no clean copies of a base that others may write to" \
		a retain 1
	commit a
	is "$(sum /dev/base)" "$(sum /dev/mapper/a)" "the base is a"
	is "$(dd if=/dev/mapper/b bs=1M count=8 iflag=direct 2>/dev/null | xxhsum)" \
		"$(dd if=/dev/base bs=1M count=8 iflag=direct 2>/dev/null | xxhsum)" \
		"b shows it too, where it holds nothing"
	is "$(dd if=/dev/mapper/b bs=1M skip=8 count=1 iflag=direct 2>/dev/null |
		xxhsum)" "$own" "and its own where it does"
	start_refused "the base is also that of a" b
	put a 1
	dmsetup remove b
	commit a verify 1
	table_refused "cowstack: base is not the recorded base base: content differs; see accept_base" \
		"$(stack_line 2 $size /dev/base st)"
	check "it is told that it may not" dmsetup message a 0 set allow_shared_base 0
	is "$(dmsetup table a | wc -w)" 6 "the table no longer says so"
	dmsetup remove a
	up a 1 $size /dev/base st allow_shared_base 1
	up b 2 $size /dev/base st accept_base 1
	put a 1
	commit a
	dmsetup remove a
	dmsetup remove b
}

# b may write under a, which has not said that it shares: what a has read of the base
# when it came up is not what it ends with.
test_changed_under()
{
	up a 1 $size /dev/base st
	up b 2 $size /dev/base st accept_base 1 allow_shared_base 1
	put b 1
	commit b
	dmsetup remove b
	put a 1 4
	commit a
	dmsetup remove a
	up a 1 $size /dev/base st
	dmsetup remove a
}

# A table has looked at a base that another stack writes to before it goes live.
test_written_since()
{
	up a 1 $size /dev/base st
	check "a table is loaded" dmsetup create --notable c
	check "over the base as it is" dmsetup load c --table \
		"$(stack_line 1 $size /dev/base st2 accept_base 1)"
	put a 1
	commit a
	refused "another stack has committed into the base since the table was loaded" \
		dmsetup resume c
	check "it is loaded again" dmsetup load c --table \
		"$(stack_line 1 $size /dev/base st2 accept_base 1)"
	check "and goes live" dmsetup resume c
	dmsetup remove c
	up c 1 $size /dev/base st2
	dmsetup remove c
	dmsetup remove a
}

# Of a table with two targets one has gone live when the other's resume fails. What that was told
# to do ends with it.
test_half_live()
{
	dmsetup message st 0 create_volume 7 $size e
	up e 7 $size /dev/other st
	put e 1
	dmsetup remove e
	up a 1 $size /dev/base st accept_base 1
	check "a table of two is loaded" dmsetup create --notable c
	check "over two bases" dmsetup load c < <(
		stack_line 7 $size /dev/other st
		stack_line 1 $size /dev/base st2 accept_base 1 | sed "s/^0 /$size /")
	put a 1
	commit a
	refused "another stack has committed into the base since the table was loaded" \
		dmsetup resume c
	check "a commit is told to start" dmsetup message c 0 commit start speed 1
	check "it all goes" dmsetup remove c
	like "$(dmsetup message st 0 volume 7)" " running commit " "the commit can go on"
	dmsetup message st 0 delete_volume 7
	dmsetup remove a
}

# The same, but that the other stack's commit has nothing to copy, and so writes nothing.
test_unwritten_since()
{
	up a 1 $size /dev/base st
	check "a table is loaded" dmsetup create --notable c
	check "over the base as it is" dmsetup load c --table \
		"$(stack_line 1 $size /dev/base st2)"
	commit a
	check "nothing was written: it goes live" dmsetup resume c
	dmsetup remove c
	dmsetup remove a
}

# A commit that may share its base is at work, its next chunk comes in a day: what has clean
# copies of that base does not come up. What the commit writes is what is there.
test_beside_shared()
{
	up c 1 $size /dev/base st2
	put c 1
	commit c retain 1
	dmsetup remove c
	up a 1 $size /dev/base st accept_base 1 allow_shared_base 1
	dd if=/dev/base of=/dev/mapper/a bs=1M count=1 oflag=direct 2>/dev/null
	check "a commits slowly" dmsetup message a 0 commit start speed 1
	refused "the base is a store by now, or is being committed into by another stack" \
		dmsetup create c --table "$(stack_line 1 $size /dev/base st2)"
	check "a table is loaded" dmsetup create --notable c
	check "over the base as it is by then" dmsetup load c --table \
		"$(stack_line 1 $size /dev/base st2)"
	dmsetup message a 0 commit speed 0
	is "$(wait_for_job a)" completed "the commit ends"
	refused "another stack has committed into the base since the table was loaded" \
		dmsetup resume c
	dmsetup remove c
	up c 1 $size /dev/base st2
	is "$(sum /dev/mapper/c)" "$(sum /dev/base)" "and c comes up, with copies that are true"
	dmsetup message c 0 "make_empty $(dmsetup message c 0 layers | awk '$5 > 0 { print $1 }')"
	dmsetup remove c
	dmsetup remove a
}

# --- the wrong one ---

# Nothing is written by a table that is refused, nor before the first resume.
test_wrong()
{
	local before

	sync
	quiet base other short ssd
	before=$(writes_of base other short ssd)
	remember_state
	table_refused "cowstack: other is not the recorded base base: content differs; see accept_base" \
		"$(stack_line 1 $size /dev/other st)"
	table_refused "cowstack: short is not the recorded base base: 16384 sectors, not $size" \
		"$(stack_line 1 $size /dev/short st)"
	blockdev --setro /dev/base
	table_refused "cowstack: base /dev/base is read-only (read_only_base 1 takes it)" \
		"$(stack_line 1 $size /dev/base st)"
	blockdev --setrw /dev/base
	table_refused "cowstack: cannot open base /dev/none" \
		"$(stack_line 1 $size /dev/none st)"
	table_refused "cowstack: base /dev/ssd2 is a store" \
		"$(stack_line 1 $size /dev/ssd2 st)"
	nothing_changed "wrong bases"
	for base in other short; do
		dmcommit up a --base "/dev/$base" --store st 2>/tmp/error
		is "$?" 4 "the tool refuses $base"
		like "$(cat /tmp/error)" 'accept-base' "and says what to do"
	done
	check "a table is loaded" dmsetup create --notable a
	check "over another base, which it accepts" dmsetup load a --table \
		"$(stack_line 1 $size /dev/other st accept_base 1)"
	dmsetup remove a
	is "$(writes_of base other short ssd)" "$before" "nothing was written by all that"
}

test_read_only()
{
	local before

	blockdev --setro /dev/base
	up a 1 $size /dev/base st accept_base 1 read_only_base 1
	put a 1
	before=$(writes_of base)
	start_refused "the base was opened read-only" a
	start_refused "the base was opened read-only" a retain 1
	is "$(writes_of base)" "$before" "nothing came to the base"
	dmsetup remove a
	blockdev --setrw /dev/base
	up a 1 $size /dev/base st
	commit a
	is "$(sum /dev/base)" "$(sum /dev/mapper/a)" "writable again it takes all"
	dmsetup remove a
}

test_cached()
{
	local data

	dmsetup message st 0 "create_volume 7 $size g"
	# What is written while somebody has it open stays in the page cache for a while.
	exec 9</dev/other
	dd if=/dev/urandom of=/dev/other bs=1M count=2 seek=5 conv=notrunc 2>/dev/null
	data=$(xxhsum </dev/other)
	up g 7 $size /dev/other st
	is "$(sum /dev/mapper/g)" "$data" "what the page cache had of the base shows"
	exec 9<&-
	dmsetup remove g
	dmsetup message st 0 delete_volume 7
	# So it is with a store that was copied to another disk.
	make_disk old 16
	make_disk new 16
	dmcommit format /dev/old --name moved >/dev/null
	dmcommit format /dev/new --name unused >/dev/null
	attach_store moved /dev/old
	dmsetup message moved 0 create_volume 1 2048 here
	dmsetup remove moved
	exec 9</dev/new
	dd if=/dev/old of=/dev/new bs=1M conv=notrunc 2>/dev/null
	attach_store moved /dev/new
	like "$(dmsetup message moved 0 volumes)" here "what the page cache had of a store is loaded"
	exec 9<&-
	dmsetup remove moved
	check "… and nothing comes down on it later" dmcommit check /dev/new
}

test_short()
{
	local before

	dmsetup message st 0 "create_volume 4 $size e"
	up e 4 $size /dev/short st
	put e 1 7
	put e 1 12
	before=$(writes_of short)
	start_refused "the base ends at sector 16384, the layers hold 2048 sectors behind it" e
	is "$(writes_of short)" "$before" "nothing came to the base"
	dmsetup remove e
	dmsetup message st 0 delete_volume 4
}

# The base ends within a piece, which is completed by zeroes: these go nowhere, data does not.
test_end_within_piece()
{
	local data error

	dd if=/dev/urandom of=/dev/short bs=1M oflag=direct 2>/dev/null
	check "a base ends 3 sectors before a piece" \
		dmsetup create odd --table "0 16381 linear /dev/short 0"
	dmsetup message st 0 "create_volume 5 $size f"
	up f 5 $size /dev/mapper/odd st
	data=$(sum /dev/mapper/odd)
	dmsetup message f 0 stream start base none
	is "$(wait_for_job f)" completed "f has all of it"
	commit f verify 1
	is "$(sum /dev/mapper/odd)" "$data" "which is what was there before"
	head -c 512 /dev/urandom >/tmp/sector
	dd if=/tmp/sector of=/dev/mapper/f seek=16380 oflag=direct conv=notrunc 2>/dev/null
	dmsetup remove f
	dmsetup remove st
	check "offline the last sector is committed" dmcommit start f --offline \
		--store /dev/ssd --base /dev/mapper/odd
	is "$(dd if=/dev/mapper/odd skip=16380 iflag=direct 2>/dev/null | xxhsum)" \
		"$(xxhsum </tmp/sector)" "and is there"
	attach_store st /dev/ssd
	up f 5 $size /dev/mapper/odd st
	dd if=/tmp/sector of=/dev/mapper/f seek=16382 oflag=direct conv=notrunc 2>/dev/null
	dmesg -c >/dev/null
	start_refused "the base ends at sector 16381, the layers hold 3 sectors behind it" f
	dmsetup remove f
	dmsetup remove st
	error=$(dmcommit start f --offline --store /dev/ssd --base /dev/mapper/odd 2>&1)
	like "$error" "the base ends at sector 16381, and the layers hold 3 sectors behind it" \
		"offline that is refused too"
	attach_store st /dev/ssd
	dmsetup message st 0 delete_volume 5
	dmsetup remove odd
}

# Of a base that others may write to no clean copies are made, by a job that has begun before
# either: here one whose next chunk comes in a day.
test_retain()
{
	local shared

	shared=$(stack_line 1 $size /dev/base st2 allow_shared_base 1)
	up c 1 $size /dev/base st2 accept_base 1
	put c 1
	check "a commit keeps copies" dmsetup message c 0 commit start retain 1 speed 1
	refused "set: allow_shared_base 1: a commit with retain 1 is not finished" \
		dmsetup message c 0 set allow_shared_base 1
	is "$(dmsetup table c | wc -w) $(status_field c 7)" "6 running" "nothing has changed"
	dmsetup load c --table "$shared"
	dmsetup suspend c
	dmsetup resume c
	is "$(status_field c 7)" paused "a table that says so has it paused"
	start_refused "retain 1: no clean copies of a base that others may write to" c
	dmsetup remove c
	up c 1 $size /dev/base st2
	check "without it the commit goes on" dmsetup message c 0 commit resume
	dmsetup remove c
	check "it comes up, and may be shared" dmsetup create c --table "$shared"
	is "$(status_field c 7)" paused "the commit that was cut off is paused"
	commit c retain 0 speed 0
	dmsetup remove c
}

# reload_over BASE: volume 6, live
reload_over()
{
	dmsetup load d --table "$(stack_line 6 $size "$1" st accept_base 1)"
	dmsetup suspend d
	dmsetup resume d
}

# A commit does not go on by itself over another base. Once it was started over that, it does,
# as one that never had another: here when the table is loaded again, as the base has grown.
test_exchanged()
{
	dmsetup create grows --table "0 $((size / 2)) linear /dev/other 0"
	dmsetup message st 0 create_volume 6 $size d
	up d 6 $size /dev/base st
	put d 1
	check "a commit begins" dmsetup message d 0 commit start speed 1
	reload_over /dev/mapper/grows
	is "$(status_field d 7)" paused "over another base it does not go on by itself"
	check "it is started over that" dmsetup message d 0 commit start speed 1
	dmsetup suspend grows
	dmsetup load grows --table "0 $size linear /dev/other 0"
	dmsetup resume grows
	reload_over /dev/mapper/grows
	is "$(status_field d 7)" running "… and goes on by itself there, grown"
	dmsetup remove d
	up d 6 $size /dev/mapper/grows st
	is "$(status_field d 7)" running "… and when the volume was down"
	dmsetup remove d
	up d 6 $size /dev/short st accept_base 1
	is "$(status_field d 7)" paused "a base taken over while the volume was down has to be told, too"
	dmsetup remove d
	up d 6 $size /dev/short st
	is "$(status_field d 7)" paused "… which is not forgotten when the volume is down again"
	check "it is started over that" dmsetup message d 0 commit start speed 1
	dmsetup remove d
	dmsetup message st 0 delete_volume 6
	dmsetup remove grows
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_disk ssd 64 cache_size=4
make_disk ssd2 64
make_disk base $megabytes cache_size=4
make_disk other $megabytes
make_disk short $((megabytes / 2))
make_stacks
test_live
test_records
test_shared
test_changed_under
test_written_since
test_unwritten_since
test_beside_shared
test_wrong
test_read_only
test_cached
test_short
test_end_within_piece
test_retain
test_exchanged
test_half_live
dmsetup remove st
dmsetup remove st2
check "the store is sound" dmcommit check /dev/ssd
nothing_left
done_testing
