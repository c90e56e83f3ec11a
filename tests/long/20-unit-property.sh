#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Storms of changes, in any order, with power cuts and full stores: faults.md's
# 100,000 sequences, and 10,000 times full, in work and in jobs, and room again.
set -u

. "$(dirname "$(readlink -f "$0")")/unit-common"

build test_property
COWSTACK_SEQUENCES=$(share 100000)
export COWSTACK_SEQUENCES
run test_property
require sequences 100000
require changes 2000000
require store-full 10000
require full-at-work 10000
require room-again 10000
finish
