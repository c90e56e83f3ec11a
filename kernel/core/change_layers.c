// SPDX-License-Identifier: GPL-2.0
/* Changes of a chain: layers that come, leave, are pinned or emptied. */
#include "change_parts.h"

static layer_id_t layer_parent_id(const struct cowstack_layer *layer)
{
	return layer->parent ? layer->parent->id : COWSTACK_BASE_LAYER;
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
	       change_write_volume(c, w, c->layer->id);
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
	change_apply_volume(c);
	cowstack_volume_set_limits(c->md, c->volume);
	change_publish_chain(c);
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
	int error;

	change_init(c, md, volume, update, argument);
	if (name && !cowstack_name_is_valid(name))
		return -EINVAL;
	if (name && layer_name_is_taken(volume, name))
		return -EEXIST;
	if (cowstack_volume_depth(volume) >= COWSTACK_MAX_LAYERS)
		return -E2BIG;
	if (!cowstack_metadata_has_layer_room(md))
		return -ENOSPC;
	c->chain = cowstack_chain_new();
	error = c->chain ? change_new_layer(c, now) : -ENOMEM;
	if (error) {
		cowstack_change_free(c);
		return error;
	}
	cowstack_name_copy(c->name, name);
	c->transaction.encode = encode_snapshot;
	c->transaction.apply = apply_snapshot;
	return 0;
}

/* --- removing layers --- */

/* The layer below the range, if it is a point in time only from then on. */
static struct cowstack_layer *unmixed_layer(const struct cowstack_change *c)
{
	struct cowstack_layer *below = c->range_bottom->parent;

	return below && below->flags & COWSTACK_LAYER_MIXED &&
	       !(c->range_top->flags & COWSTACK_LAYER_MIXED) ? below : NULL;
}

static bool encode_unmixed(const struct cowstack_change *c,
			   struct record_writer *w)
{
	struct cowstack_layer *layer = unmixed_layer(c);

	return !layer ||
	       record_write_layer(w, layer, layer_parent_id(layer),
				  layer->flags & ~COWSTACK_LAYER_MIXED,
				  layer->name);
}

/*
 * Which layer the mark of the base names once the range has left.  Where that has
 * shown no point in time, a stream or commit has taken of it, and what the base
 * has of it may lie above: nothing below that shows a point in time.
 */
static layer_id_t mark_after_removal(const struct cowstack_change *c)
{
	if (c->range_top->flags & COWSTACK_LAYER_MIXED)
		return cowstack_layer_above(c->range_top, c->volume->top)->id;
	return c->range_bottom->parent->id;
}

/* The range is still in its chain. */
static void update_removed(struct cowstack_volume_info *info,
			   const void *argument)
{
	const struct cowstack_change *c = argument;
	const struct cowstack_layer *below = c->range_bottom->parent;
	u32 mixed;

	if (c->removal_update)
		c->removal_update(info, c->removal_argument);
	mixed = from_layer_id(info->mixed_top);
	if (below && mixed >= from_layer_id(c->range_bottom->id) &&
	    mixed <= from_layer_id(c->range_top->id))
		info->mixed_top = mark_after_removal(c);
}

static bool encode_remove(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *above = cowstack_layer_above(c->range_top,
							    c->volume->top);
	struct cowstack_layer *layer = c->range_top;

	if (!record_write_layer(w, above, layer_parent_id(c->range_bottom),
				above->flags, above->name) ||
	    !encode_unmixed(c, w))
		return false;
	for (;; layer = layer->parent) {
		if (!record_write_layer_gone(w, layer->id))
			return false;
		if (layer == c->range_bottom)
			break;
	}
	return change_write_volume(c, w, c->volume->top->id);
}

static void apply_remove(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *above = cowstack_layer_above(c->range_top,
							    c->volume->top);
	struct cowstack_layer *layer = c->range_top;
	struct cowstack_layer *below = c->range_bottom->parent;

	change_apply_volume(c);
	if (unmixed_layer(c))
		below->flags &= ~COWSTACK_LAYER_MIXED;
	cowstack_layer_set_parent(above, below);
	while (layer != below) {
		struct cowstack_layer *next = layer->parent;

		cowstack_layer_remove(c->md, layer);
		layer = next;
	}
	change_publish_chain(c);
}

static int check_range(struct cowstack_volume *volume,
		       struct cowstack_layer *bottom,
		       struct cowstack_layer *top)
{
	struct cowstack_layer *layer;

	if (top == volume->top || !cowstack_layer_above(top, volume->top))
		return -EINVAL;
	for (layer = top; layer; layer = layer->parent) {
		if (layer->flags & COWSTACK_LAYER_PINNED ||
		    cowstack_layer_is_shared(volume, layer) ||
		    !cowstack_layer_is_clean(layer))
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

	change_init(c, md, volume, update_removed, c);
	if (error)
		return error;
	c->removal_update = update;
	c->removal_argument = argument;
	c->range_bottom = bottom;
	c->range_top = top;
	c->chain = cowstack_chain_new();
	if (!c->chain)
		return -ENOMEM;
	c->transaction.encode = encode_remove;
	c->transaction.apply = apply_remove;
	return 0;
}

/* --- layers whose content was pulled up --- */

/* Does nothing but this volume use @layer, right below one that it alone uses? */
static bool goes_with_volume(const struct cowstack_layer *layer)
{
	return layer->children == 1;
}

static bool encode_pull(struct cowstack_transaction *t, struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer, *top = c->range_top;

	/* Who else uses a layer must stay as it is until this has been applied. */
	if (c->md->reshaping)
		return false;
	if (!record_write_layer(w, top,
				c->below ? c->below->id : COWSTACK_BASE_LAYER,
				top->flags, top->name))
		return false;
	for (layer = top->parent; layer != c->below && goes_with_volume(layer);
	     layer = layer->parent)
		if (!record_write_layer_gone(w, layer->id))
			return false;
	if (!change_write_volume(c, w, c->volume->top->id))
		return false;
	c->md->reshaping = true;
	return true;
}

static void apply_pull(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_top->parent;

	c->md->reshaping = false;
	cowstack_layer_set_parent(c->range_top, c->below);
	while (layer != c->below && !layer->children) {
		struct cowstack_layer *next = layer->parent;

		cowstack_layer_remove(c->md, layer);
		layer = next;
	}
	change_apply_volume(c);
	change_publish_chain(c);
}

/*
 * What the base has in part of a layer that leaves lies in the one that took it.
 * Until a commit has that, what lies below shows the base's part of it.
 */
static void update_pulled(struct cowstack_volume_info *info,
			  const void *argument)
{
	const struct cowstack_change *c = argument;
	u32 mixed;

	if (c->removal_update)
		c->removal_update(info, c->removal_argument);
	mixed = from_layer_id(info->mixed_top);
	if (c->below && mixed > from_layer_id(c->below->id) &&
	    mixed < from_layer_id(c->range_top->id))
		info->mixed_top = c->range_top->id;
}

int cowstack_change_pull(struct cowstack_change *c,
			 struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 struct cowstack_layer *top,
			 struct cowstack_layer *below,
			 cowstack_update_fn update, const void *argument)
{
	const struct cowstack_layer *layer;

	change_init(c, md, volume, update_pulled, c);
	c->removal_update = update;
	c->removal_argument = argument;
	c->range_top = top;
	c->below = below;
	/* By another volume, that has gone since, or may yet: it would leave with it. */
	for (layer = top->parent; layer != below; layer = layer->parent)
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return -EBUSY;
	c->chain = cowstack_chain_new();
	if (!c->chain)
		return -ENOMEM;
	c->transaction.encode = encode_pull;
	c->transaction.apply = apply_pull;
	return 0;
}

/* --- emptying a layer --- */

static bool encode_empty(struct cowstack_transaction *t,
			 struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);

	return record_write_clear(w, c->range_top->id, to_vchunk(0),
				  c->range_top->limit);
}

/*
 * However much it holds, this is one record and no sweep of the map: an empty
 * layer takes the place of the old one, whose chunks come back as those of a
 * layer that is gone.
 */
static void apply_empty(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *old = c->range_top;
	struct cowstack_layer *new = c->layer;
	struct cowstack_layer *above = cowstack_layer_above(old,
							    c->volume->top);

	new->flags = old->flags;
	new->limit = old->limit;
	new->created = old->created;
	memcpy(new->name, old->name, sizeof(new->name));
	cowstack_layer_set_parent(new, old->parent);
	cowstack_layer_set_parent(above, new);
	cowstack_layer_remove(c->md, old);
	cowstack_layer_add(c->md, new);
	change_publish_chain(c);
	c->layer = NULL;
}

int cowstack_change_empty_layer(struct cowstack_change *c,
				struct cowstack_metadata *md,
				struct cowstack_volume *volume,
				struct cowstack_layer *layer)
{
	change_init(c, md, volume, NULL, NULL);
	if (layer == volume->top || !cowstack_layer_is_clean(layer) ||
	    cowstack_layer_is_shared(volume, layer))
		return -EBUSY;
	c->range_top = layer;
	c->layer = cowstack_layer_new(md, layer->id);
	c->chain = cowstack_chain_new();
	if (!c->layer || !c->chain) {
		cowstack_change_free(c);
		return -ENOMEM;
	}
	c->transaction.encode = encode_empty;
	c->transaction.apply = apply_empty;
	return 0;
}

/* --- flags --- */

static bool encode_flags(struct cowstack_transaction *t,
			 struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_top;

	return record_write_layer(w, layer, layer_parent_id(layer), c->flags,
				  layer->name);
}

static void apply_flags(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);

	c->range_top->flags = c->flags;
}

int cowstack_change_pin(struct cowstack_change *c, struct cowstack_metadata *md,
			struct cowstack_layer *layer, bool pinned)
{
	change_init(c, md, NULL, NULL, NULL);
	if (!(layer->flags & COWSTACK_LAYER_FROZEN))
		return -EINVAL;
	c->range_top = layer;
	c->flags = layer->flags & ~COWSTACK_LAYER_PINNED;
	if (pinned)
		c->flags |= COWSTACK_LAYER_PINNED;
	c->transaction.encode = encode_flags;
	c->transaction.apply = apply_flags;
	return 0;
}

/* --- a commit into a layer begins --- */

static bool encode_mix(struct cowstack_transaction *t, struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer;

	for (layer = c->range_top->parent; layer != c->range_bottom->parent;
	     layer = layer->parent)
		if (!record_write_layer(w, layer, layer_parent_id(layer),
					layer->flags | COWSTACK_LAYER_MIXED,
					layer->name))
			return false;
	return change_write_volume(c, w, c->volume->top->id);
}

static void apply_mix(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer;

	for (layer = c->range_top->parent; layer != c->range_bottom->parent;
	     layer = layer->parent)
		layer->flags |= COWSTACK_LAYER_MIXED;
	change_apply_volume(c);
}

int cowstack_change_mix(struct cowstack_change *c, struct cowstack_metadata *md,
			struct cowstack_volume *volume,
			struct cowstack_layer *destination,
			struct cowstack_layer *top, cowstack_update_fn update,
			const void *argument)
{
	change_init(c, md, volume, update, argument);
	c->range_bottom = destination;
	c->range_top = top;
	c->transaction.encode = encode_mix;
	c->transaction.apply = apply_mix;
	return 0;
}
