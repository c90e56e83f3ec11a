/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that write, discard, zero, flush and read both volumes. */
#ifndef COWSTACK_CRASH_WORKLOAD_H
#define COWSTACK_CRASH_WORKLOAD_H

#include "core/environment.h"

struct workload_options {
	u64 seed;
	unsigned int flush_percent;	/* of all operations */
	unsigned int fua_percent;	/* of writes */
	unsigned int discard_percent;
	u32 most_sectors;		/* of one operation */
	u32 chunk_sectors;
	unsigned int rest_us;		/* after each operation */
};

void workload_init(void);
/* Both until the power fails or workload_stop(). */
int workload_start(const char *const paths[],
		   const struct workload_options *options);
void workload_stop(void);
bool workload_is_over(void);

/* From now on, after each operation. */
void workload_rest(unsigned int us);
/* No operation is under way in between. */
void workload_pause(void);
void workload_resume(void);
/* Reads of the store are to be a commit's alone while one runs. */
void workload_allow_reads(bool allow);
/* Has a write found no room since the start, or since this was forgotten? */
bool workload_was_full(void);
void workload_forget_full(void);

#endif /* COWSTACK_CRASH_WORKLOAD_H */
