// SPDX-License-Identifier: GPL-2.0
/* Eight bytes at once: an emulated machine spends most of its time here. */
#include <stdint.h>

#include "zlib.h"

enum { AT_ONCE = 8 };

/* table[n]: of a byte with n zero bytes behind it. */
static uint32_t table[AT_ONCE][256];

static void make_tables(void)
{
	uint32_t i, n, bit, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
		table[0][i] = crc;
	}
	for (n = 1; n < AT_ONCE; n++)
		for (i = 0; i < 256; i++)
			table[n][i] = table[n - 1][i] >> 8 ^
				      table[0][table[n - 1][i] & 0xff];
}

unsigned long crc32(unsigned long crc, const void *data, unsigned int bytes)
{
	const uint8_t *b = data;
	uint32_t value = ~(uint32_t)crc;

	if (!table[0][1])
		make_tables();
	for (; bytes >= AT_ONCE; bytes -= AT_ONCE, b += AT_ONCE)
		value = table[7][(value ^ b[0]) & 0xff] ^
			table[6][(value >> 8 ^ b[1]) & 0xff] ^
			table[5][(value >> 16 ^ b[2]) & 0xff] ^
			table[4][value >> 24 ^ b[3]] ^
			table[3][b[4]] ^ table[2][b[5]] ^
			table[1][b[6]] ^ table[0][b[7]];
	while (bytes--)
		value = table[0][(value ^ *b++) & 0xff] ^ value >> 8;
	return (uint32_t)~value;
}
