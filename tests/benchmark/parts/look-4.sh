#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: a look at contention on 4 processors: no figure
# look: 4
# guest: --memory 2048
# not quick
. measure.sh
. look.sh
begin_part "$@"
look_at_processors 4
end_part
