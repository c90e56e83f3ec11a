// SPDX-License-Identifier: GPL-2.0

#include "commands.h"
#include "message.h"

static enum exit_code delete_if_down(const struct volume *volume,
				     const struct options *options)
{
	if (volume->stack || volume->line.up)
		return fail(EXIT_REFUSED,
			    "volume %s is up; dmcommit down takes it down",
			    volume->name);
	/* What its layers hold is the only way to make the base whole again. */
	if (!options->force && !strcmp(volume->line.base_alone, "mixed"))
		return fail(EXIT_REFUSED,
			    "volume %s: its base is mixed, and alone no state that it ever had; bring it up and end that commit with dmcommit start, or say --force",
			    volume->name);
	return store_message(volume->store, "delete_volume %u", volume->line.id);
}

enum exit_code command_delete(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_volume(&inventory, options->arguments[0],
					     &volume);
	if (!code)
		code = delete_if_down(volume, options);
	inventory_free(&inventory);
	return code;
}
