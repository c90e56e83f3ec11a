#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a checker of the debug kernel finds has to end a guest with 125, however well
# the script in it ended, and whether or not the console showed it. A module with faults is
# the proof.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/guest/lib/problems.sh

kernel=$(tests/build-debug-kernel --where) ||
	skip_all "no debug kernel was built (make debug-module)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -r tests/host/planted "$work/planted"
check "a module with faults is built" \
	make --silent -C "$kernel/build" M="$work/planted" modules

# In this order: a report of lockdep or KASAN is the last that lockdep makes.
cat >"$work/script" <<'END'
#!/bin/bash
. /lib/cowstack-tests/problems.sh
. /lib/cowstack-tests/quiet_log.sh
insmod "$(command -v planted.ko)" fault=sleep 2>/dev/null
quiet_log
for fault in shift timer locks freed leak; do
	insmod "$(command -v planted.ko)" fault=$fault 2>/dev/null
done
end_quiet_log
exit 0
END
status=0
COWSTACK_GUEST_LOG=$work/log tests/guest/run --kernel debug --cpus 1 --timeout 1800 \
	--add "$work/planted/planted.ko" "$work/script" >"$work/output" 2>&1 || status=$?
like "$status $(tail -n 1 "$work/output")" '^125 .*the kernel reported: .*BUG: sleeping' \
	"a guest whose script ended well fails, with the first report"

problems=$(find_problems "$work/log")
like "$problems" 'BUG: sleeping function called' "a sleep under a spinlock is found"
like "$(head -n 2 <<<"$problems")" 'Call Trace:' "on the console itself"
like "$problems" 'UBSAN: shift-out-of-bounds' "undefined behaviour is found"
like "$problems" 'ODEBUG: free active .* timer_list' "a timer that is freed while it is armed is found"
like "$problems" 'BUG: KASAN: slab-use-after-free in use_after_free' "a use after free is found"
like "$problems" 'WARNING: possible circular locking' "a wrong order of locks is found"
like "$problems" 'unreferenced object' "a leak is found"
like "$(sed -n '/unreferenced object/,$p' "$work/log")" ' leak\+0x' "and who leaked is named"
done_testing
