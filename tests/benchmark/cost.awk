# SPDX-License-Identifier: GPL-2.0
# The cost model, from judged.tsv: what an operation costs, and the least that there can be.
function have(key, device)
{
	return (key, device) in raw ? raw[key, device] : "-"
}

# requests, bytes: at the disks for one operation, the least where it is @least
function operation(words, key, requests, bytes, flushes, least,    linear, ours)
{
	linear = have(key, "linear")
	ours = have(key, "cowstack")
	printf "%-34s %8s %8s %8s   %-9s %-8s %-7s %s\n", words, linear, ours,
		linear == "-" || ours == "-" ? "-" : ours - linear, requests, bytes, flushes, least
}

function sum(a, b)
{
	return a == "-" || b == "-" ? "-" : a + b
}

BEGIN {
	FS = "\t"
}

$5 != "" {
	raw[$1, $4] = $5
}

END {
	printf "%-34s %8s %8s %8s   %-9s %-8s %-7s %s\n", "", "linear", "ours", "more",
		"requests", "bytes", "flushes", "at least"
	operation("read in the base", "read-base-1.qd1", have("read-base.requests", "cowstack"),
		have("read-base.bytes", "cowstack"), 0, "1 request, 4096")
	operation("the same, 64 layers", "read-base-64.qd1", have("read-base.requests", "cowstack"),
		have("read-base.bytes", "cowstack"), 0, "1 request, 4096")
	operation("read in a layer", "read-layer-1.qd1", have("read-layer.requests", "cowstack"),
		have("read-layer.bytes", "cowstack"), 0, "1 request, 4096")
	operation("rewrite", "rewrite.qd1", have("rewrite.requests", "cowstack"),
		have("rewrite.bytes", "cowstack"), 0, "1 request, 4096")
	operation("first write", "first-write.qd1", have("first-write.ssd-writes", "cowstack"),
		have("first-write.ssd-bytes", "cowstack"),
		have("first-write.ssd-flushes", "cowstack"), "1 request, 4096")
	operation("first write, fdatasync", "first-write-sync.qd1",
		sum(have("first-write-sync.data-writes", "cowstack"),
			have("first-write-sync.metadata-writes", "cowstack")),
		sum(4096, have("first-write-sync.metadata-bytes", "cowstack")),
		have("first-write-sync.flushes", "cowstack"),
		"data, a block that says where, 1 flush")
	operation("rewrite, fdatasync", "rewrite-sync.qd1",
		sum(1, have("rewrite-sync.metadata-writes", "cowstack")), 4096, 1,
		"data, 1 flush")
	operation("sequential read, 128 KiB, base", "seq-read-base.qd1", "-", 131072, 0, "linear's")
	operation("sequential read, 128 KiB, layer", "seq-read-layer.qd1", "-", 131072, 0, "linear's")
	operation("sequential first write, 128 KiB", "seq-first-write.qd1", "-", 131072, 0, "linear's")
	printf "\n%-34s %8s %8s   %-9s %s\n", "commit, for each MiB", "merge", "ours", "requests",
		"at least: a request for each run of sectors"
	commit("contiguous")
	commit("64k-random")
	commit("4k-random")
}

# Instructions in thousands; requests as a multiple of the least.
function commit(shape,    merge, ours)
{
	merge = have("commit-" shape ".cpu", "snapshot-merge")
	ours = have("commit-" shape ".cpu", "cowstack")
	printf "%-34s %8s %8s   %-9s\n", shape, merge == "-" ? "-" : merge "k", ours == "-" ? "-" : ours "k",
		have("commit-" shape ".requests", "cowstack") " x"
}
