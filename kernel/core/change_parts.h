/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all changes are made of, for the files that make them: change.c (volumes,
 * the store), change_layers.c (chains), let_go.c (words).
 */
#ifndef COWSTACK_CORE_CHANGE_PARTS_H
#define COWSTACK_CORE_CHANGE_PARTS_H

#include "change.h"

static inline struct cowstack_change *to_change(struct cowstack_transaction *t)
{
	return container_of(t, struct cowstack_change, transaction);
}

void change_init(struct cowstack_change *c, struct cowstack_metadata *md,
		 struct cowstack_volume *volume, cowstack_update_fn update,
		 const void *argument);

/*
 * The volume's record as it will be.  A record says all of a volume, so a step
 * takes one change of it: the next would be made from what memory still says.
 * False: it does not fit, or another change of the volume is in the step.
 */
bool change_write_volume(struct cowstack_change *c, struct record_writer *w,
			 layer_id_t top);
void change_apply_volume(struct cowstack_change *c);

/* c->layer gets an id that was never used; -EOVERFLOW: none is left; -ENOMEM. */
int change_new_layer(struct cowstack_change *c, u64 now);

/* The volume's layers have changed: c->chain takes the place of its chain. */
void change_publish_chain(struct cowstack_change *c);

#endif /* COWSTACK_CORE_CHANGE_PARTS_H */
