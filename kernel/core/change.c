// SPDX-License-Identifier: GPL-2.0
#include "change.h"

static struct cowstack_change *to_change(struct cowstack_transaction *t)
{
	return container_of(t, struct cowstack_change, transaction);
}

static void init_change(struct cowstack_change *c, struct cowstack_metadata *md,
			struct cowstack_volume *volume,
			cowstack_update_fn update, const void *argument)
{
	memset(c, 0, sizeof(*c));
	INIT_LIST_HEAD(&c->transaction.list);
	c->md = md;
	c->volume = volume;
	c->update = update;
	c->argument = argument;
}

/*
 * The volume's record as it will be.  A record says all of a volume, so a step
 * takes one change of it: the next would be made from what memory still says.
 */
static bool write_volume(struct cowstack_change *c, struct record_writer *w,
			 layer_id_t top)
{
	struct cowstack_volume_info info = c->volume->info;

	if (c->volume->changing)
		return false;
	if (c->update)
		c->update(&info, c->argument);
	if (!record_write_volume(w, &info, top))
		return false;
	c->volume->changing = true;
	return true;
}

static void apply_volume(struct cowstack_change *c)
{
	c->volume->changing = false;
	if (c->update)
		c->update(&c->volume->info, c->argument);
}

static layer_id_t layer_parent_id(const struct cowstack_layer *layer)
{
	return layer->parent ? layer->parent->id : COWSTACK_BASE_LAYER;
}

/* --- info --- */

static bool encode_info(struct cowstack_transaction *t, struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return write_volume(c, w, c->volume->top->id);
}

static void apply_info(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	apply_volume(c);
	cowstack_volume_set_limits(c->md, c->volume);
}

int cowstack_change_info(struct cowstack_change *c,
			 struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 cowstack_update_fn update, const void *argument)
{
	init_change(c, md, volume, update, argument);
	c->transaction.encode = encode_info;
	c->transaction.apply = apply_info;
	return 0;
}

/* --- create --- */

static bool encode_create(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return record_write_store(w, c->md->next_layer,
				  cowstack_geometry(c->md)->chunks) &&
	       record_write_layer(w, c->layer, COWSTACK_BASE_LAYER, 0,
				  c->layer->name) &&
	       record_write_volume(w, &c->new_volume->info, c->layer->id);
}

static void apply_create(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	cowstack_layer_add(c->md, c->layer);
	cowstack_volume_add(c->md, c->new_volume, c->layer);
	cowstack_volume_set_limits(c->md, c->new_volume);
	c->layer = NULL;
	c->new_volume = NULL;
}

static struct cowstack_layer *new_top(struct cowstack_metadata *md, u64 now)
{
	struct cowstack_layer *layer;

	if (md->next_layer == U32_MAX)
		return NULL;
	layer = cowstack_layer_new(md, to_layer_id(md->next_layer));
	if (!layer)
		return NULL;
	/* Taken for good: an id that was shown once never means another. */
	md->next_layer++;
	layer->created = now;
	return layer;
}

int cowstack_change_create_volume(struct cowstack_change *c,
				  struct cowstack_metadata *md, volume_id_t id,
				  u64 sectors, const char *name, u64 now)
{
	init_change(c, md, NULL, NULL, NULL);
	if (from_volume_id(id) >> COWSTACK_VOLUME_ID_BITS || !sectors ||
	    sectors > COWSTACK_MAX_VOLUME_SECTORS ||
	    cowstack_chunks_of(cowstack_geometry(md), sectors) >
		    COWSTACK_MAX_VOLUME_CHUNKS ||
	    (name && !cowstack_name_is_valid(name)))
		return -EINVAL;
	if (cowstack_volume_find(md, id) ||
	    (name && cowstack_volume_find_name(md, name)))
		return -EEXIST;
	if (!cowstack_allocator_has_room(&md->allocator))
		return -ENOSPC;
	c->new_volume = cowstack_volume_new();
	c->layer = new_top(md, now);
	if (!c->new_volume || !c->layer) {
		cowstack_change_free(c);
		return -ENOMEM;
	}
	c->new_volume->info.id = id;
	c->new_volume->info.sectors = sectors;
	cowstack_name_copy(c->new_volume->info.name, name);
	c->transaction.encode = encode_create;
	c->transaction.apply = apply_create;
	return 0;
}

/* --- delete --- */

/* Going down from the top: layers that nothing but this volume needs. */
static bool encode_delete(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->volume->top;

	if (c->volume->changing ||
	    !record_write_volume_gone(w, c->volume->info.id))
		return false;
	for (; layer && layer->children == 1; layer = layer->parent)
		if (!record_write_layer_gone(w, layer->id))
			return false;
	c->volume->changing = true;
	return true;
}

static void apply_delete(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->volume->top;

	cowstack_volume_remove(c->md, c->volume);
	while (layer && !layer->children) {
		struct cowstack_layer *below = layer->parent;

		cowstack_layer_remove(c->md, layer);
		layer = below;
	}
}

int cowstack_change_delete_volume(struct cowstack_change *c,
				  struct cowstack_metadata *md,
				  struct cowstack_volume *volume)
{
	init_change(c, md, volume, NULL, NULL);
	c->transaction.encode = encode_delete;
	c->transaction.apply = apply_delete;
	return 0;
}

/* --- snapshot --- */

static bool encode_snapshot(struct cowstack_transaction *t,
			    struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *top = c->volume->top;

	return record_write_store(w, c->md->next_layer,
				  cowstack_geometry(c->md)->chunks) &&
	       record_write_layer(w, top, layer_parent_id(top),
				  top->flags | COWSTACK_LAYER_FROZEN,
				  c->name) &&
	       record_write_layer(w, c->layer, top->id, 0,
				  c->layer->name) &&
	       write_volume(c, w, c->layer->id);
}

static void publish_chain(struct cowstack_change *c)
{
	if (!c->volume->chain)
		return;
	cowstack_chain_fill(c->chain, c->volume, c->volume->chain);
	c->old_chain = cowstack_chain_publish(c->volume, c->chain);
	c->chain = NULL;
}

static void apply_snapshot(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *top = c->volume->top;

	top->flags |= COWSTACK_LAYER_FROZEN;
	memcpy(top->name, c->name, sizeof(top->name));
	cowstack_layer_add(c->md, c->layer);
	cowstack_layer_set_parent(c->layer, top);
	cowstack_volume_set_top(c->volume, c->layer);
	apply_volume(c);
	cowstack_volume_set_limits(c->md, c->volume);
	publish_chain(c);
	c->layer = NULL;
}

static bool layer_name_is_taken(const struct cowstack_volume *volume,
				const char *name)
{
	const struct cowstack_layer *layer;

	for (layer = volume->top; layer; layer = layer->parent)
		if (!strcmp(layer->name, name))
			return true;
	return false;
}

/* The frozen layer takes the name: it is the snapshot. */
int cowstack_change_snapshot(struct cowstack_change *c,
			     struct cowstack_metadata *md,
			     struct cowstack_volume *volume, const char *name,
			     u64 now, cowstack_update_fn update,
			     const void *argument)
{
	init_change(c, md, volume, update, argument);
	if (name && !cowstack_name_is_valid(name))
		return -EINVAL;
	if (name && layer_name_is_taken(volume, name))
		return -EEXIST;
	if (cowstack_volume_depth(volume) >= COWSTACK_MAX_LAYERS)
		return -E2BIG;
	if (!cowstack_metadata_has_layer_room(md))
		return -ENOSPC;
	c->layer = new_top(md, now);
	c->chain = cowstack_chain_new();
	if (!c->layer || !c->chain) {
		cowstack_change_free(c);
		return -ENOMEM;
	}
	cowstack_name_copy(c->name, name);
	c->transaction.encode = encode_snapshot;
	c->transaction.apply = apply_snapshot;
	return 0;
}

/* --- let go --- */

/* From @below (not included) up to @top: the next layer upward. */
static struct cowstack_layer *layer_above(const struct cowstack_layer *below,
					  struct cowstack_layer *top)
{
	while (top && top->parent != below)
		top = top->parent;
	return top;
}

static bool encode_let_go(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_top;

	for (;; layer = layer->parent) {
		if (!record_write_clear(w, layer->id, c->first, c->count))
			return false;
		if (layer == c->range_bottom)
			break;
	}
	return !c->update || write_volume(c, w, c->volume->top->id);
}

static void clear_words(struct cowstack_change *c, struct cowstack_layer *layer)
{
	u64 end = from_vchunk(c->first) + c->count;
	u64 chunk = from_vchunk(c->first);

	while (chunk < end) {
		u64 number = chunk / COWSTACK_PAGE_CHUNKS;
		struct map_page *page = sparse_table_next(&layer->map.pages,
							  &number);
		unsigned int slot;
		map_word_t word;

		if (!page)
			return;
		if (number != chunk / COWSTACK_PAGE_CHUNKS) {
			chunk = number * COWSTACK_PAGE_CHUNKS;
			continue;
		}
		slot = chunk++ % COWSTACK_PAGE_CHUNKS;
		word = page->words[slot];
		if (word == MAP_WORD_NONE)
			continue;
		map_page_store_clean(page, slot, MAP_WORD_NONE);
		cowstack_page_mark_home(c->md, page);
		if (!map_word_has_chunk(word))
			continue;
		atomic64_dec(&layer->map.used);
		cowstack_allocator_free_durable(&c->md->allocator,
						map_word_chunk(word), 1);
	}
}

/* Lowers the topmost index over the range, where it has pages. */
static void lower_index(struct cowstack_change *c)
{
	u64 end = from_vchunk(c->first) + c->count;
	u64 chunk = from_vchunk(c->first);

	while (c->volume->chain && chunk < end) {
		u64 number = chunk / COWSTACK_PAGE_CHUNKS;

		if (!sparse_table_next(&c->volume->topmost, &number))
			return;
		chunk = max(chunk, number * COWSTACK_PAGE_CHUNKS);
		for (; chunk < min(end, (number + 1) * COWSTACK_PAGE_CHUNKS);
		     chunk++)
			cowstack_index_lower(c->volume, c->volume->chain,
					     to_vchunk(chunk));
	}
}

/*
 * Oldest layer first: a reader that comes between finds the newest word, or,
 * when that too is gone, what was committed, and never an old one alone.
 */
static void apply_let_go(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_bottom;

	for (;;) {
		clear_words(c, layer);
		if (layer == c->range_top)
			break;
		layer = layer_above(layer, c->range_top);
	}
	lower_index(c);
	if (c->update)
		apply_volume(c);
}

int cowstack_change_let_go(struct cowstack_change *c,
			   struct cowstack_metadata *md,
			   struct cowstack_volume *volume,
			   struct cowstack_layer *bottom,
			   struct cowstack_layer *top, vchunk_t first,
			   u64 count, cowstack_update_fn update,
			   const void *argument)
{
	init_change(c, md, volume, update, argument);
	c->range_bottom = bottom;
	c->range_top = top;
	c->first = first;
	c->count = count;
	c->transaction.encode = encode_let_go;
	c->transaction.apply = apply_let_go;
	return 0;
}

/* --- removing layers --- */

static bool encode_remove(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *above = layer_above(c->range_top,
						   c->volume->top);
	struct cowstack_layer *layer = c->range_top;

	if (!record_write_layer(w, above, layer_parent_id(c->range_bottom),
				above->flags, above->name))
		return false;
	for (;; layer = layer->parent) {
		if (!record_write_layer_gone(w, layer->id))
			return false;
		if (layer == c->range_bottom)
			break;
	}
	return write_volume(c, w, c->volume->top->id);
}

static void apply_remove(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *above = layer_above(c->range_top,
						   c->volume->top);
	struct cowstack_layer *layer = c->range_top;
	struct cowstack_layer *below = c->range_bottom->parent;

	cowstack_layer_set_parent(above, below);
	while (layer != below) {
		struct cowstack_layer *next = layer->parent;

		cowstack_layer_remove(c->md, layer);
		layer = next;
	}
	apply_volume(c);
	publish_chain(c);
}

bool cowstack_layer_is_empty(const struct cowstack_layer *layer)
{
	struct map_page *page;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		unsigned int slot;

		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
			if (map_word_is_known(page->words[slot]))
				return false;
	}
	return true;
}

static int check_range(struct cowstack_volume *volume,
		       struct cowstack_layer *bottom,
		       struct cowstack_layer *top)
{
	struct cowstack_layer *layer;

	if (top == volume->top || !layer_above(top, volume->top))
		return -EINVAL;
	for (layer = top; layer; layer = layer->parent) {
		if (layer->children != 1 || !cowstack_layer_is_empty(layer))
			return -EBUSY;
		if (layer == bottom)
			return 0;
	}
	return -EINVAL;
}

int cowstack_change_remove_layers(struct cowstack_change *c,
				  struct cowstack_metadata *md,
				  struct cowstack_volume *volume,
				  struct cowstack_layer *bottom,
				  struct cowstack_layer *top,
				  cowstack_update_fn update,
				  const void *argument)
{
	int error = check_range(volume, bottom, top);

	init_change(c, md, volume, update, argument);
	if (error)
		return error;
	c->range_bottom = bottom;
	c->range_top = top;
	c->chain = cowstack_chain_new();
	if (!c->chain)
		return -ENOMEM;
	c->transaction.encode = encode_remove;
	c->transaction.apply = apply_remove;
	return 0;
}

/* --- grow --- */

static bool encode_grow(struct cowstack_transaction *t, struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return record_write_store(w, c->md->next_layer, c->chunks);
}

static void apply_grow(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	c->md->superblock.geometry.chunks = c->chunks;
	cowstack_allocator_grow(&c->md->allocator, c->chunks);
}

int cowstack_change_grow(struct cowstack_change *c,
			 struct cowstack_metadata *md, u64 chunks)
{
	init_change(c, md, NULL, NULL, NULL);
	if (chunks < cowstack_geometry(md)->chunks)
		return -EINVAL;
	if (chunks > MAP_WORD_MAX_CHUNKS)
		return -EFBIG;
	c->chunks = chunks;
	c->transaction.encode = encode_grow;
	c->transaction.apply = apply_grow;
	return cowstack_allocator_prepare_grow(&md->allocator, chunks);
}

void cowstack_change_free(struct cowstack_change *c)
{
	cowstack_layer_delete(c->layer);
	cowstack_volume_delete(c->new_volume);
	cowstack_chain_free(c->chain);
	cowstack_chain_free(c->old_chain);
	c->layer = NULL;
	c->new_volume = NULL;
	c->chain = NULL;
	c->old_chain = NULL;
}
