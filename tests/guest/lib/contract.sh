# SPDX-License-Identifier: GPL-2.0
# What dmcommit can be asked, out of its own table, for tests that ask all of it. Sourced
# by bash, after tool.sh.

# Read once: a guest takes its time to start a program.
all_commands=()			# in the table's order
json_commands=()		# those that print it
declare -A arguments_of=()	# by command; "": none
declare -A required_of=()	# what has to be given behind it, options too
declare -A options_of=()	# "--NAME VALUE" a line; VALUE "-": none

read_contract()
{
	local kind command first second third word

	while IFS=$'\t' read -r kind command first second third _; do
		case $kind in
		command)
			all_commands+=("$command")
			arguments_of[$command]=${second#-}
			required_of[$command]=
			for word in ${third#"$command"}; do
				[[ $word == \[* ]] || required_of[$command]+=" $word"
			done
			;;
		option)
			options_of[$command]+="$first $second"$'\n'
			[ "$first" != --json ] || json_commands+=("$command")
			;;
		esac
	done < <(dmcommit help --table)
}

# for_all TEXT TEST COMMAND…: TEST COMMAND is right for each, or names what is not
for_all()
{
	local text=$1 test=$2 command wrong=''
	shift 2

	for command; do
		"$test" "$command" || wrong+=" $command"
	done
	is "$wrong" "" "$text"
}

# refused STATUS PATTERN ARGUMENT…: dmcommit says one line on stderr that matches and
# nothing else, and exits so; with a diagnosis where not
refused()
{
	run dmcommit "${@:3}"
	if is_refusal "$1" "$2" && [ -z "$output" ]; then
		return 0
	fi
	diag "dmcommit ${*:3}: status $status, wanted $1 and \"$2\""
	diag "stdout: $output"
	diag "stderr: $error"
	return 1
}

# usage_with_samples COMMAND: sets $words to what must be given, made of words that look
# right and mean nothing that is there
usage_with_samples()
{
	local word

	words=("$1")
	for word in ${required_of[$1]}; do
		case $word in
		DEV | STORE\|DEV) words+=(/dev/nothing) ;;
		VOL | STORE | VOL\|STORE) words+=(nothing) ;;
		LAYER) words+=(1) ;;
		SIZE) words+=(1G) ;;
		RATE) words+=(1M) ;;
		NEW) words+=(new) ;;
		FEATURE=VALUE) words+=(on_full=queue) ;;
		*) words+=("$word") ;;
		esac
	done
}

read_contract
