/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line: parsing, and the checks before a command runs.  What there is
 * stands in command_table.c.
 */
#ifndef DMCOMMIT_OPTIONS_H
#define DMCOMMIT_OPTIONS_H

#include "exit_code.h"
#include "core/environment.h"

enum { OPTIONS_MAX_SETS = 32, OPTIONS_MAX_ARGUMENTS = 4 };

/* What was given; strings are those of argv.  NULL or false: it was not. */
struct options {
	const char *arguments[OPTIONS_MAX_ARGUMENTS];
	unsigned int argument_count;
	const char *sets[OPTIONS_MAX_SETS];
	size_t set_count;
	const char *name;
	const char *base;
	const char *store;
	const char *size;
	const char *chunk_size;
	const char *speed;
	const char *layer;
	const char *top;
	const char *until;
	const char *on_error;
	const char *svg;
	const char *parts;
	const char *output;
	const char *from;
	const char *backup;
	bool repair;
	bool yes;
	bool offline;
	bool compress;
	const char *config;
	const char *exec;
	bool force;
	bool accept_base;
	bool read_only_base;
	bool freeze;
	bool pin;
	bool wait;
	bool retain;
	bool verify;
	bool no_yield;
	bool dry_run;
	bool json;
	bool watch;
	bool errors;
	bool all;
	bool initramfs;
	bool metrics;
};

/*
 * Parses @argv and runs the command in it.  Return: what the tool exits with.
 */
enum exit_code options_run(int argc, char **argv);

#endif /* DMCOMMIT_OPTIONS_H */
