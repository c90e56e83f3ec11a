/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Durable steps.
 *
 * A step is what changed since the last one: words that were published, and
 * transactions.  It is written to the journal ring in one go, PREFLUSH|FUA, so
 * that data and map become durable together; it is all or nothing, however many
 * blocks it has.  One step at a time is in flight.
 *
 * Words are changed first, in memory, and then written.  Everything else goes
 * the other way round: a transaction is encoded, and changes memory only when
 * its step is durable.  In a step words stand before transactions, and a step
 * holds transactions only if it (with those before it) holds every word that
 * was published before it began.
 *
 * The caller's sequence, under the metadata lock but for the I/O:
 *
 *   cowstack_step_begin, _collect, _add…, _seal;  write blocks;  _finish
 */
#ifndef COWSTACK_CORE_STEP_H
#define COWSTACK_CORE_STEP_H

#include "record.h"

struct cowstack_transaction {
	struct list_head list;
	/*
	 * Writes the records; changes nothing.  False: they do not fit.  Must
	 * fit an empty step.
	 */
	bool (*encode)(struct cowstack_transaction *t, struct record_writer *w);
	/* The step is durable: change memory. */
	void (*apply)(struct cowstack_transaction *t);
};

struct cowstack_step {
	struct record_writer writer;
	struct list_head transactions;	/* in the step */
	struct list_head freed;		/* chunk runs that it makes durable */
	u64 sequence;
	u64 position;
	u32 blocks;			/* 0: nothing to write */
	bool complete;			/* no word was left behind */
};

/* @blocks: md->max_step_blocks buffers of 4 KiB. */
void cowstack_step_begin(struct cowstack_metadata *md,
			 struct cowstack_step *step,
			 struct disk_record_block **blocks);

/* Takes the words that were published; sets step->complete. */
void cowstack_step_collect(struct cowstack_metadata *md,
			   struct cowstack_step *step);

/* Adds @t if the step is complete and has room. */
bool cowstack_step_add(struct cowstack_step *step,
		       struct cowstack_transaction *t);

/* Writes headers and checksums.  step->blocks of @blocks are to be written. */
void cowstack_step_seal(struct cowstack_metadata *md,
			struct cowstack_step *step);

/* Block of the device for block @i of the step. */
mblock_t cowstack_step_place(const struct cowstack_metadata *md,
			     const struct cowstack_step *step, u32 i);

/*
 * The step is durable (or was empty): transactions apply and go to @applied,
 * chunks come free.
 */
void cowstack_step_finish(struct cowstack_metadata *md,
			  struct cowstack_step *step,
			  struct list_head *applied);

/* Free blocks of the ring. */
static inline u64 cowstack_ring_room(const struct cowstack_metadata *md)
{
	return cowstack_geometry(md)->ring_blocks - (md->head - md->tail);
}

/* Is half of the ring used? */
static inline bool cowstack_ring_wants_checkpoint(const struct cowstack_metadata *md)
{
	return md->head - md->tail >= cowstack_geometry(md)->ring_blocks / 2;
}

/* Is any word changed that no step has taken?  Any context. */
static inline bool cowstack_words_are_dirty(const struct cowstack_metadata *md)
{
	return !llist_empty(&md->dirty) || READ_ONCE(md->collecting);
}

/* The page differs from its home: the next checkpoint writes it. */
void cowstack_page_mark_home(struct cowstack_metadata *md,
			     struct map_page *page);

/* A block of @md's with header and checksum, for steps and index. */
void cowstack_block_seal(const struct cowstack_metadata *md,
			 struct disk_record_block *block, u32 magic,
			 mblock_t place, u64 sequence, u64 nonce, u32 used);

/* Have header and checksum of a block that was read from @place what they should? */
bool cowstack_block_is_valid(const struct cowstack_metadata *md,
			     const struct disk_record_block *block, u32 magic,
			     u64 place);

/*
 * The last step, of a device that is to be what memory knows of it: where its last
 * block lies, and is @block that?  No step is under way, and none since the tail: then
 * only the superblock tells.
 */
static inline bool cowstack_step_none_since_tail(const struct cowstack_metadata *md)
{
	return md->next_step == md->tail_step;
}

mblock_t cowstack_step_last_place(const struct cowstack_metadata *md);
bool cowstack_step_is_last(const struct cowstack_metadata *md,
			   const struct disk_record_block *block);

#endif /* COWSTACK_CORE_STEP_H */
