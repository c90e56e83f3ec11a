/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COWSTACK_FUZZ_STORE_MUTATOR_H
#define COWSTACK_FUZZ_STORE_MUTATOR_H

#include "environment.h"

/*
 * Changes an input of store_parts.h in place, of its parts those of @kinds (bits by
 * enum part_kind) and edits.  Return: its size, at most @room.
 */
size_t store_mutate(u8 *data, size_t size, size_t room, unsigned int seed,
		    u32 kinds);

/* Puts a part of @b into @a; the result is @data.  0: there is none. */
size_t store_cross_over(const u8 *a, size_t a_size, const u8 *b, size_t b_size,
			u8 *data, size_t room, unsigned int seed, u32 kinds);

#endif /* COWSTACK_FUZZ_STORE_MUTATOR_H */
