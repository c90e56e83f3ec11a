# SPDX-License-Identifier: GPL-2.0
# Commits of the stack v, and what they left. Sourced by bash, after tap.sh and
# devices.sh.

snapshot()
{
	dmsetup message v 0 snapshot
}

# start WORD…
start()
{
	dmsetup message v 0 commit start "$@"
}

# commits TEXT WORD…: a commit completes
commits()
{
	start "${@:2}"
	is "$(wait_for_job v)" completed "$1"
}

# layers [STACK]: the ids, newest first
layers()
{
	echo $(dmsetup message "${1:-v}" 0 layers | cut -d' ' -f1)
}

# used_of LAYER, clean_of LAYER: in chunks
used_of()
{
	dmsetup message v 0 layers | awk -v id="$1" '$1 == id { print $4 }'
}

clean_of()
{
	dmsetup message v 0 layers | awk -v id="$1" '$1 == id { print $5 }'
}

# state: of the job
state()
{
	status_field v 7
}

base_alone()
{
	status_field v 6
}

# job_end: once it stands, what the status line says of the job and the base, in one
# look: "STATE errno N errors N first SECTOR BASE-ALONE"
job_end()
{
	local words i errors first

	wait_for_job v >/dev/null
	read -ra words < <(dmsetup status v)
	for ((i = 16; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		errors) errors=${words[i + 1]} ;;
		first_error) first=${words[i + 1]} ;;
		esac
	done
	echo "${words[9]} errno ${words[15]} errors $errors first $first ${words[8]}"
}

# sectors_written DISK
sectors_written()
{
	awk '{ print $7 }' "/sys/block/$1/stat"
}

# message_refused ERRNO-TEXT TEXT WORD…: a message to v, refused with this errno and
# this line in the log
message_refused()
{
	local error=$1 text=$2 output
	shift 2

	dmesg -c >/dev/null
	if output=$(dmsetup message v 0 "$@" 2>&1); then
		not_ok "refused: $*"
		return
	fi
	output+=$'\n'$(dmesg)
	if [[ $output == *"failed: $error"* ]] && [[ $output == *"cowstack v: $text"* ]]; then
		ok "$*: $error, \"$text\""
	else
		not_ok "$*: $error, \"$text\""
		diag "$output"
	fi
}

# says TEXT WORD…: the message is refused, and the log says TEXT
says()
{
	local text=$1
	shift

	dmesg -c >/dev/null
	check_fails "refused: $*" dmsetup message v 0 "$@"
	like "$(dmesg)" "$text" "and says: $text"
}
