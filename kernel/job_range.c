// SPDX-License-Identifier: GPL-2.0
#include "job_range.h"
#include "stack.h"

int job_refuse(const struct stack *stack, struct job_options *options,
	       int error, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	pr_err("cowstack %s: %s start: %pV\n", stack->name,
	       options->stream ? "stream" : "commit", &vaf);
	va_end(args);
	options->refused = true;
	return error;
}

struct cowstack_layer *job_range_layer(const struct stack *stack, u32 id)
{
	struct cowstack_layer *layer = stack->volume->top;

	while (layer && from_layer_id(layer->id) != id)
		layer = layer->parent;
	return layer;
}

/* Why a commit may take nothing from @layer, and put nothing into it; or NULL. */
static const char *reason_to_spare(const struct stack *stack,
				   const struct cowstack_layer *layer,
				   const struct cowstack_layer *destination)
{
	if (layer->flags & COWSTACK_LAYER_PINNED)
		return "is pinned";
	if (cowstack_layer_is_shared(stack->volume, layer))
		return "belongs to another volume too";
	if (layer != destination && stack->features.commit_base &&
	    from_layer_id(layer->id) == stack->features.commit_base)
		return "is the commit_base";
	return NULL;
}

static int choose_destination(struct stack *stack, struct job_options *options,
			      struct job_range *range)
{
	u32 id = options->given & JOB_OPTION_BASE ? options->base :
						    stack->features.commit_base;
	const char *why;

	range->destination = NULL;
	if (!id)
		return 0;
	range->destination = job_range_layer(stack, id);
	if (!range->destination)
		return job_refuse(stack, options, -ENOENT,
				  "base %u: no such layer", id);
	if (range->destination == stack->volume->top)
		return job_refuse(stack, options, -EINVAL,
				  "base %u: is the top of the chain", id);
	why = reason_to_spare(stack, range->destination, range->destination);
	return why ? job_refuse(stack, options, -EBUSY, "base %u: %s", id, why) :
		     0;
}

/* The lowest layer above the destination that must be spared, or NULL. */
static struct cowstack_layer *find_spared(struct stack *stack,
					  const struct job_range *range,
					  struct cowstack_layer *top,
					  const char **why)
{
	struct cowstack_layer *layer, *spared = NULL;

	for (layer = top; layer != range->destination; layer = layer->parent) {
		const char *reason = reason_to_spare(stack, layer,
						     range->destination);

		/* What is shared is so all the way down. */
		if (reason) {
			spared = layer;
			*why = reason;
		}
	}
	return spared;
}

static int choose_given_top(struct stack *stack, struct job_options *options,
			    struct job_range *range)
{
	struct cowstack_layer *top = job_range_layer(stack, options->top);
	struct cowstack_layer *layer, *spared;
	const char *why;

	if (!top)
		return job_refuse(stack, options, -ENOENT,
				  "top %u: no such layer", options->top);
	if (top == stack->volume->top)
		return job_refuse(stack, options, -EINVAL,
				  "top %u: is being written: without \"top\" a snapshot of it is taken",
				  options->top);
	for (layer = range->destination; layer; layer = layer->parent)
		if (layer == top)
			return job_refuse(stack, options, -EINVAL,
					  "top %u: does not lie above base %u",
					  options->top,
					  from_layer_id(range->destination->id));
	if (!cowstack_layer_is_whole(stack->volume, top))
		return job_refuse(stack, options, -EBUSY,
				  "top %u: shows no point in time: a commit from above has taken of it",
				  options->top);
	spared = find_spared(stack, range, top, &why);
	if (spared)
		return job_refuse(stack, options, -EBUSY,
				  "top %u: layer %u %s", options->top,
				  from_layer_id(spared->id), why);
	range->top = top;
	return 0;
}

/* Does a commit of it bring chunks back? Clean copies stay; zeroes have none. */
static bool gives_room(const struct job_range *range)
{
	const struct cowstack_layer *layer;

	for (layer = range->top; layer != range->destination;
	     layer = layer->parent)
		if (atomic64_read(&layer->map.used) >
		    atomic64_read(&layer->map.clean))
			return true;
	return false;
}

/*
 * Frozen layers that are there go first while writes wait for room, as soon as they
 * would give any.  Not those that a cancelled stream has taken from: part of what they
 * showed lies in the top.
 */
static bool frozen_go_first(struct stack *stack, const struct job_range *range)
{
	const struct job_range frozen = {
		.top = stack->volume->top->parent,
		.destination = range->destination,
	};

	return frozen.top != range->destination &&
	       atomic64_read(&stack->store->parked_writes) &&
	       gives_room(&frozen) &&
	       cowstack_layer_is_whole(stack->volume, frozen.top);
}

static bool wants_snapshot(struct stack *stack, const struct job_range *range)
{
	struct cowstack_volume *volume = stack->volume;

	return !cowstack_layer_is_empty(volume->top) &&
	       !frozen_go_first(stack, range) &&
	       cowstack_volume_depth(volume) < COWSTACK_MAX_LAYERS;
}

/* With a top that holds something, and as many layers as there may be. */
static bool top_is_missing(struct stack *stack, const struct job_range *range)
{
	struct cowstack_volume *volume = stack->volume;

	return !range->snapshot && range->top != range->destination &&
	       !cowstack_layer_is_empty(volume->top) &&
	       !cowstack_layer_is_whole(volume, range->top);
}

/* What the top holds is to go right below it, and no snapshot can freeze it for that. */
static bool top_cannot_freeze(struct stack *stack,
			      const struct job_range *range)
{
	return !range->snapshot && range->top == range->destination &&
	       !cowstack_layer_is_empty(stack->volume->top);
}

/* Clean copies are committed already, and stay until make_empty. */
static bool holds_nothing(const struct job_range *range)
{
	const struct cowstack_layer *layer;

	for (layer = range->top; layer != range->destination;
	     layer = layer->parent)
		if (!cowstack_layer_is_clean(layer))
			return false;
	return true;
}

/*
 * Is the destination mixed, though the layers may hold nothing more?  So it is when
 * a job was cancelled behind its last copy: another has only to say that it ended.
 */
static bool has_mark(const struct stack *stack, const struct job_range *range)
{
	if (range->top == range->destination)
		return false;
	return range->destination ?
		       range->destination->flags & COWSTACK_LAYER_MIXED :
		       stack->volume->info.mixed_top != COWSTACK_BASE_LAYER;
}

static int choose_own_top(struct stack *stack, struct job_options *options,
			  struct job_range *range)
{
	struct cowstack_layer *top = stack->volume->top;
	struct cowstack_layer *spared;
	const char *why;

	spared = find_spared(stack, range, top->parent, &why);
	if (spared && spared->parent == range->destination)
		return job_refuse(stack, options, -EBUSY,
				  "nothing may be committed: layer %u %s",
				  from_layer_id(spared->id), why);
	if (spared) {
		range->top = spared->parent;
		if (!cowstack_layer_is_whole(stack->volume, range->top))
			return job_refuse(stack, options, -EBUSY,
					  "layer %u, below layer %u that %s, shows no point in time",
					  from_layer_id(range->top->id),
					  from_layer_id(spared->id), why);
		return 0;
	}
	range->snapshot = wants_snapshot(stack, range);
	range->top = range->snapshot ? top : top->parent;
	if (top_is_missing(stack, range))
		return job_refuse(stack, options, -EBUSY,
				  "layer %u shows no point in time, and no snapshot can be taken",
				  from_layer_id(range->top->id));
	if (top_cannot_freeze(stack, range))
		return job_refuse(stack, options, -E2BIG,
				  "top %u cannot be frozen, as a chain has at most %u layers: commit into a lower base first",
				  from_layer_id(top->id), COWSTACK_MAX_LAYERS);
	/* With no room for another layer, empty ones have to leave the chain first. */
	range->nothing = range->top == range->destination ||
			 (!range->snapshot && cowstack_layer_is_empty(top) &&
			  holds_nothing(range) && !has_mark(stack, range));
	return 0;
}

static void find_bottom(struct job_range *range)
{
	range->bottom = range->top;
	while (range->bottom && range->bottom->parent != range->destination)
		range->bottom = range->bottom->parent;
}

int job_range_choose(struct stack *stack, struct job_options *options,
		     struct job_range *range)
{
	struct store *store = stack->store;
	int error;

	memset(range, 0, sizeof(*range));
	mutex_lock(&store->metadata_lock);
	error = choose_destination(stack, options, range);
	if (!error)
		error = options->given & JOB_OPTION_TOP ?
				choose_given_top(stack, options, range) :
				choose_own_top(stack, options, range);
	if (!error && !range->nothing)
		find_bottom(range);
	mutex_unlock(&store->metadata_lock);
	return error;
}

/* A record that is hostile, or of before a pin or a clone, may name such layers. */
static bool range_may_go(const struct stack *stack,
			 const struct job_range *range)
{
	const struct cowstack_layer *layer;

	if (!range->bottom ||
	    cowstack_layer_is_shared(stack->volume, range->bottom) ||
	    (range->destination &&
	     cowstack_layer_is_shared(stack->volume, range->destination)))
		return false;
	for (layer = range->top; layer != range->bottom; layer = layer->parent)
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return false;
	return !(range->bottom->flags & COWSTACK_LAYER_PINNED);
}

int job_range_find(struct stack *stack, const struct cowstack_job *record,
		   struct job_range *range)
{
	struct store *store = stack->store;
	u32 destination = from_layer_id(record->base);
	int error = 0;

	memset(range, 0, sizeof(*range));
	mutex_lock(&store->metadata_lock);
	range->top = job_range_layer(stack, from_layer_id(record->top));
	range->destination = destination ? job_range_layer(stack, destination) :
					   NULL;
	if (!range->top || range->top == stack->volume->top ||
	    (destination && !range->destination))
		error = -ENOENT;
	else
		find_bottom(range);
	if (!error && !range_may_go(stack, range))
		error = -ENOENT;
	mutex_unlock(&store->metadata_lock);
	return error;
}

/* Of the store's device: 1, 0, or an errno.  Read by blocks: none of it has larger ones. */
static int sectors_are_zero(struct store *store, u64 sector, u64 sectors)
{
	u64 end = sector + sectors;
	u8 *block = kmalloc(COWSTACK_BLOCK_SIZE,
			    GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	int zero = block ? 1 : -ENOMEM;

	while (sector < end && zero > 0) {
		u64 first = round_down(sector, COWSTACK_BLOCK_SECTORS);
		u64 next = min(end, first + COWSTACK_BLOCK_SECTORS);

		zero = block_io(store, store->bdev, REQ_OP_READ, first, block,
				COWSTACK_BLOCK_SIZE);
		if (!zero)
			zero = !memchr_inv(block + ((sector - first) << SECTOR_SHIFT),
					   0, (next - sector) << SECTOR_SHIFT);
		sector = next;
	}
	kfree(block);
	return zero;
}

int job_range_find_tail(struct stack *stack, const struct cowstack_range *range,
			struct cowstack_segment *tail)
{
	struct store *store = stack->store;
	int zero = 0;

	if (cowstack_range_tail(store_geometry(store), range,
				stack->base_sectors, tail))
		zero = sectors_are_zero(store, tail->place, tail->sectors);
	if (zero <= 0)
		memset(tail, 0, sizeof(*tail));
	return min(zero, 0);
}

int job_range_check_base_end(struct stack *stack, struct job_options *options,
			     const struct job_range *range,
			     struct cowstack_range *room)
{
	struct store *store = stack->store;
	struct cowstack_segment tail;
	int error;
	u64 held;

	if (range->destination ||
	    stack->base_sectors >= stack->volume->info.sectors)
		return 0;
	mutex_lock(&store->metadata_lock);
	cowstack_range_fill(room, range->top, NULL);
	held = cowstack_range_held_behind(store_geometry(store), room,
					  stack->base_sectors);
	mutex_unlock(&store->metadata_lock);
	if (!held)
		return 0;
	error = job_range_find_tail(stack, room, &tail);
	if (error)
		return error;
	held -= tail.sectors;
	if (!held)
		return 0;
	return job_refuse(stack, options, -ENOSPC,
			  "the base ends at sector %llu, the layers hold %llu sectors behind it",
			  stack->base_sectors, held);
}

/* --- estimates --- */

/* Looked at before metadata_lock is let go for others. */
enum { SLICE_CHUNKS = 1024 };

/*
 * The layers from @top down to above @destination, as the chain has them now; a job
 * may come to its end meanwhile.  metadata_lock held.
 */
static bool find_layers(const struct stack *stack, u32 top, u32 destination,
			struct cowstack_range *range,
			struct cowstack_range *merged)
{
	struct cowstack_layer *highest = job_range_layer(stack, top);
	struct cowstack_layer *lowest = job_range_layer(stack, destination);

	if (!highest || (destination && !lowest))
		return false;
	cowstack_range_fill(range, highest, lowest);
	if (merged && lowest)
		cowstack_range_fill(merged, highest, lowest->parent);
	return true;
}

/* Some chunks from *@chunk on; false: there are no more.  metadata_lock held. */
static bool estimate_slice(struct stack *stack, struct cowstack_estimator *e,
			   u32 top, u32 destination, vchunk_t *chunk)
{
	unsigned int n;

	if (!find_layers(stack, top, destination, &e->range, &e->merged))
		return false;
	for (n = 0; n < SLICE_CHUNKS; n++) {
		if (!cowstack_range_next(&e->range, chunk))
			return false;
		cowstack_estimate_add(e, *chunk);
		*chunk = to_vchunk(from_vchunk(*chunk) + 1);
	}
	return true;
}

int job_range_estimate(struct stack *stack, u32 top, u32 destination,
		       struct cowstack_estimate *estimate)
{
	struct store *store = stack->store;
	struct cowstack_estimator *e = kvzalloc(sizeof(*e), GFP_KERNEL);
	vchunk_t chunk = to_vchunk(0);
	bool more = true;

	if (!e)
		return -ENOMEM;
	cowstack_estimate_begin(e, store_geometry(store), destination);
	while (more) {
		mutex_lock(&store->metadata_lock);
		more = estimate_slice(stack, e, top, destination, &chunk);
		mutex_unlock(&store->metadata_lock);
		cond_resched();
	}
	*estimate = e->estimate;
	kvfree(e);
	return 0;
}

/* --- what stayed --- */

static bool holds_dirty(const struct cowstack_range *range, vchunk_t chunk)
{
	u32 i;

	for (i = 0; i < range->count; i++) {
		map_word_t word = chunk_map_get(&range->layer[i]->map, chunk);

		if (map_word_is_known(word) && !map_word_is_clean(word))
			return true;
	}
	return false;
}

struct lister {
	const struct cowstack_geometry *g;
	struct cowstack_range range;
	struct job_held *held;
	int count;
	int most;
};

/* Adds a chunk that is held; false: there is no room for one more run. */
static bool add_held(struct lister *l, vchunk_t chunk)
{
	struct job_held *last = l->count ? &l->held[l->count - 1] : NULL;
	u64 sector = from_vchunk(chunk) << l->g->chunk_shift;

	if (last && last->sector + last->sectors == sector) {
		last->sectors += l->g->chunk_sectors;
		return true;
	}
	if (l->count == l->most)
		return false;
	l->held[l->count].sector = sector;
	l->held[l->count++].sectors = l->g->chunk_sectors;
	return true;
}

/*
 * The layers that the last job has left something in: its range, without layers
 * that were empty and have left; of a stream, those below the one that takes it.
 */
static bool find_left(const struct stack *stack, struct cowstack_range *range)
{
	const struct cowstack_job *record = &stack->volume->info.job;
	struct cowstack_layer *below = NULL, *top = stack->volume->top;
	bool stream = record->kind == COWSTACK_JOB_STREAM;

	if (!record->errors)
		return false;
	if (record->base != COWSTACK_BASE_LAYER)
		below = job_range_layer(stack, from_layer_id(record->base));
	while (top && top != below &&
	       (from_layer_id(top->id) > from_layer_id(record->top) ||
		(stream && top->id == record->top)))
		top = top->parent;
	if (!top || top == below)
		return false;
	cowstack_range_fill(range, top, below);
	return true;
}

/* Some chunks from *@chunk on; false: no more, or no room.  metadata_lock held. */
static bool list_slice(struct stack *stack, struct lister *l, vchunk_t *chunk)
{
	unsigned int n;

	if (!find_left(stack, &l->range))
		return false;
	for (n = 0; n < SLICE_CHUNKS; n++) {
		if (!cowstack_range_next(&l->range, chunk) ||
		    (holds_dirty(&l->range, *chunk) && !add_held(l, *chunk)))
			return false;
		*chunk = to_vchunk(from_vchunk(*chunk) + 1);
	}
	return true;
}

int job_list_held(struct stack *stack, u64 from, struct job_held *held,
		  int most)
{
	struct store *store = stack->store;
	struct lister *l;
	vchunk_t chunk;
	bool more = true;
	int count;

	if (from > COWSTACK_MAX_VOLUME_SECTORS)
		return 0;
	l = kvzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return -ENOMEM;
	l->g = store_geometry(store);
	l->held = held;
	l->most = most;
	chunk = to_vchunk(cowstack_chunks_of(l->g, from));
	while (more) {
		mutex_lock(&store->metadata_lock);
		more = list_slice(stack, l, &chunk);
		mutex_unlock(&store->metadata_lock);
		cond_resched();
	}
	count = l->count;
	kvfree(l);
	return count;
}
