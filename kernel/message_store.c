// SPDX-License-Identifier: GPL-2.0
/* What a store is told. */
#include <linux/ktime.h>

#include "core/map_count.h"
#include "job.h"
#include "message.h"

static int create_volume(struct message *m)
{
	const struct message_words *w = &m->words;
	struct store_change change;
	int error;

	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_create_volume(&change.change,
					      &m->store->metadata, w->volume,
					      w->number, w->name,
					      ktime_get_real_seconds());
	mutex_unlock(&m->store->metadata_lock);
	return message_explain(m, message_carry_out(m, &change, error));
}

static int find_volume(const struct message *m, struct cowstack_volume **volume)
{
	mutex_lock(&m->store->metadata_lock);
	*volume = cowstack_volume_find(&m->store->metadata, m->words.volume);
	mutex_unlock(&m->store->metadata_lock);
	return *volume ? 0 : message_refuse(m, -ENOENT, "volume %s: no such volume",
				    m->argv[1]);
}

/* metadata_lock held. */
static int prepare_clone(struct message *m, struct store_change *change,
			 const struct cowstack_volume *from)
{
	const struct message_words *w = &m->words;
	struct cowstack_layer *layer = from->top;
	int error;

	while (layer && from_layer_id(layer->id) != w->layer)
		layer = layer->parent;
	if (!layer)
		return message_refuse(m, -ENOENT, "layer %u: no such layer",
				      w->layer);
	/* Whatever lies below a clone's layer belongs to two, and stays. */
	if (job_is_at_work(m->store, from) &&
	    w->layer >= from_layer_id(from->info.job.base))
		return message_refuse(m, -EBUSY, "layer %u: a job is at work on it, or below it",
				      w->layer);
	error = cowstack_change_clone_volume(&change->change,
					     &m->store->metadata, w->volume,
					     from, layer, w->name,
					     ktime_get_real_seconds());
	if (error == -EBUSY)
		return message_refuse(m, error,
				      "layer %u is not frozen, or shows no point in time: a commit has taken of it",
				      w->layer);
	return message_explain(m, error);
}

/* clone_volume <id> <volume id> <layer> [<name>] */
static int clone_volume(struct message *m)
{
	struct store_change change = { };
	volume_id_t source = m->words.source;
	struct cowstack_volume *from;
	struct stack *stack;
	int error;

	/* A job that comes to its end removes layers. */
	stack = stack_find(m->store, source);
	if (stack)
		mutex_lock(&stack->chain_mutex);
	mutex_lock(&m->store->metadata_lock);
	from = cowstack_volume_find(&m->store->metadata, source);
	if (from)
		error = prepare_clone(m, &change, from);
	else
		error = message_refuse(m, -ENOENT, "volume %s: no such volume",
				       m->argv[2]);
	mutex_unlock(&m->store->metadata_lock);
	if (!error)
		error = message_explain(m, message_carry_out(m, &change, 0));
	if (stack)
		mutex_unlock(&stack->chain_mutex);
	return error;
}

static void update_size(struct cowstack_volume_info *info,
			const void *argument)
{
	info->sectors = *(const u64 *)argument;
}

static int resize_volume(struct message *m)
{
	struct store_change change;
	struct cowstack_volume *volume;
	u64 sectors = m->words.number;
	int error;

	error = find_volume(m, &volume);
	if (error)
		return error;
	if (cowstack_chunks_of(store_geometry(m->store), sectors) >
	    COWSTACK_MAX_VOLUME_CHUNKS)
		return message_refuse(m, -EINVAL, "bad size %s: too many chunks",
			      m->argv[2]);
	if (sectors < volume->info.sectors)
		return message_refuse(m, -EINVAL,
			      "%llu sectors is less than the %llu it has: shrinking would lose data",
			      sectors, volume->info.sectors);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_info(&change.change, &m->store->metadata,
				     volume, update_size, &sectors);
	mutex_unlock(&m->store->metadata_lock);
	return message_explain(m, message_carry_out(m, &change, error));
}

static int delete_volume(struct message *m)
{
	struct store_change change;
	struct cowstack_volume *volume;
	struct stack *stack;
	int error;

	error = find_volume(m, &volume);
	if (error)
		return error;
	stack = stack_find(m->store, volume->info.id);
	if (stack)
		return message_refuse(m, -EBUSY, "volume %s: a table of %s names it",
			      m->argv[1], stack->name);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_delete_volume(&change.change,
					      &m->store->metadata, volume);
	mutex_unlock(&m->store->metadata_lock);
	error = message_carry_out(m, &change, error);
	reclaim_kick(m->store);
	return message_explain(m, error);
}

static int grow(struct message *m)
{
	struct store *store = m->store;
	struct store_change change;
	u64 sectors = bdev_nr_sectors(store->bdev);
	u64 chunks = cowstack_geometry_chunks(store_geometry(store), sectors);
	int error;

	if (chunks < store_geometry(store)->chunks)
		return message_refuse(m, -EINVAL,
			      "the device has %llu sectors, less than the store",
			      sectors);
	mutex_lock(&store->metadata_lock);
	error = cowstack_change_grow(&change.change, &store->metadata, chunks);
	mutex_unlock(&store->metadata_lock);
	error = message_carry_out(m, &change, error);
	if (!error)
		defer_admit_parked(store);
	return message_explain(m, error);
}

/* <id> <name|-> <sectors> <layers> <used> <clean> <base_alone> <up|down> <base> */
static int list_volumes(struct message *m)
{
	struct cowstack_volume *volume;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;

	mutex_lock(&m->store->metadata_lock);
	list_for_each_entry(volume, &m->store->metadata.volumes, list) {
		const struct cowstack_volume_info *info = &volume->info;

		DMEMIT("%u %s %llu %u %llu %llu %s %s %s\n",
		       from_volume_id(info->id), or_dash(info->name),
		       info->sectors, cowstack_volume_depth(volume),
		       cowstack_volume_used(volume),
		       cowstack_volume_clean(volume), base_alone_name(info),
		       volume->chain ? "up" : "down",
		       or_dash(info->base_name));
	}
	mutex_unlock(&m->store->metadata_lock);
	return 1;
}

/* As its stack's status line would be: what its records say, and a thread at work. */
static int show_status(struct message *m, const struct cowstack_volume *volume)
{
	volume_status(m->store, volume, m->result, m->maxlen);
	return 1;
}

typedef int (*show_volume_fn)(struct message *m,
			      const struct cowstack_volume *volume);

/* No message_mutex keeps volume or stack from going: one lock each from find to show. */
static int show(struct message *m, show_volume_fn show_volume)
{
	const struct cowstack_volume *volume;
	int result = 0;

	mutex_lock(&stores_mutex);
	mutex_lock(&m->store->metadata_lock);
	volume = cowstack_volume_find(&m->store->metadata, m->words.volume);
	if (volume)
		result = show_volume(m, volume);
	mutex_unlock(&m->store->metadata_lock);
	mutex_unlock(&stores_mutex);
	return volume ? result :
			message_refuse(m, -ENOENT, "volume %s: no such volume",
				       m->argv[1]);
}

static int show_volume(struct message *m)
{
	return show(m, show_status);
}

static int list_layers(struct message *m)
{
	return show(m, message_list_layers);
}

/* --- map --- */

/* @layer alone, or all of the volume's for the base; metadata_lock held. */
static int find_counted(const struct message *m, struct cowstack_range *range,
			const struct cowstack_volume **found)
{
	struct cowstack_volume *volume =
		cowstack_volume_find(&m->store->metadata, m->words.volume);
	struct cowstack_layer *layer;

	if (!volume)
		return message_refuse(m, -ENOENT, "volume %s: no such volume",
				      m->argv[1]);
	*found = volume;
	if (!m->words.layer) {
		cowstack_range_fill(range, volume->top, NULL);
		return 0;
	}
	layer = volume->top;
	while (layer && from_layer_id(layer->id) != m->words.layer)
		layer = layer->parent;
	if (!layer)
		return message_refuse(m, -ENOENT, "layer %s: no such layer",
				      m->argv[2]);
	cowstack_range_fill(range, layer, layer->parent);
	return 0;
}

struct counter {
	struct cowstack_map_count count;
	struct cowstack_range range;
};

static int count_map(const struct message *m, struct counter *c)
{
	const struct cowstack_geometry *g = store_geometry(m->store);
	const struct cowstack_volume *volume;
	bool more = true;
	int error = 0;

	while (!error && more) {
		mutex_lock(&m->store->metadata_lock);
		error = find_counted(m, &c->range, &volume);
		if (!error && !c->count.parts)
			cowstack_map_count_begin(&c->count, g, volume,
						 m->words.number);
		if (!error)
			more = cowstack_map_count_pages(&c->count, g,
							&c->range);
		mutex_unlock(&m->store->metadata_lock);
		cond_resched();
	}
	return error;
}

/*
 * <chunks> <chunks of a part>, then of each part that is not empty <number> <used>
 * <clean> <zero> <hidden> <pieces>
 */
static int show_map(struct message *m)
{
	struct counter *c = kvzalloc(sizeof(*c), GFP_KERNEL);
	const struct cowstack_map_part *part;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;
	u32 i;
	int error;

	if (!c)
		return message_explain(m, -ENOMEM);
	error = count_map(m, c);
	if (!error)
		DMEMIT("%llu %llu\n", c->count.chunks, c->count.part_chunks);
	for (i = 0; i < c->count.parts && !error; i++) {
		part = &c->count.part[i];
		if (part->used || part->zero)
			DMEMIT("%u %llu %llu %llu %llu %llu\n", i, part->used,
			       part->clean, part->zero, part->hidden,
			       part->pieces);
	}
	kvfree(c);
	return error ? error : 1;
}

const message_handler store_handlers[VERB_COUNT] = {
	[VERB_CREATE_VOLUME] = create_volume,
	[VERB_CLONE_VOLUME] = clone_volume,
	[VERB_RESIZE_VOLUME] = resize_volume,
	[VERB_DELETE_VOLUME] = delete_volume,
	[VERB_GROW] = grow,
	[VERB_VOLUMES] = list_volumes,
	[VERB_VOLUME] = show_volume,
	[VERB_VOLUME_LAYERS] = list_layers,
	[VERB_MAP] = show_map,
};
