// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "progress_bar.h"
#include "size.h"
#include "terminal.h"

enum { LEAST_BAR = 10, MOST_BAR = 50 };

bool progress_bar_possible(void)
{
	return terminal_is_able(STDERR_FILENO);
}

static unsigned int percent_done(const struct job_view *view)
{
	if (!view->total)
		return 0;
	return min((unsigned int)(100.0 * view->done / view->total), 100u);
}

/* Each figure has its place, or the bar would change its length with them. */
enum { FIGURES = 47, MOST_DAYS = 99 };

static const char *format_left(const struct job_view *view,
			       char text[SIZE_TEXT])
{
	char left[SIZE_TEXT];

	if (view->seconds_left == U64_MAX || view->at_most)
		return "";
	if (view->seconds_left / 86400 > MOST_DAYS)
		snprintf(left, sizeof(left), "over %dd", MOST_DAYS);
	else
		duration_print(view->seconds_left, left);
	snprintf(text, SIZE_TEXT, "%.20s left", left);
	return text;
}

/* Before the kernel has counted what there is to do, nothing can be told of it. */
static void format_figures(char *text, size_t size, const char *state,
			   const struct job_view *view)
{
	char done[SIZE_TEXT], total[SIZE_TEXT], rate[SIZE_TEXT];
	char left[SIZE_TEXT];

	if (!view->total)
		snprintf(text, size, "   0 %%  %s",
			 strcmp(state, "running") ? state : "begins");
	else if (strcmp(state, "running"))
		snprintf(text, size, " %3u %%  %s", percent_done(view), state);
	else
		snprintf(text, size, " %3u %%  %5s of %5s  %5s/s  %14s",
			 percent_done(view), size_print(view->done, done),
			 size_print(view->total, total),
			 size_print(view->rate, rate),
			 format_left(view, left));
}

static void format_bar(char *line, size_t size, int room, const char *name,
		       unsigned int percent, const char *figures)
{
	char bar[MOST_BAR + 1];

	memset(bar, '.', room);
	memset(bar, '#', room * percent / 100);
	bar[room] = '\0';
	snprintf(line, size, "%s [%s]%s", name, bar, figures);
}

void progress_bar_format(char *line, size_t size, unsigned int width,
			 const char *name, const char *state,
			 const struct job_view *view)
{
	int room = (int)width - (int)strlen(name) - FIGURES - 3;
	char figures[160];

	format_figures(figures, sizeof(figures), state, view);
	if (room < LEAST_BAR)
		snprintf(line, size, "%s%s", name, figures);
	else
		format_bar(line, size, min_t(int, room, MOST_BAR), name,
			   percent_done(view), figures);
	if (width < size)
		line[width] = '\0';
}

void progress_bar_draw(const char *name, const char *state,
		       const struct job_view *view)
{
	unsigned int width = terminal_width(STDERR_FILENO) - 1;
	char line[TERMINAL_MAX_WIDTH + 1];

	progress_bar_format(line, sizeof(line), width, name, state, view);
	/* Blanks over what is left of a longer line: terminals differ. */
	fprintf(stderr, "\r%-*s", (int)width, line);
	fflush(stderr);
}

void progress_bar_end(void)
{
	fprintf(stderr, "\r%*s\r", (int)terminal_width(STDERR_FILENO) - 1, "");
	fflush(stderr);
}
