/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holding the file system that is mounted from a stack, so that a snapshot has
 * it at rest.
 */
#ifndef DMCOMMIT_FREEZE_H
#define DMCOMMIT_FREEZE_H

#include "inventory.h"

struct freeze {
	int fd;				/* of the mount point, or -1 */
};

/* Signals are held back from here to freeze_end(), or it would stay frozen. */
enum exit_code freeze_begin(struct freeze *freeze, const struct volume *volume);
void freeze_end(struct freeze *freeze);

#endif /* DMCOMMIT_FREEZE_H */
