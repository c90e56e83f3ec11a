/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a base is without its layers, in words.  Pure.
 */
#ifndef DMCOMMIT_BASE_ALONE_H
#define DMCOMMIT_BASE_ALONE_H

#include "core/environment.h"

enum { BASE_ALONE_TEXT = 160 };

/* The job that goes into the base. */
enum base_job {
	BASE_JOB_NONE,
	BASE_JOB_ACTIVE,		/* ends by itself */
	BASE_JOB_CUT_OFF,		/* the same, once the volume is up */
	BASE_JOB_WAITING,		/* paused, stopped */
};

/*
 * @alone: the kernel's word
 * @time: when the last whole commit ended, seconds since 1970; 0: not known
 */
const char *base_alone_words(const char *alone, u64 time, enum base_job job,
			     char text[BASE_ALONE_TEXT]);

#endif /* DMCOMMIT_BASE_ALONE_H */
