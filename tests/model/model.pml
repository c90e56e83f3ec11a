/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the models share.  -DFAULT=n breaks one rule: 1 … 9 are those of
 * kernel/core/fault.h; 10, a range check, is no matter of order.  Those from 11 on
 * are rules of Documentation/crash-consistency.rst that no build of the module
 * breaks; 25 and 31 are of Documentation/design.rst, the write gate and how a
 * lookup begins again.
 */
#ifndef FAULT
#define FAULT 0
#endif
#define broken(n)	(FAULT == (n))

#define SKIP_DESTINATION_FLUSH	1
#define SKIP_STORE_FLUSH	2
#define DROP_BEFORE_COPY	3
#define DROP_IN_TWO_STEPS	4
#define EARLY_FUA		5
#define REUSE_BEFORE_DURABLE	6
#define REUSE_BEFORE_DRAINED	7
#define CHECKPOINT_LIVE_PAGE	8
#define OVERWRITE_CLEAN		9

#define WORD_BEFORE_DATA	11
#define FLUSH_PASSES_STEP	12	/* answered while one is under way */
#define SUPERBLOCK_BEFORE_PAGES	13	/* no PREFLUSH */
#define OVER_GOOD_COPY		14	/* a page image over the home in use */
#define SUPERBLOCK_UNMENDED	15
#define FREED_BEFORE_WORD	16	/* a discard frees, then changes the word */
#define DISCARD_AFTER_RELEASE	17
#define TAIL_BEFORE_SUPERBLOCK	18	/* the journal's room is given back early */

#define INCOMPLETE_FREES	19	/* a step that has not all words frees chunks */

#define BIT(n)		(1 << (n))

/* The content of a data chunk that nobody may read. */
#define GARBAGE		7

/* of commits: */
#define NO_MARK			21	/* the base is not marked before it is written to */
#define CLEAN_UNCUT		22	/* a clean word outlives a newer version's */
#define NEWEST_FIRST		23	/* words go from the top down, in memory */
#define LOWER_CLEARS_MARK	24	/* a commit of less than was begun */
#define SNAPSHOT_NO_GATE	25	/* a snapshot waits for no write */
#define LET_GO_UNFLUSHED	26	/* what was written since the flush goes with the group */
#define FLUSH_BEFORE_END	27	/* the base is flushed while its write is under way */

#define say_fua(fua)				\
	if					\
	:: fua -> printf("… it is a FUA write\n") \
	:: else					\
	fi

/* of words that move between layers: */
#define MOVES_UNSEEN		31	/* a lookup does not begin again */
#define PLANNED_UNLOCKED	33	/* a stream does not plan again under the lock */
#define UNFLAGGED		34	/* layers that lose words are not flagged */
