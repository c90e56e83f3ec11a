/* SPDX-License-Identifier: GPL-2.0 */
/* A look at the store's disk while nothing is up, after each cut. */
#ifndef COWSTACK_CRASH_OFFLINE_H
#define COWSTACK_CRASH_OFFLINE_H

/*
 * Loads it with the code that module and tool load it with; each OFFLINE_TOOL-th time
 * `dmcommit check` is asked too, which takes a quarter of a second where a guest is slow.
 */
void offline_check(void);
void offline_print_figures(void);

#endif /* COWSTACK_CRASH_OFFLINE_H */
