// SPDX-License-Identifier: GPL-2.0
#include "all_stacks.h"
#include "bring_up.h"
#include "commands.h"
#include "signals.h"
#include "volume_up.h"

static enum exit_code bring_up(const struct options *options)
{
	struct inventory inventory = { };
	enum exit_code code = stack_options_check(options);

	if (code)
		return code;
	signals_hold();
	if (options->store)
		code = volume_up_in_store(&inventory, options);
	else
		code = volume_up_anywhere(&inventory, options);
	signals_release();
	inventory_free(&inventory);
	return code;
}

/* Without a base, what is meant is what the file says of it. */
static bool is_from_file(const struct options *options)
{
	return options->all || options->config || options->initramfs ||
	       !options->base;
}

static enum exit_code check_from_file(const struct options *options)
{
	if (options->initramfs && !options->all)
		return fail(EXIT_USAGE, "up: --initramfs goes with --all");
	if (options->base || options->store || options->set_count ||
	    options->accept_base || options->read_only_base)
		return fail(EXIT_USAGE,
			    "up: without --base all is as %s says; no other option goes with that",
			    stacks_conf_default_path());
	return EXIT_DONE;
}

enum exit_code command_up(const struct options *options)
{
	enum exit_code code;

	if (!is_from_file(options))
		return bring_up(options);
	code = check_from_file(options);
	return code ? code : all_stacks_up(options);
}
