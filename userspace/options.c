// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>

#include "commands.h"

#ifndef DMCOMMIT_VERSION
#define DMCOMMIT_VERSION "unknown"
#endif

enum option_id {
	OPTION_NAME,
	OPTION_CHUNK_SIZE,
	OPTION_FORCE,
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
	OPTION_JSON,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_COUNT,
};

#define ALLOWED(option) (1u << OPTION_##option)
#define BASE_OPTIONS (ALLOWED(BASE) | ALLOWED(STORE) | ALLOWED(SET) | \
		      ALLOWED(ACCEPT_BASE) | ALLOWED(READ_ONLY_BASE))
#define START_OPTIONS (ALLOWED(TOP) | ALLOWED(BASE_LAYER) | ALLOWED(SPEED) | \
		       ALLOWED(UNTIL) | ALLOWED(RETAIN) | ALLOWED(VERIFY) | \
		       ALLOWED(NO_YIELD) | ALLOWED(ON_ERROR) | \
		       ALLOWED(FREEZE) | ALLOWED(WAIT) | \
		       ALLOWED(DRY_RUN) | ALLOWED(JSON))
#define STREAM_OPTIONS (ALLOWED(STREAM_TOP) | ALLOWED(STREAM_BASE) | \
			ALLOWED(SPEED) | ALLOWED(NO_YIELD) | \
			ALLOWED(ON_ERROR) | ALLOWED(WAIT) | ALLOWED(JSON))

/* At an option that takes a value, where in struct options it goes; else a flag. */
static const struct option_entry {
	const char *name;
	const char *value;		/* what it is called, NULL: none */
	size_t place;
	const char *help;
} option_table[OPTION_COUNT] = {
#define VALUE(id, name, value, field, help) \
	[OPTION_##id] = { name, value, offsetof(struct options, field), help }
#define FLAG(id, name, field, help) \
	[OPTION_##id] = { name, NULL, offsetof(struct options, field), help }
	VALUE(NAME, "name", "NAME", name, "what it shall be called"),
	VALUE(CHUNK_SIZE, "chunk-size", "SIZE", chunk_size,
	      "4K to 1M, a power of two (default 64K)"),
	FLAG(FORCE, "force", force, "whatever the device holds"),
	VALUE(SET, "set", "FEATURE=VALUE", sets, "may be given several times"),
	VALUE(BASE, "base", "DEV", base, "the device with the image"),
	VALUE(STORE, "store", "STORE|DEV", store,
	      "a store, attached now if it is not"),
	VALUE(SIZE, "size", "SIZE", size, "of the volume (default: the base's)"),
	FLAG(ACCEPT_BASE, "accept-base", accept_base,
	     "take a base that is not the one recorded"),
	FLAG(READ_ONLY_BASE, "read-only-base", read_only_base,
	     "never write to the base"),
	FLAG(FREEZE, "freeze", freeze,
	     "hold the mounted file system for the snapshot"),
	FLAG(PIN, "pin", pin, "no commit shall take the snapshot away"),
	VALUE(LAYER, "layer", "LAYER", layer,
	      "a frozen one (default: the newest)"),
	VALUE(TOP, "top", "LAYER", top,
	      "highest layer to commit (default: a new snapshot)"),
	VALUE(BASE_LAYER, "base", "LAYER", base,
	      "commit into this layer, 0: the base (default: feature commit_base)"),
	VALUE(STREAM_TOP, "top", "LAYER", top,
	      "pull into this layer (default: the top)"),
	VALUE(STREAM_BASE, "base", "LAYER|none", base,
	      "pull what lies above this layer (default: all), none: the base too"),
	VALUE(SPEED, "speed", "RATE", speed,
	      "bytes per second, 0: as fast as it goes"),
	VALUE(UNTIL, "until", "TIME", until, "pause then: HH:MM, or with a date"),
	FLAG(RETAIN, "retain", retain, "keep what was committed as clean copies"),
	FLAG(VERIFY, "verify", verify, "read back what was written"),
	FLAG(NO_YIELD, "no-yield", no_yield, "do not keep back for users' I/O"),
	VALUE(ON_ERROR, "on-error", "stop|report|ignore", on_error,
	      "what an I/O error does (default: stop)"),
	FLAG(WAIT, "wait", wait, "until the job has ended"),
	FLAG(DRY_RUN, "dry-run", dry_run,
	     "change nothing; say what would be written, how long it would take"),
	FLAG(WATCH, "watch", watch, "again each second"),
	FLAG(ERRORS, "errors", errors,
	     "all places that a commit could not move, in sectors"),
	FLAG(JSON, "json", json, "for programs"),
	[OPTION_HELP] = { "help", NULL, 0, "this text" },
	[OPTION_VERSION] = { "version", NULL, 0, "the tool's version" },
};

static const struct command {
	const char *name;
	const char *arguments;		/* as --help shows them */
	unsigned int count;		/* of arguments, at most */
	unsigned int optional;		/* of them, the last */
	unsigned int allowed;
	unsigned int required;
	enum exit_code (*run)(const struct options *options);
	const char *help;
} commands[] = {
	{ "format", "DEV", 1, 0,
	  ALLOWED(NAME) | ALLOWED(CHUNK_SIZE) | ALLOWED(FORCE), 0,
	  command_format, "write an empty store" },
	{ "attach", "DEV", 1, 0, ALLOWED(SET), 0,
	  command_attach, "bring a store up" },
	{ "detach", "STORE", 1, 0, 0, 0,
	  command_detach, "take a store down" },
	{ "create", "VOL", 1, 0, BASE_OPTIONS | ALLOWED(SIZE),
	  ALLOWED(BASE) | ALLOWED(STORE),
	  command_create, "make a volume and bring it up" },
	{ "up", "VOL", 1, 0, BASE_OPTIONS, ALLOWED(BASE),
	  command_up, "bring a volume up" },
	{ "down", "VOL", 1, 0, 0, 0,
	  command_down, "take a volume down, all of it durable" },
	{ "delete", "VOL", 1, 0, 0, 0,
	  command_delete, "delete a volume that is down, with its layers" },
	{ "clone", "VOL NEW", 2, 0, ALLOWED(LAYER), 0,
	  command_clone, "make a second volume on the same frozen layers" },
	{ "resize", "VOL SIZE", 2, 0, 0, 0,
	  command_resize, "enlarge a volume, also while it is in use" },
	{ "grow", "STORE", 1, 0, 0, 0,
	  command_grow, "use all of a store's device that has grown" },
	{ "snapshot", "VOL", 1, 0,
	  ALLOWED(NAME) | ALLOWED(FREEZE) | ALLOWED(PIN), 0,
	  command_snapshot, "freeze the top layer, put a new one on it" },
	{ "drop", "VOL LAYER", 2, 0, 0, 0,
	  command_drop, "let an empty layer leave the chain" },
	{ "pin", "VOL LAYER", 2, 0, 0, 0,
	  command_pin, "never commit this layer away" },
	{ "unpin", "VOL LAYER", 2, 0, 0, 0,
	  command_unpin, "let commits take it again" },
	{ "empty", "VOL LAYER", 2, 0, 0, 0,
	  command_empty, "let go of its clean copies; 0: of the base's" },
	{ "start", "VOL", 1, 0, START_OPTIONS, 0,
	  command_start, "commit layers down into the base" },
	{ "stream", "VOL", 1, 0, STREAM_OPTIONS, 0,
	  command_stream, "pull lower layers, or the base, up into one" },
	{ "wait", "VOL", 1, 0, ALLOWED(JSON), 0,
	  command_wait, "until the volume's job has ended" },
	{ "pause", "VOL", 1, 0, 0, 0,
	  command_pause, "hold the job; it can go on, also after a boot" },
	{ "resume", "VOL", 1, 0, 0, 0,
	  command_resume, "let a job go on that was paused" },
	{ "cancel", "VOL", 1, 0, 0, 0,
	  command_cancel, "forget the job; what the volume shows stays" },
	{ "speed", "VOL RATE", 2, 0, 0, 0,
	  command_speed, "limit the job, 0: as fast as it goes" },
	{ "set", "VOL|STORE FEATURE=VALUE", 2, 0, 0, 0,
	  command_set, "change a feature" },
	{ "status", "[VOL|STORE]", 1, 1,
	  ALLOWED(JSON) | ALLOWED(WATCH) | ALLOWED(ERRORS), 0,
	  command_status, "what is going on" },
	{ "layers", "VOL", 1, 0, ALLOWED(JSON), 0,
	  command_layers, "the layers of a volume" },
	{ "list", "", 0, 0, ALLOWED(JSON), 0,
	  command_list, "all attached stores and their volumes" },
	{ "check", "DEV", 1, 0, ALLOWED(JSON), 0,
	  command_check, "check a store's metadata, changing nothing" },
};

/* --- help --- */

static void print_option(const struct option_entry *entry)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", entry->name,
		 entry->value ? " " : "", entry->value ? entry->value : "");
	printf("  %-30s %s\n", left, entry->help);
}

static void print_command_help(const struct command *command)
{
	unsigned int i;

	printf("usage: dmcommit %s%s%s%s\n\n%s: %s\n\n", command->name,
	       command->arguments[0] ? " " : "", command->arguments,
	       " [OPTION]…", command->name, command->help);
	for (i = 0; i < OPTION_COUNT; i++)
		if (command->allowed & (1u << i))
			print_option(&option_table[i]);
	print_option(&option_table[OPTION_HELP]);
}

static void print_help(void)
{
	char left[64];
	size_t i;

	printf("usage: dmcommit COMMAND [ARGUMENT]… [OPTION]…\n\n"
	       "Layered copy-on-write volumes, committed into their base while in use.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		snprintf(left, sizeof(left), "%s %s", commands[i].name,
			 commands[i].arguments);
		printf("  %-28s %s\n", left, commands[i].help);
	}
	printf("\n");
	print_option(&option_table[OPTION_HELP]);
	print_option(&option_table[OPTION_VERSION]);
	printf("\nVOL is a volume or STORE/VOL, STORE a store's name or device.\n"
	       "Sizes and rates take K, M, G, T. dmcommit COMMAND --help tells more.\n\n"
	       "exit status: 0 done, 1 failed, 2 wrong usage, 3 no such thing,\n"
	       "4 busy or refused for safety, 5 damaged, 6 job stopped or with errors,\n"
	       "7 job cancelled or paused while waited for, 130 interrupted\n");
}

/* --- parsing --- */

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

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
		if (!(command->allowed & (1u << i)) && i != OPTION_HELP)
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

static enum exit_code take_arguments(const struct command *command,
				     struct options *options, int argc,
				     char **argv)
{
	unsigned int count = argc - optind;

	if (count > command->count)
		return fail(EXIT_USAGE, "%s: \"%s\" is one too many; usage: dmcommit %s %s",
			    command->name, argv[optind + command->count],
			    command->name, command->arguments);
	if (count < command->count - command->optional)
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
				     unsigned int seen)
{
	unsigned int i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (command->required & ~seen & (1u << i))
			return fail(EXIT_USAGE, "%s: --%s %s is missing",
				    command->name, option_table[i].name,
				    option_table[i].value);
	return EXIT_DONE;
}

static enum exit_code run_command(const struct command *command, int argc,
				  char **argv)
{
	struct option list[OPTION_COUNT + 1];
	struct options options = { };
	unsigned int seen = 0;
	enum exit_code code;
	int id;

	list_options(command, list);
	optind = 1;
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
		if (id == 'h' || id == OPTION_HELP) {
			print_command_help(command);
			return EXIT_DONE;
		}
		if (id == ':' || id == '?')
			return bad_option(command, id, argv);
		code = store_option(&options, id, optarg);
		if (code)
			return code;
		seen |= 1u << id;
	}
	code = take_arguments(command, &options, argc, argv);
	if (!code)
		code = check_required(command, seen);
	return code ? code : command->run(&options);
}

enum exit_code options_run(int argc, char **argv)
{
	const struct command *command;
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word)
		return fail(EXIT_USAGE, "no command; see dmcommit --help");
	if (!strcmp(word, "--version")) {
		printf("dmcommit %s\n", DMCOMMIT_VERSION);
		return EXIT_DONE;
	}
	if (!strcmp(word, "help") && argc > 2) {
		command = find_command(argv[2]);
		if (!command)
			return fail(EXIT_USAGE, "no command \"%s\"", argv[2]);
		print_command_help(command);
		return EXIT_DONE;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
	    !strcmp(word, "help")) {
		print_help();
		return EXIT_DONE;
	}
	command = find_command(word);
	if (!command)
		return fail(EXIT_USAGE, "no %s \"%s\"; see dmcommit --help",
			    word[0] == '-' ? "option" : "command", word);
	return run_command(command, argc - 1, argv + 1);
}
