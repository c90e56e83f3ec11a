/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a job leaves in its volume's record: when it has marked the base, and when it
 * has ended.  For the module's thread and for the tool's offline commit.
 */
#ifndef COWSTACK_CORE_JOB_END_H
#define COWSTACK_CORE_JOB_END_H

#include "metadata.h"

struct cowstack_job_begin {
	u64 total;
	layer_id_t mixed_top;		/* 0: the base is not written to */
};

/* A cowstack_update_fn; @argument: a cowstack_job_begin. */
void cowstack_job_update_begin(struct cowstack_volume_info *info,
			       const void *argument);

struct cowstack_job_end {
	struct cowstack_job record;
	bool base_valid;
	u64 base_sectors;
	u32 base_crc;
	u64 now;
};

/* A cowstack_update_fn; @argument: a cowstack_job_end. */
void cowstack_job_update_end(struct cowstack_volume_info *info,
			     const void *argument);

/*
 * Is the base the snapshot when a commit of the layers up to @top into it has ended
 * without errors?  One of less than was begun before leaves the mark, unless all
 * layers up to that one have left the chain.
 */
bool cowstack_job_makes_base_valid(const struct cowstack_volume *volume,
				   struct cowstack_layer *top);

#endif /* COWSTACK_CORE_JOB_END_H */
