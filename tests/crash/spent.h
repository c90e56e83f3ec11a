/* SPDX-License-Identifier: GPL-2.0 */
/* Where the time goes: seconds by the clock, of the main thread. */
#ifndef COWSTACK_CRASH_SPENT_H
#define COWSTACK_CRASH_SPENT_H

enum spent_part {
	SPENT_BRING_UP,
	SPENT_CHECK,		/* volumes read and held against the oracle */
	SPENT_JOBS,		/* what became of jobs, layers and room */
	SPENT_WORK,		/* until the cut falls */
	SPENT_STOP,		/* users' last I/O */
	SPENT_TAKE_DOWN,
	SPENT_OFFLINE,		/* the store is loaded, or dmcommit looks at it */
	SPENT_OTHER,		/* new stores, episodes' ends */
	SPENT_PARTS,
};

double spent_now(void);
/* What follows is part of @part, until the next of these. */
void spent_begin(enum spent_part part);
/* Since the last call. */
double spent_lap(void);
void spent_print(unsigned int cuts);

#endif /* COWSTACK_CRASH_SPENT_H */
