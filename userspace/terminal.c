// SPDX-License-Identifier: GPL-2.0
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "terminal.h"
#include "core/environment.h"

enum { DEFAULT_WIDTH = 80, DEFAULT_HEIGHT = 24 };

bool terminal_is_able(int fd)
{
	const char *terminal = getenv("TERM");

	return isatty(fd) && terminal && *terminal && strcmp(terminal, "dumb");
}

unsigned int terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col)
		return DEFAULT_WIDTH;
	return min_t(unsigned int, size.ws_col, TERMINAL_MAX_WIDTH);
}

unsigned int terminal_height(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_row)
		return DEFAULT_HEIGHT;
	return size.ws_row;
}

bool terminal_has_colours(void)
{
	const char *none = getenv("NO_COLOR");

	return !(none && *none) && terminal_is_able(STDOUT_FILENO);
}

bool terminal_has_blocks(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/* --- colours --- */

static const struct colour {
	const char *name;
	const char *sequence;
	const char *words[9];
} colours[] = {
	{ "green", "\033[32m", { "rw", "up", "valid", "completed" } },
	{ "yellow", "\033[33m", { "ro", "mixed", "queued", "running", "paused",
				  "cancelled", "cut off" } },
	{ "red", "\033[31m", { "fail", "stopped", "OUT OF SPACE" } },
};

static const struct colour *find_colour(const char *word)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(colours); i++)
		for (j = 0; colours[i].words[j]; j++)
			if (!strcmp(colours[i].words[j], word))
				return &colours[i];
	return NULL;
}

const char *colour_name(const char *word)
{
	const struct colour *colour = find_colour(word);

	return colour ? colour->name : NULL;
}

const char *colour_begin(const char *word)
{
	const struct colour *colour = find_colour(word);

	return colour && terminal_has_colours() ? colour->sequence : "";
}

const char *colour_end(const char *word)
{
	return *colour_begin(word) ? "\033[0m" : "";
}
