// SPDX-License-Identifier: GPL-2.0
#include "pace.h"

/*
 * The last sample is always the newest; those before it are a second or more
 * apart, so that together they cover half a minute however often they are taken.
 * A job reports in leaps, of some 32 MiB, and half a minute has several of them.
 */
static const double least_distance = 1.0;

static void drop_oldest(struct pace *pace)
{
	pace->count--;
	memmove(pace->samples, pace->samples + 1,
		pace->count * sizeof(pace->samples[0]));
}

void pace_note(struct pace *pace, double seconds, u64 done)
{
	unsigned int last = pace->count - 1;

	if (pace->count && done < pace->samples[last].done) {
		pace->count = 0;
	} else if (pace->count > 1 &&
		   seconds - pace->samples[last - 1].seconds < least_distance) {
		pace->count--;
	} else if (pace->count == PACE_SAMPLES) {
		drop_oldest(pace);
	}
	pace->samples[pace->count].seconds = seconds;
	pace->samples[pace->count].done = done;
	pace->count++;
}

u64 pace_seconds_left(const struct pace *pace, u64 total)
{
	unsigned int last = pace->count - 1;
	double span, left;
	u64 moved;

	if (pace->count < 2 || total < pace->samples[last].done)
		return U64_MAX;
	span = pace->samples[last].seconds - pace->samples[0].seconds;
	moved = pace->samples[last].done - pace->samples[0].done;
	if (span < least_distance || !moved)
		return U64_MAX;
	left = (total - pace->samples[last].done) * span / moved;
	return left < 1e15 ? (u64)(left + 0.5) : U64_MAX;
}
