/* SPDX-License-Identifier: GPL-2.0 */
/* A store that is a file, all of it in memory, and where in it lies what. */
#ifndef COWSTACK_GOLDEN_STORE_BYTES_H
#define COWSTACK_GOLDEN_STORE_BYTES_H

#include "load.h"

enum { RECORD_TYPES = 11 };

extern const char *const record_type_name[RECORD_TYPES];

struct store_bytes {
	struct cowstack_reader reader;
	u8 *bytes;
	u64 sectors;
};

struct record_counts {
	u64 blocks;
	u64 of[RECORD_TYPES];
};

/* Exit where the file cannot be read or written. */
void bytes_read(struct store_bytes *s, const char *path);
void bytes_write(const struct store_bytes *s, const char *path);
void bytes_free(struct store_bytes *s);

/* Exits where there is none. */
void *bytes_block(struct store_bytes *s, u64 block);
/* By superblock A, of which nothing is checked. */
u64 bytes_ring_block(struct store_bytes *s, u64 position);

/*
 * The record of a block that follows @record, or its first with NULL; NULL: that
 * was the last.
 */
struct disk_record *bytes_next_record(struct disk_record_block *block,
				      struct disk_record *record);
void bytes_count_records(struct store_bytes *s, u64 block,
			 struct record_counts *counts);

#endif /* COWSTACK_GOLDEN_STORE_BYTES_H */
