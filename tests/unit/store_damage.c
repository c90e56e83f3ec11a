// SPDX-License-Identifier: GPL-2.0
#include "mutation.h"
#include "store_damage.h"
#include "surely.h"

/* --- what there is --- */

static void add_target(struct store_damage *d, enum damage_kind kind, u64 block)
{
	struct damage_target *t;

	if (d->target_count == DAMAGE_MAX_TARGETS)
		return;
	t = &d->targets[d->target_count++];
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	t->block = block;
}

static void *block_at(struct store_damage *d, u64 block)
{
	return d->image->bytes + block * COWSTACK_BLOCK_SIZE;
}

static u64 ring_block(struct store_damage *d, u64 position)
{
	return COWSTACK_RING_START + position % d->ring_blocks;
}

static void find_steps(struct store_damage *d,
		       const struct cowstack_metadata *md)
{
	u64 position, first;
	u32 count, i;

	for (position = md->tail; position < md->head; position += count) {
		struct disk_record_block *block;

		first = position;
		block = block_at(d, ring_block(d, position));
		count = le32_to_cpu(block->step_blocks);
		for (i = 0; i < count; i++) {
			add_target(d, DAMAGE_STEP, ring_block(d, position + i));
			d->targets[d->target_count - 1].position = first;
			d->targets[d->target_count - 1].count = count;
		}
	}
}

static void find_index(struct store_damage *d,
		       const struct cowstack_metadata *md)
{
	u64 i;

	d->index_count = 0;
	for (i = 0; i < min_t(u64, md->index_count, DAMAGE_MAX_TARGETS); i++) {
		d->index[d->index_count++] = from_mblock(md->index[i]);
		add_target(d, DAMAGE_INDEX, from_mblock(md->index[i]));
	}
}

static void find_pages(struct store_damage *d, struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	list_for_each_entry(layer, &md->layers, list)
		for (number = 0; (page = sparse_table_next(&layer->map.pages,
							   &number)); number++)
			if (from_mblock(page->home))
				add_target(d, DAMAGE_PAGE,
					   from_mblock(page->home));
}

static int find_targets(struct store_damage *d)
{
	struct cowstack_metadata md;
	int error = image_load(d->image, &md);

	d->target_count = 0;
	if (error)
		return error;
	d->ring_blocks = cowstack_geometry(&md)->ring_blocks;
	add_target(d, DAMAGE_SUPERBLOCK, COWSTACK_SUPERBLOCK_A);
	find_index(d, &md);
	find_pages(d, &md);
	find_steps(d, &md);
	cowstack_metadata_exit(&md);
	return 0;
}

int store_damage_begin(struct store_damage *d, struct store_image *image,
		       u64 bytes)
{
	d->image = image;
	d->bytes = bytes;
	d->good = surely(realloc(d->good, bytes));
	memcpy(d->good, image->bytes, bytes);
	return find_targets(d);
}

void store_damage_exit(struct store_damage *d)
{
	free(d->good);
	d->good = NULL;
}

/* --- mutations --- */

static void seal_block(struct disk_record_block *block)
{
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	used += offsetof(struct disk_record_block, records);
	block->header.crc = cpu_to_le32(cowstack_block_crc(block, used));
}

static void seal_step(struct store_damage *d, const struct damage_target *t)
{
	struct disk_record_block *block;
	u32 crc = 0, i;

	for (i = 0; i < t->count; i++) {
		block = block_at(d, ring_block(d, t->position + i));
		crc = environment_crc32(crc, block->records,
					min_t(u32, le32_to_cpu(block->used),
					      sizeof(block->records)));
	}
	for (i = 0; i < t->count; i++) {
		block = block_at(d, ring_block(d, t->position + i));
		block->step_crc = cpu_to_le32(crc);
		seal_block(block);
	}
}

static void mutate_records(struct store_damage *d, struct random *r,
			   const struct damage_target *t)
{
	struct disk_record_block *block = block_at(d, t->block);
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	/* Mostly the records that are there; else the block's head. */
	if (used >= 8 && random_percent(r, 90))
		mutate_bytes(r, block->records, used);
	else
		mutate_bytes(r, (u8 *)block + 32, 32);
	if (t->kind == DAMAGE_STEP)
		seal_step(d, t);
	else
		seal_block(block);
}

/* The page's record in the index gets the new checksum. */
static void seal_page_in(struct store_damage *d, struct disk_record_block *block,
			 u64 place)
{
	u32 crc = environment_crc32(0, block_at(d, place), COWSTACK_BLOCK_SIZE);
	/* Both lengths may have been mutated. */
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));
	struct disk_page_record *r;
	u32 at;

	for (at = 0; at + sizeof(*r) <= used;
	     at += max(8, le16_to_cpu(r->header.bytes) & ~7)) {
		r = (void *)(block->records + at);
		if (le16_to_cpu(r->header.type) == COWSTACK_RECORD_PAGE &&
		    le64_to_cpu(r->block) == place)
			r->crc = cpu_to_le32(crc);
	}
	seal_block(block);
}

static void seal_page(struct store_damage *d, u64 place)
{
	u32 i;

	for (i = 0; i < d->index_count; i++)
		seal_page_in(d, block_at(d, d->index[i]), place);
}

static void mutate_superblock(struct store_damage *d, struct random *r)
{
	struct disk_superblock *a = block_at(d, COWSTACK_SUPERBLOCK_A);
	struct disk_superblock *b = block_at(d, COWSTACK_SUPERBLOCK_B);

	mutate_bytes(r, (u8 *)a + 24,
		     offsetof(struct disk_superblock, reserved) - 24);
	if (random_percent(r, 70)) {
		*b = *a;
		b->header.place = cpu_to_le64(COWSTACK_SUPERBLOCK_B);
		b->header.crc = cpu_to_le32(cowstack_block_crc(b, sizeof(*b)));
	}
	a->header.crc = cpu_to_le32(cowstack_block_crc(a, sizeof(*a)));
}

static void mutate(struct store_damage *d, struct random *r,
		   const struct damage_target *t)
{
	switch (t->kind) {
	case DAMAGE_SUPERBLOCK:
		mutate_superblock(d, r);
		break;
	case DAMAGE_STEP:
	case DAMAGE_INDEX:
		mutate_records(d, r, t);
		break;
	case DAMAGE_PAGE:
		mutate_bytes(r, block_at(d, t->block), COWSTACK_BLOCK_SIZE);
		seal_page(d, t->block);
		break;
	}
}

void store_damage_undo(struct store_damage *d)
{
	memcpy(d->image->bytes, d->good, d->bytes);
}

void store_damage_do(struct store_damage *d, struct random *r)
{
	u64 count = 1 + random_below(r, 4);
	u32 first_page = 1 + d->index_count;

	store_damage_undo(d);
	while (count--) {
		u32 i = random_below(r, d->target_count);

		/* Pages are many, index and superblock few. */
		if (random_percent(r, 40))
			i = random_below(r, first_page);
		mutate(d, r, &d->targets[i]);
	}
}

void *store_damage_block(struct store_damage *d, struct random *r)
{
	return block_at(d, d->targets[random_below(r, d->target_count)].block);
}
