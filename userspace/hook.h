/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program of the user's that is run on a change.  No shell is between, so that
 * no name can be more than a name.
 */
#ifndef DMCOMMIT_HOOK_H
#define DMCOMMIT_HOOK_H

#include "sighting.h"

/* Can it be run?  Says so if not. */
enum exit_code hook_check(const char *path);

/*
 * Starts PATH EVENT NAME VALUE, with all there is to say of the change in the
 * environment as DMCOMMIT_…; what it prints goes to stderr.  Nobody waits for it.
 */
void hook_start(const char *path, const struct change *change);

/* Says which of those that have ended have failed. */
void hook_reap(const char *path);

#endif /* DMCOMMIT_HOOK_H */
