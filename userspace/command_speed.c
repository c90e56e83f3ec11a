// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "job.h"
#include "job_request.h"
#include "size.h"

enum exit_code command_speed(const struct options *options)
{
	char message[64];
	u64 rate;
	enum exit_code code = job_rate_parse(options->arguments[1], &rate);

	if (code)
		return code;
	snprintf(message, sizeof(message), "commit speed %llu", llu(rate));
	return job_command(options->arguments[0], message);
}
