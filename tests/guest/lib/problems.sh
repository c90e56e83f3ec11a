# SPDX-License-Identifier: GPL-2.0
# What a kernel's log must not hold. Sourced by bash, never run.

# find_problems LOG: each line, with its number, in which the kernel, or one of its
# checkers, says that something is wrong, or a checker that it gave up.
find_problems()
{
	grep -a -n -E \
		-e 'WARNING: |BUG: |BUG [^ ]+ \(|Oops: |Kernel panic|Call Trace:' \
		-e 'INFO: (task .* blocked|rcu.* detected|possible|suspicious)' \
		-e 'KASAN|KFENCE|KCSAN|KMSAN|UBSAN|ODEBUG: [a-z]+ (active|not)|refcount_t:' \
		-e 'general protection fault|unable to handle' \
		-e 'sleeping function called|scheduling while atomic' \
		-e 'locking dependency|inconsistent lock state|recursive locking' \
		-e 'list_(add|del) corruption|Bad page state|Object .* overwritten' \
		-e 'unreferenced object|kmemleak: [0-9]+ new|page allocation failure' \
		-e 'kmemleak: (.*detector disabled|Cannot allocate a kmemleak)|turning off the locking' \
		"$1" || true
}
