// SPDX-License-Identifier: GPL-2.0
/* The CRC of two pieces from those of each, against that of both in one go. */
#include "crc_join.h"
#include "random.h"

#include "harness.h"

enum { MOST = 10000 };

TEST(as_both_in_one_go)
{
	static const u64 lengths[] = { 0, 1, 7, 512, 4095, 4096, 4097, MOST };
	struct random r = { .state = 3 };
	u8 bytes[2 * MOST];
	u32 first, i, j;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = random_next(&r);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct crc_join join;

		crc_join_init(&join, lengths[i]);
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			first = environment_crc32(0, bytes, lengths[j]);
			EXPECT_EQ(environment_crc32(0, bytes,
						    lengths[j] + lengths[i]),
				  crc_join(&join, first,
					   environment_crc32(0, bytes + lengths[j],
							     lengths[i])));
		}
	}
}

TEST_HARNESS_MAIN
