/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Something shown again and again: in place on a terminal, one after the other in a
 * pipe.  The terminal is left as it was found, whatever ends it.
 */
#ifndef DMCOMMIT_LIVE_VIEW_H
#define DMCOMMIT_LIVE_VIEW_H

#include "exit_code.h"
#include "core/environment.h"

enum { WATCH_INTERVAL = 1000 };		/* milliseconds */

/*
 * Calls @show, which prints to stdout and stderr, each @interval milliseconds: until
 * it fails, or a signal or the key q ends it.  @plain: on a terminal, too, nothing
 * but one after the other, and nothing in between.
 */
enum exit_code live_view_run(enum exit_code (*show)(const void *context),
			     const void *context, unsigned int interval,
			     bool plain);

#endif /* DMCOMMIT_LIVE_VIEW_H */
