/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How fast a count goes up, and when it will be where it has to be.  Pure.
 */
#ifndef DMCOMMIT_PACE_H
#define DMCOMMIT_PACE_H

#include "core/environment.h"

enum { PACE_SAMPLES = 32 };

struct pace {
	struct {
		double seconds;
		u64 done;
	} samples[PACE_SAMPLES];	/* the oldest first */
	unsigned int count;
};

/*
 * At @seconds by any clock the count was @done.  One that went back is another
 * count: what was noted before is forgotten.
 */
void pace_note(struct pace *pace, double seconds, u64 done);

/* Until the count is @total, by what was noted lately; U64_MAX: too little was. */
u64 pace_seconds_left(const struct pace *pace, u64 total);

#endif /* DMCOMMIT_PACE_H */
