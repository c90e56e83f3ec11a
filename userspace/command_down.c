// SPDX-License-Identifier: GPL-2.0
#include "all_stacks.h"
#include "commands.h"
#include "take_down.h"

static enum exit_code take_down(const char *name)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, name, &volume);
	if (!code)
		code = volume_take_down(volume);
	inventory_free(&inventory);
	return code;
}

enum exit_code command_down(const struct options *options)
{
	if (options->config && !options->all)
		return fail(EXIT_USAGE, "down: --config goes with --all");
	return options->all ? all_stacks_down(options) :
			      take_down(options->arguments[0]);
}
