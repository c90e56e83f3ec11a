// SPDX-License-Identifier: GPL-2.0
#include "format.h"
#include "map_count.h"
#include "message_words.h"

struct parser {
	unsigned int argc;
	char **argv;
	struct message_words *words;
	struct refusal *refusal;
};

struct verb {
	const char *name;
	unsigned int least;		/* words behind the verb */
	unsigned int most;
	enum message_verb verb;
	bool question;
	int (*parse)(struct parser *p);	/* NULL: no word means anything */
};

/* --- single words --- */

static int take_volume(struct parser *p, unsigned int i, volume_id_t *id)
{
	return parse_volume_id(p->argv[i], id) ?
		       refusal_set(p->refusal, -EINVAL, "bad volume id %s",
				   p->argv[i]) : 0;
}

static int take_layer(struct parser *p, unsigned int i)
{
	return parse_layer_id(p->argv[i], &p->words->layer) ?
		       refusal_set(p->refusal, -EINVAL, "bad layer %s",
				   p->argv[i]) : 0;
}

static int take_sectors(struct parser *p, unsigned int i)
{
	u64 *sectors = &p->words->number;

	if (parse_scaled(p->argv[i], 1 << COWSTACK_SECTOR_SHIFT, sectors) ||
	    !*sectors || *sectors > COWSTACK_MAX_VOLUME_SECTORS)
		return refusal_set(p->refusal, -EINVAL, "bad size %s",
				   p->argv[i]);
	return 0;
}

/* The last word may be missing. */
static int take_name(struct parser *p, unsigned int i)
{
	if (i >= p->argc)
		return 0;
	if (!cowstack_name_is_valid(p->argv[i]))
		return refusal_set(p->refusal, -EINVAL, "bad name %s",
				   p->argv[i]);
	p->words->name = p->argv[i];
	return 0;
}

/* --- words of a verb --- */

static int parse_create(struct parser *p)
{
	int error = take_volume(p, 1, &p->words->volume);

	if (!error)
		error = take_sectors(p, 2);
	return error ? error : take_name(p, 3);
}

static int parse_clone(struct parser *p)
{
	int error = take_volume(p, 1, &p->words->volume);

	if (!error)
		error = take_volume(p, 2, &p->words->source);
	if (!error)
		error = take_layer(p, 3);
	return error ? error : take_name(p, 4);
}

static int parse_resize(struct parser *p)
{
	int error = take_volume(p, 1, &p->words->volume);

	return error ? error : take_sectors(p, 2);
}

static int parse_volume(struct parser *p)
{
	return take_volume(p, 1, &p->words->volume);
}

/* <volume id> <layer> <parts> */
static int parse_map(struct parser *p)
{
	u64 *parts = &p->words->number;
	int error = take_volume(p, 1, &p->words->volume);

	if (!error)
		error = take_layer(p, 2);
	if (error)
		return error;
	if (parse_number(p->argv[3], parts) || !*parts ||
	    *parts > COWSTACK_MAP_PARTS)
		return refusal_set(p->refusal, -EINVAL, "bad number of parts %s",
				   p->argv[3]);
	return 0;
}

static int parse_snapshot(struct parser *p)
{
	return take_name(p, 1);
}

static int parse_layer(struct parser *p)
{
	return take_layer(p, 1);
}

static int parse_errors(struct parser *p)
{
	if (p->argc > 1 && parse_number(p->argv[1], &p->words->number))
		return refusal_set(p->refusal, -EINVAL, "bad sector %s",
				   p->argv[1]);
	return 0;
}

/* --- jobs --- */

static const char * const option_words[] = {
	"top", "base", "speed", "yield", "on_error", "retain", "verify",
	"until",
};

static int parse_on_error(const char *word, u8 *on_error)
{
	static const char * const words[] = {
		[COWSTACK_ON_ERROR_STOP] = "stop",
		[COWSTACK_ON_ERROR_REPORT] = "report",
		[COWSTACK_ON_ERROR_IGNORE] = "ignore",
	};
	int n = parse_word(words, ARRAY_SIZE(words), word);

	if (n < 0)
		return n;
	*on_error = n;
	return 0;
}

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

/* The words from the third on; those of @allowed (JOB_OPTION_*) are taken. */
static int parse_options(struct parser *p, u32 allowed)
{
	struct job_options *options = &p->words->options;
	unsigned int i;

	for (i = 2; i < p->argc; i += 2) {
		const char *word = p->argv[i];
		int n = parse_word(option_words, ARRAY_SIZE(option_words),
				   word);

		if (!strcmp(word, "undo"))
			return refusal_set(p->refusal, -EOPNOTSUPP,
					   "%s: not built yet", word);
		if (n < 0 || !(allowed & 1u << n))
			return refusal_set(p->refusal, -EINVAL,
					   "unknown word %s", word);
		if (options->given & 1u << n)
			return refusal_set(p->refusal, -EINVAL,
					   "%s: said twice", word);
		if (i + 1 == p->argc)
			return refusal_set(p->refusal, -EINVAL,
					   "%s: its value is missing", word);
		if (parse_option(n, p->argv[i + 1], options))
			return refusal_set(p->refusal, -EINVAL,
					   "%s: bad value %s", word,
					   p->argv[i + 1]);
	}
	return 0;
}

static int parse_commit_start(struct parser *p)
{
	return parse_options(p, U32_MAX);
}

static int parse_commit_plan(struct parser *p)
{
	return parse_options(p, JOB_OPTION_TOP | JOB_OPTION_BASE);
}

static int parse_commit_speed(struct parser *p)
{
	if (parse_scaled(p->argv[2], 1, &p->words->number))
		return refusal_set(p->refusal, -EINVAL, "bad rate %s",
				   p->argv[2]);
	return 0;
}

static int parse_stream_start(struct parser *p)
{
	p->words->options.stream = true;
	return parse_options(p, JOB_OPTION_TOP | JOB_OPTION_BASE |
			     JOB_OPTION_SPEED | JOB_OPTION_YIELD |
			     JOB_OPTION_ON_ERROR);
}

/* --- verbs --- */

/* The verb is word @at; those of its table are taken. */
static int parse_verb(struct parser *p, unsigned int at,
		      const struct verb *verbs, unsigned int count,
		      const char *unknown)
{
	unsigned int words = p->argc - at - 1;
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, p->argv[at]))
			continue;
		if (words < v->least || words > v->most)
			return refusal_set(p->refusal, -EINVAL,
					   "wrong number of words");
		p->words->verb = v->verb;
		p->words->question = v->question;
		return v->parse ? v->parse(p) : 0;
	}
	return refusal_set(p->refusal, -EINVAL, "%s", unknown);
}

static const struct verb commit_verbs[] = {
	{ "start", 0, UINT_MAX, .verb = VERB_COMMIT_START,
	  .parse = parse_commit_start },
	{ "plan", 0, 4, .verb = VERB_COMMIT_PLAN, .question = true,
	  .parse = parse_commit_plan },
	{ "pause", 0, 0, .verb = VERB_COMMIT_PAUSE },
	{ "resume", 0, 0, .verb = VERB_COMMIT_RESUME },
	{ "cancel", 0, 0, .verb = VERB_COMMIT_CANCEL },
	{ "speed", 1, 1, .verb = VERB_COMMIT_SPEED, .parse = parse_commit_speed },
};

static int parse_commit(struct parser *p)
{
	return parse_verb(p, 1, commit_verbs, ARRAY_SIZE(commit_verbs),
			  "unknown word");
}

static const struct verb stream_verbs[] = {
	{ "start", 0, UINT_MAX, .verb = VERB_STREAM_START,
	  .parse = parse_stream_start },
};

static int parse_stream(struct parser *p)
{
	return parse_verb(p, 1, stream_verbs, ARRAY_SIZE(stream_verbs),
			  "unknown word");
}

static const struct verb store_verbs[] = {
	{ "create_volume", 2, 3, .verb = VERB_CREATE_VOLUME, .parse = parse_create },
	{ "clone_volume", 3, 4, .verb = VERB_CLONE_VOLUME, .parse = parse_clone },
	{ "resize_volume", 2, 2, .verb = VERB_RESIZE_VOLUME, .parse = parse_resize },
	{ "delete_volume", 1, 1, .verb = VERB_DELETE_VOLUME, .parse = parse_volume },
	{ "grow", 0, 0, .verb = VERB_GROW },
	{ "volumes", 0, 0, .verb = VERB_VOLUMES, .question = true },
	{ "volume", 1, 1, .verb = VERB_VOLUME, .question = true,
	  .parse = parse_volume },
	{ "layers", 1, 1, .verb = VERB_VOLUME_LAYERS, .question = true,
	  .parse = parse_volume },
	{ "map", 3, 3, .verb = VERB_MAP, .question = true, .parse = parse_map },
};

/* The words of commit and stream behind the second have verbs of their own. */
static const struct verb stack_verbs[] = {
	{ "snapshot", 0, 1, .verb = VERB_SNAPSHOT, .parse = parse_snapshot },
	{ "commit", 1, UINT_MAX, .parse = parse_commit },
	{ "stream", 1, UINT_MAX, .parse = parse_stream },
	{ "drop", 1, 1, .verb = VERB_DROP, .parse = parse_layer },
	{ "make_empty", 1, 1, .verb = VERB_MAKE_EMPTY, .parse = parse_layer },
	{ "pin", 1, 1, .verb = VERB_PIN, .parse = parse_layer },
	{ "unpin", 1, 1, .verb = VERB_UNPIN, .parse = parse_layer },
	{ "layers", 0, 0, .verb = VERB_LAYERS, .question = true },
	{ "errors", 0, 1, .verb = VERB_ERRORS, .question = true,
	  .parse = parse_errors },
};

static int parse_message(unsigned int argc, char **argv,
			 const struct verb *verbs, unsigned int count,
			 struct message_words *words, struct refusal *refusal)
{
	struct parser p = { argc, argv, words, refusal };

	memset(words, 0, sizeof(*words));
	if (!argc)
		return refusal_set(refusal, -EINVAL, "no words");
	return parse_verb(&p, 0, verbs, count, "unknown message");
}

int store_message_parse(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal)
{
	return parse_message(argc, argv, store_verbs, ARRAY_SIZE(store_verbs),
			     words, refusal);
}

int stack_message_parse(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal)
{
	return parse_message(argc, argv, stack_verbs, ARRAY_SIZE(stack_verbs),
			     words, refusal);
}
