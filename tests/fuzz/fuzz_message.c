// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: an S in front says that it is to a store.  What one says, said again in
 * other words, is the same.
 */
#include "fuzz.h"
#include "format.h"
#include "message_words.h"
#include "words.h"

typedef int (*parse_fn)(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal);

/* How each verb is written, and what follows: v, s(ource), l, n(umber), name N, o. */
static const struct {
	const char *words;
	const char *arguments;
} verbs[VERB_COUNT] = {
	[VERB_CREATE_VOLUME] = { "create_volume", "vnN" },
	[VERB_CLONE_VOLUME] = { "clone_volume", "vslN" },
	[VERB_RESIZE_VOLUME] = { "resize_volume", "vn" },
	[VERB_DELETE_VOLUME] = { "delete_volume", "v" },
	[VERB_GROW] = { "grow", "" },
	[VERB_VOLUMES] = { "volumes", "" },
	[VERB_VOLUME] = { "volume", "v" },
	[VERB_VOLUME_LAYERS] = { "layers", "v" },
	[VERB_MAP] = { "map", "vln" },
	[VERB_SNAPSHOT] = { "snapshot", "N" },
	[VERB_COMMIT_START] = { "commit start", "o" },
	[VERB_COMMIT_PLAN] = { "commit plan", "o" },
	[VERB_COMMIT_PAUSE] = { "commit pause", "" },
	[VERB_COMMIT_RESUME] = { "commit resume", "" },
	[VERB_COMMIT_CANCEL] = { "commit cancel", "" },
	[VERB_COMMIT_SPEED] = { "commit speed", "n" },
	[VERB_STREAM_START] = { "stream start", "o" },
	[VERB_DROP] = { "drop", "l" },
	[VERB_MAKE_EMPTY] = { "make_empty", "l" },
	[VERB_PIN] = { "pin", "l" },
	[VERB_UNPIN] = { "unpin", "l" },
	[VERB_LAYERS] = { "layers", "" },
	[VERB_ERRORS] = { "errors", "n" },
};

static char *append_number(char *at, const char *word, u64 number)
{
	return at + sprintf(at, " %s%s%llu", word, word[0] ? " " : "",
			    (unsigned long long)number);
}

static char *append_options(char *at, const struct job_options *o)
{
	static const char * const on_error[] = { "stop", "report", "ignore" };

	if (o->on_error >= ARRAY_SIZE(on_error))
		fuzz_fail("on_error is none");
	if (o->given & JOB_OPTION_UNTIL)
		at = append_number(at, "until", o->until);
	if (o->given & JOB_OPTION_VERIFY)
		at = append_number(at, "verify", o->verify);
	if (o->given & JOB_OPTION_RETAIN)
		at = append_number(at, "retain", o->retain);
	if (o->given & JOB_OPTION_ON_ERROR)
		at += sprintf(at, " on_error %s", on_error[o->on_error]);
	if (o->given & JOB_OPTION_YIELD)
		at = append_number(at, "yield", o->yield);
	if (o->given & JOB_OPTION_SPEED)
		at = append_number(at, "speed", o->speed);
	if (o->given & JOB_OPTION_BASE && o->with_base)
		at += sprintf(at, " base none");
	else if (o->given & JOB_OPTION_BASE)
		at = append_number(at, "base", o->base);
	if (o->given & JOB_OPTION_TOP)
		at = append_number(at, "top", o->top);
	return at;
}

/* Numbers in full, so that letters and leading zeroes have to mean the same. */
static void print(const struct message_words *w, char *at)
{
	const char *a;

	at += sprintf(at, "%s", verbs[w->verb].words);
	for (a = verbs[w->verb].arguments; *a; a++) {
		if (*a == 'v')
			at = append_number(at, "", from_volume_id(w->volume));
		else if (*a == 's')
			at = append_number(at, "", from_volume_id(w->source));
		else if (*a == 'l')
			at = append_number(at, "", w->layer);
		else if (*a == 'n')
			at = append_number(at, "", w->number);
		else if (*a == 'o')
			at = append_options(at, &w->options);
		else if (w->name)
			at += sprintf(at, " %s", w->name);
	}
}

static void check_range(const struct message_words *w)
{
	if (w->verb >= VERB_COUNT || !verbs[w->verb].words)
		fuzz_fail("a verb that is none");
	if ((from_volume_id(w->volume) | from_volume_id(w->source)) >>
	    COWSTACK_VOLUME_ID_BITS)
		fuzz_fail("volume id is too large");
	if (w->name && !cowstack_name_is_valid(w->name))
		fuzz_fail("a name that is none");
	if ((w->verb == VERB_CREATE_VOLUME || w->verb == VERB_RESIZE_VOLUME) &&
	    (!w->number || w->number > COWSTACK_MAX_VOLUME_SECTORS))
		fuzz_fail("a size that cannot be");
}

static bool is_same(struct message_words a, struct message_words b)
{
	bool names = !a.name == !b.name && (!a.name || !strcmp(a.name, b.name));

	a.name = NULL;
	b.name = NULL;
	return names && !memcmp(&a, &b, sizeof(a));
}

static void check_said_again(parse_fn parse, const struct message_words *w)
{
	struct message_words again;
	struct refusal refusal;
	char text[MAX_TEXT];
	struct words words;

	print(w, text);
	words_split(&words, text, strlen(text));
	if (parse(words.argc, words.argv, &again, &refusal))
		fuzz_fail("what a message says is refused");
	if (!is_same(*w, again))
		fuzz_fail("the same says something else");
	words_free(&words);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct refusal refusal = { };
	struct message_words w;
	struct words words;
	parse_fn parse;
	int error;

	if (!size)
		return 0;
	parse = data[0] == 'S' ? store_message_parse : stack_message_parse;
	words_split(&words, data + 1, size - 1);
	error = parse(words.argc, words.argv, &w, &refusal);
	if (error) {
		if (error != -EINVAL && error != -EOPNOTSUPP)
			fuzz_fail("odd error");
		if (!refusal.text[0])
			fuzz_fail("refused without a text");
	} else {
		check_range(&w);
		check_said_again(parse, &w);
	}
	words_free(&words);
	return 0;
}
