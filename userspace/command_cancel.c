// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "job.h"

enum exit_code command_cancel(const struct options *options)
{
	return job_command(options->arguments[0], "commit cancel");
}
