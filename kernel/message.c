// SPDX-License-Identifier: GPL-2.0
/*
 * Messages to stores and stacks: a table of {verb, arguments, handler} each.
 *
 * A handler has an errno to return and writes one line to the kernel log that
 * names the word: dm returns no text.  None waits for more than a durable step
 * and, where it takes a snapshot, the writes in flight.
 */
#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include "arguments.h"
#include "job.h"
#include "stack.h"

struct message {
	struct store *store;
	struct stack *stack;		/* NULL: to a store */
	const char *name;		/* of the device, for logs */
	unsigned int argc;
	char **argv;
	char *result;
	unsigned int maxlen;
};

struct verb {
	const char *name;
	unsigned int least;		/* words behind the verb */
	unsigned int most;
	int (*handle)(struct message *m);
};

/* One line that names the device and the words; returns @error. */
__printf(3, 4)
static int refuse(const struct message *m, int error, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	pr_err("cowstack %s: %s%s%s: %pV\n", m->name, m->argv[0],
	       m->argc > 1 && !strcmp(m->argv[0], "commit") ? " " : "",
	       m->argc > 1 && !strcmp(m->argv[0], "commit") ? m->argv[1] : "",
	       &vaf);
	va_end(args);
	return error;
}

/* The errors that speak for themselves. */
static int explain(const struct message *m, int error)
{
	switch (error) {
	case 0:
		return 0;
	case -EAGAIN:
		return refuse(m, error, "the store is suspended");
	case -EROFS:
		return refuse(m, error, "the store or the base is read-only");
	case -E2BIG:
		return refuse(m, error, "a chain has at most %u layers",
			      COWSTACK_MAX_LAYERS);
	case -EEXIST:
		return refuse(m, error, "id or name is taken");
	case -ENOSPC:
		return refuse(m, error, "the store is full: commit, delete or grow");
	case -ENOMEM:
		return refuse(m, error, "no memory");
	default:
		return refuse(m, error, "error %d", error);
	}
}

static int parse_volume_id(const struct message *m, const char *word,
			   volume_id_t *id)
{
	u64 n;

	if (parse_number(word, &n) || n >> COWSTACK_VOLUME_ID_BITS)
		return refuse(m, -EINVAL, "bad volume id %s", word);
	*id = to_volume_id(n);
	return 0;
}

static int parse_sectors(const struct message *m, const char *word,
			 u64 *sectors)
{
	if (parse_scaled(word, SECTOR_SIZE, sectors) || !*sectors ||
	    *sectors > COWSTACK_MAX_VOLUME_SECTORS)
		return refuse(m, -EINVAL, "bad size %s", word);
	return 0;
}

/* Commits @change unless preparing it failed with @error, and frees it. */
static int carry_out(struct message *m, struct store_change *change, int error)
{
	if (!error)
		error = journal_commit(m->store, change);
	store_change_free(change);
	return error;
}

/* --- to the store --- */

static int create_volume(struct message *m)
{
	const char *name = m->argc > 3 ? m->argv[3] : NULL;
	struct store_change change;
	volume_id_t id;
	u64 sectors;
	int error;

	error = parse_volume_id(m, m->argv[1], &id);
	if (!error)
		error = parse_sectors(m, m->argv[2], &sectors);
	if (error)
		return error;
	if (name && !cowstack_name_is_valid(name))
		return refuse(m, -EINVAL, "bad name %s", name);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_create_volume(&change.change,
					      &m->store->metadata, id, sectors,
					      name, ktime_get_real_seconds());
	mutex_unlock(&m->store->metadata_lock);
	return explain(m, carry_out(m, &change, error));
}

static int find_volume(const struct message *m, struct cowstack_volume **volume)
{
	volume_id_t id;
	int error = parse_volume_id(m, m->argv[1], &id);

	if (error)
		return error;
	mutex_lock(&m->store->metadata_lock);
	*volume = cowstack_volume_find(&m->store->metadata, id);
	mutex_unlock(&m->store->metadata_lock);
	return *volume ? 0 : refuse(m, -ENOENT, "volume %s: no such volume",
				    m->argv[1]);
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
		return refuse(m, -EINVAL, "bad size %s: too many chunks",
			      m->argv[2]);
	if (sectors < volume->info.sectors)
		return refuse(m, -EINVAL,
			      "%llu sectors is less than the %llu it has: shrinking would lose data",
			      sectors, volume->info.sectors);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_info(&change.change, &m->store->metadata,
				     volume, update_size, &sectors);
	mutex_unlock(&m->store->metadata_lock);
	return explain(m, carry_out(m, &change, error));
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
		return refuse(m, -EBUSY, "volume %s: a table of %s names it",
			      m->argv[1], stack->name);
	mutex_lock(&m->store->metadata_lock);
	error = cowstack_change_delete_volume(&change.change,
					      &m->store->metadata, volume);
	mutex_unlock(&m->store->metadata_lock);
	error = carry_out(m, &change, error);
	reclaim_kick(m->store);
	return explain(m, error);
}

static int grow(struct message *m)
{
	struct store *store = m->store;
	struct store_change change;
	u64 sectors = bdev_nr_sectors(store->bdev);
	u64 chunks = cowstack_geometry_chunks(store_geometry(store), sectors);
	int error;

	if (chunks < store_geometry(store)->chunks)
		return refuse(m, -EINVAL,
			      "the device has %llu sectors, less than the store",
			      sectors);
	mutex_lock(&store->metadata_lock);
	error = cowstack_change_grow(&change.change, &store->metadata, chunks);
	mutex_unlock(&store->metadata_lock);
	error = carry_out(m, &change, error);
	if (!error)
		defer_admit_parked(store);
	return explain(m, error);
}

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
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

		DMEMIT("%u %s %llu %u %llu 0 %s %s %s\n",
		       from_volume_id(info->id), or_dash(info->name),
		       info->sectors, cowstack_volume_depth(volume),
		       cowstack_volume_used(volume), base_alone_name(info),
		       volume->chain ? "up" : "down",
		       or_dash(info->base_name));
	}
	mutex_unlock(&m->store->metadata_lock);
	return 1;
}

static const struct verb store_verbs[] = {
	{ "create_volume", 2, 3, create_volume },
	{ "resize_volume", 2, 2, resize_volume },
	{ "delete_volume", 1, 1, delete_volume },
	{ "grow", 0, 0, grow },
	{ "volumes", 0, 0, list_volumes },
	{ "clone_volume", 0, UINT_MAX, NULL },
};

/* --- to the stack --- */

static int snapshot(struct message *m)
{
	const char *name = m->argc > 1 ? m->argv[1] : NULL;

	if (name && !cowstack_name_is_valid(name))
		return refuse(m, -EINVAL, "bad name %s", name);
	return explain(m, stack_snapshot(m->stack, name, NULL, NULL));
}

/* Words of "commit start" that are known, and not built yet. */
static bool is_future_word(const char *word)
{
	static const char * const words[] = {
		"top", "base", "yield", "on_error", "retain", "verify",
		"until", "undo",
	};

	return match_string(words, ARRAY_SIZE(words), word) >= 0;
}

static int commit_start(struct message *m)
{
	struct job_options options = { };
	unsigned int i;
	int error;

	for (i = 2; i < m->argc; i += 2) {
		const char *word = m->argv[i];

		if (is_future_word(word))
			return refuse(m, -EOPNOTSUPP, "%s: not built yet",
				      word);
		if (strcmp(word, "speed"))
			return refuse(m, -EINVAL, "unknown word %s", word);
		if (i + 1 == m->argc)
			return refuse(m, -EINVAL, "%s: a rate is missing",
				      word);
		if (parse_scaled(m->argv[i + 1], 1, &options.speed))
			return refuse(m, -EINVAL, "speed: bad rate %s",
				      m->argv[i + 1]);
		options.speed_given = true;
	}
	error = job_start(m->stack, &options);
	return options.refused ? error : explain(m, error);
}

static int commit_cancel(struct message *m)
{
	int error = job_cancel(m->stack);

	return error == -ENOENT ? refuse(m, error, "there is no job") :
				  explain(m, error);
}

static int commit_speed(struct message *m)
{
	u64 speed;
	int error;

	if (m->argc != 3)
		return refuse(m, -EINVAL, "wants one rate");
	if (parse_scaled(m->argv[2], 1, &speed))
		return refuse(m, -EINVAL, "bad rate %s", m->argv[2]);
	error = job_set_speed(m->stack, speed);
	return error == -ENOENT ? refuse(m, error, "there is no job") :
				  explain(m, error);
}

static int commit(struct message *m)
{
	const char *word = m->argv[1];

	if (!strcmp(word, "start"))
		return commit_start(m);
	if (!strcmp(word, "speed"))
		return commit_speed(m);
	if (!strcmp(word, "pause") || !strcmp(word, "resume"))
		return refuse(m, -EOPNOTSUPP, "not built yet");
	if (strcmp(word, "cancel"))
		return refuse(m, -EINVAL, "unknown word");
	if (m->argc != 2)
		return refuse(m, -EINVAL, "unknown word %s", m->argv[2]);
	return commit_cancel(m);
}

static int find_layer(const struct message *m, const char *word,
		      struct cowstack_layer **found)
{
	struct cowstack_layer *layer;
	u64 n;

	if (parse_number(word, &n) || n > U32_MAX)
		return refuse(m, -EINVAL, "bad layer %s", word);
	for (layer = m->stack->volume->top; layer; layer = layer->parent) {
		if (from_layer_id(layer->id) == n) {
			*found = layer;
			return 0;
		}
	}
	return refuse(m, -ENOENT, "layer %s: no such layer", word);
}

/* @layer is NULL where find_layer() has said why. */
static int refuse_drop(const struct message *m, int error,
		       const struct cowstack_layer *layer)
{
	if (!layer)
		return error;
	switch (error) {
	case -EINVAL:
		return refuse(m, error, "layer %s is the top", m->argv[1]);
	case -EBUSY:
		return refuse(m, error,
			      "layer %s is not empty, or another lies on it",
			      m->argv[1]);
	default:
		return explain(m, error);
	}
}

static int drop(struct message *m)
{
	struct store *store = m->store;
	struct store_change change = { };
	struct cowstack_layer *layer = NULL;
	struct job_status job;
	int error;

	/* A job that stopped goes on with the same range. */
	mutex_lock(&store->metadata_lock);
	job_get_status(m->stack, &job);
	mutex_unlock(&store->metadata_lock);
	if (job.record.state >= COWSTACK_JOB_QUEUED &&
	    job.record.state <= COWSTACK_JOB_STOPPED)
		return refuse(m, -EBUSY, "there is a job");
	mutex_lock(&m->stack->chain_mutex);
	mutex_lock(&store->metadata_lock);
	error = find_layer(m, m->argv[1], &layer);
	if (!error)
		error = cowstack_change_remove_layers(&change.change,
						      &store->metadata,
						      m->stack->volume, layer,
						      layer, NULL, NULL);
	mutex_unlock(&store->metadata_lock);
	if (error) {
		mutex_unlock(&m->stack->chain_mutex);
		return refuse_drop(m, error, layer);
	}
	error = carry_out(m, &change, 0);
	mutex_unlock(&m->stack->chain_mutex);
	return explain(m, error);
}

/* <id> <name|-> <parent> <used> <clean> <pinned|-> <top|frozen> */
static int list_layers(struct message *m)
{
	struct cowstack_layer *layer;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;

	mutex_lock(&m->store->metadata_lock);
	for (layer = m->stack->volume->top; layer; layer = layer->parent)
		DMEMIT("%u %s %u %lld 0 %s %s\n", from_layer_id(layer->id),
		       or_dash(layer->name),
		       layer->parent ? from_layer_id(layer->parent->id) : 0,
		       atomic64_read(&layer->map.used),
		       layer->flags & COWSTACK_LAYER_PINNED ? "pinned" : "-",
		       layer->flags & COWSTACK_LAYER_FROZEN ? "frozen" : "top");
	mutex_unlock(&m->store->metadata_lock);
	return 1;
}

static const struct verb stack_verbs[] = {
	{ "snapshot", 0, 1, snapshot },
	{ "commit", 1, UINT_MAX, commit },
	{ "drop", 1, 1, drop },
	{ "layers", 0, 0, list_layers },
	{ "stream", 0, UINT_MAX, NULL },
	{ "make_empty", 0, UINT_MAX, NULL },
	{ "pin", 0, UINT_MAX, NULL },
	{ "unpin", 0, UINT_MAX, NULL },
};

/* --- dispatch --- */

static int handle(struct message *m, const struct verb *verbs,
		  unsigned int count)
{
	unsigned int words = m->argc - 1;
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, m->argv[0]))
			continue;
		if (!v->handle)
			return refuse(m, -EOPNOTSUPP, "not built yet");
		if (words < v->least || words > v->most)
			return refuse(m, -EINVAL, "wrong number of words");
		return v->handle(m);
	}
	return refuse(m, -EINVAL, "unknown message");
}

/* Lists do not change anything: they need no message_mutex. */
static bool is_question(const char *verb)
{
	return !strcmp(verb, "layers") || !strcmp(verb, "volumes");
}

static int run_message(struct message *m, const struct verb *verbs,
		       unsigned int count)
{
	unsigned int noio;
	int error;

	if (!m->argc)
		return -EINVAL;
	if (is_question(m->argv[0]))
		return handle(m, verbs, count);
	/* A resume may wait for the mutex: memory must not wait for a resume. */
	noio = memalloc_noio_save();
	mutex_lock(&m->store->message_mutex);
	if (READ_ONCE(m->store->mode) == STORE_FAIL)
		error = refuse(m, -EIO, "the store has failed");
	else if (READ_ONCE(m->store->suspended))
		error = refuse(m, -EAGAIN, "the store is suspended");
	else if (m->stack && !m->stack->target)
		error = refuse(m, -EAGAIN, "the stack was never resumed");
	else
		error = handle(m, verbs, count);
	mutex_unlock(&m->store->message_mutex);
	memalloc_noio_restore(noio);
	return error;
}

int store_message(struct store *store, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct message m = {
		.store = store, .name = store->name, .argc = argc,
		.argv = argv, .result = result, .maxlen = maxlen,
	};

	return run_message(&m, store_verbs, ARRAY_SIZE(store_verbs));
}

int stack_message(struct stack *stack, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct message m = {
		.store = stack->store, .stack = stack, .name = stack->name,
		.argc = argc, .argv = argv, .result = result, .maxlen = maxlen,
	};

	return run_message(&m, stack_verbs, ARRAY_SIZE(stack_verbs));
}
