// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "message.h"

enum exit_code command_cancel(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = stack_job_message(volume, "commit cancel");
	inventory_free(&inventory);
	return code;
}
