// SPDX-License-Identifier: GPL-2.0
#include "layer_command.h"
#include "layer_list.h"
#include "message.h"

static enum exit_code find_layer(const struct volume *volume, const char *text,
				 enum layer_choice choice, u32 *id)
{
	const struct layer_line *layer;
	struct layer_list list;
	enum exit_code code;

	*id = 0;
	if (choice == LAYER_OR_BASE && !strcmp(text, "0"))
		return EXIT_DONE;
	code = layer_list_load(&list, volume);
	if (!code)
		code = layer_list_find_frozen(&list, text, &layer);
	if (!code)
		*id = layer->id;
	layer_list_free(&list);
	return code;
}

enum exit_code layer_command(const struct options *options, const char *verb,
			     enum layer_choice choice)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);
	u32 id;

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = find_layer(volume, options->arguments[1], choice, &id);
	if (!code)
		code = stack_message(volume, "%s %u", verb, id);
	inventory_free(&inventory);
	return code;
}
