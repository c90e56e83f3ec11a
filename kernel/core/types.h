/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Number spaces.  Each kind of number is a type of its own that sparse will not
 * mix with another: adding a data chunk to a virtual chunk is always a mistake.
 */
#ifndef COWSTACK_CORE_TYPES_H
#define COWSTACK_CORE_TYPES_H

#include "environment.h"

/* A chunk of a volume, from 0: what a guest addresses. */
typedef u64 __bitwise vchunk_t;
/* A chunk of the store's data area, from 0: where something lies. */
typedef u64 __bitwise dchunk_t;
/* A 4 KiB block of the store's device, from 0; 0 (a superblock) means none. */
typedef u64 __bitwise mblock_t;
/* A layer, from 1, never reused in a store; 0 is the base. */
typedef u32 __bitwise layer_id_t;
/* A volume, 24 bits. */
typedef u32 __bitwise volume_id_t;
/* What a layer knows of one chunk; see map_word.h. */
typedef u64 __bitwise map_word_t;

#define COWSTACK_NUMBER_SPACE(type, name)				\
static inline type to_##name(u64 n)					\
{									\
	return (__force type)n;						\
}									\
static inline u64 from_##name(type n)					\
{									\
	return (__force u64)n;						\
}

COWSTACK_NUMBER_SPACE(vchunk_t, vchunk)
COWSTACK_NUMBER_SPACE(dchunk_t, dchunk)
COWSTACK_NUMBER_SPACE(mblock_t, mblock)

static inline layer_id_t to_layer_id(u32 n)
{
	return (__force layer_id_t)n;
}

static inline u32 from_layer_id(layer_id_t n)
{
	return (__force u32)n;
}

static inline volume_id_t to_volume_id(u32 n)
{
	return (__force volume_id_t)n;
}

static inline u32 from_volume_id(volume_id_t n)
{
	return (__force u32)n;
}

#define COWSTACK_BASE_LAYER ((__force layer_id_t)0)
#define COWSTACK_NO_BLOCK ((__force mblock_t)0)

enum {
	COWSTACK_SECTOR_SHIFT = 9,
	COWSTACK_BLOCK_SIZE = 4096,		/* bytes of a metadata block */
	COWSTACK_BLOCK_SECTORS = 8,
	COWSTACK_MIN_CHUNK_SECTORS = 8,		/* 4 KiB */
	COWSTACK_MAX_CHUNK_SECTORS = 2048,	/* 1 MiB */
	COWSTACK_MAX_PIECES = 16,		/* "sixteenths" of a chunk */
	COWSTACK_PAGE_CHUNKS = 512,		/* chunks in a page of the map */
	COWSTACK_MAX_LAYERS = 250,		/* of one chain */
	COWSTACK_NAME_SIZE = 64,		/* bytes, with the final NUL */
	COWSTACK_UUID_SIZE = 16,
	COWSTACK_VOLUME_ID_BITS = 24,
};

/* A volume's size in sectors: 2 EiB, so that byte counts fit 63 bits. */
#define COWSTACK_MAX_VOLUME_SECTORS BIT_ULL(52)
/* And in chunks: a map numbers its pages with 32 bits. */
#define COWSTACK_MAX_VOLUME_CHUNKS (BIT_ULL(32) * COWSTACK_PAGE_CHUNKS)

/*
 * How a store is cut up.  Filled and checked by cowstack_geometry_init(); the
 * shifts are of sectors.  Constant while a store is open but for @chunks, which
 * a grow raises.
 */
struct cowstack_geometry {
	u32 chunk_sectors;	/* power of two, 8 … 2048 */
	u32 chunk_shift;
	u32 piece_shift;	/* of one bit of a mask; a piece is ≥ 1 sector */
	u32 pieces;		/* in a chunk: 8 or 16 */
	u16 full_mask;
	u32 chunk_blocks;	/* metadata blocks in a chunk */
	mblock_t ring_start;
	u64 ring_blocks;
	u64 data_start;		/* sector where data chunk 0 lies */
	u64 chunks;		/* in the data area */
};

static inline u64 cowstack_chunk_sector(const struct cowstack_geometry *g,
					dchunk_t chunk)
{
	return g->data_start + (from_dchunk(chunk) << g->chunk_shift);
}

static inline vchunk_t cowstack_sector_chunk(const struct cowstack_geometry *g,
					     u64 sector)
{
	return to_vchunk(sector >> g->chunk_shift);
}

/* Chunks that cover @sectors, the last perhaps in part. */
static inline u64 cowstack_chunks_of(const struct cowstack_geometry *g,
				     u64 sectors)
{
	return (sectors + g->chunk_sectors - 1) >> g->chunk_shift;
}

#endif /* COWSTACK_CORE_TYPES_H */
