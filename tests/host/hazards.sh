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
is "$(imports 'system|popen|exec.*|posix_spawnp?|fork|vfork')" "" \
	"the tool starts no other program"
is "$(imports '(__)?(strcpy|strcat|sprintf|gets|tmpnam|mktemp|tempnam)(_chk)?')" "" \
	"nor uses what knows no bound"
done_testing
