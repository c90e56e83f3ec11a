/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs, shown and waited for.
 */
#ifndef DMCOMMIT_JOB_H
#define DMCOMMIT_JOB_H

#include "inventory.h"
#include "json.h"
#include "options.h"

/* A job's figures in what people count in. */
struct job_view {
	u64 done;			/* bytes */
	u64 total;
	u64 rate;			/* bytes per second, 0: not known */
	u64 errors;
	u64 seconds_left;		/* U64_MAX: not known */
	bool at_most;			/* the last is a bound and no more */
};

/* @volume: its name, by which what was seen of its job earlier is found. */
void job_view_fill(struct job_view *view, const char *volume,
		   const struct stack_status *status, u64 chunk_bytes);

void job_print_json(struct json *json, const char *key, const char *volume,
		    const struct stack_status *status, u64 chunk_bytes);

/*
 * One line on a job that has.  The rate is of what was moved; chunks may hold little
 * of it.
 */
void job_print_completed(const char *volume, const struct stack_status *status,
			 u64 chunk_bytes, double seconds);

/* Sends what makes sense only while there is a job to a volume's stack. */
enum exit_code job_command(const char *volume, const char *message);

/* Waits until the volume's job has ended, with a progress bar on a terminal. */
enum exit_code job_wait(const struct volume *volume, bool json);

/* What comes after a start: waiting for the end, or what programs want to see. */
enum exit_code job_follow(const struct volume *volume,
			  const struct options *options);

#endif /* DMCOMMIT_JOB_H */
