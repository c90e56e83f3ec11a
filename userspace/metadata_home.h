/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Metadata in memory goes to its device by a checkpoint of core's: images of pages
 * and index, to blocks that nothing names, and the superblock that leads to them.
 */
#ifndef DMCOMMIT_METADATA_HOME_H
#define DMCOMMIT_METADATA_HOME_H

#include "store_file.h"
#include "core/checkpoint.h"

/* Blocks kept in memory, aligned for direct I/O. */
struct block_list {
	struct store_block *blocks;
	size_t count;
	size_t room;
};

/* A block for @place, to be filled; NULL: no memory. */
void *block_list_add(struct block_list *list, u64 place);
void block_list_exit(struct block_list *list);

/* Pages and index of a checkpoint that has begun; 0, -ENOMEM, -ENOSPC. */
int checkpoint_collect(struct cowstack_metadata *md,
		       struct cowstack_checkpoint *cp, struct block_list *list);

/**
 * metadata_home() - what is to be written so that a load finds @md.
 * @md: nobody changes it from now on; it is good for nothing but being freed
 * @list: pages and index
 * @superblock: the one that leads to them, to be written when they are durable
 *
 * Return: 0, -ENOMEM, -ENOSPC: no room for it beside the data.
 */
int metadata_home(struct cowstack_metadata *md, struct block_list *list,
		  struct cowstack_superblock *superblock);

#endif /* DMCOMMIT_METADATA_HOME_H */
