/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of loading share: load.c reads superblocks, index, pages and
 * journal, load_records.c takes their records over.
 */
#ifndef COWSTACK_CORE_LOADER_H
#define COWSTACK_CORE_LOADER_H

#include "load.h"

enum { LOAD_BUFFER_BLOCKS = 256 };	/* 1 MiB at a time */

struct page_place {
	struct map_page *page;
	u64 block;
};

struct loader {
	struct cowstack_metadata *md;
	struct cowstack_reader *reader;
	struct cowstack_load_report *report;
	bool in_index;			/* page records may come */
	u64 where;			/* block whose records these are, or 0 */
	u64 pages;
	u64 objects;			/* volumes and layers that were made */
	struct page_place *places;	/* of pages named by the index */
	u64 place_count;
	u64 place_room;
	u8 *buffer;			/* LOAD_BUFFER_BLOCKS blocks */
};

/* Say what is wrong, and at which block if it is one; both return -EUCLEAN. */
static inline int damaged(struct loader *l, const char *why)
{
	if (!l->report->why)
		l->report->why = why;
	if (!l->report->where)
		l->report->where = l->where;
	return -EUCLEAN;
}

static inline int damaged_at(struct loader *l, u64 where, const char *why)
{
	l->report->where = where;
	return damaged(l, why);
}

/*
 * To be called in loops whose length the device decides: what is hostile may ask for
 * more work than anyone waits for.  0, or -EINTR.  May sleep.
 */
static inline int load_pause(struct loader *l)
{
	cond_resched();
	if (!environment_killed())
		return 0;
	l->report->why = "loading was interrupted";
	return -EINTR;
}

/*
 * Takes over @used bytes of records, which are hostile until each field of each
 * has been checked.  0; -EUCLEAN; -ENOMEM; -EFBIG: more map than memory.
 */
int load_records(struct loader *l, const u8 *records, u32 used);

#endif /* COWSTACK_CORE_LOADER_H */
