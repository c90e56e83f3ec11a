/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread of a commit, as those see it who start and steer it (job.c), and
 * what its two files share: commit.c, where it begins, waits and ends, and
 * commit_sweep.c, which moves the data.
 */
#ifndef COWSTACK_COMMIT_H
#define COWSTACK_COMMIT_H

#include "copy_engine.h"
#include "core/throttle.h"
#include "job.h"
#include "job_turn.h"

struct job {
	struct stack *stack;
	struct task_struct *thread;
	wait_queue_head_t wait;		/* for a change of any flag below */
	/* Protected by stack->job_lock. */
	struct cowstack_job record;
	bool cancelled;
	bool paused;			/* it is to end, and may be resumed */
	bool ending;			/* too late to resume it */
	bool finished;
	bool unrecorded;		/* its end: the record lags behind */
	bool still;			/* nothing of its own is under way */
	struct cowstack_throttle throttle;
	u64 moved;			/* bytes, since rate_since */
	u64 rate_since;
	u64 rate;
	/* The thread's own. */
	struct job_turn turn;
	struct cowstack_layer *top;
	struct cowstack_layer *bottom;
	struct cowstack_layer *destination;	/* NULL: the base */
	struct cowstack_range range;		/* top … bottom */
	struct cowstack_range merged;		/* and the destination */
	struct copy_batch batch[2];
	struct copy_batch check;		/* of what is read back */
	struct cowstack_replacement *replacements;
	u32 replacement_count;
	vchunk_t next;			/* to be gathered */
	vchunk_t group_first;
	u64 group_chunks;		/* passed over */
	u64 group_found;		/* of these, known to the range */
	u64 group_bytes;
	u64 group_space;		/* bytes of chunks, at least */
	unsigned long group_began;	/* jiffies */
	u64 work_began;			/* ns, when it last kept back */
};

/* --- commit.c --- */

/*
 * The thread's function; @data is the struct job.  It shows its end in the
 * record and then waits for kthread_stop().
 */
int commit_thread(void *data);

/* Prepares @c; metadata_lock and chain_mutex held. */
typedef int (*commit_prepare_fn)(struct job *job, struct cowstack_change *c,
				 const void *argument);

/*
 * Makes a change durable; a store that is suspended meanwhile is waited for,
 * standing still.  Return: 0, -EINTR: the thread must end; an error.
 */
int commit_make_durable(struct job *job, commit_prepare_fn prepare,
			const void *argument);

struct cowstack_job commit_copy_record(struct job *job);

/* Must the thread come to commit_wait() before it moves anything more? */
bool commit_must_wait(struct job *job);

/*
 * Waits while the job may not go on: parked, not its turn, too fast, users
 * first.  No I/O of the job's own is under way.  0, or -EINTR: it must end.
 */
int commit_wait(struct job *job);

/*
 * Keeps back while users wait, but never for more than 99 times as long as it
 * worked before: under endless load it has 1 % of the time, and ends.  No I/O of
 * the job's own is under way.
 */
void commit_keep_back(struct job *job);

/* Bytes that the next batch may move, zeroes included. */
u64 commit_most_bytes(struct job *job);

void commit_account(struct job *job, u64 bytes, u64 chunks);

/* Chunks from @chunk on could not be committed and stay where they are. */
void commit_note_error(struct job *job, vchunk_t chunk, u64 chunks, int error);

static inline const struct cowstack_geometry *
commit_geometry(const struct job *job)
{
	return store_geometry(job->stack->store);
}

static inline bool commit_has_flag(const struct job *job, u8 flag)
{
	return READ_ONCE(job->record.flags) & flag;
}

/* --- commit_sweep.c --- */

/*
 * Moves all that the range holds, and lets go of it.  0, also where errors were
 * noted instead; -EINTR: the thread must end; an error.
 */
int commit_sweep(struct job *job);

#endif /* COWSTACK_COMMIT_H */
