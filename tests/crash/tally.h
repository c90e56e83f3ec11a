/* SPDX-License-Identifier: GPL-2.0 */
/* How many cuts fell where, and whether these are enough. */
#ifndef COWSTACK_CRASH_TALLY_H
#define COWSTACK_CRASH_TALLY_H

#include "oracle.h"
#include "phase.h"

enum {
	LEAST_PER_PHASE = 5,		/* of the cuts that there are by default */
	LEAST_PER_PLACE = 2,		/* of jobs: a stage of a kind */
	LEAST_ALONE = 5,		/* cuts in which one disk alone loses anything */
	LEAST_WRAPPING = 10,		/* cuts while the ring goes round */
	RING_BLOCKS = COWSTACK_MIN_METADATA_BLOCKS - COWSTACK_RING_START,
};

struct tally {
	unsigned int cuts[PHASES];
	unsigned int staked[PHASES][VOLUMES];	/* cuts with flushed data … */
	unsigned int both_staked[PHASES];	/* … in each volume */
	unsigned int total;
	unsigned int torn;		/* writes of metadata, in part done */
	unsigned int stops;		/* of the machine alone: not among all these */
	unsigned int again;		/* in the recovery from such a stop */
	unsigned int soon;		/* in the first that was done after one */
	unsigned int wrapping;		/* of these, while the ring goes round */
	u64 at_stake[VOLUMES];		/* flushed sectors */
	unsigned int alone[MAX_DISKS];	/* this disk's cache alone was lost … */
	unsigned int alone_held[MAX_DISKS];	/* … and had something in it */
	unsigned int base_alone;
	/* Of the journal and what follows it. */
	u64 journal_blocks;
	u64 episode_position;
	u64 checkpoints;
};

extern struct tally tally;

/* What aim and power say of the last cut; @after_cut: the store has seen one before. */
void tally_cut(bool churning);
/* Each phase, and of jobs each stage of each kind. */
bool tally_each_place_was_hit(void);
bool tally_is_enough(void);
/*
 * The disk that too seldom had something in its cache when that alone was lost, or
 * MAX_DISKS.  Bases of one level count together: the second is never the answer.
 */
unsigned int tally_seldom_alone(void);
u64 tally_wraps(void);
bool tally_has_wrapped_enough(void);

/* One line of TAP. */
__printf(2, 3)
void tally_ok(bool good, const char *format, ...);
/* The plan; how many failed. */
unsigned int tally_plan(void);
/* The lines that follow from the numbers. */
void tally_judge(void);
void tally_print(void);

#endif /* COWSTACK_CRASH_TALLY_H */
