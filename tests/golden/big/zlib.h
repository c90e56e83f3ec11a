/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What core uses of zlib, for machines whose own zlib is not installed here.
 */
#ifndef COWSTACK_GOLDEN_ZLIB_H
#define COWSTACK_GOLDEN_ZLIB_H

unsigned long crc32(unsigned long crc, const void *data, unsigned int bytes);

#endif /* COWSTACK_GOLDEN_ZLIB_H */
