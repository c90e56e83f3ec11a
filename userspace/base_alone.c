// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "base_alone.h"
#include "size.h"

static const char * const mixed_words[] = {
	[BASE_JOB_NONE] =
		"a commit into it was not finished, or left errors: alone it is no state the volume ever had; another dmcommit start makes it one",
	[BASE_JOB_ACTIVE] =
		"a commit into it is unfinished and goes on: alone it is no state the volume ever had",
	[BASE_JOB_CUT_OFF] =
		"a commit into it is unfinished and goes on when the volume is up: alone it is no state the volume ever had",
	[BASE_JOB_WAITING] =
		"a commit into it is unfinished: alone it is no state the volume ever had; dmcommit start goes on",
};

const char *base_alone_words(const char *alone, u64 time, enum base_job job,
			     char text[BASE_ALONE_TEXT])
{
	char when[SIZE_TEXT];

	if (!strcmp(alone, "valid") && time)
		snprintf(text, BASE_ALONE_TEXT,
			 "the base alone is the volume as of the commit finished %s",
			 time_print(time, when));
	else if (!strcmp(alone, "valid"))
		snprintf(text, BASE_ALONE_TEXT,
			 "the base alone is the volume as of its last commit");
	else if (!strcmp(alone, "mixed"))
		snprintf(text, BASE_ALONE_TEXT, "%s", mixed_words[job]);
	else if (!strcmp(alone, "unknown"))
		snprintf(text, BASE_ALONE_TEXT,
			 "no finished commit into it is known: alone it is what was given as the base");
	else
		text[0] = '\0';
	return text;
}
