/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that a seed repeats on every machine (splitmix64).
 */
#ifndef COWSTACK_UNIT_RANDOM_H
#define COWSTACK_UNIT_RANDOM_H

#include "environment.h"

struct random {
	u64 state;
};

static inline u64 random_next(struct random *r)
{
	u64 z = (r->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* From 0 to @below - 1. */
static inline u64 random_below(struct random *r, u64 below)
{
	return random_next(r) % below;
}

static inline bool random_percent(struct random *r, unsigned int percent)
{
	return random_below(r, 100) < percent;
}

#endif /* COWSTACK_UNIT_RANDOM_H */
