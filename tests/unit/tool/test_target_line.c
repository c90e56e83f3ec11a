// SPDX-License-Identifier: GPL-2.0
/* Lines that the module prints, and lines that it never should. */
#include <stdio.h>

#include "target_line.h"

#include "harness.h"

TEST(store_status)
{
	struct store_status s;

	ASSERT_EQ(0, store_status_parse("rw 128 12/4080 3 2 1 2 freeing 7 parked 5",
					&s));
	EXPECT_STREQ("rw", s.mode);
	EXPECT_EQ(128, s.chunk_sectors);
	EXPECT_EQ(12, s.used);
	EXPECT_EQ(4080, s.total);
	EXPECT_EQ(3, s.clean);
	EXPECT_EQ(2, s.volumes);
	EXPECT_TRUE(s.out_of_space);
	EXPECT_EQ(2, s.stats.count);
	EXPECT_EQ(7, statistic_find(&s.stats, "freeing", 99));
	EXPECT_EQ(5, statistic_find(&s.stats, "parked", 99));
	EXPECT_EQ(99, statistic_find(&s.stats, "free", 99));
}

TEST(store_status_failed)
{
	struct store_status s;

	ASSERT_EQ(0, store_status_parse("Fail", &s));
	EXPECT_STREQ("fail", s.mode);
	EXPECT_EQ(0, s.total);
	EXPECT_EQ(0, s.stats.count);
}

TEST(stack_status)
{
	static const char line[] =
		"rw 3 9 100 4 mixed running commit 8 0 17/64 1048576 0 1 base_time 1700000000";
	struct stack_status s;

	ASSERT_EQ(0, stack_status_parse(line, &s));
	EXPECT_STREQ("rw", s.mode);
	EXPECT_EQ(3, s.layers);
	EXPECT_EQ(9, s.top);
	EXPECT_EQ(100, s.used);
	EXPECT_EQ(4, s.clean);
	EXPECT_STREQ("mixed", s.base_alone);
	EXPECT_STREQ("running", s.job.state);
	EXPECT_STREQ("commit", s.job.kind);
	EXPECT_EQ(8, s.job.top);
	EXPECT_EQ(0, s.job.base);
	EXPECT_EQ(17, s.job.done);
	EXPECT_EQ(64, s.job.total);
	EXPECT_EQ(1048576, s.job.limit);
	EXPECT_EQ(0, s.job.error);
	EXPECT_EQ(1700000000, statistic_find(&s.stats, "base_time", 0));
	EXPECT_TRUE(job_is_active(&s.job));
}

TEST(stack_status_idle)
{
	struct stack_status s;

	ASSERT_EQ(0, stack_status_parse("ro 1 1 0 0 unknown idle - 0 0 0/0 0 0 0",
					&s));
	EXPECT_STREQ("ro", s.mode);
	EXPECT_STREQ("-", s.job.kind);
	EXPECT_EQ(0, s.stats.count);
	EXPECT_FALSE(job_is_active(&s.job));
	ASSERT_EQ(0, stack_status_parse("Fail", &s));
	EXPECT_STREQ("fail", s.mode);
}

TEST(job_states)
{
	static const struct {
		const char *state;
		bool active, waiting;
	} states[] = {
		{ "idle", false, false }, { "queued", true, false },
		{ "running", true, false }, { "paused", false, true },
		{ "stopped", false, true }, { "completed", false, false },
		{ "cancelled", false, false },
	};
	struct job_status job = { };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		strcpy(job.state, states[i].state);
		EXPECT_EQ(states[i].active, job_is_active(&job));
		EXPECT_EQ(states[i].waiting, job_is_waiting(&job));
	}
}

TEST(plan)
{
	struct commit_plan plan;

	ASSERT_EQ(0, plan_line_parse("9 4 64 4194304 512 12 70\n", &plan));
	EXPECT_EQ(9, plan.top);
	EXPECT_EQ(4, plan.base);
	EXPECT_EQ(64, plan.chunks);
	EXPECT_EQ(4194304, plan.data_bytes);
	EXPECT_EQ(512, plan.zero_bytes);
	EXPECT_EQ(12, plan.requests);
	EXPECT_EQ(70, plan.freed_chunks);
	EXPECT_EQ(-EPROTO, plan_line_parse("", &plan));
	EXPECT_EQ(-EPROTO, plan_line_parse("9 4 64 4194304 512 12", &plan));
	EXPECT_EQ(-EPROTO, plan_line_parse("9 -1 64 4194304 512 12 70", &plan));
}

TEST(run_of_sectors)
{
	struct sector_run run;

	ASSERT_EQ(0, run_line_parse("128 8\n136 1\n", &run));
	EXPECT_EQ(128, run.sector);
	EXPECT_EQ(8, run.sectors);
	EXPECT_EQ(-EPROTO, run_line_parse("128\n136 1\n", &run));
	EXPECT_EQ(-EPROTO, run_line_parse("128 0", &run));
	EXPECT_EQ(-EPROTO, run_line_parse("", &run));
	/* An end that no number of bytes reaches. */
	EXPECT_EQ(-EPROTO, run_line_parse("36028797018963967 2", &run));
	EXPECT_EQ(-EPROTO, run_line_parse("18446744073709551615 1", &run));
}

TEST(map)
{
	struct map_part part;
	u64 chunks, part_chunks;

	ASSERT_EQ(0, map_line_parse("1000 13\n0 5\n", &chunks, &part_chunks));
	EXPECT_EQ(1000, chunks);
	EXPECT_EQ(13, part_chunks);
	EXPECT_EQ(-EPROTO, map_line_parse("1000\n5", &chunks, &part_chunks));
	ASSERT_EQ(0, part_line_parse("4 13 2 1 9 99\n", &part));
	EXPECT_EQ(4, part.number);
	EXPECT_EQ(13, part.used);
	EXPECT_EQ(2, part.clean);
	EXPECT_EQ(1, part.zero);
	EXPECT_EQ(9, part.hidden);
	EXPECT_EQ(99, part.pieces);
	EXPECT_TRUE(part.tells_pieces);
	/* As modules of before said it. */
	ASSERT_EQ(0, part_line_parse("4 13 2 1 9\n5 6 7 8 9 10\n", &part));
	EXPECT_EQ(9, part.hidden);
	EXPECT_EQ(0, part.pieces);
	EXPECT_FALSE(part.tells_pieces);
	EXPECT_EQ(-EPROTO, part_line_parse("4 13 2 1 9 x\n", &part));
	EXPECT_EQ(-EPROTO, part_line_parse("4 13 2 1\n", &part));
	EXPECT_EQ(-EPROTO, part_line_parse("-4 13 2 1 9 99\n", &part));
}

/* A later module may say more, and say it in words. */
TEST(more_than_is_known)
{
	char line[8192] = "rw 128 1/2 0 1 0 100";
	struct store_status s;
	int i;

	for (i = 0; i < 100; i++)
		sprintf(line + strlen(line), " key%d %s", i,
			i == 5 ? "words" : "7");
	strcat(line, " and more");
	ASSERT_EQ(0, store_status_parse(line, &s));
	EXPECT_EQ(LINE_MAX_STATS, s.stats.count);
	EXPECT_EQ(7, statistic_find(&s.stats, "key4", 0));
	EXPECT_EQ(0, statistic_find(&s.stats, "key5", 9));
}

/* Each beginning of a good line but the line itself is a bad one. */
static unsigned int count_good_beginnings(const char *line,
					  int (*parse)(const char *line))
{
	size_t length = strlen(line), i;
	unsigned int good = 0;
	char *part;

	for (i = 0; i < length; i++) {
		/* Exactly as long, so that reading on is noticed. */
		part = strndup(line, i);
		/* Within the last word the line is only shorter. */
		if (!parse(part) && strchr(line + i, ' '))
			good++;
		free(part);
	}
	return good;
}

static int parse_store(const char *line)
{
	struct store_status s;

	return store_status_parse(line, &s);
}

static int parse_stack(const char *line)
{
	struct stack_status s;

	return stack_status_parse(line, &s);
}

static int parse_volume(const char *line)
{
	struct volume_line v;

	return volume_line_parse(line, &v);
}

static int parse_layer(const char *line)
{
	struct layer_line l;

	return layer_line_parse(line, &l);
}

TEST(lines_cut_off)
{
	EXPECT_EQ(0, count_good_beginnings("rw 128 12/4080 3 2 1 1 key 5",
					   parse_store));
	EXPECT_EQ(0, count_good_beginnings("rw 1 2 3 4 valid idle - 0 0 0/0 0 0 1 key 5",
					   parse_stack));
	EXPECT_EQ(0, count_good_beginnings("1 vm 2048 1 0 0 valid up",
					   parse_volume));
	EXPECT_EQ(0, count_good_beginnings("1 - 0 5 0 - top", parse_layer));
}

TEST(bad_lines)
{
	static const char * const stores[] = {
		"", " ", "rw", "rw x 1/2 0 0 0 0", "rw 128 12 0 0 0 0",
		"rw 128 1/ 0 0 0 0", "rw 128 /2 0 0 0 0", "rw 128 1/2 0 0 2 0",
		"rw 128 1/2 0 0 0 1 key", "rw 4096 1/2 0 0 0 0",
		"rw 128 -1/2 0 0 0 0", "rw 128 18446744073709551616/2 0 0 0 0",
		"averyveryverylongwordthatnobodywouldsay 128 1/2 0 0 0 0",
		"rw 128 1/2 0 0 0 99999999999",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		EXPECT_EQ(-EPROTO, parse_store(stores[i]))
			TH_LOG("line \"%s\"", stores[i]);
	}
}

TEST(tables)
{
	struct stack_table stack;
	struct store_table store;

	ASSERT_EQ(0, store_table_parse("8:16 2 on_full error", &store));
	EXPECT_EQ(8, store.major);
	EXPECT_EQ(16, store.minor);
	ASSERT_EQ(0, stack_table_parse("8:32 254:3 7", &stack));
	EXPECT_EQ(8, stack.base_major);
	EXPECT_EQ(32, stack.base_minor);
	EXPECT_EQ(254, stack.store_major);
	EXPECT_EQ(3, stack.store_minor);
	EXPECT_EQ(7, stack.volume);
	EXPECT_EQ(-EPROTO, stack_table_parse("8:32 254:3", &stack));
	EXPECT_EQ(-EPROTO, stack_table_parse("/dev/sda 254:3 7", &stack));
}

TEST(volume_lines)
{
	struct volume_line v;

	ASSERT_EQ(0, volume_line_parse("7 vm1 2048 3 10 2 valid up dm-3\n8 x",
				       &v));
	EXPECT_EQ(7, v.id);
	EXPECT_STREQ("vm1", v.name);
	EXPECT_EQ(2048, v.sectors);
	EXPECT_EQ(3, v.layers);
	EXPECT_EQ(10, v.used);
	EXPECT_EQ(2, v.clean);
	EXPECT_STREQ("valid", v.base_alone);
	EXPECT_TRUE(v.up);
	EXPECT_STREQ("dm-3", v.base_name);

	ASSERT_EQ(0, volume_line_parse("8 - 1 1 0 0 unknown down -", &v));
	EXPECT_STREQ("", v.name);
	EXPECT_FALSE(v.up);
	EXPECT_STREQ("", v.base_name);

	ASSERT_EQ(0, volume_line_parse("8 - 1 1 0 0 unknown down a b", &v));
	EXPECT_STREQ("a b", v.base_name);

	/* The words of a line do not come from the next. */
	EXPECT_EQ(-EPROTO, volume_line_parse("7 vm1 2048 3 10\n2 valid up dm-3",
					     &v));
	EXPECT_EQ(-EPROTO, volume_line_parse("7 v 1 1 0 0 valid asleep -", &v));
	EXPECT_EQ(-EPROTO, volume_line_parse("16777216 v 1 1 0 0 valid up -",
					     &v));
}

TEST(layer_lines)
{
	struct layer_line l;

	ASSERT_EQ(0, layer_line_parse("9 - 8 100 4 - top\n8 a 0 1 0 pinned frozen",
				      &l));
	EXPECT_EQ(9, l.id);
	EXPECT_STREQ("", l.name);
	EXPECT_EQ(8, l.parent);
	EXPECT_EQ(100, l.used);
	EXPECT_EQ(4, l.clean);
	EXPECT_FALSE(l.pinned);
	EXPECT_STREQ("top", l.role);
	ASSERT_EQ(0, layer_line_parse("8 a 0 1 0 pinned frozen", &l));
	EXPECT_STREQ("a", l.name);
	EXPECT_TRUE(l.pinned);
	EXPECT_STREQ("frozen", l.role);
}

TEST(uuids)
{
	static const u8 bytes[COWSTACK_UUID_SIZE] = {
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
	};
	const char *text = "01234567-89ab-cdef-fedc-ba9876543210";
	char store[LINE_UUID], uuid[LINE_DM_UUID];

	store_uuid_print(bytes, store);
	EXPECT_STREQ(text, store);
	store_dm_uuid_print(store, uuid);
	EXPECT_STREQ("COWSTORE-01234567-89ab-cdef-fedc-ba9876543210", uuid);
	memset(store, 0, sizeof(store));
	EXPECT_TRUE(store_dm_uuid_parse(uuid, store));
	EXPECT_STREQ(text, store);
	strcat(uuid, "0");
	EXPECT_FALSE(store_dm_uuid_parse(uuid, store));

	stack_dm_uuid_print(text, 7, uuid);
	EXPECT_STREQ("COWSTACK-01234567-89ab-cdef-fedc-ba9876543210-7", uuid);
	EXPECT_FALSE(store_dm_uuid_parse(uuid, store));

	EXPECT_FALSE(store_dm_uuid_parse("LVM-0123", store));
	EXPECT_FALSE(store_dm_uuid_parse("", store));
}

TEST_HARNESS_MAIN
