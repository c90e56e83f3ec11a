// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "layer_command.h"

enum exit_code command_unpin(const struct options *options)
{
	return layer_command(options, "unpin", LAYER_FROZEN);
}
