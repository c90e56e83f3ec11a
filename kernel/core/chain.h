/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The chain of a volume that is up, and what it shows: lookups.
 *
 * A chain is immutable; a snapshot or the end of a commit publishes a new one,
 * and the old is freed after a grace period.  Beside it each volume has the
 * topmost index, a byte per chunk in pages that exist where any layer holds
 * something: the slot of the highest layer that may know the chunk (0: none).
 * It may say too high, never too low, so a lookup starts there and goes down.
 *
 * A slot is a layer's number within its volume, 1 … 250, stable while the layer
 * is in the chain.  A slot that the chain at hand does not hold means: start at
 * the top.  A slot comes to another layer only after every lookup that could
 * still hold an older chain has ended; cowstack_chain_free() sees to that, as
 * the caller lets a grace period pass before it.
 *
 * A lookup goes from the top down, and words may move beside it.  Down is no
 * matter: what takes their place is there first, below, where the lookup comes
 * later.  When they move up (a stream) a lookup could pass the upper layer before
 * and the lower one after.  So volume.moves is raised in between, and a lookup
 * that finds it raised begins again; nobody waits for anybody.
 *
 * Lookups (marked [lookup]) run in an RCU read section, of any kind, or with the
 * metadata lock held; they never sleep.
 */
#ifndef COWSTACK_CORE_CHAIN_H
#define COWSTACK_CORE_CHAIN_H

#include "fault.h"
#include "metadata.h"

enum { COWSTACK_SLOTS = 256 };

struct cowstack_chain {
	u16 count;			/* layers, at least 1 */
	u8 slot[COWSTACK_SLOTS];	/* by position, from the bottom */
	u8 position[COWSTACK_SLOTS];	/* by slot; unknown slots: the top's */
	struct cowstack_layer *layer[];	/* by position, from the bottom */
};

enum cowstack_extent_kind {
	COWSTACK_EXTENT_BASE,		/* the base, at the same sector */
	COWSTACK_EXTENT_DATA,		/* the store's device, at @place */
	COWSTACK_EXTENT_ZERO,
};

struct cowstack_extent {
	enum cowstack_extent_kind kind;
	u64 sectors;			/* from 1 */
	u64 place;			/* sector on the store's device */
};

/* --- up and down; metadata lock held, process context --- */

/* Builds chain and index.  0, -ENOMEM, -E2BIG. */
int cowstack_volume_bring_up(struct cowstack_metadata *md,
			     struct cowstack_volume *volume);
/* No lookup may be running. */
void cowstack_volume_take_down(struct cowstack_volume *volume);

u64 cowstack_volume_index_memory(const struct cowstack_volume *volume);

/* Memory for a chain of any depth; NULL: there is none.  Process context. */
struct cowstack_chain *cowstack_chain_new(void);

/**
 * cowstack_chain_fill() - the chain of @volume as its layers are now.
 * @chain: from cowstack_chain_new(), not published
 * @old: the present one, whose slots are kept, or NULL
 */
void cowstack_chain_fill(struct cowstack_chain *chain,
			 const struct cowstack_volume *volume,
			 const struct cowstack_chain *old);

/* Publishes @chain; returns the old one, to be freed after a grace period. */
struct cowstack_chain *cowstack_chain_publish(struct cowstack_volume *volume,
					      struct cowstack_chain *chain);
void cowstack_chain_free(struct cowstack_chain *chain);

static inline struct cowstack_layer *
cowstack_chain_top(const struct cowstack_chain *chain)
{
	return chain->layer[chain->count - 1];
}

static inline struct cowstack_chain *
cowstack_volume_chain(const struct cowstack_volume *volume)
{
	/* Pairs with the release in cowstack_chain_publish(). */
	return smp_load_acquire(&volume->chain);
}

/**
 * cowstack_layer_rewritable() - the word of @chunk whose pieces may be written
 * in place.
 * @top: of the chain
 *
 * Only the top's own.  What lies below is a snapshot, and where it is clean a copy
 * of what the base shows, which no commit takes along and anyone may drop.
 */
static inline map_word_t
cowstack_layer_rewritable(const struct cowstack_layer *top, vchunk_t chunk)
{
	map_word_t word = chunk_map_get(&top->map, chunk);
	const struct cowstack_layer *below = top->parent;

	if (!cowstack_fault(FAULT_OVERWRITE_CLEAN))
		return word;
	for (; below && word == MAP_WORD_NONE; below = below->parent) {
		word = chunk_map_get(&below->map, chunk);
		if (word != MAP_WORD_NONE && !map_word_is_clean(word))
			return MAP_WORD_NONE;
	}
	return word;
}

/* --- the index --- */

/* The index page for @number, made if need be.  NULL: no memory. */
u8 *cowstack_index_add_page(struct cowstack_volume *volume, u64 number,
			    gfp_t gfp);

/* The layer at @slot, the top, may know @chunk now.  Any context. */
void cowstack_index_raise(struct cowstack_volume *volume, vchunk_t chunk,
			  u8 slot);

/*
 * The same for @layer of @chain, frozen or not: what is higher stays.  Any
 * context.
 */
void cowstack_index_raise_to(struct cowstack_volume *volume,
			     const struct cowstack_chain *chain,
			     vchunk_t chunk,
			     const struct cowstack_layer *layer);

/* Words have been placed above; after the return those below may go. */
void cowstack_volume_note_move(struct cowstack_volume *volume);

/**
 * cowstack_index_lower() - frozen layers have let go of @chunk.
 *
 * Lowers the index from one of @chain's frozen layers to the next layer below
 * that knows the chunk.  Needs no lock against cowstack_index_raise(): a frozen
 * layer's slot is never raised to again, so a compare-and-exchange from it
 * cannot undo a raise.  An index that names the top is left as it is.
 */
void cowstack_index_lower(struct cowstack_volume *volume,
			  const struct cowstack_chain *chain, vchunk_t chunk);

/* --- [lookup] --- */

/**
 * cowstack_chain_resolve() - where a run of sectors lies.
 * @sector: of the volume
 * @sectors: how many are of interest, from 1
 * @extent: filled; its length is as long as the run lies in one place, at most
 *          @sectors
 */
void cowstack_chain_resolve(const struct cowstack_geometry *g,
			    const struct cowstack_volume *volume,
			    const struct cowstack_chain *chain,
			    u64 sector, u64 sectors,
			    struct cowstack_extent *extent);

/* Does anything but the base show at @chunk in the layers below the top? */
bool cowstack_chain_known_below(const struct cowstack_volume *volume,
				const struct cowstack_chain *chain,
				vchunk_t chunk);

#endif /* COWSTACK_CORE_CHAIN_H */
