/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread of a job, as those see it who start and steer it (job.c), and what
 * its files share: commit.c, where it begins and ends, commit_wait.c, where it
 * waits, and what moves the data: commit_sweep.c, or, for a stream, stream_sweep.c.
 */
#ifndef COWSTACK_COMMIT_H
#define COWSTACK_COMMIT_H

#include "copy_engine.h"
#include "core/stream_plan.h"
#include "core/throttle.h"
#include "job.h"
#include "job_turn.h"

/* A chunk that a stream pulls up. */
struct pull_entry {
	vchunk_t chunk;
	u16 gathered;			/* pieces that lie in the buffer */
	bool took;			/* a chunk of the store, which word names */
	u64 at;				/* byte of the buffer, of the first */
	map_word_t word;
	bool locks;			/* all of the batch in its region, by: */
	struct range_lock lock;
	struct completion granted;
};

enum { PULL_ENTRIES = 512 };

struct pull_batch {
	struct copy_batch *io;
	struct pull_entry *entries;	/* PULL_ENTRIES of them; streams only */
	u32 count;
	vchunk_t first;
	vchunk_t end;			/* behind the last that was passed */
	u64 passed;			/* chunks that had work to do */
	u64 bytes;			/* of the buffer */
};

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
	u64 moved_in_all;		/* bytes, since run_began */
	u64 run_began;			/* ns, its turn had come */
	/* The thread's own. */
	struct job_turn turn;
	struct cowstack_layer *top;	/* the range; NULL: a stream has none */
	struct cowstack_layer *bottom;
	/* What takes it: a layer below, or above for a stream; NULL: the base. */
	struct cowstack_layer *destination;
	struct cowstack_layer *below;		/* of what a stream pulls up */
	struct cowstack_range range;		/* top … bottom */
	struct cowstack_range merged;		/* and the destination */
	struct cowstack_segment tail;		/* job_range_find_tail() */
	struct copy_batch batch[2];
	struct copy_batch check;		/* of what is read back */
	struct cowstack_stream stream;
	struct pull_batch pull;
	bool one_by_one;		/* after an error, up to one_until */
	vchunk_t one_until;
	struct cowstack_replacement *replacements;
	u32 replacement_count;
	vchunk_t next;			/* to be gathered */
	vchunk_t group_first;
	u64 group_chunks;		/* passed over */
	u64 group_found;		/* of these, known to the range */
	u64 group_bytes;
	u64 group_space;		/* bytes of chunks, at least */
	bool let_go_due;		/* it is flushed */
	unsigned long group_began;	/* jiffies */
	u64 work_began;			/* ns, when it last kept back */
	u64 breathed;			/* ns, since when it has worked */
	bool over_stack;		/* what it writes arrives at a stack of ours */
};

/* --- commit_wait.c --- */

/* Was the thread told to end: by a removal, a cancel, a pause? */
bool commit_must_end(struct job *job);

/* Nothing of its own is under way, so that others may rely on it. */
void commit_set_still(struct job *job, bool still);

/* Stands still while the job is parked.  No I/O of its own is under way. */
void commit_stand_still(struct job *job);

/* Waits for what is under way of the batches. */
void commit_end_io(struct job *job);

/* Stands still for @most jiffies, unless it is to end. */
void commit_sleep_still(struct job *job, unsigned long most);

/*
 * No memory for what must be done now; to be tried again.  Nothing that a job does
 * for users is urgent, and memory comes back: no reason to stop.  0, or -EINTR: the
 * thread must end.
 */
int commit_wait_for_memory(struct job *job);

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
 * the job's own is under way.  0, or -EINTR: it must end, and do nothing more (its
 * base may be gone).
 */
int commit_keep_back(struct job *job);

/* Has it nothing to wait for, and need not keep back?  As of now. */
bool commit_may_go_on(struct job *job);

/* What is read back has a buffer, which waits for memory; 0, or -EINTR: to end. */
int commit_allocate_check(struct job *job);

/*
 * Work on the processor begins; after some of it, with no lock held, the thread makes way,
 * with "yield", for whoever waits for the processor.  Not while writes wait for the room it
 * makes.
 */
void commit_begin_work(struct job *job);
void commit_breathe(struct job *job);

/* Was @error for want of room in the store of a stack below? */
static inline bool commit_lacks_room(const struct job *job, int error)
{
	return error == -ENOSPC && job->over_stack;
}

/*
 * The stack below has no room.  Between the two a number of waits, of a second
 * each, which may be cut short: 0, or -EINTR: the thread must end.  No I/O of the
 * job's own is under way.
 */
void commit_begin_room_wait(struct job *job);
int commit_wait_for_room(struct job *job);
void commit_end_room_wait(struct job *job);

/* Bytes that the next batch may move, zeroes included. */
u64 commit_most_bytes(struct job *job);

void commit_account(struct job *job, u64 bytes, u64 chunks);

/* The run has ended: its rate over all is the one that stays; job_lock held. */
void commit_keep_rate(struct job *job);

/* --- commit.c --- */

/* "commit" or "stream", for logs. */
const char *commit_word(const struct job *job);

/*
 * The thread's function; @data is the struct job.  It shows its end in the
 * record and then waits for kthread_stop().
 */
int commit_thread(void *data);

/* Prepares @c; metadata_lock and chain_mutex held. */
typedef int (*commit_prepare_fn)(struct job *job, struct cowstack_change *c,
				 const void *argument);

/*
 * Makes a change durable.  A store that is suspended meanwhile, and memory that is not
 * there, are waited for, standing still.  Return: 0, -EINTR: the thread must end; an
 * error.
 */
int commit_make_durable(struct job *job, commit_prepare_fn prepare,
			const void *argument);

/* The store is suspended: stands still.  0, or -EINTR: the thread must end. */
int commit_wait_for_store(struct job *job);

struct cowstack_job commit_copy_record(struct job *job);

/*
 * A cowstack_update_fn: how far the job has come, and what it met, as the struct
 * cowstack_job at @argument says.
 */
void commit_update_progress(struct cowstack_volume_info *info,
			    const void *argument);

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

static inline bool commit_goes_on_after_errors(const struct job *job)
{
	return job->record.on_error != COWSTACK_ON_ERROR_STOP;
}

/* Is @error one of the devices', which on_error speaks of? */
static inline bool commit_is_io_error(int error)
{
	return error && error != -EINTR && error != -ENOMEM &&
	       error != -EROFS;
}

static inline bool job_is_stream(const struct job *job)
{
	return job->record.kind == COWSTACK_JOB_STREAM;
}

/* --- stream_sweep.c --- */

/* As commit_sweep(), upward: the range's words come to job->destination. */
int stream_sweep(struct job *job);

/* --- commit_sweep.c --- */

/*
 * Moves all that the range holds, and lets go of it.  0, also where errors were
 * noted instead; -EINTR: the thread must end; an error.
 */
int commit_sweep(struct job *job);

#endif /* COWSTACK_COMMIT_H */
