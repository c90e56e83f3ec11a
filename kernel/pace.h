/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Long work in the background that gives way: users' discards, which are millions of
 * words where they are long, and checkpoints to users' steps; what brings chunks back to
 * all that users do.
 *
 * On a disk that answers at once what they wait for is the processor.  So such work
 * goes in pieces of some microseconds, with nothing held between them; and where users
 * have asked for theirs a moment ago, and somebody else wants the processor, it rests
 * for a multiple of what the piece took, and of the number of those of its store
 * that rest: together they have a seventeenth of the time then.  It is about as much at
 * least too, so all of it ends, whatever others do.  Nobody rests while the store is
 * without room, or is suspended.
 *
 * A low priority would do more, and is not for what gives room back (design.rst).
 */
#ifndef COWSTACK_PACE_H
#define COWSTACK_PACE_H

#include <linux/types.h>

struct store;

/* Of one thread: the piece of work that is under way. */
struct pace {
	u64 began;			/* ns */
	unsigned long switches;		/* of the thread, until then */
	const unsigned long *asked_at;	/* jiffies: for what it gives way to */
};

/* @asked_at: of the store's, asked_at or used_at. */
void pace_begin(struct pace *pace, const unsigned long *asked_at);

/* Between two pieces.  Process context; the caller holds nothing. */
void pace_give_way(struct store *store, struct pace *pace);

/*
 * Behind work that a device's driver may have done, not we: whoever wants the processor,
 * as the job whose last group is discarded, has it for as long as that took, @took ns, or
 * a millisecond.
 */
void pace_let_others(struct store *store, u64 took);

#endif /* COWSTACK_PACE_H */
