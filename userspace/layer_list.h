/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The layers of a volume, as the kernel lists them: finding the one a user means,
 * and seeing beforehand what the kernel would refuse.
 */
#ifndef DMCOMMIT_LAYER_LIST_H
#define DMCOMMIT_LAYER_LIST_H

#include "inventory.h"

struct layer_list {
	const char *volume;		/* what it is called */
	struct layer_line *layers;	/* the top first */
	size_t count;
};

/* Asks the kernel; to be freed, also after a failure. */
enum exit_code layer_list_load(struct layer_list *list,
			       const struct volume *volume);
void layer_list_free(struct layer_list *list);

/* A layer by its id, or by its name; says if there is none, and which there are. */
enum exit_code layer_list_find(const struct layer_list *list, const char *text,
			       const struct layer_line **layer);

/* The same for what has to be frozen. */
enum exit_code layer_list_find_frozen(const struct layer_list *list,
				      const char *text,
				      const struct layer_line **layer);

/* The youngest that is frozen, or NULL. */
const struct layer_line *layer_list_newest_frozen(const struct layer_list *list);

/*
 * The pinned layer that is nearest to the base of those above @base and not above
 * @top, or NULL.  Ids ascend from the base up, as none is ever used again.
 */
const struct layer_line *layer_list_pinned(const struct layer_list *list,
					   u32 top, u32 base);

bool layer_is_top(const struct layer_line *layer);

#endif /* DMCOMMIT_LAYER_LIST_H */
