// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "message.h"

enum exit_code command_grow(const struct options *options)
{
	struct inventory inventory;
	struct store *store;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_store(&inventory, options->arguments[0],
					    &store);
	if (!code)
		code = store_message(store, "grow");
	inventory_free(&inventory);
	return code;
}
