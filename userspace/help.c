// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "feature.h"
#include "help.h"

enum {
	SYNOPSIS_TEXT = 256,
	LINE_WIDTH = 79,
	OPTION_COLUMN = 33,		/* where what it means begins */
	COMMAND_COLUMN = 31,
};

static bool is_required(const struct command *command, unsigned int id)
{
	return command->required >> id & 1;
}

static bool is_instead(const struct command *command, unsigned int id)
{
	return command->instead >> id & 1;
}

/* "create VOL --base DEV --store STORE|DEV [OPTION]..." */
static const char *format_synopsis(const struct command *command,
				   char text[SYNOPSIS_TEXT])
{
	const struct option_entry *entry;
	unsigned int i;
	int used;

	used = snprintf(text, SYNOPSIS_TEXT, "%s%s%s", command->name,
			command->arguments[0] ? " " : "", command->arguments);
	for (i = 0; i < OPTION_COUNT; i++) {
		entry = &option_table[i];
		if (is_required(command, i) && used < SYNOPSIS_TEXT)
			used += snprintf(text + used, SYNOPSIS_TEXT - used,
					 " --%s %s", entry->name, entry->value);
	}
	if (used < SYNOPSIS_TEXT)
		snprintf(text + used, SYNOPSIS_TEXT - used, " [OPTION]...");
	return text;
}

/* As many of its bytes as a line has room for, in whole words. */
static int fit_words(const char *text, int room)
{
	int length = strlen(text);

	if (length <= room)
		return length;
	for (length = room; length && text[length] != ' '; length--)
		;
	return length ? length : (int)strcspn(text, " ");
}

/* A word, and beside it what it means. */
static void print_entry(const char *word, int column, const char *text)
{
	int length = fit_words(text, LINE_WIDTH - column);

	printf("  %-*s %.*s\n", column - 3, word, length, text);
	while (*(text += length)) {
		text++;
		length = fit_words(text, LINE_WIDTH - column);
		printf("%*s%.*s\n", column, "", length, text);
	}
}

static void print_option(const struct option_entry *entry)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", entry->name,
		 entry->value ? " " : "", entry->value ? entry->value : "");
	print_entry(left, OPTION_COLUMN, entry->help);
}

static void print_features(enum feature_target target, const char *kind)
{
	const char *name, *values;
	unsigned int n;

	printf("\nfeatures of a %s:\n", kind);
	for (n = 0; (name = feature_describe(target, n, &values)); n++)
		print_entry(name, OPTION_COLUMN, values);
}

static void print_instead(const struct command *command)
{
	const struct option_entry *entry;
	unsigned int i;

	for (i = 0; i < OPTION_COUNT; i++) {
		entry = &option_table[i];
		if (is_instead(command, i))
			printf("       dmcommit %s --%s%s%s [OPTION]...\n",
			       command->name, entry->name,
			       entry->value ? " " : "",
			       entry->value ? entry->value : "");
	}
}

void help_print_command(const struct command *command)
{
	char synopsis[SYNOPSIS_TEXT];
	unsigned int i;

	printf("usage: dmcommit %s\n", format_synopsis(command, synopsis));
	print_instead(command);
	printf("\n%s: %s\n\n", command->name, command->help);
	for (i = 0; i < OPTION_COUNT; i++)
		if (command->allowed >> i & 1)
			print_option(&option_table[i]);
	print_option(&option_table[OPTION_HELP]);
	if (strstr(command->arguments, "FEATURE=VALUE")) {
		print_features(FEATURE_STORE, "store");
		print_features(FEATURE_STACK, "stack");
	}
	printf("\nMore in dmcommit-%s(8).\n",
	       group_table[command->group].name);
}

static void print_group(enum command_group group)
{
	char left[64];
	size_t i;

	printf("%s:\n", group_table[group].help);
	for (i = 0; i < command_count; i++) {
		const struct command *command = &command_table[i];

		if (command->group != group)
			continue;
		snprintf(left, sizeof(left), "%s %s", command->name,
			 command->arguments);
		print_entry(left, COMMAND_COLUMN, command->help);
	}
	printf("\n");
}

void help_print_all(void)
{
	unsigned int group;

	printf("usage: dmcommit COMMAND [ARGUMENT]... [OPTION]...\n\n"
	       "Layered copy-on-write volumes, committed into their base while in use.\n\n");
	for (group = 0; group < GROUP_COUNT; group++)
		print_group(group);
	print_option(&option_table[OPTION_HELP]);
	print_option(&option_table[OPTION_VERSION]);
	printf("\nVOL is a volume or STORE/VOL, STORE a store's name or device.\n"
	       "Sizes and rates take K, M, G, T. dmcommit COMMAND --help tells more.\n\n"
	       "exit status: 0 done, 1 failed, 2 wrong usage, 3 no such thing,\n"
	       "4 busy or refused for safety, 5 damaged, 6 job stopped or with errors,\n"
	       "7 job cancelled or paused while waited for, 130 interrupted\n");
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static void print_option_row(const struct command *command, unsigned int id)
{
	const char *need = "optional";

	if (is_required(command, id))
		need = "required";
	else if (is_instead(command, id))
		need = "instead";
	printf("option\t%s\t--%s\t%s\t%s\t%s\n", command->name,
	       option_table[id].name, or_dash(option_table[id].value), need,
	       option_table[id].help);
}

static void print_command_rows(const struct command *command)
{
	char synopsis[SYNOPSIS_TEXT];
	unsigned int i;

	printf("command\t%s\t%s\t%s\t%s\t%s\n", command->name,
	       group_table[command->group].name, or_dash(command->arguments),
	       format_synopsis(command, synopsis), command->help);
	for (i = 0; i < OPTION_COUNT; i++)
		if (command_allows(command, i))
			print_option_row(command, i);
}

static void print_feature_rows(enum feature_target target, const char *kind)
{
	const char *name, *values;
	unsigned int n;

	for (n = 0; (name = feature_describe(target, n, &values)); n++)
		printf("feature\t%s\t%s\t%s\n", kind, name, values);
}

void help_print_table(void)
{
	unsigned int group;
	size_t i;

	for (group = 0; group < GROUP_COUNT; group++)
		printf("group\t%s\t%s\n", group_table[group].name,
		       group_table[group].help);
	for (i = 0; i < command_count; i++)
		print_command_rows(&command_table[i]);
	print_feature_rows(FEATURE_STORE, "store");
	print_feature_rows(FEATURE_STACK, "stack");
}
