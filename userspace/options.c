// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>

#include "help.h"

#ifndef DMCOMMIT_VERSION
#define DMCOMMIT_VERSION "unknown"
#endif

static enum exit_code store_option(struct options *options, int id, char *value)
{
	const struct option_entry *entry = &option_table[id];
	void *place = (char *)options + entry->place;

	if (id == OPTION_SET) {
		if (options->set_count == OPTIONS_MAX_SETS)
			return fail(EXIT_USAGE, "too many --set");
		options->sets[options->set_count++] = value;
	} else if (entry->value) {
		if (*(const char **)place)
			return fail(EXIT_USAGE, "--%s was given twice",
				    entry->name);
		*(const char **)place = value;
	} else {
		*(bool *)place = true;
	}
	return EXIT_DONE;
}

static size_t list_options(const struct command *command,
			   struct option list[OPTION_COUNT + 1])
{
	size_t count = 0;
	unsigned int i;

	memset(list, 0, (OPTION_COUNT + 1) * sizeof(*list));
	for (i = 0; i < OPTION_COUNT; i++) {
		if (!command_allows(command, i))
			continue;
		list[count].name = option_table[i].name;
		list[count].has_arg = option_table[i].value ?
				      required_argument : no_argument;
		list[count].val = i;
		count++;
	}
	return count;
}

static enum exit_code bad_option(const struct command *command, int result,
				 char **argv)
{
	const char *word = argv[optind - 1];

	if (result == ':')
		return fail(EXIT_USAGE, "%s: %s needs a value", command->name,
			    word);
	if (optopt && optopt < 256 && optopt >= ' ')
		return fail(EXIT_USAGE,
			    "%s: unknown option -%c; see dmcommit %s --help",
			    command->name, optopt, command->name);
	return fail(EXIT_USAGE, "%s: unknown option %s; see dmcommit %s --help",
		    command->name, word, command->name);
}

static enum exit_code take_arguments(const struct command *command, u64 seen,
				     struct options *options, int argc,
				     char **argv)
{
	bool instead = command->instead & seen;
	unsigned int count = argc - optind;
	unsigned int least, most;

	most = command_arguments(command, &least);
	if (instead && count)
		return fail(EXIT_USAGE, "%s: \"%s\" is one too many; see dmcommit %s --help",
			    command->name, argv[optind], command->name);
	if (count > most)
		return fail(EXIT_USAGE, "%s: \"%s\" is one too many; usage: dmcommit %s%s%s",
			    command->name, argv[optind + most], command->name,
			    most ? " " : "", command->arguments);
	if (count < least && !instead)
		return fail(EXIT_USAGE, "%s: something is missing; usage: dmcommit %s %s",
			    command->name, command->name, command->arguments);
	for (options->argument_count = 0; options->argument_count < count;
	     options->argument_count++) {
		char *argument = argv[optind + options->argument_count];

		if (!*argument)
			return fail(EXIT_USAGE, "%s: an argument is empty",
				    command->name);
		options->arguments[options->argument_count] = argument;
	}
	return EXIT_DONE;
}

static enum exit_code check_required(const struct command *command,
				     u64 seen)
{
	unsigned int i;

	if (command->instead & seen)
		return EXIT_DONE;
	for (i = 0; i < OPTION_COUNT; i++)
		if ((command->required & ~seen) >> i & 1)
			return fail(EXIT_USAGE, "%s: --%s %s is missing",
				    command->name, option_table[i].name,
				    option_table[i].value);
	return EXIT_DONE;
}

static enum exit_code print_version(void)
{
	printf("dmcommit %s\n", DMCOMMIT_VERSION);
	return EXIT_DONE;
}

static enum exit_code run_command(const struct command *command, int argc,
				  char **argv)
{
	struct option list[OPTION_COUNT + 1];
	struct options options = { };
	u64 seen = 0;
	enum exit_code code;
	int id;

	list_options(command, list);
	optind = 1;
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":hV", list, NULL)) != -1) {
		if (id == 'h' || id == OPTION_HELP) {
			help_print_command(command);
			return EXIT_DONE;
		}
		if (id == 'V' || id == OPTION_VERSION)
			return print_version();
		if (id == ':' || id == '?')
			return bad_option(command, id, argv);
		code = store_option(&options, id, optarg);
		if (code)
			return code;
		seen |= 1ull << id;
	}
	code = take_arguments(command, seen, &options, argc, argv);
	if (!code)
		code = check_required(command, seen);
	return code ? code : command->run(&options);
}

/* @about: a command, "--table", or NULL: all of it. */
static enum exit_code print_help(const char *about)
{
	const struct command *command = about ? command_find(about) : NULL;

	if (about && !strcmp(about, "--table"))
		help_print_table();
	else if (command)
		help_print_command(command);
	else if (about)
		return fail(EXIT_USAGE, "help: no command \"%s\"; see dmcommit --help",
			    about);
	else
		help_print_all();
	return EXIT_DONE;
}

enum exit_code options_run(int argc, char **argv)
{
	const struct command *command;
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word)
		return fail(EXIT_USAGE, "no command; see dmcommit --help");
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return print_version();
	if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
	    !strcmp(word, "help"))
		return argc > 3 ?
			fail(EXIT_USAGE, "help: \"%s\" is one too many; see dmcommit --help",
			     argv[3]) :
			print_help(argc > 2 ? argv[2] : NULL);
	command = command_find(word);
	if (!command)
		return fail(EXIT_USAGE, "no %s \"%s\"; see dmcommit --help",
			    word[0] == '-' ? "option" : "command", word);
	return run_command(command, argc - 1, argv + 1);
}
