/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks as they were before a repair changed them, in a file, and back
 * (Documentation/dump-format.rst).
 */
#ifndef DMCOMMIT_BACKUP_H
#define DMCOMMIT_BACKUP_H

#include "metadata_home.h"
#include "text_file.h"

#define BACKUP_HEAD "cowstack-backup 1"

/*
 * Makes @path, which must not be there yet, of what the device holds in place of
 * @blocks now.  It is durable then; else the return, and a line, say why not.
 */
enum exit_code backup_write(const char *path, struct store_file *store,
			    const struct store_block *blocks, size_t count);

/*
 * Puts back what @file holds, whose first line has been read.  Unless @force, only
 * where each block is as it was before the repair, or as that left it.
 */
enum exit_code backup_restore(struct text_file *file, const char *path,
			      struct store_file *store, bool force);

#endif /* DMCOMMIT_BACKUP_H */
