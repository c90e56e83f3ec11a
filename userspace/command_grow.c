// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "loop_device.h"
#include "message.h"

/* What is in a file does not notice by itself that the file has grown. */
static enum exit_code grow_store(const struct store *store)
{
	int error = loop_update_size(store->major, store->minor);

	if (error)
		return fail_errno(error, NULL,
				  "the loop device of store %s cannot take the size of its file",
				  store->device.name);
	return store_message(store, "grow");
}

enum exit_code command_grow(const struct options *options)
{
	struct inventory inventory;
	struct store *store;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_store(&inventory, options->arguments[0],
					    &store);
	if (!code)
		code = grow_store(store);
	inventory_free(&inventory);
	return code;
}
