/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the terminal can do, and colours for words of state.
 */
#ifndef DMCOMMIT_TERMINAL_H
#define DMCOMMIT_TERMINAL_H

#include <stdbool.h>

enum { TERMINAL_MAX_WIDTH = 512 };

/* Is @fd a terminal on which the cursor can be moved about? */
bool terminal_is_able(int fd);

/* Columns and lines; what serial lines do not know is 80 and 24. */
unsigned int terminal_width(int fd);
unsigned int terminal_height(int fd);

/* For standard output, and not where NO_COLOR is set. */
bool terminal_has_colours(void);

/* Can block characters be printed in this locale? */
bool terminal_has_blocks(void);

/*
 * A word of state ("rw", "stopped") in the colour of how well that is: a name that
 * libsmartcols knows, NULL: none.  And around it in a printf, "" where there are no
 * colours.
 */
const char *colour_name(const char *word);
const char *colour_begin(const char *word);
const char *colour_end(const char *word);

#endif /* DMCOMMIT_TERMINAL_H */
