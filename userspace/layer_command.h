/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands that say one word of one layer: VOL LAYER.
 */
#ifndef DMCOMMIT_LAYER_COMMAND_H
#define DMCOMMIT_LAYER_COMMAND_H

#include "options.h"

enum layer_choice {
	LAYER_FROZEN,
	LAYER_OR_BASE,			/* a frozen one, or 0 */
};

/* Sends "@verb <id>" to the stack, once volume and layer were found. */
enum exit_code layer_command(const struct options *options, const char *verb,
			     enum layer_choice choice);

#endif /* DMCOMMIT_LAYER_COMMAND_H */
