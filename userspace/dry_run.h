/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a commit would do, asked of the kernel and shown.
 */
#ifndef DMCOMMIT_DRY_RUN_H
#define DMCOMMIT_DRY_RUN_H

#include "job_request.h"

/*
 * Prints what a commit of the range in @request would write, free, and take.
 * Nothing is changed.
 */
enum exit_code dry_run(const struct volume *volume,
		       const struct job_request *request, bool json);

struct dry_run {
	const char *name;		/* of the volume */
	struct commit_plan plan;
	u64 chunk_bytes;
	u64 rate;			/* bytes per second, 0: not known */
	bool measured;			/* by a job, not given */
	bool zeroes_are_sent;		/* the destination has to be sent zeroes */
};

void dry_run_print(const struct dry_run *run, bool json);

#endif /* DMCOMMIT_DRY_RUN_H */
