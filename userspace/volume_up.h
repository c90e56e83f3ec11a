/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bringing up a volume that there is.  Its name is the first argument of the
 * options; the inventory is loaded here.
 */
#ifndef DMCOMMIT_VOLUME_UP_H
#define DMCOMMIT_VOLUME_UP_H

#include "inventory.h"
#include "options.h"

/* In the store that the options name, which is attached if it is not. */
enum exit_code volume_up_in_store(struct inventory *inventory,
				  const struct options *options);

/* In whichever attached store has it. */
enum exit_code volume_up_anywhere(struct inventory *inventory,
				  const struct options *options);

#endif /* DMCOMMIT_VOLUME_UP_H */
