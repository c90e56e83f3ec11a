#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each I/O and each allocation of 50 workloads of each kind fails; devices are pulled in
# jobs; stores on thin devices without room.
set -u

. "$(dirname "$(readlink -f "$0")")/unit-common"

build test_errors
COWSTACK_WORKLOADS=$(share 250)
# A third of them in commits, the others in streams and make_empty.
COWSTACK_PULLS=$(share 3000)
COWSTACK_THIN=$(share 10000)
export COWSTACK_WORKLOADS COWSTACK_PULLS COWSTACK_THIN
run test_errors
require io-errors-workloads 250
require allocations-failed-workloads 250
require pulls 3000
require thin-full 10000
finish
