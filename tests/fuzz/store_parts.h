/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store as an input of the fuzzers: what is in its metadata blocks, and no more.
 * Magic numbers, places, sequences and checksums are made when the store is built
 * from it, so that whatever a fuzzer does to an input the checksums are right.
 *
 * An input is a row of parts:
 *
 *   u8 kind, u8 flags, le16 bytes, then that many bytes:
 *   superblock   le64 sequence, the fields from .version to .name
 *   index        le32 block, records
 *   page         le32 block, { le16 slot, le16 count, le64 word } …
 *   step         records of one block
 *   edit         le32 block, le16 offset, bytes to be put there at last
 */
#ifndef COWSTACK_FUZZ_STORE_PARTS_H
#define COWSTACK_FUZZ_STORE_PARTS_H

#include "store_image.h"

enum {
	FUZZ_STORE_SECTORS = 4096,	/* 2 MiB */
	FUZZ_STORE_BLOCKS = FUZZ_STORE_SECTORS / COWSTACK_BLOCK_SECTORS,
	FUZZ_MAX_PARTS = 256,
	PART_HEADER = 4,
	PART_MAX_BYTES = 8192,
	PAGE_ENTRY = 12,
	SUPERBLOCK_FIRST = offsetof(struct disk_superblock, version),
	SUPERBLOCK_END = offsetof(struct disk_superblock, reserved),
};

enum part_kind {
	PART_SUPERBLOCK,
	PART_INDEX,
	PART_PAGE,
	PART_STEP,
	PART_EDIT,
	PART_KINDS,
};

enum part_flag {
	PART_ONLY_A = 1,	/* superblock: the other is noise */
	PART_ONLY_B = 2,
	PART_CONTINUES = 1,	/* step: a further block of the one before */
	PART_NO_REPAIR = 1,	/* edit: checksums stay as they were */
};

struct part {
	enum part_kind kind;
	u8 flags;
	u16 bytes;
	const u8 *data;
};

struct parts {
	struct part part[FUZZ_MAX_PARTS];
	u32 count;
};

static inline u32 part_header_bytes(enum part_kind kind)
{
	return kind == PART_INDEX || kind == PART_PAGE ? 4 :
	       kind == PART_EDIT ? 6 : kind == PART_SUPERBLOCK ? 8 : 0;
}

static inline u64 part_number(const struct part *part, u32 at, u32 bytes)
{
	u64 number = 0;
	u32 i;

	for (i = bytes; i-- > 0;)
		number = number << 8 | (at + i < part->bytes ?
						part->data[at + i] : 0);
	return number;
}

/* Takes an input apart; whatever bytes it consists of. */
void parts_parse(struct parts *parts, const u8 *data, size_t size);
/* Puts it together; as much of it as there is room for. */
size_t parts_print(const struct parts *parts, u8 *data, size_t room);

/* The store that @parts make, in @image, which has FUZZ_STORE_SECTORS. */
void parts_build(const struct parts *parts, struct store_image *image);

/* Where the blocks of a store lie; @places has room for FUZZ_MAX_PARTS + 2. */
u32 parts_places(const struct parts *parts, enum part_kind kind, u32 *places);

#endif /* COWSTACK_FUZZ_STORE_PARTS_H */
