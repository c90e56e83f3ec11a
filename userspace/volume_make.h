/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making volumes: what create and clone share.
 */
#ifndef DMCOMMIT_VOLUME_MAKE_H
#define DMCOMMIT_VOLUME_MAKE_H

#include "inventory.h"

/* The size of a volume as it is typed; says what is wrong with it. */
enum exit_code volume_size_parse(const char *text, u64 *sectors);

/* Has the store a volume of this name?  Says so if it has. */
enum exit_code volume_name_check(struct inventory *inventory,
				 const struct store *store, const char *name);

/*
 * Sends "@verb <id> @what <name>" with the lowest id that is free.
 * @id: which that was
 */
enum exit_code volume_make(const struct inventory *inventory,
			   const struct store *store, const char *name,
			   const char *verb, const char *what, u32 *id);

/* Takes back what volume_make() did, for a step after it failed. */
void volume_unmake(const struct store *store, u32 id);

#endif /* DMCOMMIT_VOLUME_MAKE_H */
