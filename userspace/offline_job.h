/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of an offline commit share: offline_commit.c begins and ends it,
 * offline_range.c decides what it takes and whether it may, offline_copy.c sweeps.
 */
#ifndef DMCOMMIT_OFFLINE_JOB_H
#define DMCOMMIT_OFFLINE_JOB_H

#include "base_file.h"
#include "job_request.h"
#include "offline_store.h"
#include "pace.h"
#include "core/commit_plan.h"
#include "core/throttle.h"

struct offline_job {
	const struct options *options;
	const char *name;		/* of the volume, as it was given */
	struct offline_store store;
	struct base_file base;
	bool base_open;
	struct cowstack_volume *volume;
	struct cowstack_job record;
	bool resumed;			/* one that was begun before goes on */
	bool snapshot;			/* the volume's top is to be frozen first */
	struct cowstack_layer *top;	/* NULL: there is nothing to commit */
	struct cowstack_layer *bottom;
	struct cowstack_layer *destination; /* NULL: the base */
	struct cowstack_range range;
	struct cowstack_range merged;	/* with the destination, if it is a layer */
	struct offline_copy *copy;	/* offline_copy.c's own */
	struct cowstack_throttle throttle;
	struct pace pace;
	bool bar;
	u64 pending;			/* chunks done, not let go of yet */
	u64 began;			/* by the clock that only runs, ns */
	u64 moved;			/* bytes */
};

static inline const struct cowstack_geometry *
offline_geometry(const struct offline_job *job)
{
	return cowstack_geometry(&job->store.md);
}

u64 offline_now(void);

/* --- offline_range.c --- */

/*
 * From the options, or from the record of a job that was cut off: .top, .bottom,
 * .destination, the ranges, .snapshot, .resumed, and the options in .record.  Opens
 * the base where it is the destination.  Writes nothing.
 */
enum exit_code offline_choose(struct offline_job *job,
			      const struct job_request *request);

/* --- offline_copy.c --- */

/* 0 or -ENOMEM; offline_copy_exit() in any case. */
int offline_copy_init(struct offline_job *job);
void offline_copy_exit(struct offline_job *job);

/*
 * Copies and lets go of all of the range, but for what errors kept.  0; -EINTR;
 * -ETIME: "until" has come; -errno: what has stopped it, and all before it is done.
 */
int offline_sweep(struct offline_job *job);

/* --- offline_commit.c --- */

int offline_change_info(struct offline_job *job, cowstack_update_fn update,
			const void *argument);
/* A cowstack_update_fn; @argument: the record. */
void offline_update_record(struct cowstack_volume_info *info,
			   const void *argument);
void offline_show_progress(struct offline_job *job);
bool offline_is_late(const struct offline_job *job);

#endif /* DMCOMMIT_OFFLINE_JOB_H */
