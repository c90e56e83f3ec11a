/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a job takes, and into what: deciding, and asking beforehand.  Of commits in
 * job_range.c, of streams in stream_range.c.
 */
#ifndef COWSTACK_JOB_RANGE_H
#define COWSTACK_JOB_RANGE_H

#include "core/commit_estimate.h"
#include "core/stream_plan.h"
#include "job.h"

struct job_range {
	struct cowstack_layer *top;
	struct cowstack_layer *bottom;
	struct cowstack_layer *destination;	/* NULL: the base */
	/* A stream: top … bottom are the sources that move, or NULL. */
	struct cowstack_layer *below;	/* of all sources; NULL: the base */
	/* The top is the volume's own, to be frozen first. */
	bool snapshot;
	bool nothing;			/* there is nothing to commit */
};

/**
 * job_range_choose() - what "commit start" with @options would take.
 *
 * chain_mutex or message_mutex held, metadata_lock not.  Whether the top is empty
 * can change until the write gate is closed.
 *
 * Return: 0; -ENOENT, -EINVAL, -EBUSY after a line in the log that names the
 * layer in the way.
 */
int job_range_choose(struct stack *stack, struct job_options *options,
		     struct job_range *range);

/*
 * The range that a record speaks of.  0, -ENOENT: a layer of it is gone, or may not
 * be committed any more.
 */
int job_range_find(struct stack *stack, const struct cowstack_job *record,
		   struct job_range *range);

/* --- stream_range.c --- */

/*
 * The same for "stream start": destination is the layer that takes all that lies
 * between it and below.
 */
int stream_range_choose(struct stack *stack, struct job_options *options,
			struct job_range *range);
int stream_range_find(struct stack *stack, const struct cowstack_job *record,
		      struct job_range *range);

/* What is planned with; metadata_lock held. */
void stream_range_fill(struct stack *stack, const struct job_range *range,
		       bool with_base, struct cowstack_stream *stream);

/* Has the store room for what must be copied?  -ENOSPC after a line in the log. */
int stream_range_check_room(struct stack *stack, struct job_options *options,
			    const struct job_range *range,
			    struct cowstack_stream *stream);

/* --- job_range.c --- */

/* The layer of the stack's chain, or NULL; metadata_lock held. */
struct cowstack_layer *job_range_layer(const struct stack *stack, u32 id);

/*
 * What @range holds behind the base's end in the sixteenth in which that lies, where it
 * is all zeroes: the base shows the same.  .sectors 0: nothing, or no zeroes.  Reads the
 * store; nothing changes the range meanwhile.  0 or an errno.
 */
int job_range_find_tail(struct stack *stack, const struct cowstack_range *range,
			struct cowstack_segment *tail);

/*
 * Would what @range holds fit the base?  -ENOSPC after a line in the log.  @room
 * is to work with: the write gate may be closed, so little is allocated.
 */
int job_range_check_base_end(struct stack *stack, struct job_options *options,
			     const struct job_range *range,
			     struct cowstack_range *room);

/*
 * What a commit of the layers from @top down into @destination (ids, 0: the base)
 * would do.  0, -ENOMEM.  Holds metadata_lock for a little at a time: what a job
 * does meanwhile shows.
 */
int job_range_estimate(struct stack *stack, u32 top, u32 destination,
		       struct cowstack_estimate *estimate);

/* One line that says why the job does not start; returns @error. */
__printf(4, 5)
int job_refuse(const struct stack *stack, struct job_options *options,
	       int error, const char *format, ...);

#endif /* COWSTACK_JOB_RANGE_H */
