// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "volume_make.h"

enum { MAX_TRIES = 16 };

enum exit_code volume_name_check(struct inventory *inventory,
				 const struct store *store, const char *name)
{
	if (!inventory_volume_of(inventory, store, name))
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "store %s has a volume %s already; choose another name",
		    store->device.name, name);
}

/* Takes the lowest free id, and the next where somebody else was faster. */
enum exit_code volume_make(const struct inventory *inventory,
			   const struct store *store, const char *name,
			   const char *verb, const char *what, u32 *id)
{
	s64 lowest = inventory_free_id(inventory, store);
	unsigned int tries;
	char message[256];
	int error = 0;

	if (lowest < 0)
		return fail(EXIT_FAILED, "store %s has no volume id left",
			    store->device.name);
	for (tries = 0; tries < MAX_TRIES; tries++) {
		*id = lowest + tries;
		snprintf(message, sizeof(message), "%s %u %s %s", verb, *id,
			 what, name);
		error = mapper_message(store->device.name, 0, message, NULL);
		if (error != -EEXIST)
			break;
	}
	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot make volume %s in store %s", name,
				  store->device.name);
	return EXIT_DONE;
}

void volume_unmake(const struct store *store, u32 id)
{
	char message[64];

	snprintf(message, sizeof(message), "delete_volume %u", id);
	mapper_message(store->device.name, 0, message, NULL);
}
