# SPDX-License-Identifier: GPL-2.0
# usage: awk -f waits.awk -v from=NS -v to=NS TRACE
# Who had the processor between the two, and for how long: "share US WHO", WHO a thread
# with the work that it does, if it is a worker. TRACE has sched_switch and
# workqueue_execute_start and _end, with the clock "mono".
function micro(seconds,    part)
{
	split(seconds, part, ".")
	# Zeroes in front would make busybox read an octal number.
	return part[1] * 1000000 + ("1" part[2]) - 1000000
}

# Time goes on until @now: all of it belongs to who had the processor.
function go_on(now,    begin, end)
{
	begin = last > first ? last : first
	end = now < final ? now : final
	if (end > begin)
		spent[pid in work ? who " " work[pid] : who] += end - begin
	last = now
}

BEGIN {
	first = from / 1000
	final = to / 1000
	who = "?"
}

/^#/ {
	next
}

match($0, / [0-9]+\.[0-9]+: /) {
	now = micro(substr($0, RSTART + 1, RLENGTH - 3))
	text = substr($0, RSTART + RLENGTH)
	go_on(now)
}

text ~ /^sched_switch: / {
	sub(/.*==> next_comm=/, "", text)
	pid = text
	sub(/.* next_pid=/, "", pid)
	sub(/ .*/, "", pid)
	who = text
	sub(/ next_pid=.*/, "", who)
}

text ~ /^workqueue_execute_start: / {
	sub(/.*function /, "", text)
	work[pid] = text
}

text ~ /^workqueue_execute_end: / {
	delete work[pid]
}

END {
	go_on(final)
	for (name in spent)
		printf "share %.0f us %s\n", spent[name], name
}
