# SPDX-License-Identifier: GPL-2.0
# What goes on beside something else. Sourced by bash.
#
# A loop ends between two rounds: who kills it leaves behind what it has just begun, a suspend
# perhaps.

# begin_beside COMMAND…: again and again, until it fails or until end_beside
begin_beside()
{
	rm -f /tmp/beside-ends
	until [ -e /tmp/beside-ends ]; do
		"$@" || exit 1
	done &
	beside=$!
}

# end_beside: fails where a round has
end_beside()
{
	touch /tmp/beside-ends
	wait "$beside"
}

# stands_still PROCESS: waits until it waits for the kernel, and still does at a second look
stands_still()
{
	local i seen=0

	for ((i = 0; i < 600; i++)); do
		if grep -q "^State:.*D" "/proc/$1/status"; then
			seen=$((seen + 1))
		else
			seen=0
		fi
		[ $seen -lt 2 ] || return 0
		sleep 0.1
	done
	return 1
}
