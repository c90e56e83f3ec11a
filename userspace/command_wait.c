// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "job.h"

enum exit_code command_wait(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = job_wait(volume, options->json);
	inventory_free(&inventory);
	return code;
}
