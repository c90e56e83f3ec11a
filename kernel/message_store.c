// SPDX-License-Identifier: GPL-2.0
/* What a store is told. */
#include <linux/ktime.h>

#include "arguments.h"
#include "job.h"
#include "message.h"

static int parse_sectors(const struct message *m, const char *word,
			 u64 *sectors)
{
	if (parse_scaled(word, SECTOR_SIZE, sectors) || !*sectors ||
	    *sectors > COWSTACK_MAX_VOLUME_SECTORS)
		return message_refuse(m, -EINVAL, "bad size %s", word);
	return 0;
}

static int create_volume(struct message *m)
{
	const char *name = m->argc > 3 ? m->argv[3] : NULL;
	struct store_change change;
	volume_id_t id;
	u64 sectors;
	int error;

	error = message_parse_volume_id(m, m->argv[1], &id);
	if (!error)
		error = parse_sectors(m, m->argv[2], &sectors);
	if (error)
		return error;
	if (name && !cowstack_name_is_valid(name))
		return message_refuse(m, -EINVAL, "bad name %s", name);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_create_volume(&change.change,
					      &m->store->metadata, id, sectors,
					      name, ktime_get_real_seconds());
	mutex_unlock(&m->store->metadata_lock);
	return message_explain(m, message_carry_out(m, &change, error));
}

static int find_volume(const struct message *m, struct cowstack_volume **volume)
{
	volume_id_t id;
	int error = message_parse_volume_id(m, m->argv[1], &id);

	if (error)
		return error;
	mutex_lock(&m->store->metadata_lock);
	*volume = cowstack_volume_find(&m->store->metadata, id);
	mutex_unlock(&m->store->metadata_lock);
	return *volume ? 0 : message_refuse(m, -ENOENT, "volume %s: no such volume",
				    m->argv[1]);
}

/* metadata_lock held. */
static int prepare_clone(struct message *m, struct store_change *change,
			 const struct cowstack_volume *from, volume_id_t id,
			 u32 layer_id)
{
	const char *name = m->argc > 4 ? m->argv[4] : NULL;
	struct cowstack_layer *layer = from->top;
	int error;

	while (layer && from_layer_id(layer->id) != layer_id)
		layer = layer->parent;
	if (!layer)
		return message_refuse(m, -ENOENT, "layer %u: no such layer",
				      layer_id);
	/* Whatever lies below a clone's layer belongs to two, and stays. */
	if (job_is_at_work(m->store, from) &&
	    layer_id >= from_layer_id(from->info.job.base))
		return message_refuse(m, -EBUSY, "layer %u: a job is at work on it, or below it",
				      layer_id);
	error = cowstack_change_clone_volume(&change->change,
					     &m->store->metadata, id, from,
					     layer, name,
					     ktime_get_real_seconds());
	if (error == -EBUSY)
		return message_refuse(m, error,
				      "layer %u is not frozen, or shows no point in time: a commit has taken of it",
				      layer_id);
	return message_explain(m, error);
}

/* clone_volume <id> <volume id> <layer> [<name>] */
static int clone_volume(struct message *m)
{
	struct store_change change = { };
	struct cowstack_volume *from;
	volume_id_t id, from_id;
	struct stack *stack;
	u32 layer;
	int error;

	error = message_parse_volume_id(m, m->argv[1], &id);
	if (!error)
		error = message_parse_volume_id(m, m->argv[2], &from_id);
	if (!error)
		error = message_parse_layer(m, m->argv[3], &layer);
	if (error)
		return error;
	/* A job that comes to its end removes layers. */
	stack = stack_find(m->store, from_id);
	if (stack)
		mutex_lock(&stack->chain_mutex);
	mutex_lock(&m->store->metadata_lock);
	from = cowstack_volume_find(&m->store->metadata, from_id);
	if (from)
		error = prepare_clone(m, &change, from, id, layer);
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
	u64 sectors;
	int error;

	error = find_volume(m, &volume);
	if (!error)
		error = parse_sectors(m, m->argv[2], &sectors);
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

/* As its stack's status line would be: what its records say, up or down. */
static int show_status(struct message *m, const struct cowstack_volume *volume)
{
	volume_status(m->store, volume, m->result, m->maxlen);
	return 1;
}

typedef int (*show_volume_fn)(struct message *m,
			      const struct cowstack_volume *volume);

/* No message_mutex keeps the volume from going: one lock from find to show. */
static int show(struct message *m, show_volume_fn show_volume)
{
	const struct cowstack_volume *volume;
	volume_id_t id;
	int result = message_parse_volume_id(m, m->argv[1], &id);

	if (result)
		return result;
	mutex_lock(&m->store->metadata_lock);
	volume = cowstack_volume_find(&m->store->metadata, id);
	if (volume)
		result = show_volume(m, volume);
	mutex_unlock(&m->store->metadata_lock);
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

const struct verb store_verbs[] = {
	{ "create_volume", 2, 3, create_volume },
	{ "resize_volume", 2, 2, resize_volume },
	{ "delete_volume", 1, 1, delete_volume },
	{ "grow", 0, 0, grow },
	{ "volumes", 0, 0, list_volumes },
	{ "volume", 1, 1, show_volume },
	{ "layers", 1, 1, list_layers },
	{ "clone_volume", 3, 4, clone_volume },
};

const unsigned int store_verb_count = ARRAY_SIZE(store_verbs);
