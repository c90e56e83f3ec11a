/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SIGINT, SIGTERM and SIGHUP, around what must not be cut in half and during waits.
 */
#ifndef DMCOMMIT_SIGNALS_H
#define DMCOMMIT_SIGNALS_H

#include <stdbool.h>

/*
 * In between they are held back: what was begun is ended, or taken back.  These
 * nest.
 */
void signals_hold(void);
void signals_release(void);

/* From here on they end sleeps, and are asked about. */
void signals_watch(void);
bool signals_interrupted(void);

/*
 * Waits until there is something to read, or an event, at @fd: true.  False: a
 * signal came, also one of a child that has ended.  Only while held back, so that
 * none comes just before and is overlooked.
 */
bool signals_wait_for(int fd);

/* Less if a signal comes. */
void sleep_milliseconds(unsigned int milliseconds);

#endif /* DMCOMMIT_SIGNALS_H */
