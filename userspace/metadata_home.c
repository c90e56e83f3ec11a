// SPDX-License-Identifier: GPL-2.0
#include "metadata_home.h"

enum { SLAB_BLOCKS = 256 };

void *block_list_add(struct block_list *list, u64 place)
{
	struct store_block *more;
	void *slab;

	if (list->count == list->room) {
		more = realloc(list->blocks, (list->room + SLAB_BLOCKS) *
						     sizeof(*more));
		if (!more)
			return NULL;
		list->blocks = more;
		if (posix_memalign(&slab, COWSTACK_BLOCK_SIZE,
				   SLAB_BLOCKS * COWSTACK_BLOCK_SIZE))
			return NULL;
		/* Each slab's first block knows where it begins. */
		for (; list->room < list->count + SLAB_BLOCKS; list->room++)
			list->blocks[list->room].image =
				(char *)slab + (list->room - list->count) *
						       COWSTACK_BLOCK_SIZE;
	}
	list->blocks[list->count].place = place;
	return list->blocks[list->count++].image;
}

void block_list_exit(struct block_list *list)
{
	size_t i;

	for (i = 0; i < list->room; i += SLAB_BLOCKS)
		free(list->blocks[i].image);
	free(list->blocks);
	memset(list, 0, sizeof(*list));
}

static int add_pages(struct cowstack_metadata *md,
		     struct cowstack_checkpoint *cp, struct block_list *list)
{
	mblock_t place;
	void *image;
	int more;

	do {
		image = block_list_add(list, 0);
		if (!image)
			return -ENOMEM;
		more = cowstack_checkpoint_next_page(md, cp, image, &place);
		if (more > 0)
			list->blocks[list->count - 1].place = from_mblock(place);
	} while (more > 0);
	list->count--;
	return more;
}

static int add_index(const struct cowstack_checkpoint *cp,
		     struct block_list *list)
{
	const struct cowstack_index_block *b;
	void *image;

	list_for_each_entry(b, &cp->index, list) {
		image = block_list_add(list, from_mblock(b->place));
		if (!image)
			return -ENOMEM;
		memcpy(image, b->block, COWSTACK_BLOCK_SIZE);
	}
	return 0;
}

int checkpoint_collect(struct cowstack_metadata *md,
		       struct cowstack_checkpoint *cp, struct block_list *list)
{
	int error = add_pages(md, cp, list);

	if (!error)
		error = cowstack_checkpoint_make_index(md, cp);
	return error ? error : add_index(cp, list);
}

int metadata_home(struct cowstack_metadata *md, struct block_list *list,
		  struct cowstack_superblock *superblock)
{
	struct cowstack_checkpoint cp;
	int error = cowstack_checkpoint_begin(md, &cp);

	if (error)
		return error;
	error = checkpoint_collect(md, &cp, list);
	if (!error)
		cowstack_checkpoint_superblock(md, &cp);
	*superblock = cp.superblock;
	cowstack_checkpoint_free(&cp);
	return error;
}
