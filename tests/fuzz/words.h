/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COWSTACK_FUZZ_WORDS_H
#define COWSTACK_FUZZ_WORDS_H

#include "environment.h"

enum { MAX_WORDS = 64, MAX_TEXT = 4096 };

/* A line taken apart as dm does it: at blanks, but for those behind a backslash. */
struct words {
	unsigned int argc;
	char *argv[MAX_WORDS + 1];
	char *memory;			/* just large enough, so that ASan sees */
};

void words_split(struct words *words, const void *text, size_t size);
void words_free(struct words *words);

#endif /* COWSTACK_FUZZ_WORDS_H */
