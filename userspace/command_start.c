// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "dry_run.h"
#include "freeze.h"
#include "job.h"
#include "job_request.h"
#include "message.h"
#include "offline_commit.h"
#include "offline_list.h"

static enum exit_code send_message(const struct volume *volume,
				   const struct options *options,
				   const struct job_request *request)
{
	char text[256];

	snprintf(text, sizeof(text), "commit start%s%s", request->range,
		 request->settings);
	return options->freeze ? freeze_message(volume, text) :
				 stack_message(volume, "%s", text);
}

static enum exit_code start(struct inventory *inventory,
			    const struct options *options,
			    struct job_request *request)
{
	struct volume *volume;
	enum exit_code code;

	code = inventory_find_stack(inventory, options->arguments[0], &volume);
	if (!code)
		code = job_request_commit_range(request, volume, options);
	if (!code && options->dry_run)
		return dry_run(volume, request, options->json);
	if (!code)
		code = send_message(volume, options, request);
	return code ? code : job_follow(volume, options);
}

static enum exit_code start_offline(const struct options *options,
				    const struct job_request *request)
{
	enum exit_code code = EXIT_DONE;
	struct options complete = *options;
	struct stacks_conf conf = { };

	if (options->freeze)
		return fail(EXIT_USAGE,
			    "--freeze holds a mounted file system, and a volume that is not up has none; leave it out");
	if (!options->store)
		code = offline_list_look_up(&conf, &complete);
	if (!code)
		code = offline_commit(&complete, request);
	stacks_conf_free(&conf);
	return code;
}

enum exit_code command_start(const struct options *options)
{
	struct inventory inventory = { };
	struct job_request request;
	enum exit_code code;

	if ((options->store || options->config) && !options->offline)
		return fail(EXIT_USAGE, "start: --%s is for --offline",
			    options->store ? "store" : "config");
	if (options->store && options->config)
		return fail(EXIT_USAGE,
			    "start: with --store nothing is taken from --config");
	code = job_request_parse(&request, options);
	if (!code && options->offline)
		return start_offline(options, &request);
	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = start(&inventory, options, &request);
	inventory_free(&inventory);
	return code;
}
