// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "layer_command.h"

enum exit_code command_empty(const struct options *options)
{
	return layer_command(options, "make_empty", LAYER_OR_BASE);
}
