/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What --help says, all of it out of the tables.
 */
#ifndef DMCOMMIT_HELP_H
#define DMCOMMIT_HELP_H

#include "command_table.h"

void help_print_all(void);
void help_print_command(const struct command *command);

/*
 * The tables for programs, fields between tabs; "-" where there is none:
 *
 *	group	NAME HELP
 *	command	NAME GROUP ARGUMENTS SYNOPSIS HELP
 *	option	COMMAND --NAME VALUE optional|required|instead HELP
 *	feature	store|stack NAME VALUES
 */
void help_print_table(void);

#endif /* DMCOMMIT_HELP_H */
