/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Of what a base's sample is made, in this order: what module and tool record of it must
 * be the same, and is on disk (volume records).
 */
#ifndef COWSTACK_CORE_BASE_PLACES_H
#define COWSTACK_CORE_BASE_PLACES_H

#include "types.h"

enum {
	COWSTACK_BASE_HEAD = 2 << 20,	/* bytes from the start */
	COWSTACK_BASE_TAIL = 1 << 20,	/* and from the end */
	COWSTACK_BASE_PLACES = 64,	/* and so many blocks; of a base that has one */
};

/* Byte at which place @i lies: the same for the same seed and size. */
static inline u64 cowstack_base_place(u64 seed, u64 bytes, u32 i)
{
	u64 n = (seed + i) * 0x9e3779b97f4a7c15ULL;
	u64 block;

	n ^= n >> 29;
	div64_u64_rem(n, bytes / COWSTACK_BLOCK_SIZE, &block);
	return block * COWSTACK_BLOCK_SIZE;
}

#endif /* COWSTACK_CORE_BASE_PLACES_H */
