// SPDX-License-Identifier: GPL-2.0
/*
 * What messages do to layers: pin, drop, make empty; and volumes that share
 * them.
 */
#include "store_driver.h"

struct cowstack_layer *layer_random(struct store_driver *d,
				    struct driver_volume *v)
{
	struct cowstack_layer *layer = v->volume->top->parent;
	u32 depth = cowstack_volume_depth(v->volume);
	u32 skip;

	if (!layer)
		return NULL;
	for (skip = random_below(&d->random, depth - 1); skip; skip--)
		layer = layer->parent;
	return layer;
}

static struct model_point *point_of(struct driver_volume *v,
				    const struct cowstack_layer *layer)
{
	return model_find_point(&v->model, from_layer_id(layer->id));
}

/* A layer that this volume is rid of may be there for others. */
static bool is_in_chain(const struct driver_volume *v, layer_id_t id)
{
	const struct cowstack_layer *layer;

	for (layer = v->volume->top; layer; layer = layer->parent)
		if (layer->id == id)
			return true;
	return false;
}

void layers_settle(struct store_driver *d, struct driver_volume *v)
{
	struct volume_model *m = &v->model;
	u32 i = m->point_count;

	while (i--) {
		struct model_point *point = &m->points[i];

		if (!point->leaving)
			continue;
		point->leaving = false;
		if (!is_in_chain(v, to_layer_id(point->layer)))
			model_remove_point(m, i);
		else
			point->upward = false;
	}
}

/* All volumes that have the layer see it pinned. */
static void note_pin(struct store_driver *d, u32 layer, bool changing)
{
	struct model_point *point;
	int i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		point = model_find_point(&d->volumes[i].model, layer);
		if (!point)
			continue;
		point->pinned ^= !changing;
		point->pin_changing = changing;
	}
}

/* Of any volume: what others stop to share becomes the job's own. */
static bool any_job_uses_layer(const struct store_driver *d,
			       const struct cowstack_layer *layer)
{
	int i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		const struct driver_volume *v = &d->volumes[i];

		if (v->volume && is_in_chain(v, layer->id) &&
		    (v->commit.state != COMMIT_IDLE ||
		     job_uses_layer(v, layer)))
			return true;
	}
	return false;
}

void layer_pin(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_layer *layer;
	struct cowstack_change change;
	bool pin;

	/* The module's chain_mutex: one change of a chain at a time. */
	stream_finish_batch(d, v);
	driver_run_steps(d);
	job_settle(d, v);
	layer = driver_is_stuck(d) ? NULL : layer_random(d, v);
	if (!layer)
		return;
	pin = !(layer->flags & COWSTACK_LAYER_PINNED);
	if (pin && (any_job_uses_layer(d, layer) ||
		    !cowstack_layer_is_whole(v->volume, layer)))
		return;
	if (cowstack_change_pin(&change, &d->md, layer, pin)) {
		driver_fail(d, "layer is not pinned");
		return;
	}
	note_pin(d, from_layer_id(layer->id), true);
	if (driver_carry_out(d, &change) && !d->power.dead)
		note_pin(d, from_layer_id(layer->id), false);
	driver_trace(d, "volume %u: layer %u is %s", v->number,
		     from_layer_id(layer->id), pin ? "pinned" : "not pinned");
}

/* Often what a job that was cancelled has emptied. */
static struct cowstack_layer *choose_dropped(struct store_driver *d,
					     struct driver_volume *v)
{
	struct cowstack_layer *layer = v->volume->top->parent;

	if (random_percent(&d->random, 75))
		return layer_random(d, v);
	while (layer && !(layer->flags & COWSTACK_LAYER_MIXED))
		layer = layer->parent;
	return layer;
}

void layer_drop(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_layer *layer = choose_dropped(d, v);
	struct cowstack_change change;
	u32 id;

	if (!layer || v->commit.state != COMMIT_IDLE ||
	    cowstack_change_remove_layers(&change, &d->md, v->volume, layer,
					  layer, NULL, NULL))
		return;
	id = from_layer_id(layer->id);
	if (point_of(v, layer)->pinned)
		driver_fail(d, "volume %u: pinned layer %u is dropped",
			    v->number, id);
	point_of(v, layer)->leaving = true;
	point_of(v, layer)->upward = layer->flags & COWSTACK_LAYER_MIXED;
	if (!driver_carry_out(d, &change))
		return;
	if (!d->power.dead)
		layers_settle(d, v);
	d->counts.drops++;
	driver_trace(d, "volume %u: layer %u dropped", v->number, id);
}

void layer_empty(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_layer *layer = layer_random(d, v);
	struct cowstack_change change;
	layer_id_t id;

	if (!layer || v->commit.state != COMMIT_IDLE)
		return;
	id = layer->id;
	if (cowstack_change_empty_layer(&change, &d->md, v->volume, layer))
		return;
	if (!driver_carry_out(d, &change))
		return;
	d->counts.emptied++;
	driver_trace(d, "volume %u: layer %u emptied", v->number,
		     from_layer_id(id));
	if (!cowstack_layer_is_empty(cowstack_layer_find(&d->md, id)))
		driver_fail(d, "layer is not empty");
}

void layer_check_needs_no_base(struct store_driver *d, struct driver_volume *v,
			       const struct cowstack_layer *layer, u64 end)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 sector, step = 1ULL << g->piece_shift;

	for (sector = 0; sector < end; sector += step) {
		vchunk_t chunk = cowstack_sector_chunk(g, sector);
		map_word_t word = chunk_map_get(&layer->map, chunk);
		u32 piece = (sector & (g->chunk_sectors - 1)) >> g->piece_shift;

		if (!map_word_is_clean(word) &&
		    (map_word_is_zero(word) ||
		     map_word_mask(word) >> piece & 1))
			continue;
		driver_fail(d, "volume %u: layer %u has not all of the base: %llu",
			    v->number, from_layer_id(layer->id),
			    (unsigned long long)sector);
		return;
	}
}

void layers_check(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_layer *layer = v->volume->top->parent;
	u32 i = v->model.point_count;

	for (; layer; layer = layer->parent) {
		struct model_point *point = i ? &v->model.points[--i] : NULL;
		bool pinned = layer->flags & COWSTACK_LAYER_PINNED;

		if (!point || point->layer != from_layer_id(layer->id)) {
			driver_fail(d, "volume %u: a layer too many",
				    v->number);
			return;
		}
		if (pinned != point->pinned && !point->pin_changing)
			driver_fail(d, "volume %u: layer %u is pinned, or is not",
				    v->number, point->layer);
		point->pinned = pinned;
		point->pin_changing = false;
	}
	if (i)
		driver_fail(d, "volume %u: a layer was lost", v->number);
}

/*
 * What was frozen last is a point in time, whatever commits took of it and
 * whatever left from above it: all that is frozen can always be committed.  But
 * what a stream has begun to pull up into the top can only go with that.
 */
void layers_check_newest(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_layer *layer = v->volume->top->parent;

	if (layer && !cowstack_layer_is_whole(v->volume, layer) &&
	    from_layer_id(v->volume->top->id) != v->streamed_into)
		driver_fail(d, "volume %u: layer %u, the newest, is not whole",
			    v->number, from_layer_id(layer->id));
}

/* --- clones --- */

static struct driver_volume *choose_origin(struct store_driver *d,
					   const struct driver_volume *but)
{
	struct driver_volume *v = &d->volumes[random_below(&d->random,
							   DRIVER_VOLUMES)];

	return v != but && v->volume && !v->uncertain ? v : NULL;
}

static int prepare_clone(struct store_driver *d, struct driver_volume *v,
			 struct driver_volume *from,
			 struct cowstack_layer *layer,
			 struct cowstack_change *change)
{
	char name[] = "clone-0";

	name[sizeof(name) - 2] += v->number;
	return cowstack_change_clone_volume(change, &d->md,
					    to_volume_id(v->number),
					    from->volume, layer, name, 0);
}

static void bring_up_clone(struct store_driver *d, struct driver_volume *v,
			   const struct driver_volume *from, layer_id_t layer)
{
	v->volume = cowstack_volume_find(&d->md, to_volume_id(v->number));
	model_clone(&v->model, &from->model, from_layer_id(layer));
	model_grow(&v->model, v->volume->info.sectors, v->base->content,
		   v->base->device.sectors);
	volume_bring_up(d, v);
	if (!d->power.dead)
		v->uncertain = false;
}

bool volume_clone(struct store_driver *d, struct driver_volume *v)
{
	struct driver_volume *from = choose_origin(d, v);
	struct cowstack_layer *layer = from ? layer_random(d, from) : NULL;
	struct cowstack_change change;
	int error;

	if (!layer || job_is_ending(from))
		return false;
	error = prepare_clone(d, v, from, layer, &change);
	if (error) {
		if (error != -EBUSY && error != -ENOSPC && error != -ENOMEM)
			driver_fail(d, "volume is not cloned: %d", error);
		return false;
	}
	v->uncertain = true;
	v->base = from->base;
	v->exchanged = false;
	v->commit.ending = false;
	v->commit.state = COMMIT_IDLE;
	if (!driver_carry_out(d, &change))
		return true;
	driver_trace(d, "volume %u: cloned from volume %u, layer %u", v->number,
		     from->number, from_layer_id(layer->id));
	bring_up_clone(d, v, from, layer->id);
	d->counts.clones++;
	return true;
}
