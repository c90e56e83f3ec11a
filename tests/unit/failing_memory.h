/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail, and signals that end what waits, in builds with
 * COWSTACK_FAILING_MEMORY.
 */
#ifndef COWSTACK_UNIT_FAILING_MEMORY_H
#define COWSTACK_UNIT_FAILING_MEMORY_H

#include "environment.h"

/* The n-th from now on that may fail does, and no other; 0: none does. */
void memory_fail_at(u64 n);

/* Has it come to that?  None fails from now on. */
bool memory_has_failed(void);

/* Who asks for the n-th time from now on whether it is killed is, from then on; 0: never. */
void memory_kill_at(u64 n);
bool memory_has_killed(void);

#endif /* COWSTACK_UNIT_FAILING_MEMORY_H */
