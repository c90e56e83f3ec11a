// SPDX-License-Identifier: GPL-2.0
#include "bring_up.h"
#include "commands.h"
#include "freeze.h"
#include "message.h"

static enum exit_code take_snapshot(const struct volume *volume,
				    const struct options *options)
{
	struct freeze freeze = { .fd = -1 };
	enum exit_code code = EXIT_DONE;

	if (options->freeze)
		code = freeze_begin(&freeze, volume);
	if (!code)
		code = stack_message(volume, "snapshot%s%s",
				     options->name ? " " : "",
				     options->name ? options->name : "");
	freeze_end(&freeze);
	return code;
}

enum exit_code command_snapshot(const struct options *options)
{
	struct inventory inventory = { };
	struct volume *volume;
	enum exit_code code = EXIT_DONE;

	if (options->name)
		code = name_check("layer", options->name);
	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = take_snapshot(volume, options);
	inventory_free(&inventory);
	return code;
}
