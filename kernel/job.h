/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs: a commit or a stream, run by a thread of its own, one per stack at a time.
 *
 *           start              last word gone
 *   (idle) ------> queued ⇄ running ----------> completed
 *                   |   ^      | cancel
 *      error, pause v   |      +--------------> cancelled
 *             stopped, paused
 *                (start, resume go on)
 *
 * Queued is a running job that waits for its turn at the disk (job_turn.h); the
 * record does not tell the two apart.
 *
 * The state that counts is in the volume's record.  It is durable before the
 * first write to the destination, so a job that a crash or a removal cut off is
 * taken up again when the stack is resumed.
 */
#ifndef COWSTACK_JOB_H
#define COWSTACK_JOB_H

#include "core/message_words.h"
#include "stack.h"

/* What a status line shows; a copy. */
struct job_status {
	struct cowstack_job record;
	u64 rate;			/* bytes/s, lately; of the last run */
};

struct job_range;
struct cowstack_estimate;

/*
 * "commit start", "stream start": takes the snapshot where one is due and starts the thread.
 * message_mutex held; waits for writes in flight and one step, and for a thread
 * that was told to end.
 */
int job_start(struct stack *stack, struct job_options *options);

/*
 * What it would do, and in @range from where to where; nothing changes.  A
 * question: no lock is needed, and it may take as long as the range is long.
 */
int job_plan(struct stack *stack, struct job_options *options,
	     struct cowstack_job *range, struct cowstack_estimate *estimate);

/* A run of chunks that a job left in the layers of its range. */
struct job_held {
	u64 sector;			/* of the volume */
	u64 sectors;
};

/*
 * After a job that noted errors: what its range still holds and is not clean,
 * from sector @from on, at most @most runs.  A question, as job_plan().
 *
 * Return: how many, -ENOMEM.
 */
int job_list_held(struct stack *stack, u64 from, struct job_held *held,
		  int most);

/* message_mutex held; one step.  0, -ENOENT: no job; an error of the step. */
int job_pause(struct stack *stack);
int job_resume(struct stack *stack, struct job_options *options);
int job_cancel(struct stack *stack);
int job_set_speed(struct stack *stack, u64 speed);

/* Is there a thread that has not come to its end?  message_mutex held. */
bool job_is_active(struct stack *stack);
/* Is there a job that runs or could go on?  message_mutex held. */
bool job_is_unfinished(const struct stack *stack);
/* And one that leaves clean copies?  None may be of a base that others write to. */
bool job_keeps_copies(const struct stack *stack);

/*
 * Is there a job of @volume, running or not, or a thread that is still at work on
 * its layers though it was cancelled?  message_mutex held.
 */
bool job_is_at_work(struct store *store, const struct cowstack_volume *volume);

/* And is @layer of its range, or what takes that? */
bool job_covers(struct store *store, const struct cowstack_volume *volume,
		const struct cowstack_layer *layer);

/* metadata_lock held. */
void job_get_status(struct stack *stack, struct job_status *status);
/* The same of a volume, up or down, and what is recorded of before; stores_mutex too. */
void job_get_volume_status(struct store *store,
			   const struct cowstack_volume *volume,
			   struct job_status *status);

/* The stack was resumed: a job that was cut off goes on.  May sleep. */
void job_take_up(struct stack *stack);

/* The thread ends as soon as it can; its record stays as it is.  May sleep. */
void job_end_thread(struct stack *stack);

/* Sets up what a stack has for its jobs. */
void job_init_stack(struct stack *stack);

/*
 * From the return of job_wait_parked() on, until job_unpark(), the thread stands
 * still with no I/O of its own under way; these nest: a store's and a stack's
 * suspend.  message_mutex held for the first, and better not for the second: what is
 * under way may take long on a slow disk.
 */
void job_park(struct stack *stack);
void job_wait_parked(struct stack *stack);
void job_unpark(struct stack *stack);
/* Both, for all stacks of @store; message_mutex held. */
void jobs_park(struct store *store);
void jobs_resume(struct store *store);

/*
 * Freezes the top at one point in time.  @update edits the volume's record in
 * the same step; it may be NULL.  message_mutex held.
 */
int stack_snapshot(struct stack *stack, const char *name,
		   cowstack_update_fn update, const void *argument);

#endif /* COWSTACK_JOB_H */
