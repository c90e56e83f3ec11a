// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "store_bytes.h"

const char *const record_type_name[RECORD_TYPES] = {
	"", "STORE", "VOLUME", "VOLUME_GONE", "LAYER", "LAYER_GONE", "WORDS",
	"CLEAR", "ZERO", "PAGE", "CLEAN_GONE",
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static int read_blocks(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	struct store_bytes *s = container_of(reader, struct store_bytes, reader);
	u64 all = s->sectors / COWSTACK_BLOCK_SECTORS;

	if (first >= all || blocks > all - first)
		return -EIO;
	memcpy(buffer, bytes_block(s, first), blocks * COWSTACK_BLOCK_SIZE);
	return 0;
}

void bytes_read(struct store_bytes *s, const char *path)
{
	FILE *file = fopen(path, "rb");
	long length;

	memset(s, 0, sizeof(*s));
	if (!file || fseek(file, 0, SEEK_END))
		die(path, strerror(errno));
	length = ftell(file);
	rewind(file);
	s->bytes = length > 0 ? malloc(length) : NULL;
	if (!s->bytes || fread(s->bytes, length, 1, file) != 1)
		die(path, "cannot be read");
	fclose(file);
	s->sectors = length / 512;
	s->reader.read = read_blocks;
	s->reader.device_sectors = s->sectors;
	s->reader.max_pages = 1 << 20;
}

void bytes_write(const struct store_bytes *s, const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(s->bytes, s->sectors * 512, 1, file) != 1 ||
	    fclose(file))
		die(path, strerror(errno));
}

void bytes_free(struct store_bytes *s)
{
	free(s->bytes);
}

void *bytes_block(struct store_bytes *s, u64 block)
{
	if (block >= s->sectors / COWSTACK_BLOCK_SECTORS)
		die("block", "lies behind the store's end");
	return s->bytes + block * COWSTACK_BLOCK_SIZE;
}

u64 bytes_ring_block(struct store_bytes *s, u64 position)
{
	const struct disk_superblock *sb = bytes_block(s, COWSTACK_SUPERBLOCK_A);

	return le64_to_cpu(sb->ring_start) +
	       position % le64_to_cpu(sb->ring_blocks);
}

struct disk_record *bytes_next_record(struct disk_record_block *block,
				      struct disk_record *record)
{
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));
	u8 *next = block->records;

	if (record)
		next = (u8 *)record + max(8, le16_to_cpu(record->bytes) & ~7);
	if (next + sizeof(*record) > block->records + used)
		return NULL;
	return (void *)next;
}

void bytes_count_records(struct store_bytes *s, u64 block,
			 struct record_counts *counts)
{
	struct disk_record_block *b = bytes_block(s, block);
	struct disk_record *r = NULL;

	counts->blocks++;
	while ((r = bytes_next_record(b, r))) {
		u32 type = le16_to_cpu(r->type);

		if (type && type < RECORD_TYPES)
			counts->of[type]++;
	}
}
