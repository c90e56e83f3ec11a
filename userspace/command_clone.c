// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "layer_list.h"
#include "name_check.h"
#include "volume_make.h"

static enum exit_code choose_in(const struct layer_list *list,
				const char *text, u32 *id)
{
	const struct layer_line *layer;
	enum exit_code code = EXIT_DONE;

	if (text)
		code = layer_list_find_frozen(list, text, &layer);
	else
		layer = layer_list_newest_frozen(list);
	if (!code && !layer)
		code = fail(EXIT_REFUSED,
			    "%s has no frozen layer that a clone could share; dmcommit snapshot %s makes one",
			    list->volume, list->volume);
	if (!code)
		*id = layer->id;
	return code;
}

static enum exit_code choose_layer(const struct volume *volume,
				   const char *text, u32 *id)
{
	struct layer_list list;
	enum exit_code code = layer_list_load(&list, volume);

	if (!code)
		code = choose_in(&list, text, id);
	layer_list_free(&list);
	return code;
}

static enum exit_code clone(struct inventory *inventory,
			    const struct options *options)
{
	const char *name = options->arguments[1];
	struct volume *volume;
	char what[64];
	u32 layer = 0, id;
	enum exit_code code = inventory_find_volume(inventory,
						    options->arguments[0],
						    &volume);

	if (!code && !volume->store)
		code = fail(EXIT_MISSING, "the store of %s is not attached; see dmcommit list",
			    volume->name);
	if (!code)
		code = volume_name_check(inventory, volume->store, name);
	if (!code)
		code = choose_layer(volume, options->layer, &layer);
	if (code)
		return code;
	snprintf(what, sizeof(what), "%u %u", volume->line.id, layer);
	return volume_make(inventory, volume->store, name, "clone_volume", what,
			   &id);
}

enum exit_code command_clone(const struct options *options)
{
	struct inventory inventory = { };
	enum exit_code code = name_check("volume", options->arguments[1]);

	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = clone(&inventory, options);
	inventory_free(&inventory);
	return code;
}
