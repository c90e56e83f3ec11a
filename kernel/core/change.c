// SPDX-License-Identifier: GPL-2.0
#include "change_parts.h"

void change_init(struct cowstack_change *c, struct cowstack_metadata *md,
		 struct cowstack_volume *volume, cowstack_update_fn update,
		 const void *argument)
{
	memset(c, 0, sizeof(*c));
	INIT_LIST_HEAD(&c->transaction.list);
	c->md = md;
	c->volume = volume;
	c->update = update;
	c->argument = argument;
}

bool change_write_volume(struct cowstack_change *c, struct record_writer *w,
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

void change_apply_volume(struct cowstack_change *c)
{
	c->volume->changing = false;
	if (c->update)
		c->update(&c->volume->info, c->argument);
}

void change_publish_chain(struct cowstack_change *c)
{
	if (!c->volume->chain)
		return;
	cowstack_chain_fill(c->chain, c->volume, c->volume->chain);
	c->old_chain = cowstack_chain_publish(c->volume, c->chain);
	c->chain = NULL;
}

int change_new_layer(struct cowstack_change *c, u64 now)
{
	struct cowstack_metadata *md = c->md;

	if (md->next_layer == U32_MAX)
		return -EOVERFLOW;
	c->layer = cowstack_layer_new(md, to_layer_id(md->next_layer));
	if (!c->layer)
		return -ENOMEM;
	/* Taken for good: an id that was shown once never means another. */
	md->next_layer++;
	c->layer->created = now;
	return 0;
}

/* --- info --- */

static bool encode_info(struct cowstack_transaction *t, struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return change_write_volume(c, w, c->volume->top->id);
}

static void apply_info(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	change_apply_volume(c);
	cowstack_volume_set_limits(c->md, c->volume);
}

int cowstack_change_info(struct cowstack_change *c,
			 struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 cowstack_update_fn update, const void *argument)
{
	change_init(c, md, volume, update, argument);
	c->transaction.encode = encode_info;
	c->transaction.apply = apply_info;
	return 0;
}

/* --- create --- */

static layer_id_t parent_of_new(const struct cowstack_change *c)
{
	return c->range_top ? c->range_top->id : COWSTACK_BASE_LAYER;
}

static bool encode_create(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return record_write_store(w, c->md->next_layer,
				  cowstack_geometry(c->md)->chunks) &&
	       record_write_layer(w, c->layer, parent_of_new(c), 0,
				  c->layer->name) &&
	       record_write_volume(w, &c->new_volume->info, c->layer->id);
}

static void apply_create(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	cowstack_layer_add(c->md, c->layer);
	cowstack_layer_set_parent(c->layer, c->range_top);
	cowstack_volume_add(c->md, c->new_volume, c->layer);
	cowstack_volume_set_limits(c->md, c->new_volume);
	c->layer = NULL;
	c->new_volume = NULL;
}

/* A volume with a top of its own over @below (NULL: the base). */
static int prepare_volume(struct cowstack_change *c, volume_id_t id,
			  struct cowstack_layer *below, const char *name,
			  u64 now)
{
	struct cowstack_metadata *md = c->md;
	int error;

	if (from_volume_id(id) >> COWSTACK_VOLUME_ID_BITS ||
	    (name && !cowstack_name_is_valid(name)))
		return -EINVAL;
	if (cowstack_volume_find(md, id) ||
	    (name && cowstack_volume_find_name(md, name)))
		return -EEXIST;
	if (!cowstack_allocator_has_room(&md->allocator))
		return -ENOSPC;
	c->new_volume = cowstack_volume_new();
	error = c->new_volume ? change_new_layer(c, now) : -ENOMEM;
	if (error) {
		cowstack_change_free(c);
		return error;
	}
	c->range_top = below;
	c->new_volume->info.id = id;
	cowstack_name_copy(c->new_volume->info.name, name);
	c->transaction.encode = encode_create;
	c->transaction.apply = apply_create;
	return 0;
}

int cowstack_change_create_volume(struct cowstack_change *c,
				  struct cowstack_metadata *md, volume_id_t id,
				  u64 sectors, const char *name, u64 now)
{
	int error;

	change_init(c, md, NULL, NULL, NULL);
	if (!sectors || sectors > COWSTACK_MAX_VOLUME_SECTORS ||
	    cowstack_chunks_of(cowstack_geometry(md), sectors) >
		    COWSTACK_MAX_VOLUME_CHUNKS)
		return -EINVAL;
	error = prepare_volume(c, id, NULL, name, now);
	if (!error)
		c->new_volume->info.sectors = sectors;
	return error;
}

/* --- clone --- */

static unsigned int depth_of(const struct cowstack_layer *layer)
{
	unsigned int depth = 0;

	for (; layer; layer = layer->parent)
		depth++;
	return depth;
}

int cowstack_change_clone_volume(struct cowstack_change *c,
				 struct cowstack_metadata *md, volume_id_t id,
				 const struct cowstack_volume *volume,
				 struct cowstack_layer *layer,
				 const char *name, u64 now)
{
	const struct cowstack_volume_info *from = &volume->info;
	struct cowstack_volume_info *info;
	int error;

	change_init(c, md, NULL, NULL, NULL);
	if (!(layer->flags & COWSTACK_LAYER_FROZEN) ||
	    !cowstack_layer_is_whole(volume, layer) ||
	    cowstack_layer_has_job(volume, layer))
		return -EBUSY;
	if (depth_of(layer) >= COWSTACK_MAX_LAYERS)
		return -E2BIG;
	error = prepare_volume(c, id, layer, name, now);
	if (error)
		return error;
	info = &c->new_volume->info;
	info->sectors = from->sectors;
	info->flags = from->flags;
	info->base_sectors = from->base_sectors;
	info->base_seed = from->base_seed;
	info->base_crc = from->base_crc;
	/* What is unfinished there shows in the same base. */
	info->mixed_top = from->mixed_top;
	memcpy(info->base_name, from->base_name, sizeof(info->base_name));
	return 0;
}

/* --- delete --- */

/* Going down from the top: layers that nothing but this volume needs. */
static bool encode_delete(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->volume->top;

	if (c->volume->changing || c->md->reshaping ||
	    !record_write_volume_gone(w, c->volume->info.id))
		return false;
	for (; layer && layer->children == 1; layer = layer->parent)
		if (!record_write_layer_gone(w, layer->id))
			return false;
	c->volume->changing = true;
	c->md->reshaping = true;
	return true;
}

static void apply_delete(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->volume->top;

	c->md->reshaping = false;
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
	change_init(c, md, volume, NULL, NULL);
	c->transaction.encode = encode_delete;
	c->transaction.apply = apply_delete;
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
	change_init(c, md, NULL, NULL, NULL);
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
