#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What power cuts leave: a million states of all kinds, and as many of all subsets of up
# to 12 writes; 100,000 recoveries that are cut again; torn blocks of each kind.
set -u

. "$(dirname "$(readlink -f "$0")")/unit-common"

build test_cuts
COWSTACK_CUT_STATES=$(share 1000000)
COWSTACK_CUT_RECOVERIES=$(share 100000)
export COWSTACK_CUT_STATES COWSTACK_CUT_RECOVERIES
run test_cuts
require states 1000000
require recoveries-cut 100000
# Seeds that no sequence above has had; of each cut with few writes all subsets.
COWSTACK_SEED=1000001 COWSTACK_CUT_ALL=100 COWSTACK_CUT_RECOVERIES=1 run test_cuts
require states 2000000
require all-subsets-of-cuts 2000
require torn-blocks 500
finish
