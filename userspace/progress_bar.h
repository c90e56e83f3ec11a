/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line of a terminal that shows how far a job is.
 */
#ifndef DMCOMMIT_PROGRESS_BAR_H
#define DMCOMMIT_PROGRESS_BAR_H

#include "job.h"

/* Is there a terminal that can show one? */
bool progress_bar_possible(void);

/*
 * Pure: the line for @view, cut to @width columns.
 */
void progress_bar_format(char *line, size_t size, unsigned int width,
			 const char *name, const char *state,
			 const struct job_view *view);

void progress_bar_draw(const char *name, const char *state,
		       const struct job_view *view);

/* Clears the line, for what is printed next. */
void progress_bar_end(void);

#endif /* DMCOMMIT_PROGRESS_BAR_H */
