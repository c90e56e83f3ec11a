// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "layer_list.h"
#include "message.h"

static enum exit_code drop_layer(const struct volume *volume, const char *text)
{
	const struct layer_line *layer;
	struct layer_list list;
	enum exit_code code = layer_list_load(&list, volume);

	if (!code)
		code = layer_list_find_frozen(&list, text, &layer);
	if (!code)
		code = stack_message(volume, "drop %u", layer->id);
	layer_list_free(&list);
	return code;
}

enum exit_code command_drop(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = drop_layer(volume, options->arguments[1]);
	inventory_free(&inventory);
	return code;
}
