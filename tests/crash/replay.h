/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A run is recorded, all writes, flushes and discards of all disks in one order, and
 * then replayed up to each flush and each FUA write on any disk.  There every disk that
 * holds what was not flushed loses it or keeps it, in all combinations, and once some
 * of it; what is left must come up, and hold what was acknowledged as durable by then.
 */
#ifndef COWSTACK_CRASH_REPLAY_H
#define COWSTACK_CRASH_REPLAY_H

#include "random.h"

/* Records runs until at least so many states have been looked at. */
void replay_run(unsigned int states, struct random *random);
unsigned int replay_states(void);
void replay_print(void);

#endif /* COWSTACK_CRASH_REPLAY_H */
