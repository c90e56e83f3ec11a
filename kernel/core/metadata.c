// SPDX-License-Identifier: GPL-2.0
#include "chain.h"
#include "metadata.h"

int cowstack_metadata_init(struct cowstack_metadata *md,
			   const struct cowstack_superblock *superblock)
{
	const struct cowstack_geometry *g = &superblock->geometry;

	memset(md, 0, sizeof(*md));
	md->superblock = *superblock;
	INIT_LIST_HEAD(&md->layers);
	INIT_LIST_HEAD(&md->volumes);
	INIT_LIST_HEAD(&md->zombies);
	INIT_LIST_HEAD(&md->freed_waiting);
	init_llist_head(&md->dirty);
	md->next_layer = 1;
	md->next_step = superblock->tail_step;
	md->tail_step = superblock->tail_step;
	md->head = superblock->tail_position;
	md->tail = superblock->tail_position;
	/* An eighth of the ring, and no more than one large bio. */
	md->max_step_blocks = min_t(u64, g->ring_blocks / 8,
				    COWSTACK_MAX_STEP_BLOCKS);
	return cowstack_allocator_init(&md->allocator,
				       cowstack_geometry(md));
}

void cowstack_metadata_exit(struct cowstack_metadata *md)
{
	struct cowstack_layer *layer, *next_layer;
	struct cowstack_volume *volume, *next_volume;

	if (!md->layers.next)
		return;		/* never opened, or closed before */
	/* The allocator frees the runs that no step has taken. */
	list_splice_tail_init(&md->freed_waiting, &md->allocator.durable);
	kvfree(md->index);
	list_for_each_entry_safe(volume, next_volume, &md->volumes, list) {
		list_del(&volume->list);
		cowstack_volume_delete(volume);
	}
	list_splice_tail_init(&md->zombies, &md->layers);
	list_for_each_entry_safe(layer, next_layer, &md->layers, list) {
		list_del(&layer->list);
		cowstack_layer_delete(layer);
	}
	cowstack_allocator_exit(&md->allocator);
	memset(md, 0, sizeof(*md));
}

static struct cowstack_layer **layer_bucket(struct cowstack_metadata *md,
					    layer_id_t id)
{
	return &md->buckets[from_layer_id(id) % COWSTACK_LAYER_BUCKETS];
}

static struct cowstack_volume **volume_bucket(struct cowstack_metadata *md,
					      volume_id_t id)
{
	return &md->volume_buckets[from_volume_id(id) % COWSTACK_VOLUME_BUCKETS];
}

/* Blocks of the index that @bytes of records take, at most. */
static u64 index_blocks(u64 bytes)
{
	/* A record does not cross a block's end: some of each is lost. */
	const u32 block = sizeof(((struct disk_record_block *)NULL)->records) -
			  sizeof(struct disk_volume_record);

	return div_u64(bytes, block) + 2;
}

/* Keeps room for @bytes more (or less) of records in the index. */
static void count_objects(struct cowstack_metadata *md, s64 bytes)
{
	md->object_bytes += bytes;
	cowstack_allocator_set_index(&md->allocator,
				     index_blocks(md->object_bytes));
}

bool cowstack_metadata_has_layer_room(struct cowstack_metadata *md)
{
	u64 bytes = md->object_bytes + sizeof(struct disk_layer_record);

	return cowstack_allocator_has_index_room(&md->allocator,
						 index_blocks(bytes));
}

struct cowstack_layer *cowstack_layer_find(struct cowstack_metadata *md,
					   layer_id_t id)
{
	struct cowstack_layer *layer = *layer_bucket(md, id);

	while (layer && layer->id != id)
		layer = layer->hash_next;
	return layer;
}

struct cowstack_volume *cowstack_volume_find(struct cowstack_metadata *md,
					     volume_id_t id)
{
	struct cowstack_volume *volume = *volume_bucket(md, id);

	while (volume && volume->info.id != id)
		volume = volume->hash_next;
	return volume;
}

struct cowstack_volume *cowstack_volume_find_name(struct cowstack_metadata *md,
						  const char *name)
{
	struct cowstack_volume *volume;

	list_for_each_entry(volume, &md->volumes, list)
		if (!strcmp(volume->info.name, name))
			return volume;
	return NULL;
}

unsigned int cowstack_volume_depth(const struct cowstack_volume *volume)
{
	const struct cowstack_layer *layer;
	unsigned int depth = 0;

	for (layer = volume->top; layer; layer = layer->parent)
		depth++;
	return depth;
}

struct cowstack_layer *cowstack_layer_new(struct cowstack_metadata *md,
					  layer_id_t id)
{
	struct cowstack_layer *layer = kzalloc(sizeof(*layer), GFP_NOIO);

	if (!layer)
		return NULL;
	INIT_LIST_HEAD(&layer->list);
	layer->id = id;
	chunk_map_init(&layer->map, layer, &md->dirty);
	return layer;
}

struct cowstack_layer *cowstack_layer_above(const struct cowstack_layer *below,
					    struct cowstack_layer *top)
{
	while (top && top->parent != below)
		top = top->parent;
	return top;
}

bool cowstack_layer_is_shared(const struct cowstack_volume *volume,
			      const struct cowstack_layer *layer)
{
	const struct cowstack_layer *at;

	for (at = volume->top; at; at = at->parent) {
		if (at->children > 1)
			return true;
		if (at == layer)
			return false;
	}
	return false;
}

bool cowstack_layer_is_whole(const struct cowstack_volume *volume,
			     const struct cowstack_layer *layer)
{
	const struct cowstack_layer *above;

	if (layer->flags & COWSTACK_LAYER_MIXED)
		return false;
	/*
	 * Of a range that was kept as clean copies only the newest are there; and
	 * what a commit has begun with has gone from what lies below.  Where that
	 * layer has left the chain, the next below it shows what it showed.
	 */
	for (above = volume->top; above != layer; above = above->parent)
		if (atomic64_read(&above->map.clean) ||
		    from_layer_id(above->id) <=
			    from_layer_id(volume->info.mixed_top))
			return false;
	return true;
}

bool cowstack_layer_has_job(const struct cowstack_volume *volume,
			    const struct cowstack_layer *layer)
{
	const struct cowstack_job *job = &volume->info.job;

	return job->state >= COWSTACK_JOB_QUEUED &&
	       job->state <= COWSTACK_JOB_STOPPED &&
	       from_layer_id(layer->id) >= from_layer_id(job->base);
}

/* Does @layer hold a word that says something, and is not clean or may be? */
static bool holds_word(const struct cowstack_layer *layer, bool clean_too)
{
	struct map_page *page;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		unsigned int slot;

		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			map_word_t word = page->words[slot];

			if (map_word_is_known(word) &&
			    (clean_too || !map_word_is_clean(word)))
				return true;
		}
	}
	return false;
}

bool cowstack_layer_is_empty(const struct cowstack_layer *layer)
{
	return !holds_word(layer, true);
}

bool cowstack_layer_is_clean(const struct cowstack_layer *layer)
{
	return !holds_word(layer, false);
}

void cowstack_layer_delete(struct cowstack_layer *layer)
{
	if (!layer)
		return;
	chunk_map_exit(&layer->map);
	kfree(layer);
}

void cowstack_layer_add(struct cowstack_metadata *md,
			struct cowstack_layer *layer)
{
	struct cowstack_layer **bucket = layer_bucket(md, layer->id);

	layer->hash_next = *bucket;
	*bucket = layer;
	list_add_tail(&layer->list, &md->layers);
	count_objects(md, sizeof(struct disk_layer_record));
	md->next_layer = max(md->next_layer, from_layer_id(layer->id) + 1);
}

void cowstack_layer_remove(struct cowstack_metadata *md,
			   struct cowstack_layer *layer)
{
	struct cowstack_layer **place = layer_bucket(md, layer->id);

	while (*place != layer)
		place = &(*place)->hash_next;
	*place = layer->hash_next;
	cowstack_layer_set_parent(layer, NULL);
	layer->gone = true;
	count_objects(md, -(s64)sizeof(struct disk_layer_record));
	list_move_tail(&layer->list, &md->zombies);
}

void cowstack_layer_set_parent(struct cowstack_layer *layer,
			       struct cowstack_layer *parent)
{
	if (layer->parent)
		layer->parent->children--;
	if (parent)
		parent->children++;
	layer->parent = parent;
}

enum { ZOMBIE_RUNS = 32 };		/* freed at a time, each a spinlock taken */

static void free_run(struct cowstack_metadata *md, const struct chunk_run *run)
{
	if (run->count)
		cowstack_allocator_free_durable(&md->allocator, run->first,
						run->count);
}

/* Neighbours are freed together. */
static void add_to_run(struct cowstack_metadata *md, struct chunk_run *run,
		       dchunk_t chunk, unsigned int *runs)
{
	if (run->count &&
	    from_dchunk(run->first) + run->count == from_dchunk(chunk)) {
		run->count++;
		return;
	}
	free_run(md, run);
	run->first = chunk;
	run->count = 1;
	(*runs)++;
}

/* From @slot of @page on; returns the one where it left off. */
static unsigned int free_page_chunks(struct cowstack_metadata *md,
				     struct cowstack_layer *layer,
				     struct map_page *page, unsigned int slot)
{
	struct chunk_run run = { };
	unsigned int runs = 0;

	for (; slot < COWSTACK_PAGE_CHUNKS && runs < ZOMBIE_RUNS; slot++) {
		map_word_t word = page->words[slot];

		if (!map_word_has_chunk(word))
			continue;
		add_to_run(md, &run, map_word_chunk(word), &runs);
		atomic64_dec(&layer->map.used);
		if (map_word_is_clean(word))
			atomic64_dec(&layer->map.clean);
		map_page_store_clean(page, slot, MAP_WORD_NONE);
	}
	free_run(md, &run);
	return slot;
}

/* False: it holds nothing any more. */
static bool free_layer_chunks(struct cowstack_metadata *md,
			      struct cowstack_layer *layer)
{
	u64 number = layer->reclaim_cursor / COWSTACK_PAGE_CHUNKS;
	unsigned int slot = layer->reclaim_cursor % COWSTACK_PAGE_CHUNKS;
	u64 wanted = number;
	struct map_page *page = sparse_table_next(&layer->map.pages, &number);

	if (!page)
		return false;
	slot = free_page_chunks(md, layer, page, number == wanted ? slot : 0);
	layer->reclaim_cursor = number * COWSTACK_PAGE_CHUNKS + slot;
	return true;
}

bool cowstack_zombies_free_chunks(struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;

	list_for_each_entry(layer, &md->zombies, list) {
		if (layer->reclaimed)
			continue;
		if (!free_layer_chunks(md, layer))
			layer->reclaimed = true;
		return true;
	}
	return false;
}

struct cowstack_volume *cowstack_volume_new(void)
{
	struct cowstack_volume *volume = kzalloc(sizeof(*volume), GFP_NOIO);

	if (volume)
		INIT_LIST_HEAD(&volume->list);
	return volume;
}

void cowstack_volume_set_top(struct cowstack_volume *volume,
			     struct cowstack_layer *top)
{
	if (volume->top)
		volume->top->children--;
	if (top)
		top->children++;
	volume->top = top;
}

void cowstack_volume_add(struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 struct cowstack_layer *top)
{
	struct cowstack_volume **bucket = volume_bucket(md, volume->info.id);

	volume->hash_next = *bucket;
	*bucket = volume;
	list_add_tail(&volume->list, &md->volumes);
	count_objects(md, sizeof(struct disk_volume_record));
	cowstack_volume_set_top(volume, top);
}

void cowstack_volume_delete(struct cowstack_volume *volume)
{
	if (!volume)
		return;
	cowstack_volume_take_down(volume);
	kfree(volume);
}

void cowstack_volume_remove(struct cowstack_metadata *md,
			    struct cowstack_volume *volume)
{
	struct cowstack_volume **place = volume_bucket(md, volume->info.id);

	while (*place != volume)
		place = &(*place)->hash_next;
	*place = volume->hash_next;
	count_objects(md, -(s64)sizeof(struct disk_volume_record));
	list_del_init(&volume->list);
	cowstack_volume_set_top(volume, NULL);
	cowstack_volume_delete(volume);
}

void cowstack_volume_set_limits(struct cowstack_metadata *md,
				struct cowstack_volume *volume)
{
	u64 chunks = cowstack_chunks_of(cowstack_geometry(md),
					volume->info.sectors);
	struct cowstack_layer *layer;

	for (layer = volume->top; layer; layer = layer->parent)
		layer->limit = max(layer->limit, chunks);
}

u64 cowstack_volume_used(const struct cowstack_volume *volume)
{
	const struct cowstack_layer *layer;
	u64 used = 0;

	for (layer = volume->top; layer; layer = layer->parent)
		used += atomic64_read(&layer->map.used);
	return used;
}

u64 cowstack_volume_clean(const struct cowstack_volume *volume)
{
	const struct cowstack_layer *layer;
	u64 clean = 0;

	for (layer = volume->top; layer; layer = layer->parent)
		clean += atomic64_read(&layer->map.clean);
	return clean;
}

u64 cowstack_metadata_clean(struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;
	u64 clean = 0;

	list_for_each_entry(layer, &md->layers, list)
		clean += atomic64_read(&layer->map.clean);
	return clean;
}

u64 cowstack_metadata_freeing(struct cowstack_metadata *md)
{
	u64 chunks = READ_ONCE(md->allocator.limbo);
	struct cowstack_layer *layer;

	/* What gone layers hold still comes there by and by. */
	list_for_each_entry(layer, &md->zombies, list)
		chunks += atomic64_read(&layer->map.used);
	return chunks;
}

u64 cowstack_metadata_memory(struct cowstack_metadata *md)
{
	const u64 page = sizeof(struct map_page) + COWSTACK_BLOCK_SIZE;
	u64 bytes = md->allocator.bits / 8;
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;

	list_for_each_entry(layer, &md->layers, list)
		bytes += sizeof(*layer) +
			 atomic64_read(&layer->map.page_count) * page +
			 atomic64_read(&layer->map.pages.nodes) *
				 SPARSE_TABLE_NODE_BYTES;
	list_for_each_entry(volume, &md->volumes, list)
		bytes += cowstack_volume_index_memory(volume);
	return bytes;
}
