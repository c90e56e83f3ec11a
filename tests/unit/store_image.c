// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/mman.h>

#include "store_image.h"
#include "surely.h"

enum { ROOM_TO_GROW = 32768 };	/* sectors */

static void surely_no(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "%s: error %d\n", what, error);
	abort();
}

static int read_image(struct cowstack_reader *reader, u64 first, u64 blocks,
		      void *buffer)
{
	struct store_image *image = container_of(reader, struct store_image,
						 reader);

	if (first + blocks > image->sectors / COWSTACK_BLOCK_SECTORS)
		surely_no(-EIO, "read behind the image's end");
	memcpy(buffer, image_block(image, first), blocks * COWSTACK_BLOCK_SIZE);
	return 0;
}

static int read_image_runs(struct cowstack_reader *reader,
			   const struct cowstack_run_read *runs, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		read_image(reader, runs[i].first, runs[i].blocks, runs[i].buffer);
	return 0;
}

static u64 mapped_bytes(const struct store_image *image)
{
	return image->most_sectors * 512;
}

void image_resize(struct store_image *image, u64 sectors)
{
	if (sectors > image->most_sectors)
		surely_no(-ENOSPC, "the image grows too much");
	image->sectors = sectors;
	image->reader.device_sectors = sectors;
}

void image_init(struct store_image *image, u32 chunk_sectors, u64 chunks)
{
	static const u8 uuid[COWSTACK_UUID_SIZE] = { 9, 8, 7 };
	struct cowstack_superblock sb;
	struct cowstack_geometry g;
	void *bytes;
	u32 i;

	memset(image, 0, sizeof(*image));
	INIT_LIST_HEAD(&image->queue);
	image->sectors = 2048 + chunks * chunk_sectors;
	image->most_sectors = image->sectors + ROOM_TO_GROW;
	bytes = mmap(NULL, mapped_bytes(image), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	image->bytes = surely(bytes == MAP_FAILED ? NULL : bytes);
	image->block_memory = surely(calloc(COWSTACK_MAX_STEP_BLOCKS,
					    COWSTACK_BLOCK_SIZE));
	for (i = 0; i < COWSTACK_MAX_STEP_BLOCKS; i++)
		image->blocks[i] = &image->block_memory[i];
	image->reader.read = read_image;
	image->reader.read_runs = read_image_runs;
	image->reader.device_sectors = image->sectors;
	image->reader.max_pages = 1024;
	surely_no(cowstack_geometry_init(&g, image->sectors, chunk_sectors),
		  "geometry");
	cowstack_format(&sb, &g, uuid, "image", 1);
	image_write_superblocks(image, &sb);
}

void image_exit(struct store_image *image)
{
	munmap(image->bytes, mapped_bytes(image));
	free(image->block_memory);
}

int image_load(struct store_image *image, struct cowstack_metadata *md)
{
	return cowstack_load(md, &image->reader, &image->report);
}

void image_write_superblocks(struct store_image *image,
			     const struct cowstack_superblock *sb)
{
	cowstack_superblock_encode(sb, COWSTACK_SUPERBLOCK_A,
				   image_block(image, COWSTACK_SUPERBLOCK_A));
	cowstack_superblock_encode(sb, COWSTACK_SUPERBLOCK_B,
				   image_block(image, COWSTACK_SUPERBLOCK_B));
}

u32 image_tear_step(struct store_image *image, struct cowstack_metadata *md,
		    u64 kept)
{
	struct cowstack_transaction *t, *next;
	struct cowstack_step step;
	struct list_head applied;
	u32 i;

	INIT_LIST_HEAD(&applied);
	cowstack_step_begin(md, &step, image->blocks);
	cowstack_step_collect(md, &step);
	list_for_each_entry_safe(t, next, &image->queue, list)
		cowstack_step_add(&step, t);
	cowstack_step_seal(md, &step);
	for (i = 0; i < step.blocks; i++)
		if (i >= 64 || kept >> i & 1)
			memcpy(image_block(image, from_mblock(cowstack_step_place(md, &step, i))),
			       image->blocks[i], COWSTACK_BLOCK_SIZE);
	cowstack_step_finish(md, &step, &applied);
	list_for_each_entry_safe(t, next, &applied, list)
		list_del_init(&t->list);
	return step.blocks;
}

u32 image_run_step(struct store_image *image, struct cowstack_metadata *md)
{
	return image_tear_step(image, md, ~0ULL);
}

void image_run_change(struct store_image *image, struct cowstack_metadata *md,
		      struct cowstack_change *change)
{
	list_add_tail(&change->transaction.list, &image->queue);
	while (!list_empty(&image->queue))
		image_run_step(image, md);
	cowstack_change_free(change);
}

void image_checkpoint(struct store_image *image, struct cowstack_metadata *md)
{
	__le64 page[COWSTACK_PAGE_CHUNKS];
	struct cowstack_index_block *b;
	struct cowstack_checkpoint cp;
	mblock_t place;

	surely_no(cowstack_checkpoint_begin(md, &cp), "checkpoint");
	while (cowstack_checkpoint_next_page(md, &cp, page, &place) > 0)
		memcpy(image_block(image, from_mblock(place)), page,
		       sizeof(page));
	image_run_step(image, md);
	surely_no(cowstack_checkpoint_make_index(md, &cp), "index");
	list_for_each_entry(b, &cp.index, list)
		memcpy(image_block(image, from_mblock(b->place)), b->block,
		       sizeof(*b->block));
	cowstack_checkpoint_superblock(md, &cp);
	image_write_superblocks(image, &cp.superblock);
	while (cowstack_zombies_free_chunks(md))
		;
	cowstack_checkpoint_end(md, &cp);
	cowstack_checkpoint_free(&cp);
}

void image_write_raw_step(struct store_image *image,
			  struct cowstack_metadata *md, const void *records,
			  u32 used)
{
	struct cowstack_step step;
	struct record_writer *w = &step.writer;

	cowstack_step_begin(md, &step, image->blocks);
	memcpy(w->blocks[0]->records, records, used);
	w->count = 1;
	w->used[0] = used;
	cowstack_step_seal(md, &step);
	memcpy(image_block(image, from_mblock(cowstack_step_place(md, &step, 0))),
	       image->blocks[0], COWSTACK_BLOCK_SIZE);
}

struct cowstack_volume *image_create_volume(struct store_image *image,
					    struct cowstack_metadata *md,
					    u32 id, u64 sectors)
{
	struct cowstack_change change;

	surely_no(cowstack_change_create_volume(&change, md, to_volume_id(id),
						sectors, NULL, 0), "volume");
	image_run_change(image, md, &change);
	return surely(cowstack_volume_find(md, to_volume_id(id)));
}

void image_set_word(struct cowstack_metadata *md, struct cowstack_layer *layer,
		    u64 chunk, map_word_t word)
{
	struct map_page *page;
	bool added;

	page = surely(chunk_map_add_page(&layer->map,
					 chunk / COWSTACK_PAGE_CHUNKS,
					 GFP_NOIO, &added));
	if (added)
		surely_no(cowstack_allocator_add_page(&md->allocator),
			  "room for a page");
	map_page_store(page, chunk % COWSTACK_PAGE_CHUNKS, word);
}

/* Does @b know all that @a's layer knows, in the same words? */
static bool layer_is_in(const struct cowstack_layer *a,
			const struct cowstack_layer *b)
{
	struct map_page *page;
	u64 number;
	u32 slot;

	for (number = 0; (page = sparse_table_next(&a->map.pages, &number));
	     number++) {
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			u64 chunk = number * COWSTACK_PAGE_CHUNKS + slot;
			map_word_t other = chunk_map_get(&b->map,
							 to_vchunk(chunk));

			if (map_word_durable(page->words[slot]) !=
			    map_word_durable(other))
				return false;
		}
	}
	return true;
}

static bool metadata_is_in(struct cowstack_metadata *a,
			   struct cowstack_metadata *b)
{
	const struct cowstack_volume *volume, *other_volume;
	const struct cowstack_layer *layer, *other;

	list_for_each_entry(volume, &a->volumes, list) {
		other_volume = cowstack_volume_find(b, volume->info.id);
		if (!other_volume ||
		    memcmp(&volume->info, &other_volume->info,
			   sizeof(volume->info)) ||
		    volume->top->id != other_volume->top->id)
			return false;
	}
	list_for_each_entry(layer, &a->layers, list) {
		other = cowstack_layer_find(b, layer->id);
		if (!other || layer->flags != other->flags ||
		    strcmp(layer->name, other->name) ||
		    !layer->parent != !other->parent ||
		    (layer->parent && layer->parent->id != other->parent->id) ||
		    !layer_is_in(layer, other))
			return false;
	}
	return true;
}

bool image_maps_are_equal(struct cowstack_metadata *a,
			  struct cowstack_metadata *b)
{
	return metadata_is_in(a, b) && metadata_is_in(b, a) &&
	       a->next_layer == b->next_layer;
}
