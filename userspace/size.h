/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sizes, rates and times as people write and read them.  Letters K, M, G and T
 * are powers of 1024.  Pure: no I/O.
 */
#ifndef DMCOMMIT_SIZE_H
#define DMCOMMIT_SIZE_H

#include "core/environment.h"

enum { SIZE_TEXT = 32 };	/* room for whatever is printed here */

/* For %llu, which u64 is not everywhere. */
static inline unsigned long long llu(u64 number)
{
	return number;
}

/* Return: 0; -EINVAL: no number with at most one letter; -ERANGE: too large. */
int size_parse(const char *text, u64 *value);

/* A decimal number and nothing else, at most @most; 0, -EINVAL or -ERANGE. */
int number_parse(const char *text, u64 most, u64 *value);

/*
 * A point in time: seconds since 1970, "HH:MM" (the next one after @now),
 * "YYYY-MM-DD HH:MM[:SS]" with a blank or a T; local time.  0 or -EINVAL.
 */
int time_parse(const char *text, u64 now, u64 *seconds);

/* "0", "512B", "64K", "1.5G": three digits, or four of a whole number. */
const char *size_print(u64 bytes, char text[SIZE_TEXT]);

/* "0:07", "1:02:03", "12d 03:04" */
const char *duration_print(u64 seconds, char text[SIZE_TEXT]);

/* Local time, "2001-02-03 04:05:06". */
const char *time_print(u64 seconds, char text[SIZE_TEXT]);

#endif /* DMCOMMIT_SIZE_H */
