/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread of a commit (commit.c), as those see it who start and end it
 * (job.c).
 */
#ifndef COWSTACK_COMMIT_H
#define COWSTACK_COMMIT_H

#include "copy_engine.h"
#include "core/throttle.h"
#include "job.h"

struct job {
	struct stack *stack;
	struct task_struct *thread;
	wait_queue_head_t wait;		/* for a change of any flag below */
	/* Protected by stack->job_lock. */
	struct cowstack_job record;
	bool cancelled;
	bool finished;
	bool still;			/* nothing of its own is under way */
	struct cowstack_throttle throttle;
	u64 moved;			/* bytes, since rate_since */
	u64 rate_since;
	u64 rate;
	/* The thread's own. */
	struct cowstack_layer *top;
	struct cowstack_layer *bottom;
	struct cowstack_range range;
	struct copy_batch batch[2];
	vchunk_t next;			/* to be gathered */
	vchunk_t group_first;
	u64 group_chunks;
	u64 group_bytes;
	u64 group_space;		/* bytes of chunks, at least */
	unsigned long group_began;	/* jiffies */
};

/*
 * The thread's function; @data is the struct job.  It shows its end in the
 * record and then waits for kthread_stop().
 */
int commit_thread(void *data);

#endif /* COWSTACK_COMMIT_H */
