/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The allocator: which chunks of the store are free.
 *
 * Nothing of it is on disk.  A chunk is taken when a map word or a metadata
 * block names it; loading claims all that is named, and the rest is free.
 *
 * A freed chunk stays taken through three stages, and is free only after the
 * last (each stage is a list of runs):
 *
 *   freed ──► durable ──► drained ──► free
 *
 *   freed    a word stopped naming it, in memory;
 *   durable  the step that says so is durable (cowstack_allocator_durable);
 *   drained  every read and write that might still use it has ended, and its
 *            discard too (the caller sees to both, then calls _release).
 *
 * Metadata blocks live in chunks of their own.  Room for them is kept back:
 * data may take the last free chunk only while all blocks that the next checkpoint
 * can need would still fit beside those of the last (a page's new home, and its old).
 */
#ifndef COWSTACK_CORE_ALLOCATOR_H
#define COWSTACK_CORE_ALLOCATOR_H

#include "sparse_table.h"
#include "types.h"

/* Chunks in a row, owned by whoever holds the list it is in. */
struct chunk_run {
	struct list_head list;
	dchunk_t first;
	u64 count;
};

struct allocator {
	const struct cowstack_geometry *geometry;
	spinlock_t lock;		/* protects all below */
	unsigned long *taken;		/* a bit per chunk, 1: not free */
	u64 bits;			/* chunks that @taken has room for */
	u64 chunks;
	u64 free;
	u64 next;			/* where the last search ended */
	u64 pages;			/* map pages that need a home */
	u64 index_blocks;		/* for volumes and layers, as of now */
	u64 index_on_disk;		/* the last checkpoint's index, all of it */
	u64 index_underway;		/* of the next, which may be large for what is left */
	u64 metadata_chunks;
	u64 metadata_blocks;		/* in use within them */
	u64 limbo;			/* chunks in the three stages */
	struct list_head partial;	/* metadata chunks with a free block */
	struct list_head freed;
	struct list_head durable;
	struct sparse_table metadata;	/* dchunk -> struct metadata_chunk */
};

/* Return: 0 or -ENOMEM.  @geometry is looked at as long as the allocator is. */
int cowstack_allocator_init(struct allocator *a,
			    const struct cowstack_geometry *geometry);
void cowstack_allocator_exit(struct allocator *a);

/* Memory for @chunks chunks in all; may sleep.  0 or -ENOMEM. */
int cowstack_allocator_prepare_grow(struct allocator *a, u64 chunks);

/* There are @chunks chunks from now on; memory was prepared. */
void cowstack_allocator_grow(struct allocator *a, u64 chunks);

/**
 * cowstack_allocator_take() - chunks for data, in a row.
 * @want: how many at most, from 1
 * @got: how many there are, from 1
 *
 * Not from interrupts, as all that takes the allocator's lock.
 *
 * Return: 0, or -ENOSPC: no more than what is kept back is free.
 */
int cowstack_allocator_take(struct allocator *a, u64 want, dchunk_t *first,
			    u64 *got);

/* Gives back chunks that nothing ever named: they are free at once. */
void cowstack_allocator_untake(struct allocator *a, dchunk_t first, u64 count);

/**
 * cowstack_allocator_add_page() - keep back room for one more map page's home.
 *
 * Return: 0 or -ENOSPC.
 */
int cowstack_allocator_add_page(struct allocator *a);
void cowstack_allocator_remove_pages(struct allocator *a, u64 count);

/* Blocks of the index that volumes and layers take.  Never fails. */
void cowstack_allocator_set_index(struct allocator *a, u64 blocks);

/* A checkpoint begins, whose index has @blocks for volumes and layers. */
void cowstack_allocator_begin_index(struct allocator *a, u64 blocks);

/*
 * What that checkpoint wrote in all, or a load found: it stays until the next one has
 * been written, however many volumes are gone since.  Never fails.
 */
void cowstack_allocator_set_index_on_disk(struct allocator *a, u64 blocks);

/*
 * Would a checkpoint still find room if the index had @blocks blocks?  Data
 * leaves more than that alone, so that a full store can take a snapshot.
 */
bool cowstack_allocator_has_index_room(struct allocator *a, u64 blocks);

/* Is there room for whatever a write may need: a chunk, and a page's home? */
bool cowstack_allocator_has_room(struct allocator *a);

/* Free chunks that data may take now. */
u64 cowstack_allocator_room(struct allocator *a);

/* --- freeing; process context, may sleep for memory --- */

/* Chunks whose words stopped naming them, in memory, in a step to come. */
void cowstack_allocator_free(struct allocator *a, dchunk_t first, u64 count);

/* The same where the step that says so is durable already. */
void cowstack_allocator_free_durable(struct allocator *a, dchunk_t first,
				     u64 count);

/* Moves what was freed until now to @runs: the step being made covers it. */
void cowstack_allocator_collect(struct allocator *a, struct list_head *runs);

/* That step is durable. */
void cowstack_allocator_durable(struct allocator *a, struct list_head *runs);

/* Moves all durable runs to @runs, sorted and joined: drain and discard them. */
void cowstack_allocator_take_durable(struct allocator *a,
				     struct list_head *runs);

/* Drained and discarded: @runs become free, and are given back to memory. */
void cowstack_allocator_release(struct allocator *a, struct list_head *runs);

/* --- metadata blocks; process context, may sleep for memory --- */

/* A free block, or COWSTACK_NO_BLOCK: none (a bug: room is kept back). */
mblock_t cowstack_allocator_take_block(struct allocator *a);
void cowstack_allocator_put_block(struct allocator *a, mblock_t block);

/* --- loading --- */

/* Return: 0; -EUCLEAN: out of range or named before; -ENOMEM. */
int cowstack_allocator_claim(struct allocator *a, dchunk_t chunk);
int cowstack_allocator_claim_block(struct allocator *a, mblock_t block);

#endif /* COWSTACK_CORE_ALLOCATOR_H */
