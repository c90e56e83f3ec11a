/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store that is full, in work and again while a commit runs, under writers that fail
 * or wait; the commit makes room, they go on, and nothing is lost.
 */
#ifndef COWSTACK_CRASH_FULL_H
#define COWSTACK_CRASH_FULL_H

#include "random.h"

void full_run(unsigned int rounds, struct random *random);
/* Rounds in which it was full in work, and was full while a commit ran. */
unsigned int full_in_work(void);
unsigned int full_in_commit(void);

#endif /* COWSTACK_CRASH_FULL_H */
