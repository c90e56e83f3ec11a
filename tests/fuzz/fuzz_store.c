// SPDX-License-Identifier: GPL-2.0
/*
 * Stores that an enemy wrote: FUZZ_KINDS says which parts of one the fuzzer
 * changes.  A load refuses it, or gives what can be used.
 */
#include "fuzz.h"
#include "store_mutator.h"
#include "store_parts.h"
#include "store_use.h"

enum { MAX_PAGES = 512 };	/* of a map */

static struct store_use use;

static void init(void)
{
	if (use.image.bytes)
		return;
	image_init(&use.image, 8, (FUZZ_STORE_SECTORS - 2048) / 8);
	use.image.reader.max_pages = MAX_PAGES;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static struct parts parts;

	init();
	parts_parse(&parts, data, size);
	parts_build(&parts, &use.image);
	use.r.state = environment_crc32(0, data, size);
	if (!store_use_load(&use))
		fuzz_fail(use.wrong);
	return 0;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned int seed)
{
	return store_mutate(data, size, room, seed, FUZZ_KINDS);
}

size_t fuzz_cross_over(const uint8_t *a, size_t a_size, const uint8_t *b,
		       size_t b_size, uint8_t *data, size_t room,
		       unsigned int seed)
{
	return store_cross_over(a, a_size, b, b_size, data, room, seed,
				FUZZ_KINDS);
}
