/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a power cut may leave: one cut, and all that its devices may hold after it,
 * or as many of that as are asked for.
 *
 * A state is one content of all devices.  For each the store is loaded and all it
 * shows is held against the model (driver_open()), and then all is as before.
 */
#ifndef COWSTACK_UNIT_CUT_EXPLORER_H
#define COWSTACK_UNIT_CUT_EXPLORER_H

#include "store_driver.h"

enum { EXPLORER_MOST_WRITES = 12 };	/* of which all subsets are tried */

enum metadata_kind {
	METADATA_SUPERBLOCK,
	METADATA_STEP,
	METADATA_INDEX,
	METADATA_PAGE,
	METADATA_KINDS,
};

extern const char *const metadata_kind_name[METADATA_KINDS];

struct explorer_counts {
	u64 cuts;
	u64 states;		/* of these: */
	u64 alone;		/* one device alone lost its cache, or kept it */
	u64 random;		/* any subset of sectors */
	u64 of_all;		/* one of all subsets of writes, or of sectors */
	u64 torn;		/* one of all mixes of a block */
	u64 destroyed;		/* a superblock that was being written is lost */
	u64 recovered;		/* the power was cut in the recovery, too */
	u64 all_subsets;	/* cuts of which all were tried */
	u64 torn_blocks[METADATA_KINDS];
	u64 most_undurable;	/* writes, at one cut */
};

struct cut_explorer;

/* How much of a cut is looked at. */
struct exploration {
	u32 random;
	u32 recoveries;
	u32 torn_blocks;
	bool all;		/* subsets, where there are few writes */
};

struct cut_explorer *explorer_new(struct store_driver *d);
void explorer_delete(struct cut_explorer *x);
struct explorer_counts *explorer_counts(struct cut_explorer *x);

/*
 * The power has been cut with keeps_caches, and the store closed.  In the end one
 * more subset is what survives.  False: d->failure says what is wrong, and of what.
 */
bool explorer_run(struct cut_explorer *x, const struct exploration *how);

#endif /* COWSTACK_UNIT_CUT_EXPLORER_H */
