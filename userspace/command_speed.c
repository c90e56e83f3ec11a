// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "message.h"
#include "size.h"

enum exit_code command_speed(const struct options *options)
{
	struct inventory inventory = { };
	struct volume *volume;
	enum exit_code code;
	char message[64];
	u64 rate;

	if (size_parse(options->arguments[1], &rate))
		return fail(EXIT_USAGE, "\"%s\" is no rate",
			    options->arguments[1]);
	snprintf(message, sizeof(message), "commit speed %llu", llu(rate));
	code = inventory_load(&inventory);
	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = stack_job_message(volume, message);
	inventory_free(&inventory);
	return code;
}
