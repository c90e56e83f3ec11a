/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoints: the map goes home and the journal's tail moves.
 *
 * A checkpoint is begun between two steps and remembers the next step's place:
 * that is where replay will start.  Images of the pages that differ from their
 * homes are written to fresh blocks, never over the only good copy, while steps
 * go on.  The order is
 *
 *   begin ─ images written ─ index written ─ flush ─ superblock A ─
 *   superblock B ─ end: tail moves, old homes come free
 *
 * An image may hold words newer than the tail, even such as no step has yet.
 * That is right: a word is published only after its data was written, so the
 * flush makes the data durable before a superblock leads to the word; every
 * step from the tail on sets its words again, in order; and whatever changes
 * several words at once (a transaction) touches pages only after its step is
 * durable.  What must never happen is a tail that passes the moment an image
 * was taken (FAULT_CHECKPOINT_LIVE_PAGE): what came between would be lost.
 *
 * The index is written anew each time, a chain of blocks: the volumes and
 * layers as of the tail, and for each page its block and checksum.  A block
 * that a superblock on disk still leads to is never reused: an old version of a
 * page, or a page of a layer that is gone, cannot come to life again.
 */
#ifndef COWSTACK_CORE_CHECKPOINT_H
#define COWSTACK_CORE_CHECKPOINT_H

#include "metadata.h"

struct cowstack_index_block {
	struct list_head list;
	mblock_t place;
	/* By itself: a little more than a page would need several in a row. */
	struct disk_record_block *block;
};

struct cowstack_checkpoint {
	u64 tail_step;
	u64 tail;
	struct map_page **pages;	/* to be written */
	u64 page_count;
	u64 next_page;
	struct cowstack_layer **layers;	/* those that live at the tail */
	u64 layer_count;
	struct list_head index;		/* of struct cowstack_index_block */
	u64 index_count;
	u32 used;			/* bytes in the last index block */
	bool incomplete;		/* a record found no room: never to be written */
	struct cowstack_superblock superblock;
};

/**
 * cowstack_checkpoint_begin() - fix the tail and what there is to write.
 *
 * Metadata lock held, no step under way.  0 or -ENOMEM, nothing changed then.
 */
int cowstack_checkpoint_begin(struct cowstack_metadata *md,
			      struct cowstack_checkpoint *cp);

/**
 * cowstack_checkpoint_next_page() - the next page image.
 * @image: 4 KiB, filled
 * @block: where it goes
 *
 * Metadata lock held.  Return: 1, 0: there is no more, -ENOSPC (a bug).
 */
int cowstack_checkpoint_next_page(struct cowstack_metadata *md,
				  struct cowstack_checkpoint *cp, void *image,
				  mblock_t *block);

/**
 * cowstack_checkpoint_make_index() - cp->index is ready to be written.
 *
 * Metadata lock held; every image has been written.
 * 0, -ENOSPC, or -EOVERFLOW: a record does not fit (bugs).
 */
int cowstack_checkpoint_make_index(struct cowstack_metadata *md,
				   struct cowstack_checkpoint *cp);

/* The superblock that leads to the new index, for cowstack_superblock_encode(). */
void cowstack_checkpoint_superblock(struct cowstack_metadata *md,
				    struct cowstack_checkpoint *cp);

/*
 * Both superblocks are durable.  Metadata lock held; lookups that might still
 * see a layer that was gone when the checkpoint began have ended.
 */
void cowstack_checkpoint_end(struct cowstack_metadata *md,
			     struct cowstack_checkpoint *cp);

/* Frees what the checkpoint holds, after its end or a failure. */
void cowstack_checkpoint_free(struct cowstack_checkpoint *cp);

#endif /* COWSTACK_CORE_CHECKPOINT_H */
