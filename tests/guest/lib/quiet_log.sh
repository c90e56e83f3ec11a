# SPDX-License-Identifier: GPL-2.0
# For tests that make errors by the hundred: each is a line or more in the kernel's log, and
# a serial line is slow. But by what came over that line the runner judges, so what the
# kernel's checkers said goes over it in the end. Sourced by bash, after problems.sh.

kept_log=/tmp/log

# quiet_log: from here on the log is kept in a file, and of it the console shows what may be
# the machine's last words only. The kernel's own copy is too short; what was overtaken there
# starts again.
quiet_log()
{
	echo 3 >/proc/sys/kernel/printk
	while :; do
		cat /dev/kmsg
	done >>$kept_log 2>/dev/null &
	log_keeper=$!
}

# problems_kept: but for call traces, as an allocation that was made to fail may have one.
problems_kept()
{
	# Another process copies it.
	sleep 1
	find_problems $kept_log | grep -v 'Call Trace:'
}

# end_quiet_log: to the console from the first problem on, if there is one.
end_quiet_log()
{
	local first line

	first=$(problems_kept | head -n 1)
	kill "$log_keeper"
	[ -n "$first" ] || return 0
	tail -n "+${first%%:*}" $kept_log | head -n 2000 | while IFS= read -r line; do
		printf '<2>%s' "${line#*;}" >/dev/kmsg
	done
}
