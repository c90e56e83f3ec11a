/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A run is recorded, all writes, flushes and discards of all disks in one order, and
 * then replayed up to each flush and each FUA write on any disk.  There every disk that
 * holds what was not flushed loses it or keeps it, in all combinations, and once some
 * of it; what is left must come up, and hold what was acknowledged as durable by then.
 */
#ifndef COWSTACK_CRASH_REPLAY_H
#define COWSTACK_CRASH_REPLAY_H

#include <stdbool.h>

#include "random.h"

enum { REPLAY_MANY = 1000 };	/* states of runs in which everything was begun */

/*
 * Records runs until at least so many states have been looked at, caches were lost alone
 * and, where they are many, all was begun; unless that takes five times as many.
 */
void replay_run(unsigned int states, struct random *random);
unsigned int replay_states(void);
/* What the store's disk held was lost alone, and what a base's did. */
bool replay_each_was_alone(void);
/* Commits, streams and make_empty. */
bool replay_all_was_begun(void);
void replay_print(void);

#endif /* COWSTACK_CRASH_REPLAY_H */
