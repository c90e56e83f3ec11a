#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 900 --add tests/crash/build/fault_test
# The n-th request of a disk fails, of the store's or of the base's, alone or with all
# that follow, in work, snapshots, commits, streams, make_empty, loads, recoveries: nothing
# is lost, the error shows, and what was asked for ends when asked for again. On the debug
# kernel the block layer's own fault injection fails bios, too, which no disk gets to see.
# And the machine stops while its disks do not, and then the power goes.
# Arguments go to fault_test: "--points 0" is each n.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/allocations.sh
. /lib/cowstack-tests/problems.sh
. /lib/cowstack-tests/quiet_log.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
quiet_log
sources=store,store-stays,base,base-stays
if can_fail_bios; then
	prepare_bios /dev/nbd0 /dev/nbd1 /dev/nbd2
	sources+=,bios
fi
[ $# -gt 0 ] || set -- --points 50 --stops 5
status=0
fault_test --from $sources "$@" || status=$?
end_quiet_log
exit $status
