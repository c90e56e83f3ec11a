# SPDX-License-Identifier: GPL-2.0
# Commands out of the documentation, run as they stand there. Sourced by bash after tap.sh,
# never run.

# cut_out FILE: each literal block that begins with a comment goes into a file of its own,
# /tmp/blocks/01, 02, … in the order of the text
cut_out()
{
	mkdir -p /tmp/blocks /tmp/work
	awk '
		/::$/ { armed = 1; inside = 0; next }
		armed && /^    #/ && !inside {
			inside = 1
			name = sprintf("/tmp/blocks/%02d", ++count)
		}
		inside && /^    / { print substr($0, 5) >name; next }
		inside && /^$/ { print "" >name; next }
		/[^ ]/ { armed = 0; inside = 0 }' "$1"
}

# run_block FILE: by "bash -e" in /tmp/work; bash would pass over what a line "! COMMAND"
# finds, unless it is the last
run_block()
{
	sed 's/^\( *\)! \(.*\)$/\1if \2; then exit 1; fi/' "$1" >/tmp/block
	(cd /tmp/work && bash -ex -o pipefail /tmp/block) >/tmp/said 2>&1
}

# run_blocks: each, after "prepare FIRST-LINE" of the test, which does what is not the
# administrator's doing
run_blocks()
{
	local block first status

	for block in /tmp/blocks/*; do
		first=$(head -n 1 "$block")
		prepare "$first"
		status=0
		run_block "$block" || status=$?
		is "$status" 0 "block ${block##*/}: ${first#\# }"
		[ "$status" -eq 0 ] || tail -n 30 /tmp/said | sed 's/^/# /'
	done
}
