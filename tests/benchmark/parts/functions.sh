#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: where the instructions of an I/O, and of a commit, go, by function
# on the host
# not quick
exec "$(dirname "$(readlink -f "$0")")/../functions"
