# SPDX-License-Identifier: GPL-2.0
# Refusals: the reason is in the kernel's log, and nothing has changed. Sourced by bash,
# after tap.sh.

# A target that is left behind keeps its type, and so its module.
targets_held()
{
	echo "$(</sys/module/dm_cowstack/refcnt)"
}

# refused TEXT COMMAND…: COMMAND fails, what the kernel has logged since the last of
# these holds TEXT, and no target is there that was not. A program costs an emulated
# machine a tenth of a second, so the rest of what must not change is looked at once
# for a number of them, by nothing_changed.
refused()
{
	local text=$1 held log output status=0
	shift

	held=$(targets_held)
	output=$("$@" 2>&1) || status=$?
	log=$(dmesg -c)
	if [ "$status" -ne 0 ] && [ "$status" -lt 126 ] && [[ $log == *"$text"* ]] &&
	   [ "$(targets_held)" = "$held" ]; then
		ok "refused with \"$text\""
		return
	fi
	not_ok "refused with \"$text\""
	diag "status $status of: $*"
	[ -z "$output" ] || diag "$output"
	diag "${log:-nothing in the log}"
	diag "targets: $held before, $(targets_held) now"
}

# table_refused TEXT TABLE: as the table of a device that is not there. dm writes the
# errno behind the text, so that TEXT must be all the rest of it.
table_refused()
{
	refused "$1 (-" dmsetup create bad --table "$2"
}

# reload_refused TEXT DEVICE TABLE
reload_refused()
{
	refused "$1 (-" dmsetup reload "$2" --table "$3"
}

# Without what the module changes by itself: of a store how much is used, which sinks as
# room comes back, and the statistics of both, which tell of steps and of discards.
status_that_stays()
{
	dmsetup status | awk '
		$4 == "cowstore" { sub("^[0-9]*/", "/", $7); NF = 10 }
		$4 == "cowstack" { NF = 17 }
		{ print }'
}

# Tables, live and loaded, status lines, who is held how often, volumes and whether they
# are up. No job may be under way.
dm_state()
{
	local store

	dmsetup table
	dmsetup table --inactive
	status_that_stays
	dmsetup info -c --noheadings -o name,attr,open,segments,events
	for store in $(dmsetup ls --target cowstore | cut -f 1); do
		dmsetup message "$store" 0 volumes
	done
}

# remember_state; refusals; nothing_changed TEXT
remember_state()
{
	dmesg -c >/dev/null
	dm_state >/tmp/state 2>&1
}

nothing_changed()
{
	local difference

	difference=$(dm_state 2>&1 | diff /tmp/state -)
	is "$difference" "" "nothing has changed by these: $1"
	dmesg -c >/dev/null
}

# nothing_left: of the module's devices and threads, and it can be removed
nothing_left()
{
	is "$(dmsetup table | grep cowst)" "" "no device of ours is left"
	# A store that is held by nobody known still has its rescuers.
	is "$(cat /proc/[0-9]*/comm 2>/dev/null | grep '^cowstack')" "" \
		"no thread of ours is left"
	check "the module unloads" rmmod dm_cowstack
}
