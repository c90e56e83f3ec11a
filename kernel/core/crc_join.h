/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CRC-32 of two pieces in a row, from those of each: the content need not be at
 * hand. A CRC is linear over its bits, so what follows bytes of zeroes do to it is a
 * matrix.
 */
#ifndef COWSTACK_CORE_CRC_JOIN_H
#define COWSTACK_CORE_CRC_JOIN_H

#include "environment.h"

/* For second pieces of one length. */
struct crc_join {
	u32 column[32];			/* what each bit of the first CRC becomes */
};

void crc_join_init(struct crc_join *join, u64 bytes);

/* As environment_crc32() of both would be. */
u32 crc_join(const struct crc_join *join, u32 first, u32 second);

#endif /* COWSTACK_CORE_CRC_JOIN_H */
