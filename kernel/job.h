/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs: a commit, run by a thread of its own, one per stack at a time.
 *
 *           start           last word gone
 *   (idle) ------> running ----------------> completed
 *                   |  ^  | cancel
 *      error, pause v  |  +----------------> cancelled
 *             stopped, paused (start goes on)
 *
 * The state that counts is in the volume's record.  It is durable before the
 * first write to the destination, so a job that a crash or a removal cut off is
 * taken up again when the stack is resumed.
 */
#ifndef COWSTACK_JOB_H
#define COWSTACK_JOB_H

#include "stack.h"

/* What a status line shows; a copy. */
struct job_status {
	struct cowstack_job record;
	u64 rate;			/* bytes per second, lately */
};

struct job_options {
	u64 speed;			/* bytes per second, 0: unlimited */
	bool speed_given;
	bool refused;			/* set: why was said where it was found */
};

/*
 * "commit start": takes the snapshot where one is due and starts the thread.
 * message_mutex held; waits for writes in flight and one step.
 */
int job_start(struct stack *stack, struct job_options *options);

/* message_mutex held. 0, -ENOENT: no job. */
int job_cancel(struct stack *stack);
int job_set_speed(struct stack *stack, u64 speed);

/* metadata_lock held. */
void job_get_status(struct stack *stack, struct job_status *status);

/* The stack was resumed: a job that was cut off goes on.  May sleep. */
void job_take_up(struct stack *stack);

/* The thread ends as soon as it can; its record stays as it is.  May sleep. */
void job_end_thread(struct stack *stack);

/* Sets up what a stack has for its jobs. */
void job_init_stack(struct stack *stack);

/*
 * The thread stands still, with no I/O of its own under way, from the return on
 * until job_unpark(); these nest: a store's and a stack's suspend.
 * message_mutex held.
 */
void job_park(struct stack *stack);
void job_unpark(struct stack *stack);
/* The same for all stacks of @store; message_mutex held. */
void jobs_park(struct store *store);
void jobs_resume(struct store *store);

/*
 * Freezes the top at one point in time.  @update edits the volume's record in
 * the same step; it may be NULL.  message_mutex held.
 */
int stack_snapshot(struct stack *stack, const char *name,
		   cowstack_update_fn update, const void *argument);

#endif /* COWSTACK_JOB_H */
