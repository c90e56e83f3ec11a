// SPDX-License-Identifier: GPL-2.0
/* What a stack is told. */
#include "job.h"
#include "job_range.h"
#include "message.h"

static int snapshot(struct message *m)
{
	return message_explain(m, stack_snapshot(m->stack, m->words.name, NULL,
						 NULL));
}

/* --- jobs --- */

/* "commit start" and "stream start" */
static int start(struct message *m)
{
	struct job_options *options = &m->words.options;
	int error = job_start(m->stack, options);

	return options->refused ? error : message_explain(m, error);
}

/* <top> <base> <chunks> <data bytes> <zero bytes> <requests> <chunks freed> */
static int commit_plan(struct message *m)
{
	struct job_options *options = &m->words.options;
	struct cowstack_estimate e;
	struct cowstack_job range;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;
	int error = job_plan(m->stack, options, &range, &e);

	if (error)
		return options->refused ? error : message_explain(m, error);
	DMEMIT("%u %u %llu %llu %llu %llu %llu\n",
	       from_layer_id(range.top), from_layer_id(range.base),
	       e.chunks, e.data_bytes, e.zero_bytes, e.requests, e.freed);
	return 1;
}

static int explain_job(const struct message *m, int error)
{
	return error == -ENOENT ? message_refuse(m, error, "there is no job") :
				  message_explain(m, error);
}

static int commit_pause(struct message *m)
{
	return explain_job(m, job_pause(m->stack));
}

static int commit_resume(struct message *m)
{
	struct job_options options = { };
	int error = job_resume(m->stack, &options);

	return options.refused ? error : explain_job(m, error);
}

static int commit_cancel(struct message *m)
{
	return explain_job(m, job_cancel(m->stack));
}

static int commit_speed(struct message *m)
{
	return explain_job(m, job_set_speed(m->stack, m->words.number));
}

/* --- layers --- */

/* Of a layer in the chain; metadata_lock held. */
static int find_layer(const struct message *m, struct cowstack_layer **found)
{
	struct cowstack_layer *layer = m->stack->volume->top;

	while (layer && from_layer_id(layer->id) != m->words.layer)
		layer = layer->parent;
	*found = layer;
	return layer ? 0 :
		       message_refuse(m, -ENOENT, "layer %s: no such layer",
				      m->argv[1]);
}

typedef int (*prepare_layer_fn)(struct cowstack_change *c, struct message *m,
				struct cowstack_layer *layer);

/* Why @layer cannot be changed as the verb says; returns @error. */
static int refuse_layer(const struct message *m, int error,
			const struct cowstack_layer *layer)
{
	if (layer == m->stack->volume->top)
		return message_refuse(m, error, "layer %s is the top",
				      m->argv[1]);
	if (error == -EBUSY)
		return message_refuse(m, error,
				      "layer %s holds what is nowhere else, is pinned, or belongs to another volume too",
				      m->argv[1]);
	return message_explain(m, error);
}

/* Changes the layer that was named, in a step. */
static int change_layer(struct message *m, prepare_layer_fn prepare)
{
	struct store *store = m->store;
	struct store_change change = { };
	struct cowstack_layer *layer = NULL;
	bool refused = false;
	int error;

	mutex_lock(&m->stack->chain_mutex);
	mutex_lock(&store->metadata_lock);
	error = find_layer(m, &layer);
	if (!error)
		error = prepare(&change.change, m, layer);
	else
		refused = true;
	mutex_unlock(&store->metadata_lock);
	if (!error)
		error = message_carry_out(m, &change, 0);
	mutex_unlock(&m->stack->chain_mutex);
	if (!error || refused)
		return error;
	return refuse_layer(m, error, layer);
}

/*
 * A job that stopped goes on with the same range; one that was cancelled may still
 * be at work on its layers.
 */
static int check_no_job(const struct message *m)
{
	return job_is_at_work(m->store, m->stack->volume) ?
		message_refuse(m, -EBUSY, "there is a job") : 0;
}

static int prepare_drop(struct cowstack_change *c, struct message *m,
			struct cowstack_layer *layer)
{
	return cowstack_change_remove_layers(c, &m->store->metadata,
					     m->stack->volume, layer, layer,
					     NULL, NULL);
}

static int drop(struct message *m)
{
	int error = check_no_job(m);

	return error ? error : change_layer(m, prepare_drop);
}

static int prepare_empty(struct cowstack_change *c, struct message *m,
			 struct cowstack_layer *layer)
{
	return cowstack_change_empty_layer(c, &m->store->metadata,
					   m->stack->volume, layer);
}

static int make_empty(struct message *m)
{
	int error = check_no_job(m);

	/* The volume's hot set: nothing is kept there yet. */
	if (!error && !m->words.layer)
		return 0;
	if (!error)
		error = change_layer(m, prepare_empty);
	reclaim_kick(m->store);
	return error;
}

static int prepare_pin(struct cowstack_change *c, struct message *m,
		       struct cowstack_layer *layer)
{
	if (job_covers(m->store, m->stack->volume, layer) ||
	    !cowstack_layer_is_whole(m->stack->volume, layer))
		return -EBUSY;
	return cowstack_change_pin(c, &m->store->metadata, layer, true);
}

static int prepare_unpin(struct cowstack_change *c, struct message *m,
			 struct cowstack_layer *layer)
{
	return cowstack_change_pin(c, &m->store->metadata, layer, false);
}

static int pin(struct message *m)
{
	return change_layer(m, prepare_pin);
}

static int unpin(struct message *m)
{
	return change_layer(m, prepare_unpin);
}

/* <id> <name|-> <parent> <used> <clean> <pinned|-> <top|frozen> */
int message_list_layers(struct message *m, const struct cowstack_volume *volume)
{
	const struct cowstack_layer *layer;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;

	lockdep_assert_held(&m->store->metadata_lock);
	for (layer = volume->top; layer; layer = layer->parent)
		DMEMIT("%u %s %u %lld %lld %s %s\n", from_layer_id(layer->id),
		       or_dash(layer->name),
		       layer->parent ? from_layer_id(layer->parent->id) : 0,
		       atomic64_read(&layer->map.used),
		       atomic64_read(&layer->map.clean),
		       layer->flags & COWSTACK_LAYER_PINNED ? "pinned" : "-",
		       layer->flags & COWSTACK_LAYER_FROZEN ? "frozen" : "top");
	return 1;
}

static int list_layers(struct message *m)
{
	int result;

	mutex_lock(&m->store->metadata_lock);
	result = message_list_layers(m, m->stack->volume);
	mutex_unlock(&m->store->metadata_lock);
	return result;
}

enum { ERROR_LINES = 256 };

/* <sector> <sectors>: what the last job could not commit, from a sector on. */
static int list_errors(struct message *m)
{
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	struct job_held *held;
	size_t sz = 0;
	int i, n;

	held = kvcalloc(ERROR_LINES, sizeof(*held), GFP_KERNEL);
	if (!held)
		return message_explain(m, -ENOMEM);
	n = job_list_held(m->stack, m->words.number, held, ERROR_LINES);
	for (i = 0; i < n; i++)
		DMEMIT("%llu %llu\n", held[i].sector, held[i].sectors);
	kvfree(held);
	return n < 0 ? message_explain(m, n) : 1;
}

const message_handler stack_handlers[VERB_COUNT] = {
	[VERB_SNAPSHOT] = snapshot,
	[VERB_COMMIT_START] = start,
	[VERB_COMMIT_PLAN] = commit_plan,
	[VERB_COMMIT_PAUSE] = commit_pause,
	[VERB_COMMIT_RESUME] = commit_resume,
	[VERB_COMMIT_CANCEL] = commit_cancel,
	[VERB_COMMIT_SPEED] = commit_speed,
	[VERB_STREAM_START] = start,
	[VERB_DROP] = drop,
	[VERB_MAKE_EMPTY] = make_empty,
	[VERB_PIN] = pin,
	[VERB_UNPIN] = unpin,
	[VERB_LAYERS] = list_layers,
	[VERB_ERRORS] = list_errors,
};
