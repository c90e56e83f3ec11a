// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "signals.h"
#include "take_down.h"

enum exit_code command_detach(const struct options *options)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	signals_hold();
	if (!code)
		code = store_take_down(&inventory, options->arguments[0]);
	signals_release();
	inventory_free(&inventory);
	return code;
}
