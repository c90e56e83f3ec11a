#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800
# guest in check: --cpus 1
# A commit that meets errors: what each on_error makes of them, what the status says and
# what stays where; that a start finishes when the fault is gone; that verify sees what
# a disk hides; steps that fail; a destination that is full; who may use the base then.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/commits.sh

modprobe dm-cowstack
# The volume has 64 chunks of 64 KiB, 128 sectors; the base goes on behind its end, and
# all of it is in the base's sample.
chunks=64
size=$((chunks * 128))
make_disk fast 16 cache_size=16
make_disk slow 5 cache_size=5
make_disk other 5
modprobe brd rd_nr=1 rd_size=4096
ln -s ram0 /dev/shadow
# All that fails lies below these two.
table_over /dev/fast | dmsetup create ssd
table_over /dev/slow | dmsetup create hdd

up()
{
	attach_store st /dev/mapper/ssd &&
		dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st "$@")"
}

down()
{
	[ ! -e /dev/mapper/v ] || dmsetup remove v
	[ ! -e /dev/mapper/st ] || dmsetup remove st
}

devices_are_whole()
{
	exchange ssd /dev/fast
	exchange hdd /dev/slow
}

# A new store, a base with new content, which /tmp/old keeps, and the shadow.
begin_anew()
{
	down
	devices_are_whole
	dmcommit format /dev/mapper/ssd --name st --force >/dev/null
	copy_chunks /dev/urandom 0 80 /dev/slow >/dev/null
	dd if=/dev/slow of=/tmp/old bs=64k iflag=direct status=none
	copy_chunks /dev/slow 0 $chunks /dev/shadow >/dev/null
	attach_store st /dev/mapper/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
}

same()
{
	is "$(content /dev/mapper/v)" "$(content /dev/shadow)" "$1: the content is right"
}

# base_has TEXT FILE CHUNK COUNT: the base has there what FILE has
base_has()
{
	is "$(content /dev/slow "$3" "$4")" "$(dd if="$2" bs=64k skip="$3" count="$4" status=none | xxhsum)" \
		"$1"
}

base_is_volume()
{
	is "$(content /dev/slow 0 $chunks)" "$(content /dev/shadow)" "$1: the base is the volume"
}

# ended TEXT STATE ERRNO ERRORS FIRST: what the status says of the job, and of the base
ended()
{
	is "$(job_end)" "$2 errno $3 errors $4 first $5 mixed" \
		"$1: $2, with its errno, count and first sector; the base is mixed"
}

# listed: sectors and lengths, as the tool lists them
listed()
{
	echo $(dmcommit status v --errors | awk '{ print $1 "+" $2 }' | tail -n +2)
}

tool_says_6()
{
	timeout 300 dmcommit wait v >/dev/null 2>&1
	is "$?" 6 "$1: the tool's exit status is 6"
}

# finishes TEXT [WORD…]: the fault is gone
finishes()
{
	devices_are_whole
	start "${@:2}"
	is "$(job_end)" "completed errno 0 errors 0 first 0 valid" \
		"$1: a start finishes when the fault is gone, the base is valid"
	base_is_volume "$1"
	same "$1"
	is "$(layers | wc -w) $(listed)" "1 " "$1: the layers have left, nothing is listed"
}

# --- the matrix: two chunks fail, 20 and 30 ---

# inject read|write
inject()
{
	if [ "$1" = read ]; then
		exchange ssd /dev/fast "${faults[@]}"
	else
		# Of chunk 20 a piece.
		exchange hdd /dev/slow $((20 * 128 + 8)) 8 error $((30 * 128)) 128 error
	fi
}

# others_are_committed TEXT: all but these two
others_are_committed()
{
	base_has "$1: what lies before the first error is in the base" /dev/shadow 0 20
	base_has "$1: what lies between them too" /dev/shadow 21 9
	base_has "$1: and what lies behind" /dev/shadow 31 9
	base_has "$1: what no layer holds was not touched" /tmp/old 40 40
}

# two_events_after NUMBER: they come behind what they tell of
two_events_after()
{
	[ $(($(events_of v) - $1)) -ge 2 ]
}

matrix()
{
	local fault=$1 policy=$2 text="$1 error, $2" event

	begin_anew
	put 0 40 /dev/mapper/v /dev/shadow >/dev/null
	faults=()
	[ "$fault" = write ] ||
		faults=($(($(place_of 20) * 128)) 128 error $(($(place_of 30) * 128)) 128 error)
	inject "$fault"
	event=$(events_of v)
	start on_error "$policy"
	case $policy in
	stop)
		ended "$text" stopped 5 1 $((20 * 128))
		like "$(listed)" "^$((20 * 128))\+" "$text: the list begins there"
		devices_are_whole
		base_has "$text: what lies before the error is in the base" /dev/shadow 0 20
		base_has "$text: what no layer holds was not touched" /tmp/old 40 40
		;;
	report)
		ended "$text" completed 5 2 $((20 * 128))
		is "$(listed)" "$((20 * 128))+128 $((30 * 128))+128" "$text: both are listed"
		is "$(status_field v 4)" 2 "$text: both stay in their layer"
		check "$text: events tell of it" await two_events_after "$event"
		devices_are_whole
		others_are_committed "$text"
		;;
	ignore)
		ended "$text" completed 0 2 $((20 * 128))
		is "$(listed)" "$((20 * 128))+128 $((30 * 128))+128" "$text: both are listed"
		is "$(status_field v 4)" 2 "$text: both stay in their layer"
		devices_are_whole
		others_are_committed "$text"
		;;
	esac
	[ "$fault" = write ] || base_has "$text: what could not be read was not written" /tmp/old 20 1
	tool_says_6 "$text"
	same "$text"
	if [ "$policy" = report ]; then
		# An error that comes again, and a new layer over it.
		inject "$fault"
		[ "$fault" = read ] || put 40 2 /dev/mapper/v /dev/shadow >/dev/null
		start on_error report
		ended "$text, again" completed 5 2 $((20 * 128))
	fi
	finishes "$text"
	base_has "$text: behind the volume's end the base is what it was" /tmp/old $chunks 16
}

for policy in stop report ignore; do
	matrix read $policy
	matrix write $policy
done

# --- a mixed base that cannot be read everywhere comes up all the same ---
begin_anew
put 0 40 /dev/mapper/v /dev/shadow >/dev/null
inject write
start on_error report
ended "mixed" completed 5 2 $((20 * 128))
down
check "a stack comes up over what it could not write, nor read" up
is "$(base_alone)" mixed "its base is mixed"
same "mixed"
finishes "mixed, after a load"
down
check "and with its base valid" up
is "$(base_alone)" valid "it is valid"

# --- a layer as destination ---
for policy in stop report; do
	text="into a layer, $policy"
	begin_anew
	put 0 40 /dev/mapper/v /dev/shadow >/dev/null
	place=$(place_of 20)
	snapshot
	# Parts of chunks, so that the rest has to be read.
	for chunk in 10 20 30; do
		put_sectors=$((chunk * 128 + 16))
		dd if=/dev/urandom of=/tmp/piece bs=4k count=1 status=none
		for device in /dev/mapper/v /dev/shadow; do
			dd if=/tmp/piece of=$device bs=512 seek=$put_sectors oflag=direct \
				conv=notrunc status=none
		done
	done
	snapshot
	exchange ssd /dev/fast $((place * 128)) 128 error
	start top 2 base 1 on_error $policy
	if [ $policy = stop ]; then
		like "$(job_end)" "^stopped errno 5 .* unknown" "$text: stopped"
	else
		is "$(job_end)" "completed errno 5 errors 1 first $((20 * 128)) unknown" \
			"$text: completed, with its error"
		is "$(listed)" "$((20 * 128))+128" "$text: it is listed"
		is "$(used_of 2)" 1 "$text: it stays in its layer"
	fi
	tool_says_6 "$text"
	devices_are_whole
	same "$text"
	if [ $policy = stop ]; then
		commits "$text: a start finishes"
	else
		commits "$text: a start finishes" top 2 base 1
	fi
	is "$(layers)" "3 1" "$text: the layer has left"
	same "$text"
	commits "$text: then all into the base"
	base_is_volume "$text"
done

# --- verify ---

# verified HOW POLICY [CHUNK]: the disk does HOW to chunk 20
verified()
{
	local text="verify, $1, $2"

	begin_anew
	put 0 40 /dev/mapper/v /dev/shadow >/dev/null
	# Zeroes are looked at too.
	blkdiscard -z -o $((22 * 65536)) -l 65536 /dev/mapper/v
	copy_chunks /dev/zero 22 1 /dev/shadow >/dev/null
	# One byte is not what was written.
	copy_chunks /dev/shadow 0 $chunks /dev/other >/dev/null
	flip /dev/other $((20 * 65536 + 12345))
	exchange hdd /dev/slow $((${3:-20} * 128)) 128 "$1"
	start verify 1 on_error "$2"
	case $2 in
	stop) ended "$text" stopped 84 1 $((${3:-20} * 128)) ;;
	*) ended "$text" completed 84 1 $((${3:-20} * 128)) ;;
	esac
	tool_says_6 "$text"
	exchange hdd /dev/slow
	same "$text"
	finishes "$text" verify 1
}

verified drop_writes stop
verified drop_writes report
verified drop_writes report 22
verified from=/dev/other stop
verified from=/dev/other report
# Who does not ask is not told: this is what verify is for.
begin_anew
put 0 40 /dev/mapper/v /dev/shadow >/dev/null
exchange hdd /dev/slow $((20 * 128)) 128 drop_writes
commits "without verify a write that is dropped goes unnoticed"
base_has "and the base has old content" /tmp/old 20 1
begin_anew
put 0 40 /dev/mapper/v /dev/shadow >/dev/null
commits "verify on a sound disk" verify 1
base_is_volume "verify on a sound disk"

# --- make_empty whose step fails ---
begin_anew
put 0 20 /dev/mapper/v /dev/shadow >/dev/null
commits "a commit that retains" retain 1
clean=$(clean_of 1)
is "$clean $(layers)" "20 2 1" "twenty clean chunks"
journal=("$(($(ring_start /dev/fast) * 8))" "$(($(ring_blocks /dev/fast) * 8))")
exchange ssd /dev/fast "${journal[@]}" error
check_fails "make_empty fails when its step does" dmsetup message v 0 make_empty 1
is "$(status_field st 1)" ro "the store is read-only"
same "make_empty failed"
exchange ssd /dev/fast
down
check "it comes up again" up
is "$(clean_of 1)" "$clean" "no clean chunk has gone"
same "make_empty failed, loaded"
check "make_empty" dmsetup message v 0 make_empty 1
is "$(used_of 1)" 0 "nothing is held"
check "drop" dmsetup message v 0 drop 1
same "make_empty"
base_is_volume "make_empty"

# --- a destination without room ---
make_disk thin_data 8
make_disk thin_meta 4
dd if=/dev/zero of=/dev/thin_meta bs=1M count=4 oflag=direct status=none

# pool CHUNKS: a pool with room for so many, that fails what finds none
pool()
{
	echo "0 $(($1 * 128)) thin-pool /dev/thin_meta /dev/thin_data 128 0 1 error_if_no_space"
}

for policy in stop report; do
	text="no room, $policy"
	down
	devices_are_whole
	dd if=/dev/zero of=/dev/thin_meta bs=1M count=4 oflag=direct status=none
	pool 20 | dmsetup create pool
	dmsetup message pool 0 create_thin 0
	dmsetup create thin --table "0 $size thin /dev/mapper/pool 0"
	dmcommit format /dev/mapper/ssd --name st --force >/dev/null
	attach_store st /dev/mapper/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/thin st)"
	copy_chunks /dev/zero 0 $chunks /dev/shadow >/dev/null
	put 0 40 /dev/mapper/v /dev/shadow >/dev/null
	start on_error $policy
	if [ $policy = stop ]; then
		is "$(wait_for_job v) $(status_field v 13)" "stopped 28" "$text: stopped with ENOSPC"
	else
		is "$(wait_for_job v) $(status_field v 13) $(status_value v errors)" \
			"completed 28 20" "$text: completed, what found no room is counted"
		is "$(listed)" "$((20 * 128))+$((20 * 128))" "$text: and listed"
	fi
	is "$(base_alone) $(status_field st 1)" "mixed rw" "$text: the base is mixed, the store rw"
	same "$text"
	dmsetup suspend pool
	pool 64 | dmsetup load pool
	dmsetup resume pool
	commits "$text: with room a start finishes"
	is "$(base_alone)" valid "$text: the base is valid"
	is "$(content /dev/mapper/thin)" "$(content /dev/shadow)" "$text: the base is the volume"
	same "$text"
	down
	dmsetup remove thin
	dmsetup remove pool
done

# --- who may use the base ---

# another TEXT yes|no: may another stack come up over this base?
another()
{
	local answer=yes

	forget_log
	if dmsetup create w --table "$(stack_line 2 "$size" /dev/mapper/hdd st accept_base 1)" 2>/dev/null; then
		dmsetup remove w
	elif [ "$(lines_with "is being committed into by v")" -gt 0 ]; then
		answer=no
	else
		answer=$(dmesg)
	fi
	is "$answer" "$2" "$1"
}

begin_anew
dmsetup message st 0 create_volume 2 "$size" w
another "another stack may come up over the base" yes
put 0 40 /dev/mapper/v /dev/shadow >/dev/null
start speed 64K
another "not while a commit writes to it" no
dmsetup message v 0 commit pause
sleep 1
written=$(sectors_written slow)
put 50 2 /dev/mapper/v /dev/shadow >/dev/null
synchronize /dev/mapper/v >/dev/null
sleep 1
is "$(sectors_written slow)" "$written" "once it is paused nothing is written to the base"
another "and another may come up" yes
exchange hdd /dev/slow $((30 * 128)) 128 error
start speed 0
is "$(wait_for_job v)" stopped "it goes on, and stops"
written=$(sectors_written slow)
put 52 2 /dev/mapper/v /dev/shadow >/dev/null
synchronize /dev/mapper/v >/dev/null
sleep 1
is "$(sectors_written slow)" "$written" "after a failure nothing is written to the base"
exchange hdd /dev/slow
another "another may come up" yes
commits "with the fault gone it completes"
is "$(base_alone)" valid "the base is valid"
written=$(sectors_written slow)
put 54 2 /dev/mapper/v /dev/shadow >/dev/null
synchronize /dev/mapper/v >/dev/null
sleep 1
is "$(sectors_written slow)" "$written" "after a success nothing is written to the base"
another "another may come up" yes
same "in the end"
down
up read_only_base 1
message_refused "Read-only file system" "commit start: the base was opened read-only" commit start
is "$(layers | wc -w)" 1 "no snapshot was taken"
same "read-only"
down

check "the module unloads" rmmod dm_cowstack
check "the store is clean" dmcommit check /dev/mapper/ssd
done_testing
