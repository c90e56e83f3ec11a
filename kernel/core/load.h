/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opening a store: superblock, index, map pages, journal, and then the claim
 * that everything named is named once.  Writes nothing.
 *
 * What is read decides what memory is taken, so that is bounded by more than the
 * memory there is (max_pages):
 *
 *  - a map has no more pages than the store has blocks, as each has a home there,
 *    or had room for one kept back when its first word came (allocator.h);
 *  - a run of zeroes ends where the largest volume ends that the index, or an earlier
 *    record of the journal, knows: a volume's record is durable before it can be
 *    written to, and before it can be written to behind its old end.
 */
#ifndef COWSTACK_CORE_LOAD_H
#define COWSTACK_CORE_LOAD_H

#include "metadata.h"

struct cowstack_run_read {
	u64 first;
	u64 blocks;
	void *buffer;
};

struct cowstack_reader {
	/*
	 * Reads @blocks metadata blocks from block @first on into @buffer.
	 * 0 or a negative errno.  May sleep.
	 */
	int (*read)(struct cowstack_reader *reader, u64 first, u64 blocks,
		    void *buffer);
	/*
	 * May be NULL: the same of @count runs that lie apart, many at a time.  After
	 * an error each is read by itself, to see which it was.
	 */
	int (*read_runs)(struct cowstack_reader *reader,
			 const struct cowstack_run_read *runs, u32 count);
	u64 device_sectors;
	/* Of the map, that memory has room for; the allocator's bits are among them. */
	u64 max_pages;
};

/* What was found, for people. */
struct cowstack_load_report {
	const char *why;		/* what is wrong, or NULL */
	u64 where;			/* the block that is, or 0 */
	u64 steps;			/* replayed */
	u64 pages;
	u64 words;			/* chunks known, of all layers */
	/*
	 * One superblock is bad or older than the other.  Whoever opens the
	 * store for writing writes md->superblock to @other_place before
	 * anything else: were the good one torn by the next checkpoint, the
	 * old one would lead to blocks that have come to other use.
	 */
	bool other_superblock;
	u64 other_place;
};

/**
 * cowstack_load() - open the store that @reader reads.
 * @md: filled on success, to be freed with cowstack_metadata_exit(); left alone
 *      on failure
 * @report: says what was found, also on failure
 *
 * Process context, may sleep.  md->nonce is the caller's to draw.
 *
 * Return: 0; -EINVAL: no store there; -EUCLEAN: damaged; -EOPNOTSUPP: made by a
 * later version; -ENOMEM; -EFBIG: more map than memory; an error of @reader.
 */
int cowstack_load(struct cowstack_metadata *md, struct cowstack_reader *reader,
		  struct cowstack_load_report *report);

/**
 * cowstack_format() - the superblock of an empty store.
 *
 * Write it to both its places, and zeroes over the whole ring before it, so
 * that no step of an earlier store is taken for a later one of this.
 */
void cowstack_format(struct cowstack_superblock *sb,
		     const struct cowstack_geometry *g, const u8 *uuid,
		     const char *name, u64 now);

#endif /* COWSTACK_CORE_LOAD_H */
