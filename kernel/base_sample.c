// SPDX-License-Identifier: GPL-2.0
#include <linux/vmalloc.h>

#include "base_sample.h"
#include "commit.h"
#include "core/base_places.h"
#include "core/crc_join.h"

enum {
	SAMPLE_STEP = 1 << 20,		/* read at a time */
	SAMPLE_BLOCK = COWSTACK_BLOCK_SIZE,
	MOST_BLOCKS = (COWSTACK_BASE_HEAD + COWSTACK_BASE_TAIL) / SAMPLE_BLOCK +
		      COWSTACK_BASE_PLACES,
};

/* Blocks in a row on the base. */
struct part {
	u64 byte;
	u64 bytes;			/* of the last block there may be less */
	u32 first;			/* block of the sample */
};

struct base_sample {
	u64 seed;
	u64 bytes;			/* of the base */
	u32 part_count;
	struct part part[2 + COWSTACK_BASE_PLACES];
	struct crc_join join;		/* with a whole block */
	u32 crc[MOST_BLOCKS];
	DECLARE_BITMAP(known, MOST_BLOCKS);
};

static u32 count_blocks(const struct part *part)
{
	return DIV_ROUND_UP_ULL(part->bytes, SAMPLE_BLOCK);
}

static u32 block_bytes(const struct part *part, u32 i)
{
	return min_t(u64, SAMPLE_BLOCK, part->bytes - (u64)i * SAMPLE_BLOCK);
}

static void add_part(struct base_sample *sample, u64 byte, u64 bytes)
{
	struct part *part = &sample->part[sample->part_count];

	part->byte = byte;
	part->bytes = bytes;
	part->first = sample->part_count ?
			      part[-1].first + count_blocks(&part[-1]) : 0;
	sample->part_count++;
}

struct base_sample *base_sample_new(struct block_device *bdev, u64 seed)
{
	struct base_sample *sample = kvzalloc(sizeof(*sample), GFP_KERNEL);
	u64 bytes = bdev_nr_sectors(bdev) << SECTOR_SHIFT;
	u64 tail = min_t(u64, bytes, COWSTACK_BASE_TAIL);
	u32 i;

	if (!sample)
		return NULL;
	sample->seed = seed;
	sample->bytes = bytes;
	crc_join_init(&sample->join, SAMPLE_BLOCK);
	add_part(sample, 0, min_t(u64, bytes, COWSTACK_BASE_HEAD));
	add_part(sample, bytes - tail, tail);
	for (i = 0; i < COWSTACK_BASE_PLACES && bytes >= SAMPLE_BLOCK; i++)
		add_part(sample, cowstack_base_place(seed, bytes, i),
			 SAMPLE_BLOCK);
	return sample;
}

void base_sample_free(struct base_sample *sample)
{
	kvfree(sample);
}

bool base_sample_fits(const struct base_sample *sample,
		      struct block_device *bdev, u64 seed)
{
	return sample->seed == seed &&
	       sample->bytes == bdev_nr_sectors(bdev) << SECTOR_SHIFT;
}

/* --- reading --- */

/* From block @i of @part on: one read. Returns the blocks that it was of, or an error. */
static int read_blocks(struct base_sample *sample, const struct part *part,
		       u32 i, struct store *store, struct block_device *bdev,
		       u8 *buffer)
{
	u64 at = (u64)i * SAMPLE_BLOCK;
	u32 count = 0, k;
	u64 bytes = 0;
	int error;

	while (i + count < count_blocks(part) && bytes < SAMPLE_STEP &&
	       !test_bit(part->first + i + count, sample->known))
		bytes += block_bytes(part, i + count++);
	error = block_io(store, bdev, REQ_OP_READ,
			 (part->byte + at) >> SECTOR_SHIFT, buffer, bytes);
	if (error)
		return error;
	for (k = 0; k < count; k++) {
		sample->crc[part->first + i + k] =
			environment_crc32(0, buffer + k * SAMPLE_BLOCK,
					  block_bytes(part, i + k));
		__set_bit(part->first + i + k, sample->known);
	}
	cond_resched();
	return count;
}

static int read_part(struct base_sample *sample, const struct part *part,
		     struct store *store, struct block_device *bdev, u8 *buffer)
{
	u32 i = 0;

	while (i < count_blocks(part)) {
		int n = 1;

		if (!test_bit(part->first + i, sample->known))
			n = read_blocks(sample, part, i, store, bdev, buffer);
		if (n < 0)
			return n;
		i += n;
	}
	return 0;
}

static int read_unknown(struct base_sample *sample, struct store *store,
			struct block_device *bdev)
{
	const struct part *last = &sample->part[sample->part_count - 1];
	u32 blocks = last->first + count_blocks(last);
	int error = 0;
	u8 *buffer;
	u32 i;

	if (find_first_zero_bit(sample->known, blocks) >= blocks)
		return 0;
	buffer = vmalloc(SAMPLE_STEP);
	if (!buffer)
		return -ENOMEM;
	for (i = 0; i < sample->part_count && !error; i++)
		error = read_part(sample, &sample->part[i], store, bdev, buffer);
	vfree(buffer);
	return error;
}

static u32 join_block(const struct base_sample *sample, u32 crc, u32 block,
		      u32 bytes)
{
	struct crc_join join;

	if (bytes == SAMPLE_BLOCK)
		return crc_join(&sample->join, crc, sample->crc[block]);
	crc_join_init(&join, bytes);
	return crc_join(&join, crc, sample->crc[block]);
}

int base_sample_read(struct base_sample *sample, struct store *store,
		     struct block_device *bdev, u32 *crc)
{
	const struct part *part;
	int error = read_unknown(sample, store, bdev);
	u32 i;

	*crc = 0;
	if (error)
		return error;
	for (part = sample->part; part < sample->part + sample->part_count;
	     part++)
		for (i = 0; i < count_blocks(part); i++)
			*crc = join_block(sample, *crc, part->first + i,
					  block_bytes(part, i));
	return 0;
}

/* --- what a commit writes --- */

/* Block @i of @part lies at least in part in @run: all of it, with data? */
static void note_block(struct base_sample *sample, const struct part *part,
		       u32 i, const struct copy_run *run,
		       const struct copy_batch *batch)
{
	u64 start = run->sector << SECTOR_SHIFT;
	u64 end = start + (run->sectors << SECTOR_SHIFT);
	u64 byte = part->byte + (u64)i * SAMPLE_BLOCK;
	u32 bytes = block_bytes(part, i);
	u32 block = part->first + i;

	__clear_bit(block, sample->known);
	if (!batch || run->zero || byte < start || byte + bytes > end)
		return;
	sample->crc[block] = copy_batch_crc(batch, run->at + byte - start,
					    bytes);
	__set_bit(block, sample->known);
}

/* @batch: as it was written, by @job; NULL: nobody knows what will be there. */
static void note_run(struct base_sample *sample, const struct copy_run *run,
		     const struct copy_batch *batch, struct job *job)
{
	u64 start = run->sector << SECTOR_SHIFT;
	u64 end = start + (run->sectors << SECTOR_SHIFT);
	const struct part *part;

	for (part = sample->part; part < sample->part + sample->part_count;
	     part++) {
		u32 i = 0;

		if (part->byte >= end || part->byte + part->bytes <= start)
			continue;
		if (start > part->byte)
			i = div_u64(start - part->byte, SAMPLE_BLOCK);
		for (; i < count_blocks(part) &&
		     part->byte + (u64)i * SAMPLE_BLOCK < end; i++) {
			note_block(sample, part, i, run, batch);
			if (job)
				commit_breathe(job);
		}
	}
}

void base_sample_forget(struct base_sample *sample,
			const struct copy_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->run_count; i++)
		note_run(sample, &batch->runs[i], NULL, NULL);
}

void base_sample_learn(struct base_sample *sample,
		       const struct copy_batch *batch, struct job *job)
{
	u32 i;

	for (i = 0; i < batch->run_count; i++)
		note_run(sample, &batch->runs[i], batch, job);
}
