// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "message.h"
#include "output.h"

enum { ID, NAME, ROLE, PARENT, USED, CLEAN, PINNED };

static const struct column columns[] = {
	[ID] = { "LAYER", "id", COLUMN_NUMBER },
	[NAME] = { "NAME", "name", COLUMN_TEXT },
	[ROLE] = { "ROLE", "role", COLUMN_TEXT },
	[PARENT] = { "ON", "parent", COLUMN_NUMBER },
	[USED] = { "USED", "used_bytes", COLUMN_SIZE },
	[CLEAN] = { "CLEAN", "clean_bytes", COLUMN_SIZE },
	[PINNED] = { "PINNED", "pinned", COLUMN_FLAG },
};

static enum exit_code print_layers(const struct layer_line *layers,
				   size_t count, u64 chunk_bytes, bool json)
{
	struct output *output = output_begin("layers", columns,
					     ARRAY_SIZE(columns), json);
	struct row *row;
	size_t i;

	for (i = 0; i < count; i++) {
		row = output_add_row(output, NULL);
		output_set_number(output, row, ID, layers[i].id);
		output_set_text(output, row, NAME, layers[i].name);
		output_set_text(output, row, ROLE, layers[i].role);
		output_set_number(output, row, PARENT, layers[i].parent);
		output_set_number(output, row, USED,
				  layers[i].used * chunk_bytes);
		output_set_number(output, row, CLEAN,
				  layers[i].clean * chunk_bytes);
		output_set_number(output, row, PINNED, layers[i].pinned);
	}
	return output_end(output);
}

enum exit_code command_layers(const struct options *options)
{
	struct layer_line *layers = NULL;
	struct inventory inventory;
	struct volume *volume;
	size_t count;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_volume(&inventory, options->arguments[0],
					     &volume);
	if (!code)
		code = volume_layers(volume, &layers, &count);
	if (!code)
		code = print_layers(layers, count, volume_chunk_bytes(volume),
				    options->json);
	free(layers);
	inventory_free(&inventory);
	return code;
}
