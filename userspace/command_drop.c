// SPDX-License-Identifier: GPL-2.0

#include "commands.h"
#include "message.h"

enum exit_code command_drop(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);
	u32 layer;

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = stack_find_layer(volume, options->arguments[1], &layer);
	if (!code)
		code = stack_message(volume, "drop %u", layer);
	inventory_free(&inventory);
	return code;
}
