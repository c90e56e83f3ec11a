/* SPDX-License-Identifier: GPL-2.0 */
/* What the program was asked for. */
#ifndef COWSTACK_CRASH_OPTIONS_H
#define COWSTACK_CRASH_OPTIONS_H

#include "job_place.h"
#include "phase.h"

struct crash_options {
	unsigned int cuts;
	u64 seed;
	unsigned int work_seconds;	/* at most, then the cut falls anywhere */
	enum phase only;		/* PHASES: all of them in turn */
	unsigned int discard_percent;	/* 0: as it comes */
	unsigned int flush_percent;
	unsigned int fua_percent;
	unsigned int torn;		/* writes of metadata, at least */
	unsigned int recoveries;	/* cuts in them, at least */
	unsigned int blocks[MAX_DISKS];	/* bytes of a logical one, of each disk */
	unsigned int wraps;		/* of the journal's ring, at least */
	bool tiers;			/* stacks on stacks */
	u32 losers;			/* disks that lose caches; 0: as it comes */
	unsigned int pulls;		/* of disks, and no cut */
	unsigned int replays;		/* states of runs that are recorded */
	unsigned int errors;		/* of disks, and no cut */
	unsigned int fulls;		/* stores, and no cut */
	bool drain;			/* reads that are slow, and no cut */
	bool jobs;			/* of all kinds */
	struct job_place only_job;	/* of no kind: as it comes */
};

extern struct crash_options options;

/* Exits with status 2, and a text, where it does not understand. */
void options_parse(int argc, char **argv);

#endif /* COWSTACK_CRASH_OPTIONS_H */
