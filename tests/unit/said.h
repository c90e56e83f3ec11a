/* SPDX-License-Identifier: GPL-2.0 */
/* A line as dm hands it over: words, cut at blanks. */
#ifndef COWSTACK_UNIT_SAID_H
#define COWSTACK_UNIT_SAID_H

#include "environment.h"

struct said {
	char text[1024];
	unsigned int argc;
	char *argv[64];
};

/* What does not fit is not said. */
static inline void say(struct said *s, const char *line)
{
	char *word;

	snprintf(s->text, sizeof(s->text), "%s", line);
	s->argc = 0;
	for (word = strtok(s->text, " ");
	     word && s->argc < ARRAY_SIZE(s->argv); word = strtok(NULL, " "))
		s->argv[s->argc++] = word;
}

#endif /* COWSTACK_UNIT_SAID_H */
