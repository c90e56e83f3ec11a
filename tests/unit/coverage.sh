#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: coverage.sh OBJECTS PROGRAMS CORE TEST…
#
# Runs the programs, which were built with --coverage, and prints which part of the
# lines of each file of CORE they have run, and which lines they have not. Fails where
# that is less than 95 percent, of all or of a file.
set -euo pipefail

objects=$1
programs=$2
core=$(readlink -f "$3")
shift 3
export COWSTACK_SEQUENCES=${COWSTACK_SEQUENCES:-3000} COWSTACK_LOADS=${COWSTACK_LOADS:-3000} \
	COWSTACK_CUT_STATES=${COWSTACK_CUT_STATES:-20000} \
	COWSTACK_CUT_RECOVERIES=${COWSTACK_CUT_RECOVERIES:-1000}

rm -f "$objects"/*.gcda
for test in "$@"; do
	if ! output=$("$programs/$test" 2>&1); then
		printf '%s\n%s fails: no coverage\n' "$output" "$test" >&2
		exit 1
	fi
done

cd "$objects"
counts=$(gcov --stdout ./*.gcno 2>/dev/null)

# gcov's lines: count, number, text; ##### was never run, - is no code.
awk -F: -v core="$core/" '
	$2 ~ /^ *0$/ && $3 == "Source" {
		file = index($4, core) == 1 ? substr($4, length(core) + 1) : ""
		next
	}
	file == "" || file == "environment_user.h" { next }
	{ count = $1; gsub(/[ *]/, "", count); line = $2 + 0 }
	count == "-" || line == 0 { next }
	# A header is counted in each file that includes it.
	{ seen[file, line] = 1; lines[file "\t" line] = 1 }
	count != "#####" && count != "=====" { run[file, line] = 1 }
	END {
		for (key in lines) {
			split(key, part, "\t")
			total[part[1]]++
			if ((part[1], part[2]) in run)
				done[part[1]]++
			else
				printf "missed\t%s\t%d\n", part[1], part[2]
		}
		for (file in total) {
			printf "file\t%s\t%d\t%d\n", file, done[file], total[file]
			all += total[file]
			ran += done[file]
		}
		printf "total\t%d\t%d\n", ran, all
	}' <<<"$counts" >coverage.list

echo "lines run    of  part  file of kernel/core: lines that are not"
sort -k2,2 -k3,3n coverage.list | awk -F'\t' '
	function close_run() {
		if (from)
			missed[name] = missed[name] " " \
				(from == to ? from : from "-" to)
		from = 0
	}
	$1 == "missed" {
		if ($2 != name || $3 != to + 1) {
			close_run()
			name = $2
			from = $3
		}
		to = $3
	}
	function is_little(run, of) { return run < 0.95 * of }
	$1 == "file" {
		files[++n] = $2
		done[$2] = $3
		all[$2] = $4
		if (is_little($3, $4))
			few = few " " $2
	}
	$1 == "total" {
		total = sprintf("%9d %5d %4.1f%%  all", $2, $3, 100 * $2 / $3)
		numbers = sprintf("# totals: lines=%d lines-run=%d", $3, $2)
		if (is_little($2, $3))
			few = few " all"
	}
	END {
		close_run()
		for (i = 1; i <= n; i++)
			printf "%9d %5d %4.1f%%  %s%s\n", done[files[i]], all[files[i]],
				100 * done[files[i]] / all[files[i]], files[i],
				missed[files[i]] ? ":" missed[files[i]] : ""
		print total
		print numbers
		if (few) {
			print "less than 95 percent of:" few > "/dev/stderr"
			exit 1
		}
	}'
