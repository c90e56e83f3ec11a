/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What start and stream ask of the kernel: the words of the message, made out of
 * options, and the checks that come before it is sent.
 */
#ifndef DMCOMMIT_JOB_REQUEST_H
#define DMCOMMIT_JOB_REQUEST_H

#include "inventory.h"
#include "options.h"
#include "core/format.h"

struct job_request {
	char settings[160];		/* " speed 100 yield 0" */
	char range[64];			/* " top 7 base 4" */
	u64 speed;			/* bytes per second, 0: no limit */
	u64 until;			/* seconds since 1970, 0: no end */
	enum cowstack_on_error on_error;
};

/* A rate as it is typed; says what is wrong with it. */
enum exit_code job_rate_parse(const char *text, u64 *rate);

/* What can be read without asking anybody; wrong usage is said first. */
enum exit_code job_request_parse(struct job_request *request,
				 const struct options *options);

/* The range of a commit; says what would be refused, and why. */
enum exit_code job_request_commit_range(struct job_request *request,
					const struct volume *volume,
					const struct options *options);

/* The range of a stream. */
enum exit_code job_request_stream_range(struct job_request *request,
					const struct volume *volume,
					const struct options *options);

#endif /* DMCOMMIT_JOB_REQUEST_H */
