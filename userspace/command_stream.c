// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "job.h"
#include "job_request.h"
#include "message.h"

static enum exit_code start_stream(struct inventory *inventory,
				   const struct options *options,
				   struct job_request *request)
{
	struct volume *volume;
	enum exit_code code;

	code = inventory_find_stack(inventory, options->arguments[0], &volume);
	if (!code)
		code = job_request_stream_range(request, volume, options);
	if (!code)
		code = stack_message(volume, "stream start%s%s",
				     request->range, request->settings);
	return code ? code : job_follow(volume, options);
}

enum exit_code command_stream(const struct options *options)
{
	struct inventory inventory = { };
	struct job_request request;
	enum exit_code code = job_request_parse(&request, options);

	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = start_stream(&inventory, options, &request);
	inventory_free(&inventory);
	return code;
}
