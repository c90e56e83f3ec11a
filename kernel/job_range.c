// SPDX-License-Identifier: GPL-2.0
#include "core/commit_choice.h"
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

static int find_asked_for(struct stack *stack, struct job_options *options,
			  struct cowstack_commit_request *request)
{
	u32 base = options->given & JOB_OPTION_BASE ? options->base :
						      stack->features.commit_base;

	if (base) {
		request->destination = job_range_layer(stack, base);
		if (!request->destination)
			return job_refuse(stack, options, -ENOENT,
					  "base %u: no such layer", base);
	}
	if (options->given & JOB_OPTION_TOP) {
		request->top = job_range_layer(stack, options->top);
		if (!request->top)
			return job_refuse(stack, options, -ENOENT,
					  "top %u: no such layer", options->top);
	}
	request->commit_base = to_layer_id(stack->features.commit_base);
	request->writes_wait = atomic64_read(&stack->store->parked_writes);
	return 0;
}

static u32 id_of(const struct cowstack_layer *layer)
{
	return layer ? from_layer_id(layer->id) : 0;
}

static int refuse_choice(struct stack *stack, struct job_options *options,
			 const struct cowstack_commit_request *request,
			 const struct cowstack_commit_choice *choice,
			 enum cowstack_commit_obstacle obstacle)
{
	u32 base = id_of(request->destination);
	u32 spared = id_of(choice->spared);
	u32 top = id_of(choice->top);

	switch (obstacle) {
	case COWSTACK_COMMIT_MAY_GO:
		return 0;
	case COWSTACK_COMMIT_INTO_TOP:
		return job_refuse(stack, options, -EINVAL,
				  "base %u: is the top of the chain", base);
	case COWSTACK_COMMIT_INTO_SPARED:
		return job_refuse(stack, options, -EBUSY, "base %u: %s", base,
				  choice->why);
	case COWSTACK_COMMIT_TOP_WRITTEN:
		return job_refuse(stack, options, -EINVAL,
				  "top %u: is being written: without \"top\" a snapshot of it is taken",
				  top);
	case COWSTACK_COMMIT_TOP_NOT_ABOVE:
		return job_refuse(stack, options, -EINVAL,
				  "top %u: does not lie above base %u", top,
				  base);
	case COWSTACK_COMMIT_TOP_NOT_WHOLE:
		return job_refuse(stack, options, -EBUSY,
				  "top %u: shows no point in time: a commit from above has taken of it",
				  top);
	case COWSTACK_COMMIT_TOP_SPARED:
		return job_refuse(stack, options, -EBUSY,
				  "top %u: layer %u %s", top, spared,
				  choice->why);
	case COWSTACK_COMMIT_ALL_SPARED:
		return job_refuse(stack, options, -EBUSY,
				  "nothing may be committed: layer %u %s",
				  spared, choice->why);
	case COWSTACK_COMMIT_BELOW_NOT_WHOLE:
		return job_refuse(stack, options, -EBUSY,
				  "layer %u, below layer %u that %s, shows no point in time",
				  top, spared, choice->why);
	case COWSTACK_COMMIT_REST_NOT_WHOLE:
		return job_refuse(stack, options, -EBUSY,
				  "layer %u shows no point in time, and no snapshot can be taken",
				  top);
	case COWSTACK_COMMIT_NO_LAYER_LEFT:
		return job_refuse(stack, options, -E2BIG,
				  "top %u cannot be frozen, as a chain has at most %u layers: commit into a lower base first",
				  from_layer_id(stack->volume->top->id),
				  COWSTACK_MAX_LAYERS);
	}
	return -EINVAL;
}

int job_range_choose(struct stack *stack, struct job_options *options,
		     struct job_range *range)
{
	struct store *store = stack->store;
	struct cowstack_commit_request request = { };
	struct cowstack_commit_choice choice;
	enum cowstack_commit_obstacle obstacle;
	int error;

	memset(range, 0, sizeof(*range));
	mutex_lock(&store->metadata_lock);
	error = find_asked_for(stack, options, &request);
	if (!error) {
		obstacle = cowstack_commit_choose(stack->volume, &request,
						  &choice);
		error = refuse_choice(stack, options, &request, &choice,
				      obstacle);
	}
	if (!error) {
		range->top = choice.top;
		range->bottom = choice.bottom;
		range->destination = request.destination;
		range->snapshot = choice.snapshot;
		range->nothing = choice.nothing;
	}
	mutex_unlock(&store->metadata_lock);
	return error;
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
	if (destination)
		range->destination = job_range_layer(stack, destination);
	if ((destination && !range->destination) ||
	    !cowstack_commit_may_go_on(stack->volume, range->top,
				       range->destination, &range->bottom))
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
