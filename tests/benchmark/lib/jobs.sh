# SPDX-License-Identifier: GPL-2.0
# For the parts that measure jobs and the store as a whole, beside measure.sh: a store and
# stacks in two words, runs of tests/guest/programs/stopwatch.c, what a commit sent to a disk.
# Sourced by bash.

tracing=/sys/kernel/tracing
MiB=1048576

# The stand-ins of figures.md: blocks of 4 KiB, every page there already, so that what is
# measured is no allocation of the stand-in's.
# make_fast NAME MB [ATTRIBUTE=VALUE]…
make_fast()
{
	make_disk "$1" "$2" irqmode=0 submit_queues=1 max_sectors=2560 blocksize=4096 "${@:3}"
	echo none >"/sys/block/$1/queue/scheduler" 2>/dev/null || true
}

# make_spindle NAME MB: 4 ms a request, one at a time; it keeps no content
make_spindle()
{
	make_disk "$1" "$2" irqmode=2 completion_nsec=4000000 submit_queues=1 \
		hw_queue_depth=1 max_sectors=2560 memory_backed=0 discard=0
	modprobe mq-deadline
	echo mq-deadline >"/sys/block/$1/queue/scheduler"
}

# warm DISK MB
warm()
{
	stopwatch scatter "/dev/$1" 0 $(($2 * MiB)) $MiB
}

# up BASE MB [FEATURE…]: an empty store st on ssd, and the stack v over BASE
up()
{
	must dmcommit format /dev/ssd --force --name st
	must attach_store st /dev/ssd
	must dmsetup message st 0 create_volume 1 $(($2 * 2048)) v
	must dmsetup create v --table "$(stack_line 1 $(($2 * 2048)) "/dev/$1" st "${@:3}")"
}

down()
{
	must dmsetup remove v
	must dmsetup remove st
}

# timed WORD…: a command of stopwatch; its results are in the array took
declare -A took
timed()
{
	local key value

	[ -z "$waits" ] || begin_watch
	took=()
	while read -r key value; do
		took[$key]=$value
	done < <(stopwatch "$@")
	[ "${#took[@]}" -gt 0 ] || fail "stopwatch $*"
	[ -z "$waits" ] || end_watch "$*"
}

# --- who had the processor meanwhile (tests/benchmark/waits) ---

watched=(sched/sched_switch workqueue/workqueue_execute_start workqueue/workqueue_execute_end)

begin_watch()
{
	local event

	echo mono >$tracing/trace_clock
	echo 32768 >$tracing/buffer_size_kb
	: >$tracing/trace
	for event in "${watched[@]}"; do
		echo 1 >$tracing/events/$event/enable
	done
}

# end_watch TEXT: of each time whose begin and end stopwatch has told
end_watch()
{
	local event key

	for event in "${watched[@]}"; do
		echo 0 >$tracing/events/$event/enable
	done
	for key in p99 worst stall; do
		[ -n "${took[${key}_from]:-}" ] || continue
		echo "waits $key of stopwatch $1: ${took[$key]} ns"
		awk -f "$(command -v waits.awk)" -v from="${took[${key}_from]}" \
			-v to="${took[${key}_to]}" $tracing/trace | sort -k2,2 -g -r
	done
	: >$tracing/trace
}

# ratio A B: A/B with three digits
ratio()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", b ? a / b : 0 }'
}

# median NUMBER…: an odd number of them
median()
{
	printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"
}

# speed BYTES NS: in MiB/s
speed()
{
	awk -v bytes="$1" -v ns="$2" 'BEGIN { printf "%.1f", bytes / 1048576 / (ns / 1e9) }'
}

# begin_trace [EVENT…]: requests as they are sent to disks, and more of the block layer's
begin_trace()
{
	local event

	traced=(block_rq_issue "$@")
	echo mono >$tracing/trace_clock
	echo 16384 >$tracing/buffer_size_kb
	: >$tracing/trace
	for event in "${traced[@]}"; do
		echo 1 >$tracing/events/block/$event/enable
	done
}

# end_trace DISK…: writes "DISK RWBS SECTOR COUNT" of each request, in order, to
# /tmp/requests; all of it is in /tmp/trace
end_trace()
{
	local disk event edits=()

	for event in "${traced[@]}"; do
		echo 0 >$tracing/events/block/$event/enable
	done
	cat $tracing/trace >/tmp/trace
	: >$tracing/trace
	for disk in "$@"; do
		edits+=(-e "s/^$(tr : , <"/sys/block/$disk/dev") /$disk /")
	done
	sed -n 's/.*block_rq_issue: \([0-9,]*\) \([A-Z]*\) [0-9]* () \([0-9]*\) + \([0-9]*\) .*/\1 \2 \3 \4/p' \
		/tmp/trace | sed "${edits[@]}" >/tmp/requests
}

# idle_times DISK FROM TO: "BEFORE BETWEEN BEHIND" in ms, of a trace with block_rq_complete:
# from FROM (ns) to the first request, while none was at the disk, from the last one to TO
idle_times()
{
	awk -v disk="$(tr : , <"/sys/block/$1/dev")" -v from="$2" -v to="$3" '
		match($0, /[0-9]+\.[0-9]+: block_rq_(issue|complete): /) {
			split(substr($0, RSTART), word, " ")
			if (word[3] != disk)
				next
			now = word[1] * 1000
			if (word[2] ~ /complete/) {
				at_disk--
				last = now
				next
			}
			if (!first)
				first = now
			else if (!at_disk)
				between += now - last
			at_disk++
		}
		END {
			printf "%.2f %.2f %.2f\n", first - from / 1e6, between, to / 1e6 - last
		}' /tmp/trace
}

# count_writes DISK: "WRITES LEAST BACKWARDS SECTORS" of /tmp/requests: LEAST is how many
# there must be, each run of sectors cut where the disk's limit cuts it
count_writes()
{
	awk -v disk="$1" -v limit=$(($(cat "/sys/block/$1/queue/max_sectors_kb") * 2)) '
		function close_run() {
			least += int((end - start + limit - 1) / limit)
		}
		$1 == disk && $2 ~ /W/ && $4 > 0 {
			count++
			sectors += $4
			if ($3 < end)
				backwards++
			if ($3 != end) {
				close_run()
				start = $3
			}
			end = $3 + $4
		}
		END { close_run(); print count + 0, least + 0, backwards + 0, sectors + 0 }' \
		/tmp/requests
}
