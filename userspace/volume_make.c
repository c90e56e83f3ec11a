// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "size.h"
#include "volume_make.h"
#include "core/format.h"

enum { MAX_TRIES = 16 };

enum exit_code volume_size_parse(const char *text, u64 *sectors)
{
	u64 bytes;

	if (size_parse(text, &bytes) || !bytes || bytes % 512 ||
	    bytes >> COWSTACK_SECTOR_SHIFT > COWSTACK_MAX_VOLUME_SECTORS)
		return fail(EXIT_USAGE,
			    "\"%s\" is no size: give bytes, a multiple of 512 up to 2097152T, as 20G",
			    text);
	*sectors = bytes >> COWSTACK_SECTOR_SHIFT;
	return EXIT_DONE;
}

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
