/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs of all kinds on both volumes, steered at random: what is asked for, what
 * must have become of it after a cut, and what a base alone must hold.
 */
#ifndef COWSTACK_CRASH_JOBS_H
#define COWSTACK_CRASH_JOBS_H

#include "job_place.h"
#include "random.h"

/* @random is the caller's. */
void jobs_init(struct random *random);
/* The store is new, and its volumes. */
void jobs_reset(void);

/* Chooses who goes on by itself when the stacks come up. */
void jobs_before_bring_up(void);
/*
 * With both volumes up and read after a cut: is each job where it must be, the
 * base what it is said to be, and no chunk lost?
 */
void jobs_after_bring_up(void);

/*
 * One look at a volume, and perhaps something done to it: jobs of @aim's kind,
 * often if @eager.  True: a job is at work.
 */
bool jobs_tend(unsigned int volume, struct job_place aim, bool eager);
/* Everything is committed: the bases alone are the volumes, the store is empty. */
void jobs_end(void);

void jobs_print_figures(void);

#endif /* COWSTACK_CRASH_JOBS_H */
