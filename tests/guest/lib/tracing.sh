# SPDX-License-Identifier: GPL-2.0
# What the kernel traces: of which requests and bios went where. For scripts that run in a
# guest.

tracing=/sys/kernel/tracing

# begin_tracing KIB EVENT…: from here on, nothing before; KIB for each processor
#
# An event that goes on or off changes the kernel's code while it runs. The emulator's other
# processors may meet the breakpoint of such a change long after it was taken out, and then
# meet it for ever. So an event goes on once, and tracing_on decides; the names of tasks are
# left out, as for these __schedule() itself would be changed.
begin_tracing()
{
	local event

	echo 0 >$tracing/options/record-cmd
	echo "$1" >$tracing/buffer_size_kb
	for event in "${@:2}"; do
		[ "$(<"$tracing/events/$event/enable")" = 1 ] ||
			echo 1 >"$tracing/events/$event/enable"
	done
	: >$tracing/trace
	echo 1 >$tracing/tracing_on
}

# What was traced stays in $tracing/trace.
end_tracing()
{
	echo 0 >$tracing/tracing_on
}
