/* SPDX-License-Identifier: GPL-2.0 */
/* What stacks and the store say of jobs, layers and room. */
#ifndef COWSTACK_CRASH_JOB_VIEW_H
#define COWSTACK_CRASH_JOB_VIEW_H

#include "core/environment.h"

enum job_state {
	JOB_IDLE, JOB_QUEUED, JOB_RUNNING, JOB_PAUSED, JOB_STOPPED,
	JOB_COMPLETED, JOB_CANCELLED, JOB_STATES,
};

struct job_view {
	enum job_state state;
	unsigned int layers;
	u32 top;			/* of the job */
	u32 base;
	int error;
	bool valid;			/* base_alone */
};

enum { MAX_LISTED = 64 };

struct layer_view {
	u32 id;
	u32 parent;
	u64 used;
	u64 clean;
};

/* From the top down. */
struct layer_list {
	unsigned int count;		/* one at least */
	struct layer_view layer[MAX_LISTED];
};

/* In chunks. */
struct room_view {
	u64 used;
	u64 metadata;
	u64 freeing;
};

const char *job_state_name(enum job_state state);

/* Each returns 0 or a negative errno. */
int job_view(unsigned int volume, struct job_view *view);
int layers_view(unsigned int volume, struct layer_list *list);
int room_view(struct room_view *view);

#endif /* COWSTACK_CRASH_JOB_VIEW_H */
