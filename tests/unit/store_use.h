/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a load has accepted has to be usable: all of it is looked up, written to,
 * committed, streamed, checkpointed, and loaded again.
 */
#ifndef COWSTACK_UNIT_STORE_USE_H
#define COWSTACK_UNIT_STORE_USE_H

#include "random.h"
#include "store_image.h"

struct store_use {
	struct store_image image;	/* of which the bytes are the store */
	struct random r;		/* chooses what is done */
	const char *wrong;		/* what is, after false was returned */
	bool leads_out;			/* a plan or a copy, of the store */
	u64 accepted;
	u64 refused;
	u64 pulled;			/* chunks that streams have */
};

/*
 * Loads the image, and uses what was loaded.  False: the load failed with an error
 * that no damage has, or what it gave cannot be used.
 */
bool store_use_load(struct store_use *u);

#endif /* COWSTACK_UNIT_STORE_USE_H */
