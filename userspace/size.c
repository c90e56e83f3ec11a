// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "size.h"

static const char letters_read[] = "KkMmGgTt";
static const char letters_written[] = "KMGTPE";

/* strtoull() takes signs and blanks; here a number is digits. */
static int parse_digits(const char *text, const char **end, u64 *value)
{
	u64 sum = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++)
		if (check_mul_overflow(sum, (u64)10, &sum) ||
		    check_add_overflow(sum, (u64)(*text - '0'), &sum))
			return -ERANGE;
	*end = text;
	*value = sum;
	return 0;
}

int size_parse(const char *text, u64 *value)
{
	const char *end;
	const char *letter;
	unsigned int shift = 0;
	u64 number;
	int error = parse_digits(text, &end, &number);

	if (error)
		return error;
	if (*end) {
		letter = strchr(letters_read, *end);
		if (!letter || end[1])
			return -EINVAL;
		shift = 10 * ((letter - letters_read) / 2 + 1);
	}
	if (number > U64_MAX >> shift)
		return -ERANGE;
	*value = number << shift;
	return 0;
}

int number_parse(const char *text, u64 most, u64 *value)
{
	const char *end;
	u64 number;
	int error = parse_digits(text, &end, &number);

	if (error)
		return error;
	if (*end)
		return -EINVAL;
	if (number > most)
		return -ERANGE;
	*value = number;
	return 0;
}

static int parse_date(const char *text, struct tm *tm)
{
	static const char * const formats[] = {
		"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
	};
	const char *end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		memset(tm, 0, sizeof(*tm));
		end = strptime(text, formats[i], tm);
		if (end && !*end)
			return 0;
	}
	return -EINVAL;
}

/* The next time that the clock shows @text. */
static int parse_clock(const char *text, time_t now, struct tm *tm)
{
	struct tm clock = { };
	const char *end = strptime(text, "%H:%M", &clock);
	struct tm today;

	if (!end || *end || !localtime_r(&now, &today))
		return -EINVAL;
	*tm = today;
	tm->tm_hour = clock.tm_hour;
	tm->tm_min = clock.tm_min;
	tm->tm_sec = 0;
	if (clock.tm_hour * 60 + clock.tm_min <=
	    today.tm_hour * 60 + today.tm_min)
		tm->tm_mday++;
	return 0;
}

int time_parse(const char *text, u64 now, u64 *seconds)
{
	struct tm tm;
	time_t then;

	if (!number_parse(text, INT64_MAX, seconds))
		return 0;
	if (parse_date(text, &tm) && parse_clock(text, now, &tm))
		return -EINVAL;
	tm.tm_isdst = -1;
	then = mktime(&tm);
	if (then < 0)
		return -EINVAL;
	*seconds = then;
	return 0;
}

/* "1.50" is "1.5", and "2.00" is "2". */
static void cut_zeroes(char *digits)
{
	char *end = digits + strlen(digits) - 1;

	if (!strchr(digits, '.'))
		return;
	while (*end == '0')
		*end-- = '\0';
	if (*end == '.')
		*end = '\0';
}

const char *size_print(u64 bytes, char text[SIZE_TEXT])
{
	double value = bytes;
	int letter = -1;
	char digits[16];

	/* 1023.5 and more would be printed as 1024. */
	while (value >= 1023.5 && letter + 1 < (int)strlen(letters_written)) {
		value /= 1024;
		letter++;
	}
	if (letter < 0) {
		snprintf(text, SIZE_TEXT, bytes ? "%lluB" : "%llu",
			 llu(bytes));
		return text;
	}
	snprintf(digits, sizeof(digits), "%.*f",
		 value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value);
	cut_zeroes(digits);
	snprintf(text, SIZE_TEXT, "%s%c", digits, letters_written[letter]);
	return text;
}

const char *duration_print(u64 seconds, char text[SIZE_TEXT])
{
	u64 hours = seconds / 3600;
	unsigned int minute = seconds / 60 % 60;
	unsigned int second = seconds % 60;

	if (!hours)
		snprintf(text, SIZE_TEXT, "%u:%02u", minute, second);
	else if (hours < 24)
		snprintf(text, SIZE_TEXT, "%llu:%02u:%02u", llu(hours),
			 minute, second);
	else
		snprintf(text, SIZE_TEXT, "%llud %02u:%02u", llu(hours / 24),
			 (unsigned int)(hours % 24), minute);
	return text;
}

const char *time_print(u64 seconds, char text[SIZE_TEXT])
{
	time_t t = seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    !strftime(text, SIZE_TEXT, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, SIZE_TEXT, "%llu", llu(seconds));
	return text;
}
