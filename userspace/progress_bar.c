// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "progress_bar.h"
#include "size.h"

enum { MAX_WIDTH = 512, DEFAULT_WIDTH = 80, LEAST_BAR = 10, MOST_BAR = 50 };

bool progress_bar_possible(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb");
}

static unsigned int terminal_width(void)
{
	struct winsize size;

	/* Serial lines do not know. */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return DEFAULT_WIDTH;
	return min_t(unsigned int, size.ws_col, MAX_WIDTH);
}

static void format_figures(char *text, size_t size, const char *state,
			   const struct job_view *view)
{
	char done[SIZE_TEXT], total[SIZE_TEXT], rate[SIZE_TEXT];
	char left[SIZE_TEXT] = "";

	if (strcmp(state, "running")) {
		snprintf(text, size, " %3u %% %s", job_percent(view), state);
		return;
	}
	if (view->seconds_left != U64_MAX)
		duration_print(view->seconds_left, left);
	snprintf(text, size, " %3u %%  %s of %s  %s/s%s%s%s",
		 job_percent(view), size_print(view->done, done),
		 size_print(view->total, total), size_print(view->rate, rate),
		 left[0] ? "  " : "", left, left[0] ? " left" : "");
}

void progress_bar_format(char *line, size_t size, unsigned int width,
			 const char *name, const char *state,
			 const struct job_view *view)
{
	char figures[160], bar[MOST_BAR + 1];
	int room;
	int full;

	format_figures(figures, sizeof(figures), state, view);
	room = (int)width - (int)strlen(name) - (int)strlen(figures) - 3;
	room = min_t(int, room, MOST_BAR);
	if (room < LEAST_BAR) {
		snprintf(line, size, "%s%s", name, figures);
	} else {
		full = room * job_percent(view) / 100;
		memset(bar, '.', room);
		memset(bar, '#', full);
		bar[room] = '\0';
		snprintf(line, size, "%s [%s]%s", name, bar, figures);
	}
	if (width < size)
		line[width] = '\0';
}

void progress_bar_draw(const char *name, const char *state,
		       const struct job_view *view)
{
	unsigned int width = terminal_width() - 1;
	char line[MAX_WIDTH + 1];

	progress_bar_format(line, sizeof(line), width, name, state, view);
	/* Blanks over what is left of a longer line: terminals differ. */
	fprintf(stderr, "\r%-*s", (int)width, line);
	fflush(stderr);
}

void progress_bar_end(void)
{
	fprintf(stderr, "\r%*s\r", (int)terminal_width() - 1, "");
	fflush(stderr);
}
