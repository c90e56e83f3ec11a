# SPDX-License-Identifier: GPL-2.0
# Says in TAP what a test found. Sourced by bash:
#
#	. /lib/cowstack-tests/tap.sh
#	is "$(blockdev --getsz /dev/mapper/x)" 2048 "the length is the table's"
#	check "a second resume is accepted" dmsetup resume x
#	done_testing
#
# None of these ends the script or fails, so that one finding does not hide the
# next; only skip_all and done_testing exit.

tap_count=0
tap_failures=0

# plan NUMBER: optional; without it done_testing says how many there were.
plan()
{
	tap_planned=$1
	echo "1..$1"
}

diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

ok()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

not_ok()
{
	tap_count=$((tap_count + 1))
	tap_failures=$((tap_failures + 1))
	echo "not ok $tap_count - $1"
}

# skip TEXT REASON
skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# skip_all REASON: before any test; there is nothing here for them to run on.
skip_all()
{
	skip "all of it" "$1"
	done_testing
}

# is GOT WANTED TEXT
is()
{
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3"
		diag "got:    $1"
		diag "wanted: $2"
	fi
}

# like GOT PATTERN TEXT: PATTERN as in bash's [[ … =~ … ]]
like()
{
	if [[ $1 =~ $2 ]]; then
		ok "$3"
	else
		not_ok "$3"
		diag "got:     $1"
		diag "pattern: $2"
	fi
}

# check TEXT COMMAND…: COMMAND succeeds
check()
{
	local text=$1 output status=0
	shift

	output=$("$@" 2>&1) || status=$?
	if [ "$status" -eq 0 ]; then
		ok "$text"
	else
		not_ok "$text"
		diag "status $status of: $*"
		[ -z "$output" ] || diag "$output"
	fi
}

# check_fails TEXT COMMAND…: COMMAND fails, and not by a signal
check_fails()
{
	local text=$1 output status=0
	shift

	output=$("$@" 2>&1) || status=$?
	if [ "$status" -ne 0 ] && [ "$status" -lt 126 ]; then
		ok "$text"
	else
		not_ok "$text"
		diag "status $status of: $*"
		[ -z "$output" ] || diag "$output"
	fi
}

# all_run PROCESS…: are all of them still at it? kill by itself is content with one.
all_run()
{
	local process

	for process; do
		kill -0 "$process" || return
	done
}

# await COMMAND…: until it succeeds; fails if it does not for minutes. Waits look often and
# give up late: a machine may be slow, or have others to serve.
await()
{
	local end=$((SECONDS + ${await_seconds:-180}))

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

done_testing()
{
	[ -n "${tap_planned:-}" ] || echo "1..$tap_count"
	[ "$tap_failures" -eq 0 ] || exit 1
	exit 0
}
