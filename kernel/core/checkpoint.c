// SPDX-License-Identifier: GPL-2.0
#include "checkpoint.h"
#include "fault.h"
#include "step.h"

#define INDEX_HEAD offsetof(struct disk_record_block, records)

static struct cowstack_index_block *
last_index_block(struct cowstack_checkpoint *cp)
{
	return list_last_entry(&cp->index, struct cowstack_index_block, list);
}

static void add_index_block(struct cowstack_checkpoint *cp)
{
	/* Half of a checkpoint is no checkpoint: better late than never. */
	struct cowstack_index_block *b = kzalloc(sizeof(*b),
						 GFP_NOIO | __GFP_NOFAIL);

	b->block = kzalloc(sizeof(*b->block), GFP_NOIO | __GFP_NOFAIL);
	list_add_tail(&b->list, &cp->index);
	cp->index_count++;
	cp->used = 0;
}

/* A writer that goes on in the last index block. */
static void open_writer(struct cowstack_checkpoint *cp, struct record_writer *w,
			struct disk_record_block **block)
{
	*block = last_index_block(cp)->block;
	record_writer_init(w, block, 1);
	w->count = 1;
	w->used[0] = cp->used;
}

/* What an index record says; one of the three is set. */
struct index_item {
	const struct cowstack_volume *volume;
	const struct cowstack_layer *layer;
	const struct map_page *page;
};

static bool write_item(struct record_writer *w, const struct index_item *item)
{
	if (item->volume)
		return record_write_volume(w, &item->volume->info,
					   item->volume->top->id);
	if (item->layer)
		return record_write_layer(w, item->layer,
					  item->layer->parent ?
						  item->layer->parent->id :
						  COWSTACK_BASE_LAYER,
					  item->layer->flags, item->layer->name);
	return record_write_page(w, item->page->map->layer->id,
				 item->page->number,
				 item->page->new_home != COWSTACK_NO_BLOCK ?
					 item->page->new_home :
					 item->page->home,
				 item->page->crc);
}

static void add_item(struct cowstack_checkpoint *cp,
		     const struct index_item *item)
{
	struct disk_record_block *block;
	struct record_writer w;

	open_writer(cp, &w, &block);
	if (!write_item(&w, item)) {
		/* Any record fits an empty block; an index without it would lose what it says. */
		add_index_block(cp);
		open_writer(cp, &w, &block);
		if (!write_item(&w, item))
			cp->incomplete = true;
	}
	cp->used = w.used[0];
	block->used = cpu_to_le32(cp->used);
}

/* Volumes and layers as of now: what replay starts from. */
static void add_objects(struct cowstack_metadata *md,
			struct cowstack_checkpoint *cp)
{
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;
	struct disk_record_block *block;
	struct record_writer w;

	add_index_block(cp);
	open_writer(cp, &w, &block);
	if (!record_write_store(&w, md->next_layer,
				cowstack_geometry(md)->chunks))
		cp->incomplete = true;
	cp->used = w.used[0];
	block->used = cpu_to_le32(cp->used);
	list_for_each_entry(layer, &md->layers, list) {
		add_item(cp, &(struct index_item){ .layer = layer });
		cp->layers[cp->layer_count++] = layer;
	}
	list_for_each_entry(volume, &md->volumes, list)
		add_item(cp, &(struct index_item){ .volume = volume });
}

static u64 count_layers(struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;
	u64 count = 0;

	list_for_each_entry(layer, &md->layers, list)
		count++;
	return count;
}

static void take_home_dirty(struct cowstack_metadata *md,
			    struct cowstack_checkpoint *cp)
{
	struct cowstack_layer *layer;

	while (md->home_dirty) {
		struct map_page *page = md->home_dirty;

		md->home_dirty = page->home_next;
		clear_bit(MAP_PAGE_HOME_DIRTY, &page->flags);
		if (!page->map->layer->gone)
			cp->pages[cp->page_count++] = page;
	}
	md->home_dirty_count = 0;
	list_for_each_entry(layer, &md->zombies, list)
		layer->old_enough = true;
}

int cowstack_checkpoint_begin(struct cowstack_metadata *md,
			      struct cowstack_checkpoint *cp)
{
	memset(cp, 0, sizeof(*cp));
	INIT_LIST_HEAD(&cp->index);
	cp->pages = kvcalloc(md->home_dirty_count + 1, sizeof(*cp->pages),
			     GFP_NOIO);
	cp->layers = kvcalloc(count_layers(md) + 1, sizeof(*cp->layers),
			      GFP_NOIO);
	if (!cp->pages || !cp->layers) {
		cowstack_checkpoint_free(cp);
		return -ENOMEM;
	}
	add_objects(md, cp);
	cowstack_allocator_begin_index(&md->allocator, cp->index_count);
	cp->tail_step = md->next_step;
	cp->tail = md->head;
	take_home_dirty(md, cp);
	return 0;
}

static void copy_words(const struct map_page *page, __le64 *image)
{
	unsigned int slot;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
		/* Pairs with the publication of the word. */
		map_word_t word = smp_load_acquire(&page->words[slot]);

		image[slot] = cpu_to_le64(map_word_raw(map_word_durable(word)));
	}
}

int cowstack_checkpoint_next_page(struct cowstack_metadata *md,
				  struct cowstack_checkpoint *cp, void *image,
				  mblock_t *block)
{
	struct map_page *page;

	if (cp->next_page == cp->page_count)
		return 0;
	page = cp->pages[cp->next_page++];
	*block = cowstack_allocator_take_block(&md->allocator);
	if (*block == COWSTACK_NO_BLOCK)
		return -ENOSPC;
	copy_words(page, image);
	page->crc = environment_crc32(0, image, COWSTACK_BLOCK_SIZE);
	page->new_home = *block;
	return 1;
}

static void add_layer_pages(struct cowstack_checkpoint *cp,
			    struct cowstack_layer *layer)
{
	struct map_page *page;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		/* Without a home it came after the tail: replay makes it. */
		if (page->home == COWSTACK_NO_BLOCK &&
		    page->new_home == COWSTACK_NO_BLOCK)
			continue;
		add_item(cp, &(struct index_item){ .page = page });
	}
}

static int place_index(struct cowstack_metadata *md,
		       struct cowstack_checkpoint *cp)
{
	struct cowstack_index_block *b;
	mblock_t next = COWSTACK_NO_BLOCK;
	struct list_head *item;

	list_for_each_entry(b, &cp->index, list) {
		b->place = cowstack_allocator_take_block(&md->allocator);
		if (b->place == COWSTACK_NO_BLOCK)
			return -ENOSPC;
	}
	/* From the last to the first: each names the one behind it. */
	for (item = cp->index.prev; item != &cp->index; item = item->prev) {
		b = list_entry(item, struct cowstack_index_block, list);
		b->block->next = cpu_to_le64(from_mblock(next));
		cowstack_block_seal(md, b->block, COWSTACK_MAGIC_INDEX,
				    b->place, cp->tail_step, 0,
				    le32_to_cpu(b->block->used));
		next = b->place;
	}
	cp->superblock.index_first = next;
	cp->superblock.index_blocks = cp->index_count;
	return 0;
}

int cowstack_checkpoint_make_index(struct cowstack_metadata *md,
				   struct cowstack_checkpoint *cp)
{
	u64 i;

	if (cowstack_fault(FAULT_CHECKPOINT_LIVE_PAGE)) {
		/* As if the images were as of now, whatever has come since. */
		cp->tail_step = md->next_step;
		cp->tail = md->head;
	}
	for (i = 0; i < cp->layer_count; i++)
		add_layer_pages(cp, cp->layers[i]);
	return cp->incomplete ? -EOVERFLOW : place_index(md, cp);
}

void cowstack_checkpoint_superblock(struct cowstack_metadata *md,
				    struct cowstack_checkpoint *cp)
{
	mblock_t first = cp->superblock.index_first;
	u64 blocks = cp->superblock.index_blocks;

	cp->superblock = md->superblock;
	cp->superblock.sequence++;
	cp->superblock.index_first = first;
	cp->superblock.index_blocks = blocks;
	cp->superblock.tail_step = cp->tail_step;
	cp->superblock.tail_position = cp->tail;
}

static void forget_zombie(struct cowstack_metadata *md,
			  struct cowstack_layer *layer)
{
	struct map_page *page;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		if (page->home != COWSTACK_NO_BLOCK)
			cowstack_allocator_put_block(&md->allocator,
						     page->home);
		if (page->new_home != COWSTACK_NO_BLOCK)
			cowstack_allocator_put_block(&md->allocator,
						     page->new_home);
	}
	cowstack_allocator_remove_pages(&md->allocator,
					atomic64_read(&layer->map.page_count));
	list_del(&layer->list);
	cowstack_layer_delete(layer);
}

static bool zombie_is_idle(const struct cowstack_layer *layer)
{
	struct map_page *page;
	u64 number;

	if (!layer->old_enough || !layer->reclaimed)
		return false;
	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++)
		if (test_bit(MAP_PAGE_QUEUED, &page->flags))
			return false;
	return true;
}

static void replace_index(struct cowstack_metadata *md,
			  struct cowstack_checkpoint *cp)
{
	struct cowstack_index_block *b;
	u64 i;

	for (i = 0; i < md->index_count; i++)
		cowstack_allocator_put_block(&md->allocator, md->index[i]);
	kvfree(md->index);
	md->index_count = 0;
	md->index = kvcalloc(cp->index_count, sizeof(*md->index),
			     GFP_NOIO | __GFP_NOFAIL);
	list_for_each_entry(b, &cp->index, list)
		md->index[md->index_count++] = b->place;
	cowstack_allocator_set_index_on_disk(&md->allocator, md->index_count);
}

void cowstack_checkpoint_end(struct cowstack_metadata *md,
			     struct cowstack_checkpoint *cp)
{
	struct cowstack_layer *layer, *next;
	u64 i;

	for (i = 0; i < cp->page_count; i++) {
		struct map_page *page = cp->pages[i];
		mblock_t old = page->home;

		page->home = page->new_home;
		page->new_home = COWSTACK_NO_BLOCK;
		if (old != COWSTACK_NO_BLOCK)
			cowstack_allocator_put_block(&md->allocator, old);
	}
	replace_index(md, cp);
	list_for_each_entry_safe(layer, next, &md->zombies, list)
		if (zombie_is_idle(layer))
			forget_zombie(md, layer);
	md->superblock.sequence = cp->superblock.sequence;
	md->superblock.index_first = cp->superblock.index_first;
	md->superblock.index_blocks = cp->superblock.index_blocks;
	md->superblock.tail_step = cp->tail_step;
	md->superblock.tail_position = cp->tail;
	md->tail_step = cp->tail_step;
	WRITE_ONCE(md->tail, cp->tail);
}

void cowstack_checkpoint_free(struct cowstack_checkpoint *cp)
{
	struct cowstack_index_block *b, *next;

	list_for_each_entry_safe(b, next, &cp->index, list) {
		list_del(&b->list);
		kfree(b->block);
		kfree(b);
	}
	kvfree(cp->pages);
	kvfree(cp->layers);
	cp->pages = NULL;
	cp->layers = NULL;
}
