/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files about jobs share that nobody else needs: job.c, which starts them,
 * and job_control.c, which steers and parks them and tells of them.
 */
#ifndef COWSTACK_JOB_PARTS_H
#define COWSTACK_JOB_PARTS_H

#include "commit.h"

static inline bool job_record_is_stream(const struct cowstack_job *record)
{
	return record->kind == COWSTACK_JOB_STREAM;
}

static inline bool job_can_go_on(const struct cowstack_job *record)
{
	return record->kind != COWSTACK_JOB_NONE &&
	       record->state >= COWSTACK_JOB_QUEUED &&
	       record->state <= COWSTACK_JOB_STOPPED;
}

/*
 * Changes the volume's record by @update, durably.  message_mutex held; waits for
 * one step, and for a change of the chain that is under way.
 */
int job_commit_info(struct stack *stack, cowstack_update_fn update,
		    const void *argument);

/* A cowstack_update_fn: a job that is recorded as running is paused. */
void job_update_pause(struct cowstack_volume_info *info, const void *argument);

#endif /* COWSTACK_JOB_PARTS_H */
