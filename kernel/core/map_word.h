/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The map word: all that a layer knows of one chunk, in 64 bits, so that one
 * atomic load tells a reader everything.
 *
 *   63           20 19  18  17    16   15          0
 *   [ data chunk  ][ 0  0 ][clean][zero][   mask    ]
 *
 * mask   which sixteenths of the chunk lie in the data chunk.
 * zero   what is not in the mask reads as zeroes; without it, what is not in
 *        the mask shows what lies below.
 * clean  the base, through what lies between, shows the same.
 *
 * The word 0 knows nothing.  In memory a word may name a data chunk while its
 * mask is still empty: room is taken, data is under way, readers look below (or
 * see zeroes).  Such a name never reaches the disk: map_word_durable() drops it.
 */
#ifndef COWSTACK_CORE_MAP_WORD_H
#define COWSTACK_CORE_MAP_WORD_H

#include "types.h"

#define MAP_WORD_NONE ((__force map_word_t)0)

enum {
	MAP_WORD_ZERO_BIT = 16,
	MAP_WORD_CLEAN_BIT = 17,
	MAP_WORD_RESERVED_BIT = 18,
	MAP_WORD_CHUNK_SHIFT = 20,
	/* A named chunk is stored plus one, so that 0 names none.  */
	MAP_WORD_CHUNK_BITS = 44,
};

#define MAP_WORD_MAX_CHUNKS ((1ULL << MAP_WORD_CHUNK_BITS) - 2)

static inline u64 map_word_raw(map_word_t word)
{
	return (__force u64)word;
}

static inline map_word_t map_word_from_raw(u64 raw)
{
	return (__force map_word_t)raw;
}

static inline u16 map_word_mask(map_word_t word)
{
	return map_word_raw(word) & U16_MAX;
}

static inline bool map_word_is_zero(map_word_t word)
{
	return map_word_raw(word) & BIT_ULL(MAP_WORD_ZERO_BIT);
}

static inline bool map_word_is_clean(map_word_t word)
{
	return map_word_raw(word) & BIT_ULL(MAP_WORD_CLEAN_BIT);
}

static inline bool map_word_has_chunk(map_word_t word)
{
	return map_word_raw(word) >> MAP_WORD_CHUNK_SHIFT;
}

/* Does @word have all of the sectors [@within, +@sectors) of its chunk? */
static inline bool map_word_holds(const struct cowstack_geometry *g,
				  map_word_t word, u32 within, u32 sectors)
{
	u32 first = within >> g->piece_shift;
	u32 last = (within + sectors - 1) >> g->piece_shift;
	u32 pieces = (2u << last) - (1u << first);

	return !(pieces & ~(u32)map_word_mask(word));
}

/* The data chunk that @word names; only where map_word_has_chunk() is true. */
static inline dchunk_t map_word_chunk(map_word_t word)
{
	return to_dchunk((map_word_raw(word) >> MAP_WORD_CHUNK_SHIFT) - 1);
}

/* Does a reader find anything here, data or zeroes? */
static inline bool map_word_is_known(map_word_t word)
{
	return map_word_raw(word) &
	       (BIT_ULL(MAP_WORD_ZERO_BIT) | (u64)U16_MAX);
}

static inline map_word_t map_word_zeroes(void)
{
	return map_word_from_raw(BIT_ULL(MAP_WORD_ZERO_BIT));
}

/* @word with room at @chunk and nothing in it yet; keeps the zero flag. */
static inline map_word_t map_word_with_room(map_word_t word, dchunk_t chunk)
{
	u64 flags = map_word_raw(word) & BIT_ULL(MAP_WORD_ZERO_BIT);

	return map_word_from_raw((from_dchunk(chunk) + 1) <<
				 MAP_WORD_CHUNK_SHIFT | flags);
}

/* @word, whose missing sixteenths are zeroes. */
static inline map_word_t map_word_with_zeroes(map_word_t word)
{
	return map_word_from_raw(map_word_raw(word) | BIT_ULL(MAP_WORD_ZERO_BIT));
}

/* @word with the sixteenths @mask added; a full word needs no zero flag. */
static inline map_word_t map_word_with_pieces(map_word_t word, u16 mask,
					      u16 full_mask)
{
	u64 raw = map_word_raw(word) | mask;

	if ((raw & full_mask) == full_mask)
		raw &= ~BIT_ULL(MAP_WORD_ZERO_BIT);
	return map_word_from_raw(raw);
}

/* @word, which names no chunk yet, with its pieces in @chunk. */
static inline map_word_t map_word_at(map_word_t word, dchunk_t chunk)
{
	return map_word_from_raw(map_word_raw(word) |
				 (from_dchunk(chunk) + 1) << MAP_WORD_CHUNK_SHIFT);
}

static inline map_word_t map_word_as_clean(map_word_t word)
{
	return map_word_from_raw(map_word_raw(word) | BIT_ULL(MAP_WORD_CLEAN_BIT));
}

static inline map_word_t map_word_not_clean(map_word_t word)
{
	return map_word_from_raw(map_word_raw(word) &
				 ~BIT_ULL(MAP_WORD_CLEAN_BIT));
}

/* The word as a step or a page may hold it. */
static inline map_word_t map_word_durable(map_word_t word)
{
	if (map_word_mask(word))
		return word;
	return map_word_from_raw(map_word_raw(word) &
				 BIT_ULL(MAP_WORD_ZERO_BIT));
}

#endif /* COWSTACK_CORE_MAP_WORD_H */
