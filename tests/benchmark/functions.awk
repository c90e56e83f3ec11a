# SPDX-License-Identifier: GPL-2.0
# usage: awk -f functions.awk SYMBOLS [LINEAR] COWSTACK
# SYMBOLS: "ADDRESS NAME [MODULE]", sorted; the others: "COUNT ADDRESS" of instructions. With
# LINEAR each function's instructions of one I/O, on both; without, its share of all.
FNR == 1 {
	file++
}

file == 1 {
	address[++symbols] = $1
	name[symbols] = $3 == "" ? $2 : $2 " " $3
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

# Whose a function is.
function owner_of(symbol)
{
	if (symbol == "(programs)")
		return "programs, their system calls aside"
	if (symbol ~ /\[dm_cowstack\]/)
		return "dm-cowstack"
	if (symbol ~ /\[dm_mod\]/)
		return "device-mapper"
	if (symbol ~ /\[null_blk\]/)
		return "the disk's driver (null_blk)"
	if (symbol ~ /^_*(memcpy|memset|memmove|clear_page|copy_page|copy_user|copy_mc)/)
		return "copying and clearing memory"
	return "the rest of the kernel"
}

{
	begins = 0
	symbol = find($2)
	spent[symbol, file] += $1
	if (begins)
		called[symbol, file] += $1
	if (!(symbol in all)) {
		all[symbol] = owner_of(symbol)
		owners[all[symbol]] = 1
	}
	owned[all[symbol], file] += $1
	total[file] += $1
}

function share(n)
{
	return n * 100 / total[2]
}

function print_shares(    symbol)
{
	printf "%-44s %9s\n", "share of all instructions", "percent"
	fflush()
	for (symbol in owners)
		printf "  %-42.42s %9.1f\n", symbol, share(owned[symbol, 2]) | by_share
	close(by_share)
	print ""
	fflush()
	for (symbol in all)
		if (share(spent[symbol, 2]) > 0.1)
			printf "%-44.44s %9.1f\n", symbol, share(spent[symbol, 2]) | by_share
	close(by_share)
}

# print_both WORDS LINEAR COWSTACK [CALLS]
function print_both(words, a, b, calls, order)
{
	printf "%-44.44s %9.0f %9.0f %9.0f %7s\n", words, a, b, b - a, calls | order
}

BEGIN {
	by_share = "LC_ALL=C sort -s -t '\t' -k1.45,1.54rg"
	by_more = "LC_ALL=C sort -s -t '\t' -k1.65,1.74rg"
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
	print_both("all", total[2] / ios[2], total[3] / ios[3], "", "cat")
	close("cat")
	for (symbol in owners)
		print_both("  " symbol, owned[symbol, 2] / ios[2], owned[symbol, 3] / ios[3], "",
			by_more)
	close(by_more)
	print ""
	fflush()
	for (symbol in all) {
		a = spent[symbol, 2] / ios[2]
		b = spent[symbol, 3] / ios[3]
		if (a < 0.5 && b < 0.5)
			continue
		print_both(symbol, a, b, sprintf("%.2f", called[symbol, 3] / ios[3]), by_more)
	}
	close(by_more)
}
