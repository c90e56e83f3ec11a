// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "job.h"
#include "size.h"

enum exit_code command_speed(const struct options *options)
{
	char message[64];
	u64 rate;

	if (size_parse(options->arguments[1], &rate))
		return fail(EXIT_USAGE, "\"%s\" is no rate",
			    options->arguments[1]);
	snprintf(message, sizeof(message), "commit speed %llu", llu(rate));
	return job_command(options->arguments[0], message);
}
