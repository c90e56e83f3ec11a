# SPDX-License-Identifier: GPL-2.0
# Prometheus' text format, as strictly as its own linter sees it. Sourced by bash.

# metrics_problems: reads metrics, prints what is wrong with them, a problem a line
metrics_problems()
{
	awk '
		function problem(text) { print "line " NR ": " text ": " $0 }
		/^# HELP / {
			if ($0 !~ /^# HELP [a-z_]+ [^ ].*\.$/)
				problem("no help")
			if ($3 in families)
				problem("twice")
			families[$3] = 1
			family = $3
			typed = 0
			next
		}
		/^# TYPE / {
			if ($3 != family || typed || NF != 4 || $4 !~ /^(gauge|counter)$/)
				problem("no type of what comes before it")
			if (($4 == "counter") != ($3 ~ /_total$/))
				problem("counters, and they alone, end in _total")
			if ($3 !~ /^cowstack_(store|volume|job)_[a-z_]*[a-z]$/ ||
			    $3 ~ /(kilo|mega|milli|sectors|chunks|percent)/)
				problem("no name with a base unit")
			typed = 1
			next
		}
		{
			rest = $0
			if (!match(rest, /^[a-z_]+/) || substr(rest, 1, RLENGTH) != family ||
			    !typed)
				problem("no sample of the family " family)
			rest = substr(rest, RLENGTH + 1)
			if (!sub(/^[{]/, "", rest))
				problem("no labels")
			split("", labels)
			while (match(rest, /^[a-z]+="([^"\\]|\\[\\"n])*",?/)) {
				label = substr(rest, 1, index(rest, "=") - 1)
				if (label in labels)
					problem("a label twice")
				labels[label] = 1
				rest = substr(rest, RLENGTH + 1)
			}
			if (rest !~ /^[}] [0-9]+$/)
				problem("no value")
			series = $0
			sub(/ [0-9]+$/, "", series)
			if (series in seen)
				problem("a series twice")
			seen[series] = 1
		}
		END {
			if (!NR)
				print "nothing at all"
		}'
}
