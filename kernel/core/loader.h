/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of loading share: load.c reads superblocks, index, pages and
 * journal, load_records.c takes their records over.  The tool's repair and restore
 * go through the same parts, one by one.
 */
#ifndef COWSTACK_CORE_LOADER_H
#define COWSTACK_CORE_LOADER_H

#include "load.h"

enum { LOAD_BUFFER_BLOCKS = 256 };	/* 1 MiB at a time */

struct page_place {
	struct map_page *page;
	u64 block;
};

/* What a load that forgives goes on without. */
enum load_damage {
	LOAD_DAMAGE_INDEX,		/* the index from a block on */
	LOAD_DAMAGE_PAGE,		/* a layer's map page: its id, the number */
	LOAD_DAMAGE_WORD,		/* one word: the layer's id, the chunk */
	LOAD_DAMAGE_RECORD,		/* a record: its type, its id */
	LOAD_DAMAGE_RECORDS,		/* the rest of a block's records */
	LOAD_DAMAGE_JOURNAL,		/* the steps from a number on */
};

struct loader {
	struct cowstack_metadata *md;
	struct cowstack_reader *reader;
	struct cowstack_load_report *report;
	bool in_index;			/* page records may come */
	u64 where;			/* block whose records these are, or 0 */
	/* While damage in a record is forgiven: that, and the bytes it seems to have. */
	const struct disk_record *record;
	u32 record_bytes;
	u64 pages;
	u64 objects;			/* volumes and layers that were made */
	u64 most_chunks;		/* of the largest volume that was recorded */
	struct page_place *places;	/* of pages named by the index */
	u64 place_count;
	u64 place_room;
	u8 *buffer;			/* LOAD_BUFFER_BLOCKS blocks */
	struct cowstack_run_read *runs;	/* as many, of pages */
	/*
	 * NULL, always in the kernel: what is damaged ends the load.  Else it is
	 * told of each damage, which @report describes, and the load goes on.
	 */
	void (*forgive)(struct loader *l, enum load_damage what, u64 first,
			u64 second);
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

/* @error, or 0 where it is damage that is forgiven. */
static inline int load_forgive(struct loader *l, int error,
			       enum load_damage what, u64 first, u64 second)
{
	if (!l->forgive || !error || error == -ENOMEM || error == -EFBIG ||
	    error == -EINTR)
		return error;
	l->forgive(l, what, first, second);
	l->report->why = NULL;
	l->report->where = 0;
	return 0;
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

/*
 * Have map, volumes, layers, and a bit for each of @chunks chunks room in memory?  0, or
 * -EFBIG.  To be asked before memory is taken for as many.
 */
int load_check_memory(struct loader *l, u64 chunks);

/* Memory for loading; 0 or -ENOMEM.  load_end() frees it, in any case. */
int load_begin(struct loader *l);
void load_end(struct loader *l);

/* The superblock that counts; what cowstack_load() says of failures holds. */
int load_superblock(struct loader *l, struct cowstack_superblock *sb);

/* Have header and checksum of a block that was read from @place what they should? */
bool load_block_is_valid(struct loader *l,
			 const struct disk_record_block *block, u32 magic,
			 u64 place);

/* In this order, into md as it was initialised. */
int load_index(struct loader *l);
int load_pages(struct loader *l);
int load_journal(struct loader *l);

/* What it all amounts to: links and counts it, and claims all that is named. */
int load_finish(struct loader *l);

#endif /* COWSTACK_CORE_LOADER_H */
