// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: every verb with the words that it takes, as few and as many as it may
 * have, and what each says; and what is refused, with which text.
 */
#include "format.h"
#include "message_words.h"
#include "said.h"

#include "harness.h"

typedef int (*parse_fn)(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal);

static struct message_words words;
static struct refusal refusal;
static struct said said;

static int parse(parse_fn fn, const char *line)
{
	say(&said, line);
	refusal.text[0] = '\0';
	memset(&words, 0xff, sizeof(words));
	return fn(said.argc, said.argv, &words, &refusal);
}

static bool options_are(const struct job_options *a, const struct job_options *b)
{
	return a->stream == b->stream && a->given == b->given &&
	       a->top == b->top && a->base == b->base &&
	       a->with_base == b->with_base && a->speed == b->speed &&
	       a->until == b->until && a->on_error == b->on_error &&
	       a->yield == b->yield && a->retain == b->retain &&
	       a->verify == b->verify && a->refused == b->refused;
}

/* What a verb has no use for is zero. */
static bool words_are(const struct message_words *a, const struct message_words *b)
{
	return a->verb == b->verb && a->question == b->question &&
	       a->volume == b->volume && a->source == b->source &&
	       a->layer == b->layer && a->number == b->number &&
	       !a->name == !b->name && (!a->name || !strcmp(a->name, b->name)) &&
	       options_are(&a->options, &b->options);
}

#define NAME_63 "abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ_012345678"

struct taken {
	const char *line;
	struct message_words words;
};

#define TAKEN(line, ...) { line, { __VA_ARGS__ } }
#define ID(n) ((__force volume_id_t)(n))

static const struct taken to_stores[] = {
	TAKEN("create_volume 0 1", .verb = VERB_CREATE_VOLUME, .number = 1),
	TAKEN("create_volume 16777215 4503599627370496 vm-1.a_b+C",
	      .verb = VERB_CREATE_VOLUME, .volume = ID(16777215),
	      .number = COWSTACK_MAX_VOLUME_SECTORS, .name = "vm-1.a_b+C"),
	TAKEN("create_volume 7 1K x", .verb = VERB_CREATE_VOLUME, .volume = ID(7),
	      .number = 2, .name = "x"),
	TAKEN("create_volume 7 2097152T", .verb = VERB_CREATE_VOLUME,
	      .volume = ID(7), .number = COWSTACK_MAX_VOLUME_SECTORS),
	TAKEN("create_volume 7 3G " NAME_63, .verb = VERB_CREATE_VOLUME,
	      .volume = ID(7), .number = 3 << 21, .name = NAME_63),
	TAKEN("clone_volume 2 1 4294967295", .verb = VERB_CLONE_VOLUME,
	      .volume = ID(2), .source = ID(1), .layer = U32_MAX),
	TAKEN("clone_volume 2 16777215 0 copy", .verb = VERB_CLONE_VOLUME,
	      .volume = ID(2), .source = ID(16777215), .name = "copy"),
	TAKEN("resize_volume 3 1", .verb = VERB_RESIZE_VOLUME, .volume = ID(3),
	      .number = 1),
	TAKEN("resize_volume 3 1T", .verb = VERB_RESIZE_VOLUME, .volume = ID(3),
	      .number = 1ULL << 31),
	TAKEN("delete_volume 3", .verb = VERB_DELETE_VOLUME, .volume = ID(3)),
	TAKEN("grow", .verb = VERB_GROW),
	TAKEN("volumes", .verb = VERB_VOLUMES, .question = true),
	TAKEN("volume 16777215", .verb = VERB_VOLUME, .question = true,
	      .volume = ID(16777215)),
	TAKEN("layers 4", .verb = VERB_VOLUME_LAYERS, .question = true,
	      .volume = ID(4)),
	TAKEN("map 4 9 1", .verb = VERB_MAP, .question = true, .volume = ID(4),
	      .layer = 9, .number = 1),
	TAKEN("map 4 0 512", .verb = VERB_MAP, .question = true, .volume = ID(4),
	      .number = 512),
};

#define GIVEN(given_, ...) .options = { .given = given_, ##__VA_ARGS__ }
#define STREAM(given_, ...) .verb = VERB_STREAM_START, \
	.options = { .stream = true, .given = given_, ##__VA_ARGS__ }

static const struct taken to_stacks[] = {
	TAKEN("snapshot", .verb = VERB_SNAPSHOT),
	TAKEN("snapshot monday", .verb = VERB_SNAPSHOT, .name = "monday"),
	TAKEN("snapshot " NAME_63, .verb = VERB_SNAPSHOT, .name = NAME_63),
	TAKEN("commit start", .verb = VERB_COMMIT_START),
	TAKEN("commit start top 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_TOP)),
	TAKEN("commit start top 4294967295", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_TOP, .top = U32_MAX)),
	TAKEN("commit start base 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_BASE)),
	TAKEN("commit start base 4294967295", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_BASE, .base = U32_MAX)),
	TAKEN("commit start speed 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_SPEED)),
	TAKEN("commit start speed 18446744073709551615", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_SPEED, .speed = U64_MAX)),
	TAKEN("commit start speed 10M", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_SPEED, .speed = 10 << 20)),
	TAKEN("commit start yield 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_YIELD)),
	TAKEN("commit start yield 1", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_YIELD, .yield = true)),
	TAKEN("commit start on_error stop", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_ON_ERROR, .on_error = COWSTACK_ON_ERROR_STOP)),
	TAKEN("commit start on_error report", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_ON_ERROR, .on_error = COWSTACK_ON_ERROR_REPORT)),
	TAKEN("commit start on_error ignore", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_ON_ERROR, .on_error = COWSTACK_ON_ERROR_IGNORE)),
	TAKEN("commit start retain 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_RETAIN)),
	TAKEN("commit start retain 1", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_RETAIN, .retain = true)),
	TAKEN("commit start verify 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_VERIFY)),
	TAKEN("commit start verify 1", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_VERIFY, .verify = true)),
	TAKEN("commit start until 0", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_UNTIL)),
	TAKEN("commit start until 18446744073709551615", .verb = VERB_COMMIT_START,
	      GIVEN(JOB_OPTION_UNTIL, .until = U64_MAX)),
	/* In any order. */
	TAKEN("commit start until 9 verify 1 retain 1 on_error ignore yield 1 speed 1 base 4 top 7",
	      .verb = VERB_COMMIT_START,
	      GIVEN(255, .top = 7, .base = 4, .speed = 1, .until = 9,
		    .on_error = COWSTACK_ON_ERROR_IGNORE, .yield = true,
		    .retain = true, .verify = true)),
	TAKEN("commit plan", .verb = VERB_COMMIT_PLAN, .question = true),
	TAKEN("commit plan base 4 top 7", .verb = VERB_COMMIT_PLAN,
	      .question = true,
	      GIVEN(JOB_OPTION_TOP | JOB_OPTION_BASE, .top = 7, .base = 4)),
	TAKEN("commit pause", .verb = VERB_COMMIT_PAUSE),
	TAKEN("commit resume", .verb = VERB_COMMIT_RESUME),
	TAKEN("commit cancel", .verb = VERB_COMMIT_CANCEL),
	TAKEN("commit speed 0", .verb = VERB_COMMIT_SPEED),
	TAKEN("commit speed 2G", .verb = VERB_COMMIT_SPEED, .number = 2ULL << 30),
	TAKEN("stream start", STREAM(0)),
	TAKEN("stream start base none", STREAM(JOB_OPTION_BASE, .with_base = true)),
	TAKEN("stream start base 0", STREAM(JOB_OPTION_BASE)),
	TAKEN("stream start top 7 base 4 speed 3 yield 0 on_error report",
	      STREAM(JOB_OPTION_TOP | JOB_OPTION_BASE | JOB_OPTION_SPEED |
			     JOB_OPTION_YIELD | JOB_OPTION_ON_ERROR,
		     .top = 7, .base = 4, .speed = 3,
		     .on_error = COWSTACK_ON_ERROR_REPORT)),
	TAKEN("drop 4", .verb = VERB_DROP, .layer = 4),
	TAKEN("drop 4294967295", .verb = VERB_DROP, .layer = U32_MAX),
	TAKEN("make_empty 0", .verb = VERB_MAKE_EMPTY),
	TAKEN("make_empty 9", .verb = VERB_MAKE_EMPTY, .layer = 9),
	TAKEN("pin 4", .verb = VERB_PIN, .layer = 4),
	TAKEN("unpin 4", .verb = VERB_UNPIN, .layer = 4),
	TAKEN("layers", .verb = VERB_LAYERS, .question = true),
	TAKEN("errors", .verb = VERB_ERRORS, .question = true),
	TAKEN("errors 18446744073709551615", .verb = VERB_ERRORS,
	      .question = true, .number = U64_MAX),
};

static bool all_are_taken(parse_fn fn, const struct taken *list, u32 count)
{
	u32 i, wrong = 0;

	for (i = 0; i < count; i++) {
		int error = parse(fn, list[i].line);

		if (!error && words_are(&list[i].words, &words))
			continue;
		printf("# %s: %s\n", list[i].line,
		       error ? refusal.text : "it says something else");
		wrong++;
	}
	fflush(stdout);
	return !wrong;
}

TEST(messages_to_stores)
{
	EXPECT_TRUE(all_are_taken(store_message_parse, to_stores,
				  ARRAY_SIZE(to_stores)));
}

TEST(messages_to_stacks)
{
	EXPECT_TRUE(all_are_taken(stack_message_parse, to_stacks,
				  ARRAY_SIZE(to_stacks)));
}

/* Every verb is said above. */
TEST(every_verb)
{
	bool said_once[VERB_COUNT] = { };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(to_stores); i++)
		said_once[to_stores[i].words.verb] = true;
	for (i = 0; i < ARRAY_SIZE(to_stacks); i++)
		said_once[to_stacks[i].words.verb] = true;
	for (i = 0; i < VERB_COUNT; i++)
		EXPECT_TRUE(said_once[i])
			TH_LOG("verb %u", i);
}

struct refused {
	const char *line;
	const char *text;
};

static const struct refused by_stores[] = {
	{ "", "no words" },
	{ "frobnicate", "unknown message" },
	{ "Grow", "unknown message" },
	{ "gro", "unknown message" },
	{ "grows", "unknown message" },
	{ "snapshot", "unknown message" },
	{ "commit start", "unknown message" },
	{ "create_volume 16777216 1", "bad volume id 16777216" },
	{ "create_volume -1 1", "bad volume id -1" },
	{ "create_volume vm 1", "bad volume id vm" },
	{ "create_volume 1K 1", "bad volume id 1K" },
	{ "create_volume 1 0", "bad size 0" },
	{ "create_volume 1 0T", "bad size 0T" },
	{ "create_volume 1 -8", "bad size -8" },
	{ "create_volume 1 8E", "bad size 8E" },
	{ "create_volume 1 4503599627370497", "bad size 4503599627370497" },
	{ "create_volume 1 2097153T", "bad size 2097153T" },
	{ "create_volume 1 16777216T", "bad size 16777216T" },
	{ "create_volume 1 8 -x", "bad name -x" },
	{ "create_volume 1 8 a/b", "bad name a/b" },
	{ "create_volume 1 8 a:b", "bad name a:b" },
	{ "create_volume 1 8 " NAME_63 "9", "bad name " NAME_63 "9" },
	{ "clone_volume 16777216 1 1", "bad volume id 16777216" },
	{ "clone_volume 1 16777216 1", "bad volume id 16777216" },
	{ "clone_volume 1 1 4294967296", "bad layer 4294967296" },
	{ "clone_volume 1 1 top", "bad layer top" },
	{ "clone_volume 1 1 1 .", NULL },
	{ "clone_volume 1 1 1 -", "bad name -" },
	{ "resize_volume x 1", "bad volume id x" },
	{ "resize_volume 1 0", "bad size 0" },
	{ "delete_volume x", "bad volume id x" },
	{ "volume x", "bad volume id x" },
	{ "layers x", "bad volume id x" },
	{ "map x 1 1", "bad volume id x" },
	{ "map 1 x 1", "bad layer x" },
	{ "map 1 1 0", "bad number of parts 0" },
	{ "map 1 1 513", "bad number of parts 513" },
	{ "map 1 1 1K", "bad number of parts 1K" },
};

static const struct refused by_stacks[] = {
	{ "", "no words" },
	{ "frobnicate", "unknown message" },
	{ "grow", "unknown message" },
	{ "create_volume 1 1", "unknown message" },
	{ "snapshot -x", "bad name -x" },
	{ "snapshot a,b", "bad name a,b" },
	{ "commit star", "unknown word" },
	{ "commit stop", "unknown word" },
	{ "commit Start", "unknown word" },
	{ "commit start to 7", "unknown word to" },
	{ "commit start 7", "unknown word 7" },
	{ "commit start tops 7", "unknown word tops" },
	{ "commit start top", "top: its value is missing" },
	{ "commit start top 7 base", "base: its value is missing" },
	{ "commit start top 7 top 7", "top: said twice" },
	{ "commit start verify 1 retain 1 verify", "verify: said twice" },
	{ "commit start top base 4", "top: bad value base" },
	{ "commit start top -1", "top: bad value -1" },
	{ "commit start top 4294967296", "top: bad value 4294967296" },
	{ "commit start base 4294967296", "base: bad value 4294967296" },
	/* Only a stream has that. */
	{ "commit start base none", "base: bad value none" },
	{ "commit start speed 1k", "speed: bad value 1k" },
	{ "commit start speed -1", "speed: bad value -1" },
	{ "commit start speed 16777216T", "speed: bad value 16777216T" },
	{ "commit start yield 2", "yield: bad value 2" },
	{ "commit start yield yes", "yield: bad value yes" },
	{ "commit start on_error go_on", "on_error: bad value go_on" },
	{ "commit start on_error 0", "on_error: bad value 0" },
	{ "commit start retain 2", "retain: bad value 2" },
	{ "commit start verify 2", "verify: bad value 2" },
	{ "commit start until 1M", "until: bad value 1M" },
	{ "commit start until tomorrow", "until: bad value tomorrow" },
	{ "commit plan speed 4", "unknown word speed" },
	{ "commit plan until 4", "unknown word until" },
	{ "commit plan base none", "base: bad value none" },
	{ "commit speed x", "bad rate x" },
	{ "commit speed 1E", "bad rate 1E" },
	{ "stream stop", "unknown word" },
	{ "stream start retain 1", "unknown word retain" },
	{ "stream start verify 1", "unknown word verify" },
	{ "stream start until 1", "unknown word until" },
	{ "stream start top none", "top: bad value none" },
	{ "stream start base nothing", "base: bad value nothing" },
	{ "drop x", "bad layer x" },
	{ "make_empty 4294967296", "bad layer 4294967296" },
	{ "pin -1", "bad layer -1" },
	{ "unpin top", "bad layer top" },
	{ "errors x", "bad sector x" },
	{ "errors 1K", "bad sector 1K" },
};

/* A line without a text is taken: it stands there for what is beside it. */
static bool all_are_refused(parse_fn fn, const struct refused *list, u32 count)
{
	u32 i, wrong = 0;

	for (i = 0; i < count; i++) {
		int error = parse(fn, list[i].line);
		int expected = list[i].text ? -EINVAL : 0;

		if (error == expected &&
		    (!error || !strcmp(list[i].text, refusal.text)))
			continue;
		printf("# %s: error %d, %s\n", list[i].line, error, refusal.text);
		wrong++;
	}
	fflush(stdout);
	return !wrong;
}

TEST(refused_by_stores)
{
	EXPECT_TRUE(all_are_refused(store_message_parse, by_stores,
				    ARRAY_SIZE(by_stores)));
}

TEST(refused_by_stacks)
{
	EXPECT_TRUE(all_are_refused(stack_message_parse, by_stacks,
				    ARRAY_SIZE(by_stacks)));
}

TEST(what_is_not_built)
{
	EXPECT_EQ(-EOPNOTSUPP, parse(stack_message_parse, "commit start undo 1"));
	EXPECT_STREQ("undo: not built yet", refusal.text);
	EXPECT_EQ(-EOPNOTSUPP, parse(stack_message_parse,
				     "commit start top 7 undo 1"));
}

/* How many words each verb takes behind itself. */
static const struct {
	parse_fn parse;
	const char *verb;
	u32 least;
	u32 most;
} counts[] = {
	{ store_message_parse, "create_volume", 2, 3 },
	{ store_message_parse, "clone_volume", 3, 4 },
	{ store_message_parse, "resize_volume", 2, 2 },
	{ store_message_parse, "delete_volume", 1, 1 },
	{ store_message_parse, "grow", 0, 0 },
	{ store_message_parse, "volumes", 0, 0 },
	{ store_message_parse, "volume", 1, 1 },
	{ store_message_parse, "layers", 1, 1 },
	{ store_message_parse, "map", 3, 3 },
	{ stack_message_parse, "snapshot", 0, 1 },
	{ stack_message_parse, "commit", 1, 60 },
	{ stack_message_parse, "commit start", 0, 60 },
	{ stack_message_parse, "commit plan", 0, 4 },
	{ stack_message_parse, "commit pause", 0, 0 },
	{ stack_message_parse, "commit resume", 0, 0 },
	{ stack_message_parse, "commit cancel", 0, 0 },
	{ stack_message_parse, "commit speed", 1, 1 },
	{ stack_message_parse, "stream", 1, 60 },
	{ stack_message_parse, "stream start", 0, 60 },
	{ stack_message_parse, "drop", 1, 1 },
	{ stack_message_parse, "make_empty", 1, 1 },
	{ stack_message_parse, "pin", 1, 1 },
	{ stack_message_parse, "unpin", 1, 1 },
	{ stack_message_parse, "layers", 0, 0 },
	{ stack_message_parse, "errors", 0, 1 },
};

TEST(numbers_of_words)
{
	char line[200];
	u32 i, n;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		strcpy(line, counts[i].verb);
		for (n = 0; n <= counts[i].most + 2 && n < 60; n++) {
			bool right = n >= counts[i].least && n <= counts[i].most;
			int error = parse(counts[i].parse, line);
			int other = strcmp(refusal.text, "wrong number of words");

			/* Right in number they may be wrong in what they say. */
			EXPECT_EQ(right, !error || other)
				TH_LOG("%s: %s", line, refusal.text);
			strcat(line, " 1");
		}
	}
}

/* A message may be longer than anything that is worth saying. */
TEST(long_words_are_cut)
{
	char line[900] = "snapshot ";

	memset(line + 9, 'x', sizeof(line) - 10);
	EXPECT_EQ(-EINVAL, parse(stack_message_parse, line));
	EXPECT_EQ(sizeof(refusal.text) - 1, strlen(refusal.text));
	EXPECT_EQ(0, strncmp(refusal.text, "bad name xxx", 12));
}

TEST_HARNESS_MAIN
