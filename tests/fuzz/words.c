// SPDX-License-Identifier: GPL-2.0
#include "fuzz.h"
#include "words.h"

void words_split(struct words *words, const void *text, size_t size)
{
	const char *from = text, *end = from + min_t(size_t, size, MAX_TEXT);
	char *to;

	words->argc = 0;
	words->memory = malloc(end - from + 1);
	if (!words->memory)
		fuzz_fail("no memory");
	to = words->memory;
	while (words->argc < MAX_WORDS) {
		while (from < end && *from && isspace((unsigned char)*from))
			from++;
		if (from == end || !*from)
			break;
		words->argv[words->argc++] = to;
		for (; from < end && *from && !isspace((unsigned char)*from);
		     from++) {
			if (*from == '\\' && from + 1 < end && from[1])
				from++;
			*to++ = *from;
		}
		*to++ = '\0';
		if (from < end)
			from++;
	}
	words->argv[words->argc] = NULL;
}

void words_free(struct words *words)
{
	free(words->memory);
}
