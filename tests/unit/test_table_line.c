// SPDX-License-Identifier: GPL-2.0
/*
 * The two targets' table lines: every feature with its default and its bounds, what is
 * refused and with which text, and that what is printed loads again.
 */
#include "said.h"
#include "table_line.h"

#include "harness.h"

static struct said said;
static struct refusal refusal;

static int parse_store(const char *line, struct store_line *store)
{
	say(&said, line);
	refusal.text[0] = '\0';
	memset(store, 0xff, sizeof(*store));
	return store_line_parse(said.argc, said.argv, store, &refusal);
}

static int parse_stack(const char *line, struct stack_line *stack)
{
	say(&said, line);
	refusal.text[0] = '\0';
	memset(stack, 0xff, sizeof(*stack));
	return stack_line_parse(said.argc, said.argv, stack, &refusal);
}

static bool store_features_are(const struct store_features *a,
			       const struct store_features *b)
{
	return a->on_full == b->on_full &&
	       a->no_space_timeout == b->no_space_timeout &&
	       a->discard_passdown == b->discard_passdown;
}

static bool stack_features_are(const struct stack_features *a,
			       const struct stack_features *b)
{
	return a->resume_commit == b->resume_commit &&
	       a->read_only_base == b->read_only_base &&
	       a->accept_base == b->accept_base &&
	       a->commit_base == b->commit_base &&
	       a->allow_shared_base == b->allow_shared_base;
}

/* Words behind the devices, and how they are printed (NULL: as they were said). */
static const struct {
	const char *words;
	struct store_features features;
	const char *printed;
} store_lines[] = {
	{ .words = "", .features = { .no_space_timeout = 60, .discard_passdown = 1 } },
	{ .words = " 0", .features = { .no_space_timeout = 60, .discard_passdown = 1 },
	  .printed = "" },
	{ .words = " 2 on_full queue",
	  .features = { .no_space_timeout = 60, .discard_passdown = 1 }, .printed = "" },
	{ .words = " 2 on_full error",
	  .features = { .on_full = ON_FULL_ERROR, .no_space_timeout = 60, .discard_passdown = 1 } },
	{ .words = " 2 no_space_timeout 60",
	  .features = { .no_space_timeout = 60, .discard_passdown = 1 }, .printed = "" },
	{ .words = " 2 no_space_timeout 0", .features = { .discard_passdown = 1 } },
	{ .words = " 2 no_space_timeout 86400",
	  .features = { .no_space_timeout = 86400, .discard_passdown = 1 } },
	{ .words = " 2 discard_passdown 1",
	  .features = { .no_space_timeout = 60, .discard_passdown = 1 }, .printed = "" },
	{ .words = " 2 discard_passdown 0", .features = { .no_space_timeout = 60 } },
	{ .words = " 6 on_full error no_space_timeout 1 discard_passdown 0",
	  .features = { .on_full = ON_FULL_ERROR, .no_space_timeout = 1 } },
	{ .words = " 4 discard_passdown 0 on_full error",
	  .features = { .on_full = ON_FULL_ERROR, .no_space_timeout = 60 },
	  .printed = " 4 on_full error discard_passdown 0" },
};

TEST(stores)
{
	char line[200], printed[200];
	struct store_line store;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(store_lines); i++) {
		const char *out = store_lines[i].printed ?: store_lines[i].words;

		snprintf(line, sizeof(line), "8:16%s", store_lines[i].words);
		EXPECT_EQ(0, parse_store(line, &store))
			TH_LOG("%s: %s", line, refusal.text);
		EXPECT_STREQ("8:16", store.device);
		EXPECT_TRUE(store_features_are(&store_lines[i].features,
					       &store.features));
		strcpy(printed, "8:16");
		features_print(&store_feature_table, &store.features, printed,
			       strlen(printed), sizeof(printed));
		EXPECT_STREQ(out, printed + 4);
		EXPECT_EQ(0, parse_store(printed, &store));
		EXPECT_TRUE(store_features_are(&store_lines[i].features,
					       &store.features));
	}
}

static const struct {
	const char *words;
	struct stack_features features;
	const char *printed;
} stack_lines[] = {
	{ .words = "", .features = { .resume_commit = 1 } },
	{ .words = " 0", .features = { .resume_commit = 1 }, .printed = "" },
	{ .words = " 2 commit_base 0", .features = { .resume_commit = 1 }, .printed = "" },
	{ .words = " 2 commit_base 1", .features = { .resume_commit = 1, .commit_base = 1 } },
	{ .words = " 2 commit_base 4294967295",
	  .features = { .resume_commit = 1, .commit_base = U32_MAX } },
	{ .words = " 2 resume_commit 1", .features = { .resume_commit = 1 }, .printed = "" },
	{ .words = " 2 resume_commit 0", .features = { .resume_commit = 0 } },
	{ .words = " 2 read_only_base 0", .features = { .resume_commit = 1 }, .printed = "" },
	{ .words = " 2 read_only_base 1",
	  .features = { .resume_commit = 1, .read_only_base = 1 } },
	{ .words = " 2 allow_shared_base 0", .features = { .resume_commit = 1 }, .printed = "" },
	{ .words = " 2 allow_shared_base 1",
	  .features = { .resume_commit = 1, .allow_shared_base = 1 } },
	{ .words = " 2 accept_base 0", .features = { .resume_commit = 1 }, .printed = "" },
	/* Said once: it is not printed. */
	{ .words = " 2 accept_base 1", .features = { .resume_commit = 1, .accept_base = 1 },
	  .printed = "" },
	{ .words = " 8 allow_shared_base 1 accept_base 1 resume_commit 0 commit_base 7",
	  .features = { .accept_base = 1, .commit_base = 7, .allow_shared_base = 1 },
	  .printed = " 6 commit_base 7 resume_commit 0 allow_shared_base 1" },
};

TEST(stacks)
{
	char line[200], printed[200] = "/dev/sdb 253:1 12";
	const size_t start = strlen(printed);
	struct stack_features expected;
	struct stack_line stack;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(stack_lines); i++) {
		const char *out = stack_lines[i].printed ?: stack_lines[i].words;

		printed[start] = '\0';
		snprintf(line, sizeof(line), "%s%s", printed,
			 stack_lines[i].words);
		EXPECT_EQ(0, parse_stack(line, &stack))
			TH_LOG("%s: %s", line, refusal.text);
		EXPECT_STREQ("/dev/sdb", stack.base);
		EXPECT_STREQ("253:1", stack.store);
		EXPECT_EQ(12, from_volume_id(stack.volume));
		EXPECT_TRUE(stack_features_are(&stack_lines[i].features,
					       &stack.features));
		features_print(&stack_feature_table, &stack.features, printed,
			       start, sizeof(printed));
		EXPECT_STREQ(out, printed + start);
		EXPECT_EQ(0, parse_stack(printed, &stack));
		expected = stack_lines[i].features;
		expected.accept_base = 0;
		EXPECT_TRUE(stack_features_are(&expected, &stack.features));
	}
}

TEST(volume_ids)
{
	struct stack_line stack;

	EXPECT_EQ(0, parse_stack("a b 0", &stack));
	EXPECT_EQ(0, from_volume_id(stack.volume));
	EXPECT_EQ(0, parse_stack("a b 16777215", &stack));
	EXPECT_EQ(16777215, from_volume_id(stack.volume));
	EXPECT_EQ(-EINVAL, parse_stack("a b 16777216", &stack));
	EXPECT_STREQ("bad volume id 16777216", refusal.text);
	EXPECT_EQ(-EINVAL, parse_stack("a b -1", &stack));
	EXPECT_STREQ("bad volume id -1", refusal.text);
	EXPECT_EQ(-EINVAL, parse_stack("a b vm1", &stack));
	EXPECT_STREQ("bad volume id vm1", refusal.text);
	EXPECT_EQ(-EINVAL, parse_stack("a b 1K", &stack));
	EXPECT_STREQ("bad volume id 1K", refusal.text);
}

struct refused_case {
	const char *line;
	int error;
	const char *text;
};

#define STORE_WANTS "cowstore wants: <store dev> [<#feature words> <word>...]"
#define STACK_WANTS "cowstack wants: <base dev> <cowstore dev> <volume id> [<features>]"

TEST(stores_that_are_refused)
{
	static const struct refused_case lines[] = {
		{ "", -EINVAL, STORE_WANTS },
		{ "d 2 on_full", -EINVAL, "wrong count of feature words 2" },
		{ "d 1 on_full", -EINVAL, "wrong count of feature words 1" },
		{ "d on_full error", -EINVAL, "wrong count of feature words on_full" },
		{ "d 2 on_full error x", -EINVAL, "wrong count of feature words 2" },
		{ "d 2 commit_base 1", -EINVAL, "unknown feature commit_base" },
		{ "d 2 On_full error", -EINVAL, "unknown feature On_full" },
		{ "d 2 on_full wait", -EINVAL, "feature on_full: bad value wait" },
		{ "d 2 on_full 1", -EINVAL, "feature on_full: bad value 1" },
		{ "d 2 no_space_timeout 86401", -EINVAL,
		  "feature no_space_timeout: bad value 86401" },
		{ "d 2 no_space_timeout -1", -EINVAL, "feature no_space_timeout: bad value -1" },
		{ "d 2 no_space_timeout 1M", -EINVAL, "feature no_space_timeout: bad value 1M" },
		{ "d 2 discard_passdown 2", -EINVAL, "feature discard_passdown: bad value 2" },
		{ "d 2 discard_passdown yes", -EINVAL, "feature discard_passdown: bad value yes" },
		{ "d 2 high_watermark 80", -EOPNOTSUPP, "feature high_watermark is not built yet" },
		{ "d 2 low_watermark 50", -EOPNOTSUPP, "feature low_watermark is not built yet" },
		{ "d 2 keep_hot 10", -EOPNOTSUPP, "feature keep_hot is not built yet" },
	};
	struct store_line store;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		EXPECT_EQ(lines[i].error, parse_store(lines[i].line, &store));
		EXPECT_STREQ(lines[i].text, refusal.text);
	}
}

TEST(stacks_that_are_refused)
{
	static const struct refused_case lines[] = {
		{ "", -EINVAL, STACK_WANTS },
		{ "a", -EINVAL, STACK_WANTS },
		{ "a b", -EINVAL, STACK_WANTS },
		{ "a b 1 1", -EINVAL, "wrong count of feature words 1" },
		{ "a b 1 2 commit_base", -EINVAL, "wrong count of feature words 2" },
		{ "a b 1 2 on_full error", -EINVAL, "unknown feature on_full" },
		{ "a b 1 2 commit_base 4294967296", -EINVAL,
		  "feature commit_base: bad value 4294967296" },
		{ "a b 1 2 commit_base base", -EINVAL, "feature commit_base: bad value base" },
		{ "a b 1 2 accept_base 2", -EINVAL, "feature accept_base: bad value 2" },
		{ "a b 1 2 resume_commit 2", -EINVAL, "feature resume_commit: bad value 2" },
		{ "a b 1 2 read_only_base 2", -EINVAL, "feature read_only_base: bad value 2" },
		{ "a b 1 2 allow_shared_base 2", -EINVAL,
		  "feature allow_shared_base: bad value 2" },
		{ "a b 1 2 layer 4", -EOPNOTSUPP, "feature layer is not built yet" },
		{ "a b 1 2 auto_commit 0", -EOPNOTSUPP, "feature auto_commit is not built yet" },
		{ "a b 1 2 promote 1", -EOPNOTSUPP, "feature promote is not built yet" },
	};
	struct stack_line stack;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		EXPECT_EQ(lines[i].error, parse_stack(lines[i].line, &stack));
		EXPECT_STREQ(lines[i].text, refusal.text);
	}
}

/* What only the opening of a device, or the first resume, can decide. */
TEST(features_that_only_a_reload_sets)
{
	static const char * const names[] = { "accept_base", "read_only_base" };
	struct stack_line stack;
	char text[100];
	u32 i;

	EXPECT_EQ(0, parse_stack("a b 1", &stack));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(text, sizeof(text), "feature %s is set by a reload only",
			 names[i]);
		EXPECT_EQ(-EINVAL, features_set(&stack_feature_table,
						&stack.features, names[i], "1",
						&refusal));
		EXPECT_STREQ(text, refusal.text);
	}
	EXPECT_EQ(0, features_set(&stack_feature_table, &stack.features,
				  "commit_base", "7", &refusal));
	EXPECT_EQ(0, features_set(&stack_feature_table, &stack.features,
				  "resume_commit", "0", &refusal));
	EXPECT_EQ(0, features_set(&stack_feature_table, &stack.features,
				  "allow_shared_base", "1", &refusal));
	EXPECT_TRUE(stack_features_are(&stack.features,
				       &(struct stack_features){
					       .commit_base = 7,
					       .allow_shared_base = 1 }));
}

TEST_HARNESS_MAIN
