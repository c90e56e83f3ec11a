# SPDX-License-Identifier: GPL-2.0
# judged.tsv as tables for a terminal: a line for each figure.
function number(text)
{
	if (text == "")
		return "-"
	if (text >= 1000 || text == int(text))
		return sprintf("%d", text)
	return sprintf(text < 10 ? "%.3f" : "%.1f", text)
}

function end_line()
{
	if (key != "")
		printf "%-62.62s %9s %9s  %-12s %s\n", words, ours, goal, verdict, peers
}

# A text in lines of not too many columns.
function print_wrapped(text,    count, word, line, i)
{
	count = split(text, word, " ")
	for (i = 1; i <= count; i++) {
		if (line != "" && length(line " " word[i]) > 94) {
			print line
			line = " "
		}
		line = line == "" ? word[i] : line " " word[i]
	}
	print line
}

BEGIN {
	FS = "\t"
}

$1 != key {
	end_line()
	if ($2 != title) {
		title = $2
		printf "\n%s\n%-62s %9s %9s  %-12s %s\n", title, "", "ours", "goal", "reached",
			"others"
	}
	key = $1
	words = $3
	ours = "-"
	goal = verdict = peers = ""
}

$4 == "cowstack" {
	ours = number($7)
	if ($8 != "") {
		goal = $8 " " number($9)
		verdict = $10
		counted[$10]++
		if ($10 == "known miss") {
			misses[++miss_count] = $3
			reason[miss_count] = $11
		}
	}
	next
}

{
	peers = peers " " $4 " " number($7)
	if ($4 == "linear" && $6 != "" && $7 == 1)
		peers = peers " (" number($5) " " $6 ")"
}

END {
	end_line()
	for (i = 1; i <= miss_count; i++) {
		if (i == 1)
			print "\nKnown misses"
		print_wrapped(" - " misses[i] ": " reason[i])
	}
	printf "\n%d reached, %d not, %d known misses, %d not measured\n", counted["yes"],
		counted["no"], counted["known miss"], counted["not measured"]
}
