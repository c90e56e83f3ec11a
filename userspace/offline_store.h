/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store that is not attached, opened for changes: durable steps and checkpoints,
 * in the module's order, by core.
 */
#ifndef DMCOMMIT_OFFLINE_STORE_H
#define DMCOMMIT_OFFLINE_STORE_H

#include "metadata_home.h"
#include "core/change.h"

struct offline_store {
	struct store_file *file;
	struct cowstack_metadata md;
	struct cowstack_step step;
	struct block_list blocks;	/* buffers of a step */
	struct disk_record_block **step_blocks;
	int failed;			/* the error of a change: none comes after it */
};

/* Opens the store, alone, or says why not.  Writes nothing. */
enum exit_code offline_store_open(struct offline_store *store, const char *path);
void offline_store_close(struct offline_store *store);

/*
 * To be called once before the first change: a superblock that is bad or old is
 * written anew, and what was loaded made durable, as the module does at the first
 * resume.  0 or -errno.
 */
int offline_store_begin(struct offline_store *store);

/*
 * Makes the change durable and applies it; frees it.  After an error every other change
 * has the same, as nobody knows what is on disk of this one; either way that is right.
 */
int offline_store_change(struct offline_store *store,
			 struct cowstack_change *change);

/* Checkpoints, so that the next load replays nothing.  0 or -errno. */
int offline_store_checkpoint(struct offline_store *store);

#endif /* DMCOMMIT_OFFLINE_STORE_H */
