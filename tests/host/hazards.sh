#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What must not be in the code at all: see security.rst.
cd "$(dirname "$0")/../.."
. tests/guest/lib/tap.sh

# found TEXT PATTERN: what the module's sources have of it, comments aside
in_module()
{
	sed 's,/\*.*\*/,,; /^ \*/d' kernel/*.[ch] kernel/core/*.[ch] kernel/compat/*.[ch] |
		grep -E -n "$1"
}

# imports PATTERN: what the tool takes from libraries
imports()
{
	nm -D --undefined-only userspace/dmcommit | sed 's/.* \([^@ ]*\).*/\1/' | grep -x -E "$1"
}

check "the module can be searched" in_module "pr_err"
check "and the tool" imports "calloc"
is "$(in_module '\<(BUG|BUG_ON|WARN|WARN_ON|WARN_ONCE|WARN_ON_ONCE|panic)\(')" "" \
	"nothing in the module says BUG or WARN"
is "$(in_module '\<(strcpy|strcat|sprintf|strlcpy|strncpy)\(')" "" \
	"no string of the module's is written without a bound"

is "$(in_module '_PAGES = [0-9]')" "" \
	"no buffer is so many pages, which are sixteen times as large on some machines"

# conditions: what is compiled in one build and not in another, but for a header's own guard,
# the two worlds of core, and rules that a build breaks
conditions()
{
	grep -E -n '^\s*#\s*(if|ifdef|ifndef|elif)\>' kernel/*.[ch] kernel/core/*.[ch] |
		grep -v -E -e ':#ifndef COWSTACK_[A-Z_]+_H$' \
			-e '^kernel/core/(environment|environment_user|fault)\.h:'
}
check "the module has such conditions" grep -q COMPAT_HAS_ kernel/compat/compat.h
is "$(conditions)" "" "what older kernels need is in kernel/compat alone"
is "$(grep -r -n -E 'LINUX_VERSION_CODE|KERNEL_VERSION|linux/version\.h' Kbuild kernel)" "" \
	"and asks for features, never for versions"

# What dm and the block layer are told that the targets can do
is "$(in_module 'DM_TARGET_' | grep -o 'DM_TARGET_[A-Z_]*' | sort -u | paste -s -d ' ')" \
	"DM_TARGET_ALWAYS_WRITEABLE DM_TARGET_SINGLETON" \
	"of dm's features of targets none is advertised but what a store is"
is "$(in_module '\<(BLK_FEAT|QUEUE_FLAG)_(NOWAIT|POLL|DAX|ZONED|ATOMIC[A-Z_]*|PCI_P2PDMA)\>|atomic_write|limits->zoned|\<(dax|blk_crypto)_|direct_access')" \
	"" "nor zones, DAX, atomic writes, inline encryption, NOWAIT in any other way"

# starters FILE…: what could start a program in these
starters()
{
	nm --undefined-only "$@" 2>/dev/null |
		sed -n -E 's/.* (system|popen|exec[a-z]*|posix_spawnp?|fork|vfork)$/\1/p' |
		sort -u | paste -s -d ' '
}

mapfile -t others < <(printf '%s\n' userspace/build/*.o | grep -v -x userspace/build/hook.o)
is "$(starters "${others[@]}")" "" "the tool starts no other program, but that of monitor --exec"
is "$(starters userspace/build/hook.o)" "execl fork" "and that without a shell, nor a search for it"
check "each rule that a build breaks has its lines in fault-table.rst" tests/fault-table --check
is "$(imports '(__)?(strcpy|strcat|sprintf|gets|tmpnam|mktemp|tempnam)(_chk)?')" "" \
	"nor uses what knows no bound"
done_testing
