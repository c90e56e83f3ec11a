# SPDX-License-Identifier: GPL-2.0
# Allocations of the module, and bios, that fail, on kernels that can make them. Sourced by
# bash, after tap.sh.

debug=/sys/kernel/debug

can_fail_allocations()
{
	[ -d $debug/failslab ] && [ -d $debug/fail_page_alloc ]
}

# skip_without_failures: of the kernel that is there for them, all else is an error.
skip_without_failures()
{
	can_fail_allocations && return
	[[ $(uname -r) == *-debug-* ]] || skip_all "this kernel cannot make allocations fail"
	not_ok "the debug kernel can make allocations fail"
	done_testing
}

can_fail_bios()
{
	[ -d $debug/fail_make_request ] && return
	[[ $(uname -r) != *-debug-* ]] || not_ok "the debug kernel can make bios fail"
	return 1
}

# prepare_bios DISK…: any bio to one of them is to fail, when the time comes
prepare_bios()
{
	local disk

	for disk; do
		echo 1 >"/sys/block/${disk#/dev/}/make-it-fail"
	done
	echo 0 >$debug/fail_make_request/verbose
}

# kmemleak notes each allocation in one of its own: that is no place of the module's. What
# fails of a kind of object is for the kernel to choose by its cache, so all others are
# chosen. (Pages for those objects are few, and it has objects in reserve.)
spare_kmemleak()
{
	local cache

	for cache in /sys/kernel/slab/*; do
		[[ $cache == */kmemleak_* ]] || echo 1 >"$cache/failslab" 2>/dev/null
	done
	echo Y >$debug/failslab/cache-filter
	[ "$(cat /sys/kernel/slab/{kmemleak_object,kmalloc-64,kmalloc-4k}/failslab | xargs)" = "0 1 1" ] ||
		not_ok "allocations can fail, but not those of kmemleak"
}

# spare_nbd KIND: a disk's own allocation for a request that the module's thread has handed
# to it: it would lose its server for that.
spare_nbd()
{
	local size

	size=$(awk '$1 == "nbd" { print $2 }' /proc/modules)
	[ -n "$size" ] || return 0
	echo "$(</sys/module/nbd/sections/.text)" >$debug/$1/reject-start
	printf '0x%x\n' $(($(</sys/module/nbd/sections/.text) + size)) >$debug/$1/reject-end
}

# limit_failures KIND [FUNCTION]: to what has the module, or this function of it, on its
# stack
limit_failures()
{
	local range

	if [ $# -eq 2 ]; then
		mapfile -t range < <(awk -v name="$2" '
			found && $1 != at { print "0x" $1; exit }
			$3 == name { print "0x" $1; found = 1; at = $1 }' /tmp/functions)
	else
		range=("$(</sys/module/dm_cowstack/sections/.text)")
		range+=("$(printf '0x%x' $((range[0] +
			$(awk '$1 == "dm_cowstack" { print $2 }' /proc/modules))))")
	fi
	[ "${#range[@]}" -eq 2 ] || not_ok "there is ${2:+$2() in }the module's code"
	echo "${range[0]}" >$debug/$1/require-start
	echo "${range[1]}" >$debug/$1/require-end
}

# Of that only what may fail at all.
prepare_failures()
{
	local kind

	grep -F "[dm_cowstack]" /proc/kallsyms | sort >/tmp/functions
	spare_kmemleak
	for kind in failslab fail_page_alloc; do
		echo 0 >$debug/$kind/verbose
		echo 32 >$debug/$kind/stacktrace-depth
		limit_failures $kind
		echo N >$debug/$kind/ignore-gfp-wait
		echo -1 >$debug/$kind/times
		spare_nbd $kind
	done
	echo 0 >$debug/fail_page_alloc/min-order
	echo N >$debug/fail_page_alloc/ignore-gfp-highmem
}
