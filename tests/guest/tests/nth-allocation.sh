#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 1 --timeout 900 --add tests/crash/build/fault_test
# debug: --points 9
# debug kernel: in check
# only on the debug kernel: no other can make allocations fail
# As guest/nth-request, but what fails is an allocation of the module, whichever thread asks
# for it, on kernels that can make them (tests/run --debug): no I/O fails and no job
# stops for that. Arguments go to fault_test.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/allocations.sh
. /lib/cowstack-tests/problems.sh
. /lib/cowstack-tests/quiet_log.sh

skip_without_failures
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
quiet_log
prepare_failures
[ $# -gt 0 ] || set -- --points 50
status=0
fault_test --from slab,pages "$@" || status=$?
end_quiet_log
exit $status
