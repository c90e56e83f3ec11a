// SPDX-License-Identifier: GPL-2.0
#include "crc_join.h"

#define POLYNOMIAL 0xedb88320U		/* bits reversed, as in zlib */

static u32 apply(const u32 column[32], u32 crc)
{
	u32 result = 0;
	u32 bit;

	for (bit = 0; crc; bit++, crc >>= 1)
		if (crc & 1)
			result ^= column[bit];
	return result;
}

/* a = b, and then a */
static void follow(u32 a[32], const u32 b[32])
{
	u32 result[32];
	u32 bit;

	for (bit = 0; bit < 32; bit++)
		result[bit] = apply(a, b[bit]);
	memcpy(a, result, sizeof(result));
}

void crc_join_init(struct crc_join *join, u64 bytes)
{
	u32 power[32];			/* 1, 2, 4, … bits of zero */
	u64 bits = bytes * 8;
	u32 bit;

	for (bit = 0; bit < 32; bit++) {
		join->column[bit] = 1U << bit;
		power[bit] = bit ? 1U << (bit - 1) : POLYNOMIAL;
	}
	for (; bits; bits >>= 1) {
		if (bits & 1)
			follow(join->column, power);
		follow(power, power);
	}
}

u32 crc_join(const struct crc_join *join, u32 first, u32 second)
{
	return apply(join->column, first) ^ second;
}
