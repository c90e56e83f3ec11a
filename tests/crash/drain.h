/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads that are under way in a chunk while its words are let go of: the chunk may
 * be discarded and used anew only when they have ended.  No cut is needed.
 */
#ifndef COWSTACK_CRASH_DRAIN_H
#define COWSTACK_CRASH_DRAIN_H

#include "random.h"

void drain_run(struct random *random);

#endif /* COWSTACK_CRASH_DRAIN_H */
