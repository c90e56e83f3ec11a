// SPDX-License-Identifier: GPL-2.0
/* Sizes, numbers and times, read and written. */
#include <time.h>

#include "size.h"

#include "harness.h"

TEST(sizes_read)
{
	static const struct {
		const char *text;
		u64 value;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "512", 512 }, { "64K", 64 << 10 },
		{ "64k", 64 << 10 }, { "3M", 3 << 20 }, { "2G", 2ULL << 30 },
		{ "5t", 5ULL << 40 }, { "18446744073709551615", U64_MAX },
		{ "16777215T", 16777215ULL << 40 }, { "007", 7 },
	};
	u64 value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, size_parse(good[i].text, &value));
		EXPECT_EQ(good[i].value, value);
	}
}

TEST(sizes_refused)
{
	static const char * const bad[] = {
		"", " ", "K", "-1", "+1", " 1", "1 ", "1KB", "1KiB", "1X",
		"1.5G", "0x10", "1K2", "1P", "1*", "1\v",
	};
	u64 value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, size_parse(bad[i], &value))
			TH_LOG("size \"%s\"", bad[i]);
	}
	EXPECT_EQ(-ERANGE, size_parse("18446744073709551616", &value));
	EXPECT_EQ(-ERANGE, size_parse("16777216T", &value));
	EXPECT_EQ(-ERANGE, size_parse("99999999999999999999999", &value));
}

TEST(numbers)
{
	u64 value;

	EXPECT_EQ(0, number_parse("255", 255, &value));
	EXPECT_EQ(255, value);
	EXPECT_EQ(-ERANGE, number_parse("256", 255, &value));
	EXPECT_EQ(-EINVAL, number_parse("1K", 255, &value));
	EXPECT_EQ(-EINVAL, number_parse("", 255, &value));
}

TEST(sizes_written)
{
	static const struct {
		u64 value;
		const char *text;
	} sizes[] = {
		{ 0, "0" }, { 1, "1B" }, { 512, "512B" }, { 1023, "1023B" },
		{ 1024, "1K" }, { 1536, "1.5K" }, { 65536, "64K" },
		{ 10 << 20, "10M" }, { (10 << 20) + (1 << 19), "10.5M" },
		{ (1 << 20) - 1, "1M" }, { (1ULL << 30) - 1, "1G" },
		{ 1000ULL << 30, "1000G" }, { U64_MAX, "16E" },
		{ 99ULL << 40, "99T" },
	};
	char text[SIZE_TEXT];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_STREQ(sizes[i].text, size_print(sizes[i].value, text));
}

TEST(durations)
{
	char text[SIZE_TEXT];

	EXPECT_STREQ("0:00", duration_print(0, text));
	EXPECT_STREQ("0:07", duration_print(7, text));
	EXPECT_STREQ("59:59", duration_print(3599, text));
	EXPECT_STREQ("1:00:00", duration_print(3600, text));
	EXPECT_STREQ("23:59:59", duration_print(86399, text));
	EXPECT_STREQ("1d 00:00", duration_print(86400, text));
}

TEST(times)
{
	const u64 now = 1700000000;	/* 2023-11-14 22:13:20 */
	u64 time;
	char text[SIZE_TEXT];

	setenv("TZ", "UTC", 1);
	tzset();
	EXPECT_EQ(0, time_parse("12345", now, &time));
	EXPECT_EQ(12345, time);
	EXPECT_EQ(0, time_parse("2023-11-14 22:13:20", now, &time));
	EXPECT_EQ(now, time);
	EXPECT_EQ(0, time_parse("2023-11-14T22:13", now, &time));
	EXPECT_EQ(now - 20, time);
	EXPECT_EQ(0, time_parse("23:00", now, &time));
	EXPECT_EQ(now - 20 + 47 * 60, time);
	/* What is over today is tomorrow. */
	EXPECT_EQ(0, time_parse("22:13", now, &time));
	EXPECT_EQ(now - 20 + 86400, time);
	EXPECT_EQ(-EINVAL, time_parse("25:00", now, &time));
	EXPECT_EQ(-EINVAL, time_parse("tomorrow", now, &time));
	EXPECT_EQ(-EINVAL, time_parse("", now, &time));
	EXPECT_EQ(-EINVAL, time_parse("2023-11-14", now, &time));
	EXPECT_STREQ("2023-11-14 22:13:20", time_print(now, text));
}

TEST_HARNESS_MAIN
