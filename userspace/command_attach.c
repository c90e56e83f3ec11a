// SPDX-License-Identifier: GPL-2.0
#include "bring_up.h"
#include "commands.h"
#include "signals.h"

enum exit_code command_attach(const struct options *options)
{
	struct inventory inventory = { };
	enum exit_code code = store_options_check(options);

	if (!code)
		code = inventory_load(&inventory);
	signals_hold();
	if (!code)
		code = store_attach(&inventory, options->arguments[0],
				    options->sets, options->set_count, NULL);
	signals_release();
	inventory_free(&inventory);
	return code;
}
