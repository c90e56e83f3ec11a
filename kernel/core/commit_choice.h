/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which layers a commit takes, and into what: the rules, for the module and for the
 * tool's offline commit.  Who asks finds the layers by what it was given, and says in
 * its own words what is in the way.
 */
#ifndef COWSTACK_CORE_COMMIT_CHOICE_H
#define COWSTACK_CORE_COMMIT_CHOICE_H

#include "metadata.h"

/* All layers are of the volume's chain. */
struct cowstack_commit_request {
	struct cowstack_layer *destination;	/* NULL: the base */
	/* The newest to be taken; NULL: all that may be, the volume's top too. */
	struct cowstack_layer *top;
	/* The table's commit_base, of which nothing is taken; or COWSTACK_BASE_LAYER. */
	layer_id_t commit_base;
	/* For room, which frozen layers may give sooner than with another snapshot. */
	bool writes_wait;
};

enum cowstack_commit_obstacle {
	COWSTACK_COMMIT_MAY_GO,
	COWSTACK_COMMIT_INTO_TOP,	/* the destination is the volume's top */
	COWSTACK_COMMIT_INTO_SPARED,	/* … is to be left alone: spared, why */
	/* Of the top that was asked for: */
	COWSTACK_COMMIT_TOP_WRITTEN,	/* it is the volume's */
	COWSTACK_COMMIT_TOP_NOT_ABOVE,	/* the destination */
	COWSTACK_COMMIT_TOP_NOT_WHOLE,	/* it shows no point in time */
	COWSTACK_COMMIT_TOP_SPARED,	/* a layer from it down is: spared, why */
	/* Of what may be taken where no top was asked for: */
	COWSTACK_COMMIT_ALL_SPARED,	/* it begins with one that is: spared, why */
	COWSTACK_COMMIT_BELOW_NOT_WHOLE, /* it ends, in top, below spared, why */
	COWSTACK_COMMIT_REST_NOT_WHOLE,	/* it ends in top, as no snapshot can be taken */
	COWSTACK_COMMIT_NO_LAYER_LEFT,	/* the volume's top cannot be frozen */
};

struct cowstack_commit_choice {
	struct cowstack_layer *top;	/* the newest layer that is taken */
	struct cowstack_layer *bottom;	/* the oldest; NULL with .nothing */
	bool snapshot;			/* the top is the volume's, to be frozen first */
	bool nothing;			/* there is nothing to commit */
	/* With an obstacle: a layer that is to be left alone, and the reason. */
	const struct cowstack_layer *spared;
	const char *why;		/* "is pinned" */
};

/**
 * cowstack_commit_choose() - what a commit of @volume would take.
 *
 * Whether the volume's top is empty may change until its writes are held back.
 * Metadata lock held.  What the job record says of an unfinished job is not looked at.
 *
 * Return: COWSTACK_COMMIT_MAY_GO, or what is in the way; then @choice says whose fault
 * it is.
 */
enum cowstack_commit_obstacle
cowstack_commit_choose(const struct cowstack_volume *volume,
		       const struct cowstack_commit_request *request,
		       struct cowstack_commit_choice *choice);

/*
 * May a commit go on that was begun, from @top down to above @destination (NULL: the
 * base), as the chain is now?  The record that says so may be hostile, or of before a
 * pin or a clone.  @bottom: the oldest layer of these.  Metadata lock held.
 */
bool cowstack_commit_may_go_on(const struct cowstack_volume *volume,
			       struct cowstack_layer *top,
			       const struct cowstack_layer *destination,
			       struct cowstack_layer **bottom);

#endif /* COWSTACK_CORE_COMMIT_CHOICE_H */
