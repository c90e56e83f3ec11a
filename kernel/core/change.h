/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes to volumes and chains, each a transaction of a step: what it writes
 * to the journal, and what it does to memory once that is durable.
 *
 * All are prepared and applied under the metadata lock.  What applying needs is
 * allocated when the change is prepared, so applying cannot fail.
 */
#ifndef COWSTACK_CORE_CHANGE_H
#define COWSTACK_CORE_CHANGE_H

#include "chain.h"
#include "step.h"

/* Edits a volume's record; called twice: on a copy to write, and on memory. */
typedef void (*cowstack_update_fn)(struct cowstack_volume_info *info,
				   const void *argument);

struct cowstack_replacement;

struct cowstack_change {
	struct cowstack_transaction transaction;
	struct cowstack_metadata *md;
	struct cowstack_volume *volume;
	/* Applied to the volume's record in the same step; may be NULL. */
	cowstack_update_fn update;
	const void *argument;
	/* What the kinds of change need; theirs alone. */
	struct cowstack_layer *layer;	/* new, until it is applied */
	struct cowstack_volume *new_volume;
	struct cowstack_layer *range_top;
	struct cowstack_layer *range_bottom;
	struct cowstack_layer *below;	/* of a range that leaves */
	struct cowstack_chain *chain;
	char name[COWSTACK_NAME_SIZE];
	u32 flags;
	bool upward;
	/* Where layers leave, the caller's own. */
	cowstack_update_fn removal_update;
	const void *removal_argument;
	vchunk_t first;
	u64 count;
	const struct cowstack_replacement *replacements;
	u32 replacement_count;
	u64 chunks;
	struct cowstack_chain *old_chain; /* to be freed after a grace period */
};

/*
 * Each prepares @c; the caller queues c->transaction for a step.  0 or a
 * negative errno, nothing changed then.  cowstack_change_free() afterwards,
 * whether it was applied or not.
 */

/* A volume's record changes by @update, and nothing else. */
int cowstack_change_info(struct cowstack_change *c,
			 struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 cowstack_update_fn update, const void *argument);

/*
 * -EEXIST: id or name is taken; -EINVAL: a size or name that cannot be;
 * -ENOSPC: the store is full; -EOVERFLOW: all layer ids have been used.
 */
int cowstack_change_create_volume(struct cowstack_change *c,
				  struct cowstack_metadata *md, volume_id_t id,
				  u64 sectors, const char *name, u64 now);

/*
 * A second volume on @layer, which is frozen, and all below it: of the size and
 * over the base that @volume has.  Errors as of create_volume; -EBUSY: @layer is
 * not frozen, a commit that is not finished has taken from it, or a job is at work
 * on it or below it; -E2BIG: the chain would be too long.
 */
int cowstack_change_clone_volume(struct cowstack_change *c,
				 struct cowstack_metadata *md, volume_id_t id,
				 const struct cowstack_volume *volume,
				 struct cowstack_layer *layer,
				 const char *name, u64 now);

/* The volume and the layers that nothing else uses. */
int cowstack_change_delete_volume(struct cowstack_change *c,
				  struct cowstack_metadata *md,
				  struct cowstack_volume *volume);

/*
 * The top is frozen and a new one takes its place.  The volume is up, its
 * writers are held and none is in flight.  @update may be NULL.  -E2BIG: 250
 * layers; -EEXIST: @name is taken in this chain; -ENOSPC: the store is so full
 * that the index has no room for one layer more; -EOVERFLOW as of create_volume.
 */
int cowstack_change_snapshot(struct cowstack_change *c,
			     struct cowstack_metadata *md,
			     struct cowstack_volume *volume, const char *name,
			     u64 now, cowstack_update_fn update,
			     const void *argument);

/* A word that takes the place of what is let go of. */
struct cowstack_replacement {
	vchunk_t chunk;
	/* In the range, or right below it; above it where words go upward. */
	struct cowstack_layer *layer;
	map_word_t word;
};

/*
 * As many as are sure to fit a step of the smallest ring: an eighth of 1 MiB, a
 * record of 24 bytes for each in the worst case.
 */
enum { COWSTACK_MAX_REPLACEMENTS = 4096 };

struct cowstack_let_go {
	struct cowstack_layer *bottom;	/* both NULL: only replacements */
	struct cowstack_layer *top;
	bool upward;			/* replacements lie above the range */
	vchunk_t first;
	u64 count;
	/* Ascending by chunk, each once; they stay as they are until applied. */
	const struct cowstack_replacement *replacements;
	u32 replacement_count;
};

/*
 * The frozen layers from bottom to top forget the chunks [first, first + count),
 * all in one step, but for the words that replacements put in their place: clean
 * ones in the newest holder, or, where a layer is the destination, all words in
 * that.  A replacement may name the chunk that a word of the range named; every
 * other chunk comes free.  What is forgotten is durable below, or in the
 * replacements: in the layer above, which this volume alone uses, where words go
 * upward.  Nobody else changes their words meanwhile: in a top that is written the
 * caller holds the chunks' range locks until this has been applied.
 *
 * -ENOSPC: no room for the page of a replacement; -ENOMEM.
 */
int cowstack_change_let_go(struct cowstack_change *c,
			   struct cowstack_metadata *md,
			   struct cowstack_volume *volume,
			   const struct cowstack_let_go *what,
			   cowstack_update_fn update, const void *argument);

/*
 * The layers from @bottom to @top, which hold nothing any more, or only clean
 * words, and belong to this volume alone, leave the chain.  -EBUSY: one still
 * holds something, is pinned or shared; -EINVAL: they are no range below the
 * volume's top.  @update may be NULL.
 *
 * What @top showed is what the layer below @bottom shows then.  So that one is a
 * point in time if @top was, and takes over a mark of the base that names a layer
 * which leaves: what is unfinished there is finished with it.  Where @top is none
 * itself, as a stream or commit took of it, that mark goes to the layer above.
 */
int cowstack_change_remove_layers(struct cowstack_change *c,
				  struct cowstack_metadata *md,
				  struct cowstack_volume *volume,
				  struct cowstack_layer *bottom,
				  struct cowstack_layer *top,
				  cowstack_update_fn update,
				  const void *argument);

/*
 * All layers above @below (NULL: the base) and below @top, whose content @top holds
 * by now, leave the volume's chain: those that nothing else uses for good.  @top
 * takes over a mark of the base that names one of them, as what lies below is no
 * point in time before a commit up to @top has ended.  @update may be NULL.
 *
 * Return: 0; -EBUSY: one of them is pinned; -ENOMEM.
 */
int cowstack_change_pull(struct cowstack_change *c,
			 struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 struct cowstack_layer *top,
			 struct cowstack_layer *below,
			 cowstack_update_fn update, const void *argument);

/*
 * @layer, frozen, forgets its clean words, which are all that it holds; it stays
 * in the chain.  -EBUSY: it holds others, is shared, or is the top.
 */
int cowstack_change_empty_layer(struct cowstack_change *c,
				struct cowstack_metadata *md,
				struct cowstack_volume *volume,
				struct cowstack_layer *layer);

/*
 * All clean words in the chain are forgotten: the base is another.  Layers that
 * other volumes use too are no exception, as nothing is lost by it.
 */
int cowstack_change_drop_clean(struct cowstack_change *c,
			       struct cowstack_metadata *md,
			       struct cowstack_volume *volume);

/*
 * A commit of the layers above @destination up to @top begins: what lies below
 * @top shows no point in time of its own until it has ended.
 */
int cowstack_change_mix(struct cowstack_change *c, struct cowstack_metadata *md,
			struct cowstack_volume *volume,
			struct cowstack_layer *destination,
			struct cowstack_layer *top, cowstack_update_fn update,
			const void *argument);

/* @layer is pinned from now on, or no more.  -EINVAL: it is not frozen. */
int cowstack_change_pin(struct cowstack_change *c, struct cowstack_metadata *md,
			struct cowstack_layer *layer, bool pinned);

/* The store's device has room for @chunks now. */
int cowstack_change_grow(struct cowstack_change *c,
			 struct cowstack_metadata *md, u64 chunks);

void cowstack_change_free(struct cowstack_change *c);

#endif /* COWSTACK_CORE_CHANGE_H */
