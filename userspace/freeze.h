/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holding the file system that is mounted from a stack, so that a snapshot has
 * it at rest.
 */
#ifndef DMCOMMIT_FREEZE_H
#define DMCOMMIT_FREEZE_H

#include "inventory.h"

/*
 * stack_message() while that file system is frozen.  Nothing is said before it is
 * not frozen any more: what is said may be written into that very file system, and
 * would wait for its end for ever.  Signals are held back meanwhile, or it would
 * stay frozen.
 */
enum exit_code freeze_message(const struct volume *volume, const char *text);

#endif /* DMCOMMIT_FREEZE_H */
