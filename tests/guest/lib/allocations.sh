# SPDX-License-Identifier: GPL-2.0
# Allocations of the module that fail, on kernels that can make them. Sourced by bash,
# after tap.sh.

debug=/sys/kernel/debug

can_fail_allocations()
{
	[ -d $debug/failslab ] && [ -d $debug/fail_page_alloc ]
}

# kmemleak notes each allocation in one of its own, and gives up where it cannot.
spare_kmemleak()
{
	local range

	mapfile -t range < <(awk '
		found { print "0x" $1; exit }
		$3 == "__alloc_object" { print "0x" $1; found = 1 }' /tmp/symbols)
	[ "${#range[@]}" -eq 2 ] || return 0
	echo "${range[0]}" >$debug/$1/reject-start
	echo "${range[1]}" >$debug/$1/reject-end
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

	cat /proc/kallsyms >/tmp/symbols
	grep -F "[dm_cowstack]" /tmp/symbols | sort >/tmp/functions
	for kind in failslab fail_page_alloc; do
		echo 0 >$debug/$kind/verbose
		echo 32 >$debug/$kind/stacktrace-depth
		limit_failures $kind
		echo N >$debug/$kind/ignore-gfp-wait
		echo -1 >$debug/$kind/times
		spare_kmemleak $kind
	done
	echo 0 >$debug/fail_page_alloc/min-order
	echo N >$debug/fail_page_alloc/ignore-gfp-highmem
}
