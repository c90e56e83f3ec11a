// SPDX-License-Identifier: GPL-2.0
/* What a stack is told. */
#include "arguments.h"
#include "job.h"
#include "job_range.h"
#include "message.h"

static int snapshot(struct message *m)
{
	const char *name = m->argc > 1 ? m->argv[1] : NULL;

	if (name && !cowstack_name_is_valid(name))
		return message_refuse(m, -EINVAL, "bad name %s", name);
	return message_explain(m, stack_snapshot(m->stack, name, NULL, NULL));
}

/* --- commit --- */

static int parse_flag(const char *word, bool *flag)
{
	u64 n;

	if (parse_number(word, &n) || n > 1)
		return -EINVAL;
	*flag = n;
	return 0;
}

static int parse_layer_id(const char *word, u32 *id)
{
	u64 n;

	if (parse_number(word, &n) || n > U32_MAX)
		return -EINVAL;
	*id = n;
	return 0;
}

static int parse_on_error(const char *word, u8 *on_error)
{
	static const char * const words[] = {
		[COWSTACK_ON_ERROR_STOP] = "stop",
		[COWSTACK_ON_ERROR_REPORT] = "report",
		[COWSTACK_ON_ERROR_IGNORE] = "ignore",
	};
	int n = match_string(words, ARRAY_SIZE(words), word);

	if (n < 0)
		return -EINVAL;
	*on_error = n;
	return 0;
}

static const char * const option_words[] = {
	"top", "base", "speed", "yield", "on_error", "retain", "verify",
	"until",
};

/* One word of "commit start", which is option_words[@n], and its value. */
static int parse_option(unsigned int n, const char *value,
			struct job_options *options)
{
	options->given |= 1u << n;
	switch (1u << n) {
	case JOB_OPTION_TOP:
		return parse_layer_id(value, &options->top);
	case JOB_OPTION_BASE:
		options->with_base = options->stream && !strcmp(value, "none");
		return options->with_base ? 0 :
			       parse_layer_id(value, &options->base);
	case JOB_OPTION_SPEED:
		return parse_scaled(value, 1, &options->speed);
	case JOB_OPTION_YIELD:
		return parse_flag(value, &options->yield);
	case JOB_OPTION_ON_ERROR:
		return parse_on_error(value, &options->on_error);
	case JOB_OPTION_RETAIN:
		return parse_flag(value, &options->retain);
	case JOB_OPTION_VERIFY:
		return parse_flag(value, &options->verify);
	default:
		return parse_number(value, &options->until);
	}
}

/* The words from argv[2] on; those of @allowed (JOB_OPTION_*) are taken. */
static int parse_options(const struct message *m, u32 allowed,
			 struct job_options *options)
{
	unsigned int i;

	for (i = 2; i < m->argc; i += 2) {
		const char *word = m->argv[i];
		int n = match_string(option_words, ARRAY_SIZE(option_words),
				     word);

		if (!strcmp(word, "undo"))
			return message_refuse(m, -EOPNOTSUPP,
					      "%s: not built yet", word);
		if (n < 0 || !(allowed & 1u << n))
			return message_refuse(m, -EINVAL, "unknown word %s",
					      word);
		if (options->given & 1u << n)
			return message_refuse(m, -EINVAL, "%s: said twice",
					      word);
		if (i + 1 == m->argc)
			return message_refuse(m, -EINVAL,
					      "%s: its value is missing", word);
		if (parse_option(n, m->argv[i + 1], options))
			return message_refuse(m, -EINVAL, "%s: bad value %s",
					      word, m->argv[i + 1]);
	}
	return 0;
}

static int commit_start(struct message *m)
{
	struct job_options options = { };
	int error = parse_options(m, U32_MAX, &options);

	if (error)
		return error;
	error = job_start(m->stack, &options);
	return options.refused ? error : message_explain(m, error);
}

static int stream(struct message *m)
{
	struct job_options options = { .stream = true };
	int error;

	if (strcmp(m->argv[1], "start"))
		return message_refuse(m, -EINVAL, "unknown word");
	error = parse_options(m, JOB_OPTION_TOP | JOB_OPTION_BASE |
			      JOB_OPTION_SPEED | JOB_OPTION_YIELD |
			      JOB_OPTION_ON_ERROR, &options);
	if (error)
		return error;
	error = job_start(m->stack, &options);
	return options.refused ? error : message_explain(m, error);
}

/* <top> <base> <chunks> <data bytes> <zero bytes> <requests> <chunks freed> */
static int commit_plan(struct message *m)
{
	struct job_options options = { };
	struct job_estimate e;
	struct cowstack_job range;
	char *result = m->result;
	unsigned int maxlen = m->maxlen;
	size_t sz = 0;
	int error = parse_options(m, JOB_OPTION_TOP | JOB_OPTION_BASE,
				  &options);

	if (error)
		return error;
	error = job_plan(m->stack, &options, &range, &e);
	if (error)
		return options.refused ? error : message_explain(m, error);
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
	u64 speed;

	if (parse_scaled(m->argv[2], 1, &speed))
		return message_refuse(m, -EINVAL, "bad rate %s", m->argv[2]);
	return explain_job(m, job_set_speed(m->stack, speed));
}

/* Behind "commit": words are those that follow. */
static const struct verb commit_verbs[] = {
	{ "start", 0, UINT_MAX, commit_start },
	{ "plan", 0, 4, commit_plan },
	{ "pause", 0, 0, commit_pause },
	{ "resume", 0, 0, commit_resume },
	{ "cancel", 0, 0, commit_cancel },
	{ "speed", 1, 1, commit_speed },
};

static int commit(struct message *m)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commit_verbs); i++) {
		const struct verb *v = &commit_verbs[i];

		if (strcmp(v->name, m->argv[1]))
			continue;
		if (m->argc - 2 < v->least || m->argc - 2 > v->most)
			return message_refuse(m, -EINVAL,
					      "wrong number of words");
		return v->handle(m);
	}
	return message_refuse(m, -EINVAL, "unknown word");
}

/* --- layers --- */

/* Of a layer in the chain; metadata_lock held. */
static int find_layer(const struct message *m, const char *word,
		      struct cowstack_layer **found)
{
	struct cowstack_layer *layer = m->stack->volume->top;
	u32 id;
	int error = message_parse_layer(m, word, &id);

	if (error)
		return error;
	while (layer && from_layer_id(layer->id) != id)
		layer = layer->parent;
	*found = layer;
	return layer ? 0 :
		       message_refuse(m, -ENOENT, "layer %s: no such layer",
				      word);
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

/* Changes the layer that argv[1] names, in a step. */
static int change_layer(struct message *m, prepare_layer_fn prepare)
{
	struct store *store = m->store;
	struct store_change change = { };
	struct cowstack_layer *layer = NULL;
	bool refused = false;
	int error;

	mutex_lock(&m->stack->chain_mutex);
	mutex_lock(&store->metadata_lock);
	error = find_layer(m, m->argv[1], &layer);
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
	if (!error && !strcmp(m->argv[1], "0"))
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
	u64 from = 0;
	int i, n;

	if (m->argc > 1 && parse_number(m->argv[1], &from))
		return message_refuse(m, -EINVAL, "bad sector %s", m->argv[1]);
	held = kvcalloc(ERROR_LINES, sizeof(*held), GFP_KERNEL);
	if (!held)
		return message_explain(m, -ENOMEM);
	n = job_list_held(m->stack, from, held, ERROR_LINES);
	for (i = 0; i < n; i++)
		DMEMIT("%llu %llu\n", held[i].sector, held[i].sectors);
	kvfree(held);
	return n < 0 ? message_explain(m, n) : 1;
}

const struct verb stack_verbs[] = {
	{ "snapshot", 0, 1, snapshot },
	{ "commit", 1, UINT_MAX, commit },
	{ "drop", 1, 1, drop },
	{ "make_empty", 1, 1, make_empty },
	{ "pin", 1, 1, pin },
	{ "unpin", 1, 1, unpin },
	{ "layers", 0, 0, list_layers },
	{ "errors", 0, 1, list_errors },
	{ "stream", 1, UINT_MAX, stream },
};

const unsigned int stack_verb_count = ARRAY_SIZE(stack_verbs);
