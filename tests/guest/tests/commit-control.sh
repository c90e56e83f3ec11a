#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800 --add build/tests/mirror_io --add build/tests/stall_io --add build/tests/dm_storm
# Steering a commit: pause, resume, cancel, speed, until, start, at any moment and from
# many at once; what stays over a removal and a crash; who is kept back, and who waits
# for whose turn. The longest message and the longest stall of a user are printed.
# An argument is the seed.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/beside.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/commits.sh

seed=${1:-$((RANDOM))}
diag "seed $seed"
modprobe dm-cowstack
make_disk fast 128 cache_size=16
# Users of this one always have something in flight.
make_disk lazy 128 irqmode=2 completion_nsec=20000000
make_disk slow 32 cache_size=16
make_disk shadow 32
size=$((32 * 2048))
table_over /dev/fast | dmsetup create ssd
table_over /dev/slow | dmsetup create hdd

# up [FEATURE…]
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

# Both devices are gone at once, and come back with what was durable.
crash()
{
	local disk

	for disk in ssd hdd; do
		echo "0 $(sectors_of /dev/mapper/$disk) error" | dmsetup load $disk
		dmsetup resume $disk
	done
	down
	exchange ssd /dev/fast
	exchange hdd /dev/slow
}

# begin_anew [MIB [DISK]]: a new store on DISK (fast); so much of the volume is written
begin_anew()
{
	down
	exchange ssd "${2:-/dev/fast}"
	dmcommit format /dev/mapper/ssd --name st --force >/dev/null
	dd if=/dev/urandom of=/dev/slow bs=1M count=32 oflag=direct status=none
	dd if=/dev/slow of=/dev/shadow bs=1M oflag=direct status=none
	attach_store st /dev/mapper/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
	fill "${1:-8}"
}

# fill MIB: new content, the same to volume and shadow, durable
fill()
{
	head -c $(($1 << 20)) /dev/urandom >/tmp/content
	dd if=/tmp/content of=/dev/shadow bs=1M oflag=direct conv=notrunc status=none
	dd if=/tmp/content of=/dev/mapper/v bs=1M oflag=direct conv=notrunc,fsync status=none
}

same()
{
	blockdev --flushbufs /dev/shadow
	check "$1: the content is right" cmp /dev/mapper/v /dev/shadow
}

base_is_volume()
{
	blockdev --flushbufs /dev/slow
	check "$1: the base is the volume" cmp /dev/slow /dev/shadow
}

job()
{
	dmsetup message v 0 commit "$@"
}

# cancelled: until the thread has come to its end
cancelled()
{
	job cancel && wait_for_job v >/dev/null
}

# job_line: state, limit, errno
job_line()
{
	echo $(dmsetup status v | cut -d' ' -f10,15,16)
}

# milliseconds since boot
clock()
{
	local up

	read -r up _ </proc/uptime
	echo $((10#${up/./} * 10))
}

# logged_at TEXT: when the log's last line with it was written, as clock() counts
logged_at()
{
	dmesg | grep -F "$1" | tail -n 1 |
		awk '{ sub(/^\[ */, ""); printf "%d\n", $1 * 1000 }'
}

# quiet TEXT: within a second of now nothing is written to the base any more
quiet()
{
	local written

	sleep 1
	written=$(sectors_written slow)
	sleep 1
	is "$(sectors_written slow)" "$written" "$1: nothing is written to the base after a second"
}

# --- one after the other, under a throttle ---
begin_anew
start speed 256K
is "$(job_line)" "running 262144 0" "a throttled commit runs"
job pause
is "$(job_line)" "paused 262144 0" "it is paused when the message returns"
quiet "pause under a throttle"
job pause
is "$?" 0 "pausing it again is done already"
job resume
is "$(job_line)" "running 262144 0" "it is resumed, at its speed"
job resume
is "$?" 0 "resuming it again is done already"
job speed 512K
is "$(job_line)" "running 524288 0" "its speed changes"
message_refused "Device or resource busy" "commit start: a job is running" commit start
job pause
job speed 1M
is "$(job_line)" "paused 1048576 0" "also while it is paused"
message_refused "Device or resource busy" "commit start: a job stands still" commit start top 1
message_refused "Device or resource busy" "commit start: a job stands still" commit start base 1
message_refused "Invalid argument" "commit speed: bad rate x" commit speed x
message_refused "Device or resource busy" "drop: there is a job" drop 1
start speed 64K yield 0
is "$(job_line)" "running 65536 0" "a start goes on with it, at another speed"
job cancel
quiet "cancel under a throttle"
is "$(job_line) $(base_alone)" "cancelled 65536 0 mixed" "it is cancelled, the base mixed"
same "cancelled"
message_refused "No such file or directory" "commit pause: there is no job" commit pause
message_refused "No such file or directory" "commit resume: there is no job" commit resume
message_refused "No such file or directory" "commit cancel: there is no job" commit cancel
message_refused "No such file or directory" "commit speed: there is no job" commit speed 1M
commits "another start completes"
is "$(base_alone)" valid "the base is valid"
base_is_volume "in the end"
message_refused "No such file or directory" "commit pause: there is no job" commit pause

# A speed of a byte each second is no reason to wait for long.
fill 1
start speed 1
job speed 2
began=$(clock)
job cancel
wait_for_job v >/dev/null
took=$(($(logged_at "cowstack v: commit cancelled") - began))
check "cancel at a byte each second takes $took ms" [ $took -lt 5000 ]
start speed 1
job speed 0
is "$(wait_for_job v)" completed "speed 0 lets it go at once"

# --- until ---
fill 2
start until 1 speed 0
is "$(wait_for_job v)" paused "a time that is over pauses at once"
same "until"
for seconds in 3 20 60; do
	until=$(($(date +%s) + seconds))
	start until $until speed 64K
	seen=$(state)
	# It was looked at in time, or there has to be more of that.
	[ "$(date +%s)" -ge $until ] || break
	wait_for_job v >/dev/null
done
is "$seen" running "a start goes on until another time"
began=$(clock)
is "$(wait_for_job v)" paused "then it is paused"
diag "after $(($(clock) - began)) ms"
quiet "until"
job resume
is "$(state)" running "resume goes on, whatever the time"
job speed 0
is "$(wait_for_job v)" completed "and it completes"
base_is_volume "until"

# --- what stays ---

# stays STATE HOW: over a removal, and a crash
stays()
{
	local line

	line=$(job_line)
	like "$line" "^$1 " "$2: it is $1"
	down
	up
	is "$(job_line)" "$line" "$2: it is so after a removal"
	crash
	check "$2: both come up after a crash" up
	is "$(job_line)" "$line" "$2: it is so after a crash"
	quiet "$2"
	same "$2"
}

begin_anew 4
start speed 128K
sleep 0.5
job pause
stays paused "paused"
start speed 64K
exchange hdd /dev/slow $((24 * 128)) 128 error
job speed 0
is "$(wait_for_job v)" stopped "an error stops it"
exchange hdd /dev/slow
stays stopped "stopped"
start speed 64K
line=$(job_line)
down
up
is "$(job_line)" "$line" "running: it goes on after a removal"
crash
up
is "$(job_line)" "$line" "running: and after a crash"
down
up resume_commit 0
is "$(job_line)" "paused 65536 0" "running: with resume_commit 0 it is paused"
quiet "resume_commit 0"
start speed 64K
crash
up resume_commit 0
is "$(job_line)" "paused 65536 0" "running: after a crash too"
same "resume_commit 0"
down
up
is "$(state)" paused "it stays paused without"
start speed 64K
job cancel
down
up
is "$(state)" idle "a job that was cancelled is forgotten"
is "$(base_alone)" mixed "the base is mixed"
commits "a new one completes"
base_is_volume "crashes"
same "crashes"

# --- many callers ---
begin_anew 8
mirror_io /dev/mapper/v /dev/shadow "$seed" 12s 2 coarse >/tmp/work &
worker=$!
dm_storm v st 12 "$seed" 4 start pause resume cancel speed until status layers errors >/tmp/times
is "$? $(grep unexpected /tmp/times)" "0 " "twelve seconds of messages of four callers: each is done or refused"
# Chance may have left the store full of what was cancelled, and a writer waiting.
while kill -0 $worker 2>/dev/null; do
	job start speed 0 2>/dev/null
	sleep 0.2
done
wait $worker
is "$? $(cat /tmp/work)" "0 " "users saw what they wrote"
diag "done, refused, longest:"
diag "$(cat /tmp/times)"
check "no message took longer than five seconds" \
	awk '$4 > 5000 { print; long = 1 } END { exit long }' /tmp/times
job cancel 2>/dev/null
# One that has just ended may still let its layers go.
wait_for_job v >/dev/null
commits "then a commit completes"
is "$(base_alone)" valid "the base is valid"
base_is_volume "many callers"
same "many callers"

# --- a disk that is slow to answer: no message waits for it ---
begin_anew 8
dmsetup suspend hdd
echo "0 $(sectors_of /dev/slow) delay /dev/slow 0 0 /dev/slow 0 2000" | dmsetup load hdd
dmsetup resume hdd

is_mixed()
{
	[ "$(base_alone)" = mixed ]
}

# steer: sets longest to the time of the message that took longest
steer()
{
	local words began took

	longest=0
	sleep 0.5
	for words in pause resume pause "start speed 1G" "speed 0" "start until 1" resume pause cancel; do
		began=$(clock)
		# shellcheck disable=SC2086 # words
		job $words 2>/dev/null
		took=$(($(clock) - began))
		[ $took -le $longest ] || longest=$took
	done
}

# What waits for the disk does so each time; a machine with others to serve, now and then.
for try in 1 2 3 4; do
	start yield 0
	steer
	[ $longest -ge 1000 ] || break
	diag "try $try: $longest ms"
	wait_for_job v >/dev/null
done
check "no message waits for a disk that takes two seconds (longest $longest ms)" [ $longest -lt 1000 ]
exchange hdd /dev/slow
wait_for_job v >/dev/null
same "a slow disk"
commits "with the disk as it was a commit completes"
base_is_volume "a slow disk"

# --- what is cancelled, and still at work, is told by the store as by the stack ---
fill 1
dmsetup suspend hdd
start yield 0
await is_mixed
check "the job waits for its disk" stands_still "$(grep -lx cowstack/v /proc/[0-9]*/comm | cut -d/ -f3)"
job cancel
is "$(dmsetup message st 0 volume 1 | cut -d' ' -f7) $(state)" "running running" \
	"both say that it runs"
message_refused "Device or resource busy" "commit start: the job before is coming to its end" commit start
dmsetup resume hdd
is "$(wait_for_job v)" cancelled "then it has ended"
is "$(dmsetup message st 0 volume 1 | cut -d' ' -f7)" cancelled "and the store says so too"
commits "and another completes"

# --- who starts another job when the one before comes to its end waits for that ---
begin_anew 4
start speed 64K
exchange hdd /dev/slow $((24 * 128)) 128 error
dmsetup suspend ssd
echo "0 $(sectors_of /dev/fast) delay /dev/fast 0 0 /dev/fast 0 500" | dmsetup load ssd
dmsetup resume ssd
job speed 0
answer=
forget_log
while [ -z "$answer" ]; do
	if start 2>/dev/null; then
		answer=taken
	elif [ "$(lines_with "commit start: a job is running")" -eq 0 ]; then
		answer=$(dmesg)
	fi
	forget_log
done
is "$answer" taken "a start that meets the end of the job before is taken"
exchange hdd /dev/slow
exchange ssd /dev/fast
wait_for_job v >/dev/null
commits "with the disks as they were a commit completes"
base_is_volume "the end of a job"

# --- endless load ---

# load THREADS: users of the last 8 MiB that never rest
load()
{
	coproc users { stall_io /dev/mapper/v "$1" 24 8; }
	users_process=$!
	sleep 1
	stall >/dev/null
}

# stall: longest write, longest read since the last time, in ms; I/Os
stall()
{
	local line

	echo >&"${users[1]}"
	read -r line <&"${users[0]}"
	echo "$line"
}

end_load()
{
	local pipe=${users[1]}

	exec {pipe}>&-
	wait $users_process
	is "$?" 0 "$1: no user met an error"
}

begin_anew 3 /dev/lazy
snapshot
load 8
began=$(clock)
start top 1 yield 1 speed 0
is "$(wait_for_job v)" completed "a commit that keeps back ends under endless load"
kept_back=$(($(clock) - began))
line=$(stall)
diag "3 MiB took $kept_back ms, users: $line"
# The users' disk is a clock that a machine with others to serve does not drive on.
beside_kept_back=${line##* }
end_load "kept back"
begin_anew 3 /dev/lazy
snapshot
load 8
began=$(clock)
start top 1 yield 0 speed 0
is "$(wait_for_job v)" completed "one that does not too"
line=$(stall)
diag "3 MiB took $(($(clock) - began)) ms, users: $line"
beside=${line##* }
end_load "not kept back"
check "it has kept back (for $beside_kept_back of the users' I/Os, not $beside)" \
	[ "$beside_kept_back" -gt $((beside * 2)) ]

# Not at all while writes wait for room: the store is full, and the load goes on.
down
make_disk tiny 8 irqmode=2 completion_nsec=20000000
dmcommit format /dev/tiny --name st --force >/dev/null
attach_store st /dev/tiny no_space_timeout 0
dmsetup message st 0 create_volume 1 "$size" v
dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
dd if=/tmp/content of=/dev/mapper/v bs=1M count=4 oflag=direct status=none
dmsetup message v 0 snapshot
coproc users { stall_io /dev/mapper/v 8 24 8; }
users_process=$!
dd if=/dev/urandom of=/dev/mapper/v bs=1M seek=8 count=8 oflag=direct status=none &
writer=$!
is_parked()
{
	[ "$(status_value st parked)" -gt 0 ]
}

check "writes wait for room" await is_parked
began=$(clock)
start yield 1
is "$(wait_for_job v)" completed "a commit makes room"
took=$(($(clock) - began))
check "and does not keep back meanwhile ($took ms)" [ $took -lt $((kept_back / 2)) ]
# make_room_for PROCESS: until it has ended
make_room_for()
{
	while kill -0 "$1" 2>/dev/null && [ "$(state)" != stopped ]; do
		start yield 1 2>/dev/null
		wait_for_job v >/dev/null
	done
}

make_room_for $writer
wait $writer
is "$?" 0 "whoever waited goes on"
pipe=${users[1]}
exec {pipe}>&-
make_room_for $users_process
wait $users_process
is "$?" 0 "full: no user met an error"
down

# --- the longest stall of a user in each operation ---
begin_anew 8
load 4

# stalls NAME COMMAND…: prints the longest write and read beside it
stalls()
{
	local output

	stall >/dev/null
	output=$("${@:2}" 2>&1) || not_ok "$1: $output"
	sleep 0.3
	read -r write read _ < <(stall)
	diag "$(printf '%-16s write %4d ms, read %4d ms' "$1" "$write" "$read")"
}

suspend_resume()
{
	dmsetup suspend "$@" && dmsetup resume "${!#}"
}

reload()
{
	dmsetup suspend "$1" && dmsetup table "$1" | dmsetup load "$1" && dmsetup resume "$1"
}

run_commit()
{
	start "$@"
	[ "$(wait_for_job v)" = completed ]
}

stalls "nothing" sleep 0.5
stalls "snapshot" snapshot
stalls "pin" dmsetup message v 0 pin 1
stalls "unpin" dmsetup message v 0 unpin 1
stalls "start" start speed 256K
stalls "speed" job speed 512K
stalls "pause" job pause
stalls "resume" job resume
stalls "cancel" cancelled
stalls "suspend" suspend_resume v
stalls "suspend noflush" suspend_resume --noflush v
stalls "reload" reload v
stalls "store suspend" suspend_resume st
stalls "store reload" reload st
stalls "commit" run_commit
stalls "commit, verify" run_commit verify 1
snapshot
sleep 0.5
snapshot
stalls "into a layer" run_commit top "$(layers | cut -d' ' -f2)" base "$(layers | cut -d' ' -f3)"
stalls "commit, retain" run_commit retain 1
for layer in $(layers | cut -s -d' ' -f2-); do
	stalls "make_empty" dmsetup message v 0 make_empty "$layer"
	stalls "drop" dmsetup message v 0 drop "$layer"
done
end_load "stalls"
down

# --- two jobs to one disk ---

# Two partitions, of 15 MiB each, by a table of MS-DOS's.
dd if=/dev/zero of=/dev/slow bs=512 count=1 conv=notrunc status=none
put_number /dev/slow 446 0 4
put_number /dev/slow 450 131 4
put_number /dev/slow 454 2048 4
put_number /dev/slow 458 $((15 * 2048)) 4
put_number /dev/slow 462 0 4
put_number /dev/slow 466 131 4
put_number /dev/slow 470 $((16 * 2048)) 4
put_number /dev/slow 474 $((15 * 2048)) 4
put_number /dev/slow 510 43605 2
dmsetup remove hdd
check "the disk has two partitions" blockdev --rereadpt /dev/slow
await [ -b /dev/slow2 ]
part=$((15 * 2048))
dmcommit format /dev/mapper/ssd --name st --force >/dev/null
attach_store st /dev/mapper/ssd
# is_queued DEVICE: its job's own thread says so
is_queued()
{
	[ "$(status_field "$1" 7)" = queued ]
}

for i in 1 2; do
	dmsetup message st 0 create_volume $i $part q$i
	dmsetup create q$i --table "$(stack_line $i $part /dev/slow$i st)"
	head -c $((4 << 20)) /dev/urandom >/tmp/q$i
	dd if=/tmp/q$i of=/dev/mapper/q$i bs=1M oflag=direct conv=notrunc status=none
done
dmsetup message q1 0 commit start speed 256K yield 0
await eval '[ "$(status_field q1 6)" = mixed ]'
dmsetup message q2 0 commit start yield 0
await is_queued q2
is "$(status_field q1 7) $(status_field q2 7)" "running queued" "the second to the same disk waits for its turn"
is "$(status_field q2 6)" unknown "and has not touched its base"
written=$(awk '{ print $7 }' /sys/block/slow/slow2/stat)
is "$written" 0 "nor has anything been written there"
dmsetup message q2 0 commit pause
is "$(status_field q2 7)" paused "what is queued can be paused"
dmsetup message q2 0 commit resume
await is_queued q2
is "$(status_field q2 7)" queued "and is queued again when it is resumed"
dmsetup message q1 0 commit speed 0
is "$(wait_for_job q1)" completed "the first completes"
is "$(wait_for_job q2)" completed "then the second"
check "each base is its volume" cmp -n $((4 << 20)) /dev/slow1 /tmp/q1
check "the other too" cmp -n $((4 << 20)) /dev/slow2 /tmp/q2
# Who is queued and cancelled lets those behind go.
for i in 1 2; do
	dd if=/tmp/q$i of=/dev/mapper/q$i bs=1M oflag=direct conv=notrunc status=none
done
dmsetup message q1 0 commit start speed 64K yield 0
dmsetup message q2 0 commit start yield 0
await is_queued q2
is "$(status_field q2 7)" queued "again the second waits"
dmsetup message q1 0 commit pause
is "$(wait_for_job q2)" completed "one that is paused holds up nobody"
dmsetup message q1 0 commit resume
dmsetup message q1 0 commit speed 0
is "$(wait_for_job q1)" completed "and completes afterwards"
dmsetup remove q1
dmsetup remove q2
dmsetup remove st

check "the module unloads" rmmod dm_cowstack
check "the store is clean" dmcommit check /dev/mapper/ssd
done_testing
