/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What there is to type: one table of options, one of commands.  Parsing, --help,
 * `help --table`, and by it completions, man pages and the contract tests, take
 * all they know from here.
 *
 * A new option is a line in enum option_id, one in option_table, and a field in
 * struct options; a new command a line in command_table, one in commands.h, and
 * one in tests/fuzz/fuzz_tool.c.
 */
#ifndef DMCOMMIT_COMMAND_TABLE_H
#define DMCOMMIT_COMMAND_TABLE_H

#include "options.h"

/* In the order in which help shows them. */
enum option_id {
	OPTION_NAME,
	OPTION_CHUNK_SIZE,
	OPTION_FORCE,
	OPTION_DELETE_FORCE,
	OPTION_SET,
	OPTION_BASE,
	OPTION_STORE,
	OPTION_SIZE,
	OPTION_ACCEPT_BASE,
	OPTION_READ_ONLY_BASE,
	OPTION_FREEZE,
	OPTION_PIN,
	OPTION_LAYER,
	OPTION_TOP,
	OPTION_BASE_LAYER,
	OPTION_STREAM_TOP,
	OPTION_STREAM_BASE,
	OPTION_SPEED,
	OPTION_UNTIL,
	OPTION_RETAIN,
	OPTION_VERIFY,
	OPTION_NO_YIELD,
	OPTION_ON_ERROR,
	OPTION_WAIT,
	OPTION_DRY_RUN,
	OPTION_WATCH,
	OPTION_ERRORS,
	OPTION_SVG,
	OPTION_PARTS,
	OPTION_OUTPUT,
	OPTION_COMPRESS,
	OPTION_FROM,
	OPTION_ALL,
	OPTION_CONFIG,
	OPTION_INITRAMFS,
	OPTION_EXEC,
	OPTION_METRICS,
	OPTION_REPAIR,
	OPTION_YES,
	OPTION_BACKUP,
	OPTION_OFFLINE,
	OPTION_OFFLINE_STORE,
	OPTION_JSON,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_COUNT,
};

#define ALLOWED(option) (1ull << OPTION_##option)

/* At an option that takes a value, where in struct options it goes; else a flag. */
struct option_entry {
	const char *name;
	const char *value;		/* what it is called, NULL: none */
	size_t place;
	const char *help;
};

/* One section of the help, and one man page, dmcommit-NAME(8). */
enum command_group {
	GROUP_STORE,
	GROUP_VOLUME,
	GROUP_LAYER,
	GROUP_COMMIT,
	GROUP_STATUS,
	GROUP_METADATA,
	GROUP_COUNT,
};

struct group_entry {
	const char *name;
	const char *help;
};

struct command {
	const char *name;
	enum command_group group;
	const char *arguments;		/* words; one in brackets may be missing */
	u64 allowed;			/* options */
	u64 required;
	u64 instead;			/* with one of these nothing else is required */
	enum exit_code (*run)(const struct options *options);
	const char *help;
};

extern const struct option_entry option_table[OPTION_COUNT];
extern const struct group_entry group_table[GROUP_COUNT];
extern const struct command command_table[];
extern const size_t command_count;

/* NULL: there is none of this name. */
const struct command *command_find(const char *name);

/* Of the words of its arguments; @least: those that may not be missing. */
unsigned int command_arguments(const struct command *command,
			       unsigned int *least);

static inline bool command_allows(const struct command *command,
				  enum option_id id)
{
	return (command->allowed >> id & 1) || id == OPTION_HELP ||
	       id == OPTION_VERSION;
}

#endif /* DMCOMMIT_COMMAND_TABLE_H */
