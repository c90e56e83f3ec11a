/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a stream pulls up: for each chunk, the word that the layer at the top of a
 * range comes to when it holds all that the layers below it know, and what has to
 * be copied for that.
 *
 * What only this volume uses moves: the newest data chunk goes up with its word,
 * and takes what it lacks from older ones.  What other volumes use too is copied,
 * but for clean copies: of these any volume may let go while they are being read.
 */
#ifndef COWSTACK_CORE_STREAM_PLAN_H
#define COWSTACK_CORE_STREAM_PLAN_H

#include "commit_plan.h"

struct cowstack_stream {
	struct cowstack_range range;	/* the layer that takes, and its sources */
	u32 own;			/* of these, from the top, this volume's alone */
	/* Sectors of the volume that the base has and that are pulled up too. */
	u64 base_sectors;
};

/* Sectors of one chunk that lie in a row where they come from. */
struct cowstack_pull_copy {
	u32 first;			/* piece of the chunk */
	u32 count;			/* pieces */
	bool from_base;			/* at the volume's own sector */
	u64 place;			/* else: sector of the store's device */
};

struct cowstack_pull {
	/*
	 * As it will be.  Where data is copied to a chunk that is yet to be taken
	 * it names none: map_word_at() adds it.
	 */
	map_word_t word;
	bool needs_chunk;
	u16 copied;			/* pieces */
	u32 count;
	struct cowstack_pull_copy copies[COWSTACK_MAX_PIECES];
};

/*
 * Sources are the layers below range.layer[0].  The plan holds while the words
 * of that layer at @chunk do not change: others are frozen.
 */
void cowstack_stream_plan(const struct cowstack_geometry *g,
			  const struct cowstack_stream *stream, vchunk_t chunk,
			  struct cowstack_pull *pull);

/*
 * The first chunk from *@chunk on that a source has a word for, or that is to be
 * pulled up from the base.  False: there is none.
 */
bool cowstack_stream_next(const struct cowstack_geometry *g,
			  const struct cowstack_stream *stream,
			  vchunk_t *chunk);

/* Chunks that cowstack_stream_next() finds. */
u64 cowstack_stream_chunks(const struct cowstack_geometry *g,
			   const struct cowstack_stream *stream);

/*
 * Chunks of the store that the whole takes, at most: what is not moved has to
 * have room.  May take long: it looks at each word.
 */
u64 cowstack_stream_room(const struct cowstack_geometry *g,
			 const struct cowstack_stream *stream);

#endif /* COWSTACK_CORE_STREAM_PLAN_H */
