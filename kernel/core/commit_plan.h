/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a commit writes: for each chunk of a range of frozen layers the newest
 * version of every sixteenth that any of them holds, and nothing else.
 *
 * The layers of a range do not change while a commit runs but by the commit
 * itself, so planning takes no lock.
 */
#ifndef COWSTACK_CORE_COMMIT_PLAN_H
#define COWSTACK_CORE_COMMIT_PLAN_H

#include "metadata.h"

struct cowstack_range {
	u32 count;
	struct cowstack_layer *layer[COWSTACK_MAX_LAYERS]; /* newest first */
};

struct cowstack_segment {
	u64 sector;			/* of the volume */
	u64 sectors;
	bool zero;
	u64 place;			/* sector of the store's device */
};

/* Layers from @top down to the lowest; metadata lock held. */
void cowstack_range_fill(struct cowstack_range *range,
			 struct cowstack_layer *top,
			 const struct cowstack_layer *below);

/* Has any of the layers a word for @chunk? */
bool cowstack_layers_know(struct cowstack_layer *const *layers, u32 count,
			  vchunk_t chunk);

/* The first page, by number, from *@number on that any has; false: none. */
bool cowstack_layers_next_page(struct cowstack_layer *const *layers, u32 count,
			       u64 *number);

/* The first chunk from *@chunk on that any of them has one for; false: none. */
bool cowstack_layers_next(struct cowstack_layer *const *layers, u32 count,
			  vchunk_t *chunk);

/*
 * The first chunk from *@chunk on that a layer of @range has a word for.
 * False: there is none.
 */
bool cowstack_range_next(const struct cowstack_range *range, vchunk_t *chunk);

/*
 * The segments of @chunk, ascending, neighbours joined where they lie in a row.
 * Return: how many, at most COWSTACK_MAX_PIECES.
 */
u32 cowstack_range_plan(const struct cowstack_geometry *g,
			const struct cowstack_range *range, vchunk_t chunk,
			struct cowstack_segment segments[COWSTACK_MAX_PIECES]);

/* The newest word of @chunk that says anything, and whose it is; or none. */
map_word_t cowstack_range_newest(const struct cowstack_range *range,
				 vchunk_t chunk, struct cowstack_layer **layer);

/* What makes one word of all that the layers of a range know of a chunk. */
struct cowstack_merge {
	map_word_t word;
	/* Within the store, from .place to .sector, before the word shows. */
	u32 count;
	struct cowstack_segment copies[COWSTACK_MAX_PIECES];
};

/**
 * cowstack_range_merge() - the word that @range comes to at @chunk.
 * @range: sources and, as its last, the destination
 *
 * The newest word's data chunk takes what it lacks from the words below: where it
 * lacks nothing, nothing is copied.  What is copied goes to sixteenths that are
 * in no word's mask, so nobody sees it before the merged word does.
 */
void cowstack_range_merge(const struct cowstack_geometry *g,
			  const struct cowstack_range *range, vchunk_t chunk,
			  struct cowstack_merge *merge);

/* Chunks that any layer of @range has a word for. */
u64 cowstack_range_chunks(const struct cowstack_range *range);

/*
 * Sectors of data (not of zeroes) that @range holds from sector @from on, to the
 * end of the sixteenth: what a shorter base could not take.
 */
u64 cowstack_range_held_behind(const struct cowstack_geometry *g,
			       const struct cowstack_range *range, u64 from);

/*
 * Of that what lies in the sixteenth in which sector @from is, and not where one begins.
 * Such a piece was completed with what the base shows behind its end: it may be all
 * zeroes, and then it fits.  False: nothing.
 */
bool cowstack_range_tail(const struct cowstack_geometry *g,
			 const struct cowstack_range *range, u64 from,
			 struct cowstack_segment *tail);

/*
 * Is what the layers from @top down hold whole in units of @sectors, a power of two?
 * Pieces are smaller than some disks' blocks where chunks are small.  The chain does not
 * change meanwhile.
 */
bool cowstack_chain_is_aligned(const struct cowstack_geometry *g,
			       struct cowstack_layer *top, u32 sectors);

#endif /* COWSTACK_CORE_COMMIT_PLAN_H */
