#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 2 --timeout 1200
# dmcommit monitor: each change of mode, job and room in a line or as JSON, the program
# that it runs and for which of them, no event overlooked, its end; and what dmcommit
# status --metrics says of the same things.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/metrics.sh

# Its arguments and what it finds in its environment.
cat >/tmp/hook <<'END'
#!/bin/bash
read -r nothing
echo "$#|$1|$2|$3|$DMCOMMIT_KIND|$DMCOMMIT_NAME|$DMCOMMIT_STORE|$DMCOMMIT_BEFORE|$DMCOMMIT_ERRNO|$nothing" >>/tmp/hooks
echo "said by the hook"
exit 3
END
chmod 755 /tmp/hook
: >/tmp/hooks

# begin FILE ARGUMENT…: sets $monitor
begin()
{
	local output=$1
	shift

	dmcommit monitor "$@" >>"$output" 2>/tmp/monitor.errors &
	monitor=$!
}

# comes TEXT FILE PATTERN: a line of FILE, now or in some time; what was there before is
# emptied by forget
comes()
{
	if await grep -qE "$3" "$2"; then
		ok "$1"
	else
		not_ok "$1"
		diag "wanted: $3"
		diag "$(cat "$2")"
	fi
}

# is_listening PROCESS: it has looked at what there is, and waits for events
is_listening()
{
	ls -l "/proc/$1/fd" | grep -q 'mapper/control$' &&
		[ "$(cut -d' ' -f3 "/proc/$1/stat")" = S ]
}

forget()
{
	: >/tmp/lines
	: >/tmp/events
	: >/tmp/hooks
}

# has_metrics TEXT LINE…: they are as they should be, and have these lines
has_metrics()
{
	local line problems

	dmcommit status --metrics >/tmp/metrics 2>&1
	problems=$(metrics_problems </tmp/metrics)
	for line in "${@:2}"; do
		grep -qxF "$line" /tmp/metrics || problems+=" no line $line"
	done
	is "$problems" "" "$1 ($(grep -vc '^#' /tmp/metrics) samples)"
}

modprobe dm-cowstack
make_disk ssd 12
make_disk hdd 16
table_over /dev/hdd | dmsetup create disk
dmcommit format /dev/ssd --name st

check_fails "a program that is not there" dmcommit monitor --exec /tmp/none
check_fails "a program without its path" dmcommit monitor --exec hook

# --- one for people, one for programs ---
begin /tmp/lines
people=$monitor
begin /tmp/events --json --exec /tmp/hook
await is_listening "$people"
await is_listening "$monitor"
is "$(cat /tmp/lines /tmp/events)" "" "nothing is said of nothing"
dmcommit attach /dev/ssd --set on_full=error
comes "a store that is attached" /tmp/lines "store st: up rw$"
dmcommit create vm --base /dev/mapper/disk --store st
comes "a stack that comes up" /tmp/lines "stack vm: up rw$"
comes "the same as JSON" /tmp/events \
	'"kind": "stack","name": "vm","event": "up","value": "rw","before": null'
is "$(cat /tmp/hooks)" "" "no program is run for that"
dd if=/dev/urandom of=/dev/mapper/vm bs=64k count=16 oflag=direct 2>/dev/null
dmcommit start vm --speed 64K
comes "a commit that begins" /tmp/lines "stack vm: job running, was idle$"
dmcommit pause vm
comes "it is paused" /tmp/lines "stack vm: job paused, was running$"
is "$(cat /tmp/hooks)" "" "no program is run for that either"
dmcommit resume vm
dmcommit speed vm 0
comes "it completes" /tmp/lines "stack vm: job completed"
comes "the same as JSON" /tmp/events '"event": "job","value": "completed"'
comes "the program is run, with all there is to say" /tmp/hooks \
	"^3\|job\|vm\|completed\|stack\|vm\|st\|[a-z]+\|0\|$"
comes "what it prints goes to stderr" /tmp/monitor.errors "^said by the hook$"
comes "how it ended is said" /tmp/monitor.errors "^dmcommit: /tmp/hook ended with status 3$"
bad=0
while IFS= read -r line; do
	is_json "$line" || bad=$((bad + 1))
done </tmp/events
is "$bad" 0 "each line is JSON ($(wc -l </tmp/events) of them)"

# --- room ---
# What was committed is on its way to be free, and would be room that comes by itself.
wait_for_value st freeing 0 >/dev/null
forget
dd if=/dev/zero of=/dev/mapper/vm bs=64k oflag=direct 2>/dev/null
comes "the store is full" /tmp/lines "store st: out_of_space 1, was 0$"
comes "the program is run" /tmp/hooks "^3\|out_of_space\|st\|1\|store\|st\|st\|0\|"
blkdiscard /dev/mapper/vm
sync /dev/mapper/vm
comes "there is room again" /tmp/lines "store st: out_of_space 0, was 1$"
is "$(grep -c out_of_space /tmp/hooks)" 1 "which needs no program"

# --- a job that stops ---
forget
has_metrics "metrics of a store that was full" 'cowstack_store_out_of_space{store="st"} 0' \
	'cowstack_store_mode{store="st",mode="rw"} 1' 'cowstack_store_mode{store="st",mode="fail"} 0' \
	'cowstack_volume_size_bytes{volume="vm",store="st"} 16777216' \
	'cowstack_job_state{volume="vm",store="st",state="completed"} 1'
dd if=/dev/urandom of=/dev/mapper/vm bs=64k count=16 oflag=direct 2>/dev/null
dmcommit start vm --speed 64K
exchange disk /dev/hdd 0 $((16 * 2048)) error
dmcommit speed vm 0
comes "a job that stops" /tmp/lines "stack vm: job stopped, was running: Input/output error$"
comes "the program is run" /tmp/hooks "^3\|job\|vm\|stopped\|stack\|vm\|st\|running\|5\|"
has_metrics "metrics of a job that has stopped" \
	'cowstack_job_state{volume="vm",store="st",state="stopped"} 1' \
	'cowstack_job_state{volume="vm",store="st",state="running"} 0' \
	'cowstack_volume_base_alone{volume="vm",store="st",state="mixed"} 1'
forget
begin /tmp/late --exec /tmp/hook
late=$monitor
comes "one that begins later is told of it" /tmp/late "stack vm: job stopped: Input/output error$"
is "$(wc -l </tmp/late)" 1 "and of nothing else"
comes "and runs the program" /tmp/hooks "^3\|job\|vm\|stopped\|"
kill "$late"
status=0
wait "$late" || status=$?
is "$status" 0 "SIGTERM ends it"
exchange disk /dev/hdd
dmcommit start vm --wait

# --- nothing falls between two looks ---
last_is_completed()
{
	tail -n 1 /tmp/lines | grep -q "job completed"
}

forget
lost=0
for ((i = 0; i < 30; i++)); do
	dd if=/dev/urandom of=/dev/mapper/vm bs=64k count=1 oflag=direct 2>/dev/null
	dmcommit start vm
	dmsetup message vm 0 commit pause 2>/dev/null
	dmsetup message vm 0 commit resume 2>/dev/null
	dmcommit wait vm
	await last_is_completed || lost=$((lost + 1))
	: >/tmp/lines
done
is "$lost" 0 "the last state of each of $i jobs is told, unasked"

# --- its end ---
forget
dmcommit down vm
comes "a stack that is taken down" /tmp/lines "stack vm: down$"
has_metrics "metrics of a volume that is down" 'cowstack_volume_up{volume="vm",store="st"} 0' \
	'cowstack_volume_mode{volume="vm",store="st",mode="down"} 1'
dmcommit detach st
has_metrics "metrics of nothing"
comes "a store that is detached" /tmp/events '"name": "st","event": "down"'
kill "$people"
status=0
wait "$people" || status=$?
is "$status" 0 "SIGTERM ends the other too"
dmsetup remove disk
check "the module unloads" rmmod dm_cowstack
done_testing
