/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A third volume of the store, that nobody reads or writes: it only grows.  Each
 * time is a step by itself and costs no more than that, so the journal's ring is
 * wrapped as often as the disks allow.
 */
#ifndef COWSTACK_CRASH_RING_H
#define COWSTACK_CRASH_RING_H

#include "core/environment.h"

/* The store is new; then the volume is made as the others are. */
void ring_reset(void);
int ring_create(void);

/*
 * Looks, after a bring-up, whether the volume has the size that was acknowledged
 * last, or one that was asked for since.  Fails for a cut.
 */
int ring_check(void);

/* It grows from the one to the other, or until the power fails. */
void ring_start(void);
void ring_stop(void);

/* How often, in all. */
u64 ring_grown(void);

#endif /* COWSTACK_CRASH_RING_H */
