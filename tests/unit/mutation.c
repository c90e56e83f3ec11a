// SPDX-License-Identifier: GPL-2.0
#include "mutation.h"

u64 interesting_number(struct random *r)
{
	static const u64 numbers[] = {
		0, 1, 2, 3, 8, 15, 16, 255, 256, 4032, 4096, 65535, 65536,
		0x7fffffff, 0x80000000, U32_MAX, 1ULL << 32, 1ULL << 43,
		1ULL << 52, 1ULL << 63, U64_MAX, U64_MAX - 1,
	};

	if (random_percent(r, 40))
		return numbers[random_below(r, ARRAY_SIZE(numbers))];
	return random_next(r) >> random_below(r, 64);
}

void mutate_bytes(struct random *r, u8 *bytes, u32 length)
{
	u32 width = 1u << random_below(r, 4), at;
	u64 number = 0;

	while (width > length)
		width /= 2;
	at = random_below(r, length / width) * width;
	memcpy(&number, bytes + at, width);
	switch (random_below(r, 5)) {
	case 0:
		number ^= 1ULL << random_below(r, 8 * width);
		break;
	case 1:
		number = interesting_number(r);
		break;
	case 2:
		number += random_below(r, 9) - 4;
		break;
	case 3:
		memcpy(&number, bytes + random_below(r, length / width) * width,
		       width);
		break;
	default:
		memmove(bytes + at, bytes + random_below(r, length - at),
			min_t(u32, length - at, 64) / 2);
		return;
	}
	memcpy(bytes + at, &number, width);
}
