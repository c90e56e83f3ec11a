# SPDX-License-Identifier: GPL-2.0
# usage: awk -f functions.awk SYMBOLS [LINEAR] COWSTACK
# SYMBOLS: "ADDRESS NAME", sorted; the others: "COUNT ADDRESS" of instructions. With LINEAR
# each function's instructions of one I/O, on both; without, its share of all.
FNR == 1 {
	file++
}

file == 1 {
	address[++symbols] = $1
	name[symbols] = $2
	next
}

# Addresses are too long for numbers: as text of one length they compare as well.
function find(where,    low, high, middle)
{
	if (where < "ffff800000000000")
		return "(programs)"
	low = 1
	high = symbols
	while (low < high) {
		middle = int((low + high + 1) / 2)
		if (address[middle] <= where)
			low = middle
		else
			high = middle - 1
	}
	begins = address[low] == where
	return name[low]
}

{
	begins = 0
	symbol = find($2)
	spent[symbol, file] += $1
	if (begins)
		called[symbol, file] += $1
	all[symbol] = 1
	total[file] += $1
}

function print_shares(    symbol)
{
	printf "%-44s %9s\n", "share of all instructions, in percent", ""
	fflush()
	for (symbol in all)
		if (spent[symbol, 2] * 1000 > total[2])
			printf "%-44s %9.1f\n", symbol,
				spent[symbol, 2] * 100 / total[2] | "sort -k2,2 -g -r"
}

END {
	if (file == 2) {
		print_shares()
		exit 0
	}
	for (i = 2; i <= 3; i++)
		ios[i] = called["__x64_sys_pread64", i] + called["__x64_sys_pwrite64", i]
	if (!ios[2] || !ios[3]) {
		print "no I/O was written down: " ios[2] + 0 " and " ios[3] + 0
		exit 1
	}
	printf "%-44s %9s %9s %9s %7s\n", "instructions of one I/O", "linear", "cowstack",
		"more", "calls"
	printf "%-44s %9.0f %9.0f %9.0f\n", "all", total[2] / ios[2], total[3] / ios[3],
		total[3] / ios[3] - total[2] / ios[2]
	fflush()
	for (symbol in all) {
		a = spent[symbol, 2] / ios[2]
		b = spent[symbol, 3] / ios[3]
		if (a < 0.5 && b < 0.5)
			continue
		printf "%-44s %9.1f %9.1f %9.1f %7.2f\n", symbol, a, b, b - a,
			called[symbol, 3] / ios[3] | "sort -k4,4 -g -r"
	}
}
