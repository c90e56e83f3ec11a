# SPDX-License-Identifier: GPL-2.0
# What dmcommit says and exits with. Sourced by bash, after tap.sh and json.sh. jq has to be there.

error_file=${error_file:-/tmp/error}
lib=${lib:-/lib/cowstack-tests}
schema_directory=${schema_directory:-$lib/schema}

# run COMMAND…: sets $output, $error and $status
run()
{
	status=0
	output=$("$@" 2>"$error_file") || status=$?
	error=$(cat "$error_file")
}

# verdict TEXT COMMAND…: of what run() ran
verdict()
{
	if "${@:2}"; then
		ok "$1"
	else
		not_ok "$1"
		diag "status $status, stdout: $output"
		diag "stderr: $error"
	fi
}

is_done()
{
	[ "$status" -eq 0 ] && [ -z "$error" ]
}

is_silent()
{
	is_done && [ -z "$output" ]
}

# Documents wait there for check_schemas: jq takes half a second to start in a guest.
json_pile=${json_pile:-/tmp/json-pile}

# is_done_json COMMAND: and what it printed is kept for check_schemas
is_done_json()
{
	is_done && is_json "$output" &&
		printf '{"command": "%s", "document": %s}\n' "$1" "$output" >>"$json_pile"
}

# json_faults PILE: what documents do wrong by their commands' schemas, a line each
json_faults()
{
	local schema

	{
		echo '{'
		for schema in "$schema_directory"/*.json; do
			printf '"%s": %s,\n' "$(basename "$schema" .json)" "$(cat "$schema")"
		done
		echo '"": null }'
	} >"$1.schemas"
	jq -r -L "$lib" --slurpfile schemas "$1.schemas" 'include "schema";
		$schemas[0][.command] as $schema | .command as $command |
		if $schema == null then "there is no schema for \($command)"
		else .document | faults($schema) | "\($command): \(.)" end' "$1" 2>&1
}

# check_schemas: of all that json() has seen
check_schemas()
{
	is "$(json_faults "$json_pile")" "" "what was printed as JSON is as its schemas have it"
}

# is_refusal STATUS PATTERN: one line on stderr that matches
is_refusal()
{
	[ "$status" -eq "$1" ] && [ "$(wc -l <"$error_file")" -eq 1 ] &&
		[[ $error =~ ^dmcommit:\ .*$2 ]]
}

# works TEXT ARGUMENT…: dmcommit exits with 0 and says nothing on stderr
works()
{
	run dmcommit "${@:2}"
	verdict "$1" is_done
}

# silent TEXT ARGUMENT…: the same, and nothing on stdout
silent()
{
	run dmcommit "${@:2}"
	verdict "$1" is_silent
}

# json TEXT ARGUMENT…: dmcommit prints JSON, which check_schemas looks at in the end
json()
{
	run dmcommit "${@:2}"
	verdict "$1" is_done_json "$2"
}

# fails STATUS TEXT PATTERN ARGUMENT…: with one line on stderr, and no other
fails()
{
	run dmcommit "${@:4}"
	verdict "$2: $1" is_refusal "$1" "$3"
}

# is_waiting PROCESS: a dmcommit waits for a job: it catches signals, which it does from its
# first look at the job on, and sleeps until the next.
is_waiting()
{
	local text

	# SIGINT is the second bit.
	text=$(cat "/proc/$1/status") && [[ $text == *State:$'\t'S* ]] &&
		[[ $text =~ SigCgt:$'\t'[0-9a-f]*[2367abef]$'\n' ]]
}

# run_interrupted COMMAND…: gets an interrupt when it waits; as run
run_interrupted()
{
	local process

	"$@" >/tmp/output 2>"$error_file" &
	process=$!
	await is_waiting "$process"
	kill -INT "$process"
	status=0
	wait "$process" || status=$?
	output=$(cat /tmp/output)
	error=$(cat "$error_file")
}

# has_said COUNT PATTERN FILE: so many of its lines match
has_said()
{
	[ "$(grep -c -e "$2" "$3")" -ge "$1" ]
}

# commit_on_terminal PATTERN: of vm, slowly until the bar has shown that; what was drawn
# is in /tmp/terminal
commit_on_terminal()
{
	rm -f /tmp/terminal
	TERM=vt100 script -qec 'dmcommit start vm --speed 512K --wait' /dev/null \
		</dev/null >/tmp/terminal 2>&1 &
	check "a progress bar on a terminal" await has_said 1 "$1" /tmp/terminal
	silent "speed" speed vm 0
	wait $!
}

# value KEY: of what the last json printed
value()
{
	json_value "$output" "$1"
}
