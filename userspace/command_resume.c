// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "job.h"

enum exit_code command_resume(const struct options *options)
{
	return job_command(options->arguments[0], "commit resume");
}
