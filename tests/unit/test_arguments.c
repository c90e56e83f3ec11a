// SPDX-License-Identifier: GPL-2.0
/*
 * Words that are numbers, each bound from both sides, and features by a table: what
 * it takes, refuses, sets and prints.
 */
#include "arguments.h"
#include "said.h"

#include "harness.h"

#define MOST "18446744073709551615"

static const char * const no_numbers[] = {
	"", "-1", "+1", "x", "1x", "x1", "0x10", "1.5", "1,5", ".", "-", "--1", "1-1",
	"18446744073709551616", "184467440737095516150", "99999999999999999999999",
};

TEST(numbers)
{
	static const struct {
		const char *word;
		u64 value;
	} numbers[] = {
		{ "0", 0 }, { "1", 1 }, { "00", 0 }, { "010", 10 },
		{ "4294967296", 1ULL << 32 }, { MOST, U64_MAX },
	};
	u64 value;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		EXPECT_EQ(0, parse_number(numbers[i].word, &value));
		EXPECT_EQ(numbers[i].value, value);
	}
	for (i = 0; i < ARRAY_SIZE(no_numbers); i++)
		EXPECT_EQ(0, !parse_number(no_numbers[i], &value))
			TH_LOG("word %u is taken", i);
	EXPECT_NE(0, parse_number("1K", &value));
}

/* Without a letter a number is what it is, whatever the unit. */
TEST(numbers_with_letters)
{
	static const struct {
		const char *word;
		u64 bytes;
		u64 sectors;
	} numbers[] = {
		{ "0", 0, 0 }, { "7", 7, 7 }, { MOST, U64_MAX, U64_MAX },
		{ "0K", 0, 0 }, { "1K", 1024, 2 }, { "3M", 3 << 20, 6144 },
		{ "1G", 1 << 30, 1 << 21 }, { "1T", 1ULL << 40, 1ULL << 31 },
		{ "16777215T", 16777215ULL << 40, 16777215ULL << 31 },
		{ "18014398509481983K", U64_MAX - 1023, (1ULL << 55) - 2 },
		/* 23 characters, the most. */
		{ "00000000000000000000001", 1, 1 },
		{ "0000000000000000000001K", 1024, 2 },
	};
	static const char * const bad[] = {
		"K", "KK", "1KK", "K1", "1k", "1E", "1P", "1B", "1KB", "-1K", "+1K",
		"1.5G", "16777216T", "18014398509481984K", MOST "K",
		"000000000000000000000001", "00000000000000000000001K",
	};
	u64 value;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		EXPECT_EQ(0, parse_scaled(numbers[i].word, 1, &value));
		EXPECT_EQ(numbers[i].bytes, value);
		EXPECT_EQ(0, parse_scaled(numbers[i].word, 512, &value));
		EXPECT_EQ(numbers[i].sectors, value);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, parse_scaled(bad[i], 1, &value))
			TH_LOG("word %u is taken", i);
	for (i = 0; i < ARRAY_SIZE(no_numbers); i++)
		EXPECT_EQ(0, !parse_scaled(no_numbers[i], 1, &value))
			TH_LOG("word %u is taken", i);
}

TEST(flags_and_ids)
{
	volume_id_t volume;
	u32 layer;
	bool flag;
	u32 i;

	EXPECT_EQ(0, parse_flag("0", &flag));
	EXPECT_FALSE(flag);
	EXPECT_EQ(0, parse_flag("1", &flag));
	EXPECT_TRUE(flag);
	EXPECT_EQ(-EINVAL, parse_flag("2", &flag));
	EXPECT_EQ(-EINVAL, parse_flag("4294967296", &flag));

	EXPECT_EQ(0, parse_layer_id("0", &layer));
	EXPECT_EQ(0, layer);
	EXPECT_EQ(0, parse_layer_id("4294967295", &layer));
	EXPECT_EQ(U32_MAX, layer);
	EXPECT_EQ(-EINVAL, parse_layer_id("4294967296", &layer));

	EXPECT_EQ(0, parse_volume_id("0", &volume));
	EXPECT_EQ(0, from_volume_id(volume));
	EXPECT_EQ(0, parse_volume_id("16777215", &volume));
	EXPECT_EQ(16777215, from_volume_id(volume));
	EXPECT_EQ(-EINVAL, parse_volume_id("16777216", &volume));
	EXPECT_EQ(-EINVAL, parse_volume_id("4294967297", &volume));

	for (i = 0; i < ARRAY_SIZE(no_numbers); i++) {
		EXPECT_EQ(-EINVAL, parse_flag(no_numbers[i], &flag));
		EXPECT_EQ(-EINVAL, parse_layer_id(no_numbers[i], &layer));
		EXPECT_EQ(-EINVAL, parse_volume_id(no_numbers[i], &volume));
	}
}

TEST(words_of_a_list)
{
	static const char * const words[] = { "stop", "report", "stopped" };

	EXPECT_EQ(0, parse_word(words, 3, "stop"));
	EXPECT_EQ(1, parse_word(words, 3, "report"));
	EXPECT_EQ(2, parse_word(words, 3, "stopped"));
	EXPECT_EQ(-EINVAL, parse_word(words, 2, "stopped"));
	EXPECT_EQ(-EINVAL, parse_word(words, 3, "sto"));
	EXPECT_EQ(-EINVAL, parse_word(words, 3, "Stop"));
	EXPECT_EQ(-EINVAL, parse_word(words, 3, ""));
}

/* A word of any length is named as far as there is room. */
TEST(refusals_are_cut)
{
	struct refusal refusal;
	char word[1000];

	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	EXPECT_EQ(-EBUSY, refusal_set(&refusal, -EBUSY, "bad name %s", word));
	EXPECT_EQ(sizeof(refusal.text) - 1, strlen(refusal.text));
	EXPECT_EQ(0, strncmp(refusal.text, "bad name xxx", 12));
}

/* --- a table of features --- */

struct settings {
	u32 limit;
	u32 mode;
	u32 once;
	u32 fixed;
};

#define SETTING(field) .name = #field, .offset = offsetof(struct settings, field)

static const char * const modes[] = { "slow", "fast" };

static const struct feature list[] = {
	{ SETTING(limit), .max = 10, .normal = 3 },
	{ .name = "later", .not_built = true },
	{ SETTING(mode), .max = 1, .words = modes },
	{ SETTING(once), .max = 1, .once = true },
	{ SETTING(fixed), .max = U32_MAX, .fixed = true },
};

static const struct feature_table table = { list, ARRAY_SIZE(list) };
static const struct settings normal = { .limit = 3 };

static bool is_same(const struct settings *a, const struct settings *b)
{
	return a->limit == b->limit && a->mode == b->mode &&
	       a->once == b->once && a->fixed == b->fixed;
}

static int parse(const char *line, struct settings *s, struct refusal *refusal)
{
	struct said said;

	say(&said, line);
	refusal->text[0] = '\0';
	memset(s, 0xff, sizeof(*s));
	return features_parse(&table, said.argc, said.argv, s, refusal);
}

TEST(features_that_are_taken)
{
	static const struct {
		const char *line;
		struct settings settings;
		const char *printed;
	} lines[] = {
		{ "", { .limit = 3 }, "" },
		{ "0", { .limit = 3 }, "" },
		{ "2 limit 0", { .limit = 0 }, " 2 limit 0" },
		{ "2 limit 10", { .limit = 10 }, " 2 limit 10" },
		{ "2 limit 3", { .limit = 3 }, "" },
		{ "2 mode slow", { .limit = 3 }, "" },
		{ "2 mode fast", { .limit = 3, .mode = 1 }, " 2 mode fast" },
		{ "2 once 1", { .limit = 3, .once = 1 }, "" },
		{ "2 fixed 4294967295", { .limit = 3, .fixed = U32_MAX }, " 2 fixed 4294967295" },
		/* In any order; of two the last counts. */
		{ "6 fixed 1 mode fast limit 9", { .limit = 9, .mode = 1, .fixed = 1 },
		  " 6 limit 9 mode fast fixed 1" },
		{ "4 limit 9 limit 3", { .limit = 3 }, "" },
	};
	struct settings s, again;
	struct refusal refusal;
	char text[100];
	size_t size;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		EXPECT_EQ(0, parse(lines[i].line, &s, &refusal));
		EXPECT_TRUE(is_same(&s, &lines[i].settings));
		text[0] = '\0';
		size = features_print(&table, &s, text, 0, sizeof(text));
		EXPECT_STREQ(lines[i].printed, text);
		EXPECT_EQ(strlen(text), size);
		EXPECT_EQ(0, parse(text, &again, &refusal));
		/* What is said once is not printed. */
		s.once = 0;
		EXPECT_TRUE(is_same(&s, &again));
	}
}

TEST(features_that_are_refused)
{
	static const struct {
		const char *line;
		int error;
		const char *text;
	} lines[] = {
		{ "1", -EINVAL, "wrong count of feature words 1" },
		{ "2", -EINVAL, "wrong count of feature words 2" },
		{ "1 limit", -EINVAL, "wrong count of feature words 1" },
		{ "0 limit 1", -EINVAL, "wrong count of feature words 0" },
		{ "2 limit", -EINVAL, "wrong count of feature words 2" },
		{ "2 limit 1 mode fast", -EINVAL, "wrong count of feature words 2" },
		{ "6 limit 1 mode fast", -EINVAL, "wrong count of feature words 6" },
		{ "3 limit 1 mode", -EINVAL, "wrong count of feature words 3" },
		{ "4294967298 limit 1", -EINVAL,
		  "wrong count of feature words 4294967298" },
		{ "-2 limit 1", -EINVAL, "wrong count of feature words -2" },
		{ "limit 1", -EINVAL, "wrong count of feature words limit" },
		{ "2 limi 1", -EINVAL, "unknown feature limi" },
		{ "2 limits 1", -EINVAL, "unknown feature limits" },
		{ "2 1 limit", -EINVAL, "unknown feature 1" },
		{ "2 later 1", -EOPNOTSUPP, "feature later is not built yet" },
		{ "2 limit 11", -EINVAL, "feature limit: bad value 11" },
		{ "2 limit -1", -EINVAL, "feature limit: bad value -1" },
		{ "2 limit 1K", -EINVAL, "feature limit: bad value 1K" },
		{ "2 limit 4294967299", -EINVAL,
		  "feature limit: bad value 4294967299" },
		{ "2 fixed 4294967296", -EINVAL,
		  "feature fixed: bad value 4294967296" },
		{ "2 once 2", -EINVAL, "feature once: bad value 2" },
		{ "2 mode 1", -EINVAL, "feature mode: bad value 1" },
		{ "2 mode faster", -EINVAL, "feature mode: bad value faster" },
		{ "4 limit 1 mode off", -EINVAL, "feature mode: bad value off" },
	};
	struct refusal refusal;
	struct settings s;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		EXPECT_EQ(lines[i].error, parse(lines[i].line, &s, &refusal));
		EXPECT_STREQ(lines[i].text, refusal.text);
	}
}

static int set(struct settings *s, const char *name, const char *value,
	       struct refusal *refusal)
{
	refusal->text[0] = '\0';
	return features_set(&table, s, name, value, refusal);
}

TEST(features_that_are_set)
{
	struct settings s, before;
	struct refusal refusal;

	features_default(&table, &s);
	EXPECT_EQ(0, set(&s, "limit", "10", &refusal));
	EXPECT_EQ(0, set(&s, "mode", "fast", &refusal));
	EXPECT_TRUE(is_same(&s, &(struct settings){ .limit = 10, .mode = 1 }));
	EXPECT_EQ(0, set(&s, "mode", "slow", &refusal));
	EXPECT_EQ(0, set(&s, "limit", "3", &refusal));
	EXPECT_TRUE(is_same(&s, &normal));

	before = s;
	EXPECT_EQ(-EINVAL, set(&s, "limit", "11", &refusal));
	EXPECT_STREQ("feature limit: bad value 11", refusal.text);
	EXPECT_EQ(-EINVAL, set(&s, "once", "1", &refusal));
	EXPECT_STREQ("feature once is set by a reload only", refusal.text);
	EXPECT_EQ(-EINVAL, set(&s, "fixed", "1", &refusal));
	EXPECT_STREQ("feature fixed is set by a reload only", refusal.text);
	EXPECT_EQ(-EOPNOTSUPP, set(&s, "later", "1", &refusal));
	EXPECT_STREQ("feature later is not built yet", refusal.text);
	EXPECT_EQ(-EINVAL, set(&s, "nothing", "1", &refusal));
	EXPECT_STREQ("unknown feature nothing", refusal.text);
	EXPECT_TRUE(is_same(&s, &before));
}

/* dm's buffer is as large as its caller likes: what does not fit is cut there. */
TEST(lines_that_do_not_fit)
{
	static const char whole[] = "table 4 limit 9 mode fast";
	const struct settings s = { .limit = 9, .mode = 1 };
	char text[sizeof(whole) + 10];
	size_t room, size;

	for (room = 6; room < sizeof(text); room++) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "table", 6);
		size = features_print(&table, &s, text, 5, room);
		EXPECT_EQ(min(room, sizeof(whole)) - 1, size);
		EXPECT_EQ(size, strlen(text));
		EXPECT_EQ(0, strncmp(whole, text, size));
	}
	/* Nothing is written where there is no room at all. */
	memcpy(text, "table", 6);
	EXPECT_EQ(5, features_print(&table, &s, text, 5, 5));
	EXPECT_STREQ("table", text);
}

TEST_HARNESS_MAIN
