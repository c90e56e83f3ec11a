// SPDX-License-Identifier: GPL-2.0
/* How far a job is, how long it will take, and what its base is meanwhile. */
#include "base_alone.h"
#include "pace.h"
#include "progress_bar.h"

#include "harness.h"

enum { WIDTH = 79 };

TEST(pace_needs_a_second)
{
	struct pace pace = { };

	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 100));
	pace_note(&pace, 10.0, 0);
	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 100));
	pace_note(&pace, 10.5, 5);
	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 100));
	pace_note(&pace, 11.0, 10);
	EXPECT_EQ(9, pace_seconds_left(&pace, 100));
	EXPECT_EQ(0, pace_seconds_left(&pace, 10));
	/* Less to do than has been done: nobody knows. */
	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 9));
}

TEST(pace_of_what_stands_still)
{
	struct pace pace = { };

	pace_note(&pace, 0, 7);
	pace_note(&pace, 60, 7);
	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 100));
}

/* Looked at five times a second, it still remembers half a minute. */
TEST(pace_remembers)
{
	struct pace pace = { };
	unsigned int i;

	for (i = 0; i <= 5 * 25; i++)
		pace_note(&pace, i / 5.0, i / 50 * 1000);
	EXPECT_LE(pace.count, PACE_SAMPLES);
	/* 2000 in 25 s, though nothing moved for the last five. */
	EXPECT_EQ(25, pace_seconds_left(&pace, 4000));
	for (; i <= 5 * 300; i++)
		pace_note(&pace, i / 5.0, 2000 + i);
	EXPECT_LE(pace.count, PACE_SAMPLES);
	EXPECT_EQ(100, pace_seconds_left(&pace, 4000));
}

TEST(pace_of_another_count)
{
	struct pace pace = { };

	pace_note(&pace, 0, 1000);
	pace_note(&pace, 10, 2000);
	pace_note(&pace, 11, 0);
	EXPECT_EQ(U64_MAX, pace_seconds_left(&pace, 100));
	pace_note(&pace, 13, 10);
	EXPECT_EQ(18, pace_seconds_left(&pace, 100));
}

static size_t bar_width(const char *line)
{
	return strchr(line, ']') - strchr(line, '[');
}

TEST(bar_keeps_its_width)
{
	static const struct job_view views[] = {
		{ .total = 64 << 10, .seconds_left = U64_MAX },
		{ .done = 1 << 20, .total = 1023ULL << 30,
		  .rate = 1023 << 10, .seconds_left = 99 * 86400 },
		{ .done = 1ULL << 50, .total = 1ULL << 51, .rate = 1,
		  .seconds_left = U64_MAX - 1 },
		{ .total = 0, .seconds_left = U64_MAX },
	};
	static const char * const states[] = {
		"running", "queued", "paused",
	};
	char first[512], line[512];
	size_t i, j;

	progress_bar_format(first, sizeof(first), WIDTH, "vm", "running",
			    &views[0]);
	for (i = 0; i < ARRAY_SIZE(views); i++) {
		for (j = 0; j < ARRAY_SIZE(states); j++) {
			progress_bar_format(line, sizeof(line), WIDTH, "vm",
					    states[j], &views[i]);
			EXPECT_EQ(bar_width(first), bar_width(line));
			EXPECT_LE(strlen(line), WIDTH);
		}
	}
}

TEST(bar_text)
{
	static const char wanted[] =
		"vm [######.....................]  25 %     1M of    4M   512K/s       0:06 left";
	struct job_view view = {
		.done = 1 << 20, .total = 4 << 20, .rate = 512 << 10,
		.seconds_left = 6,
	};
	char line[512];

	progress_bar_format(line, sizeof(line), WIDTH, "vm", "running", &view);
	EXPECT_STREQ(wanted, line);
	/* A bound is no estimate. */
	view.at_most = true;
	progress_bar_format(line, sizeof(line), WIDTH, "vm", "running", &view);
	EXPECT_EQ(NULL, strstr(line, "left"));
	progress_bar_format(line, sizeof(line), 20, "vm", "running", &view);
	EXPECT_STREQ("vm  25 %     1M of  ", line);
}

/* Nothing is known at the first look. */
TEST(bar_that_begins)
{
	struct job_view view = { .seconds_left = U64_MAX };
	char line[512];

	progress_bar_format(line, sizeof(line), WIDTH, "vm", "running", &view);
	EXPECT_EQ(NULL, strstr(line, "0 of 0"));
	EXPECT_NE(NULL, strstr(line, "begins"));
	progress_bar_format(line, sizeof(line), WIDTH, "vm", "queued", &view);
	EXPECT_NE(NULL, strstr(line, "queued"));
}

TEST(base_alone)
{
	char text[BASE_ALONE_TEXT];

	setenv("TZ", "UTC", 1);
	base_alone_words("valid", 1000000000, BASE_JOB_NONE, text);
	EXPECT_NE(NULL, strstr(text, "as of the commit finished 2001-09-09 01:46:40"));
	EXPECT_NE(NULL, strstr(base_alone_words("valid", 0, BASE_JOB_NONE,
						text), "last commit"));
	EXPECT_NE(NULL, strstr(base_alone_words("mixed", 1, BASE_JOB_ACTIVE,
						text), "goes on"));
	EXPECT_NE(NULL, strstr(base_alone_words("mixed", 1, BASE_JOB_WAITING,
						text), "unfinished"));
	EXPECT_NE(NULL, strstr(base_alone_words("mixed", 1, BASE_JOB_NONE,
						text), "makes it one"));
	EXPECT_NE(NULL, strstr(base_alone_words("unknown", 0, BASE_JOB_NONE,
						text), "no finished"));
	/* A word of a later module is left as it is. */
	EXPECT_STREQ("", base_alone_words("shared", 0, BASE_JOB_NONE, text));
}

TEST_HARNESS_MAIN
