// SPDX-License-Identifier: GPL-2.0
#include "job_range.h"
#include "stack.h"

/* Layers that nothing but this volume uses, from @layer down to @below. */
static struct cowstack_layer *lowest_own(const struct stack *stack,
					 struct cowstack_layer *layer,
					 const struct cowstack_layer *below)
{
	struct cowstack_layer *lowest = NULL;

	for (; layer != below; layer = layer->parent) {
		if (cowstack_layer_is_shared(stack->volume, layer))
			break;
		lowest = layer;
	}
	return lowest;
}

static void set_sources(const struct stack *stack, struct job_range *range)
{
	range->bottom = lowest_own(stack, range->destination->parent,
				   range->below);
	range->top = range->bottom ? range->destination->parent : NULL;
}

static bool lies_above(const struct cowstack_layer *layer,
		       const struct cowstack_layer *below)
{
	while (layer && layer != below)
		layer = layer->parent;
	return layer == below;
}

static int choose_taker(struct stack *stack, struct job_options *options,
			struct job_range *range)
{
	struct cowstack_volume *volume = stack->volume;
	struct cowstack_layer *layer = volume->top;

	if (options->given & JOB_OPTION_TOP)
		layer = job_range_layer(stack, options->top);
	if (!layer)
		return job_refuse(stack, options, -ENOENT,
				  "top %u: no such layer", options->top);
	if (cowstack_layer_is_shared(volume, layer))
		return job_refuse(stack, options, -EBUSY,
				  "top %u: belongs to another volume too",
				  from_layer_id(layer->id));
	if (layer != volume->top && !cowstack_layer_is_whole(volume, layer))
		return job_refuse(stack, options, -EBUSY,
				  "top %u: shows no point in time: a commit or stream from above has taken of it",
				  from_layer_id(layer->id));
	range->destination = layer;
	return 0;
}

static int choose_below(struct stack *stack, struct job_options *options,
			struct job_range *range)
{
	u32 id = options->given & JOB_OPTION_BASE ? options->base : 0;

	if (!id)
		return 0;
	range->below = job_range_layer(stack, id);
	if (!range->below)
		return job_refuse(stack, options, -ENOENT,
				  "base %u: no such layer", id);
	if (range->below == range->destination ||
	    !lies_above(range->destination, range->below))
		return job_refuse(stack, options, -EINVAL,
				  "base %u: does not lie below top %u", id,
				  from_layer_id(range->destination->id));
	return 0;
}

static int check_between(struct stack *stack, struct job_options *options,
			 const struct job_range *range)
{
	const struct cowstack_layer *layer = range->destination->parent;

	for (; layer != range->below; layer = layer->parent) {
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return job_refuse(stack, options, -EBUSY,
					  "layer %u is pinned",
					  from_layer_id(layer->id));
		if (stack->features.commit_base &&
		    from_layer_id(layer->id) == stack->features.commit_base)
			return job_refuse(stack, options, -EBUSY,
					  "layer %u is the commit_base",
					  from_layer_id(layer->id));
	}
	return 0;
}

int stream_range_choose(struct stack *stack, struct job_options *options,
			struct job_range *range)
{
	struct store *store = stack->store;
	int error;

	memset(range, 0, sizeof(*range));
	mutex_lock(&store->metadata_lock);
	error = choose_taker(stack, options, range);
	if (!error)
		error = choose_below(stack, options, range);
	if (!error)
		error = check_between(stack, options, range);
	if (!error) {
		set_sources(stack, range);
		range->nothing = !options->with_base &&
				 range->destination->parent == range->below;
	}
	mutex_unlock(&store->metadata_lock);
	return error;
}

/* One that was shared when the stream began may have been pinned by another. */
static bool any_is_pinned(const struct job_range *range)
{
	const struct cowstack_layer *layer = range->destination->parent;

	for (; layer != range->below; layer = layer->parent)
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return true;
	return false;
}

int stream_range_find(struct stack *stack, const struct cowstack_job *record,
		      struct job_range *range)
{
	struct store *store = stack->store;
	u32 below = from_layer_id(record->base);
	int error = 0;

	memset(range, 0, sizeof(*range));
	mutex_lock(&store->metadata_lock);
	range->destination = job_range_layer(stack, from_layer_id(record->top));
	range->below = below ? job_range_layer(stack, below) : NULL;
	/* A hostile record may name anything. */
	if (!range->destination || (below && !range->below) ||
	    range->below == range->destination ||
	    !lies_above(range->destination, range->below) ||
	    cowstack_layer_is_shared(stack->volume, range->destination) ||
	    any_is_pinned(range))
		error = -ENOENT;
	else
		set_sources(stack, range);
	mutex_unlock(&store->metadata_lock);
	return error;
}

/*
 * To where the base is pulled up: whole blocks of both devices, whichever has larger
 * ones, as pieces that are less could be neither read, written nor loaded again.
 */
static u64 base_end(const struct stack *stack)
{
	unsigned int block = max(stack->store->logical_block,
				 bdev_logical_block_size(stack->base));

	return round_up(min(stack->base_sectors, stack->volume->info.sectors),
			block >> SECTOR_SHIFT);
}

void stream_range_fill(struct stack *stack, const struct job_range *range,
		       bool with_base, struct cowstack_stream *stream)
{
	const struct cowstack_layer *layer = range->top;

	cowstack_range_fill(&stream->range, range->destination, range->below);
	stream->own = 1;
	for (; layer; layer = layer == range->bottom ? NULL : layer->parent)
		stream->own++;
	stream->base_sectors = with_base ? base_end(stack) : 0;
}

int stream_range_check_room(struct stack *stack, struct job_options *options,
			    const struct job_range *range,
			    struct cowstack_stream *stream)
{
	struct store *store = stack->store;
	u64 needed, room;

	mutex_lock(&store->metadata_lock);
	stream_range_fill(stack, range, options->with_base, stream);
	mutex_unlock(&store->metadata_lock);
	needed = cowstack_stream_room(store_geometry(store), stream);
	room = cowstack_allocator_room(&store->metadata.allocator);
	if (needed <= room)
		return 0;
	return job_refuse(stack, options, -ENOSPC,
			  "%llu chunks would have to be copied, the store has room for %llu",
			  needed, room);
}
