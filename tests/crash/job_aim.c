// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "job_aim.h"

enum {
	RECOVERIES_WANTED = 3,		/* of each kind, as soon as one can be had */
	STAGE_WANTED = 5,
};

static unsigned int cuts[JOB_KINDS][STAGES];

void job_aim_count(struct job_place place)
{
	cuts[place.kind][place.stage]++;
}

/* A recovery takes a job that was cut off. */
static bool find_cut_off_job(struct job_place *place)
{
	unsigned int hits, least = RECOVERIES_WANTED;
	enum job_kind kind;

	for (kind = 0; kind < JOB_KINDS; kind++) {
		hits = cuts[kind][STAGE_RECOVERY];
		if (hits >= least || !job_place_is_running(kind))
			continue;
		least = hits;
		*place = (struct job_place){ kind, STAGE_RECOVERY };
	}
	return least < RECOVERIES_WANTED;
}

static unsigned int cuts_of_stage(enum job_stage stage)
{
	unsigned int kind, sum = 0;

	for (kind = 0; kind < JOB_KINDS; kind++)
		sum += cuts[kind][stage];
	return sum;
}

/* A stage that few kinds have counts as less, until it was hit often enough. */
static unsigned int count_hits(struct job_place place)
{
	unsigned int hits = cuts[place.kind][place.stage];

	return cuts_of_stage(place.stage) < STAGE_WANTED ? hits / 3 : hits;
}

struct job_place job_aim_choose(struct random *random)
{
	struct job_place place, chosen = { JOB_COMMIT, STAGE_BEGIN };
	unsigned int least = ~0u, ties = 0, hits;

	if (find_cut_off_job(&chosen) && random_percent(random, 60))
		return chosen;
	for (place.kind = 0; place.kind < JOB_KINDS; place.kind++)
		for (place.stage = 0; place.stage < STAGES; place.stage++) {
			if (place.stage == STAGE_RECOVERY ||
			    !job_place_exists(place.kind, place.stage))
				continue;
			hits = count_hits(place);
			if (hits < least)
				ties = 0;
			if (hits > least)
				continue;
			least = hits;
			if (!random_below(random, ++ties))
				chosen = place;
		}
	return chosen;
}

static bool all_reach(const unsigned int *counts, unsigned int n,
		      unsigned int least)
{
	while (n)
		if (counts[--n] < least)
			return false;
	return true;
}

/* In each place some, and more in each row and column. */
bool job_aim_has_hit(unsigned int least, unsigned int least_in_place)
{
	unsigned int of_kind[JOB_KINDS] = { }, of_stage[STAGES] = { };
	enum job_kind kind;
	enum job_stage stage;

	for (kind = 0; kind < JOB_KINDS; kind++)
		for (stage = 0; stage < STAGES; stage++) {
			if (job_place_exists(kind, stage) &&
			    cuts[kind][stage] < least_in_place)
				return false;
			of_kind[kind] += cuts[kind][stage];
			of_stage[stage] += cuts[kind][stage];
		}
	return all_reach(of_kind, JOB_KINDS, least) &&
	       all_reach(of_stage, STAGES, least);
}

void job_aim_print(void)
{
	enum job_kind kind;
	enum job_stage stage;

	printf("# cuts of jobs %9s", "");
	for (stage = 0; stage < STAGES; stage++)
		printf(" %8s", job_stage_name(stage));
	for (kind = 0; kind < JOB_KINDS; kind++) {
		printf("\n# %-20s", job_kind_name(kind));
		for (stage = 0; stage < STAGES; stage++) {
			if (job_place_exists(kind, stage))
				printf(" %8u", cuts[kind][stage]);
			else
				printf(" %8s", "-");
		}
	}
	putchar('\n');
}

unsigned int job_aim_most(enum job_stage stage)
{
	static const unsigned int most[STAGES] = {
		[STAGE_BEGIN] = 2, [STAGE_CONTROL] = 1, [STAGE_GATHER] = 10,
		[STAGE_WRITE] = 10, [STAGE_FLUSH] = 2, [STAGE_LET_GO] = 3,
		[STAGE_END] = 1, [STAGE_EMPTY] = 1, [STAGE_RECOVERY] = 30,
	};

	return most[stage];
}
