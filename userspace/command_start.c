// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "commands.h"
#include "freeze.h"
#include "job.h"
#include "message.h"
#include "size.h"

struct start_message {
	char text[256];
};

__printf(2, 3)
static void add_words(struct start_message *message, const char *format, ...)
{
	size_t used = strlen(message->text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message->text + used, sizeof(message->text) - used, format,
		  arguments);
	va_end(arguments);
}

/* What can be read without asking anybody; wrong usage is said first. */
static enum exit_code add_settings(struct start_message *message,
				   const struct options *options)
{
	u64 number;

	if (options->speed) {
		if (size_parse(options->speed, &number))
			return fail(EXIT_USAGE, "--speed: \"%s\" is no rate",
				    options->speed);
		add_words(message, " speed %llu", llu(number));
	}
	if (options->until) {
		if (time_parse(options->until, time(NULL), &number))
			return fail(EXIT_USAGE,
				    "--until: \"%s\" is no time: HH:MM, \"YYYY-MM-DD HH:MM\", or seconds since 1970",
				    options->until);
		add_words(message, " until %llu", llu(number));
	}
	if (options->on_error) {
		if (strcmp(options->on_error, "stop") &&
		    strcmp(options->on_error, "report") &&
		    strcmp(options->on_error, "ignore"))
			return fail(EXIT_USAGE,
				    "--on-error: \"%s\" is not stop, report or ignore",
				    options->on_error);
		add_words(message, " on_error %s", options->on_error);
	}
	if (options->no_yield)
		add_words(message, " yield 0");
	if (options->retain)
		add_words(message, " retain 1");
	if (options->verify)
		add_words(message, " verify 1");
	return EXIT_DONE;
}

static enum exit_code add_layer(struct start_message *message,
				const struct volume *volume, const char *word,
				const char *text)
{
	enum exit_code code = EXIT_DONE;
	u32 layer = 0;

	/* 0 is the base. */
	if (strcmp(text, "0"))
		code = stack_find_layer(volume, text, &layer);
	if (!code)
		add_words(message, " %s %u", word, layer);
	return code;
}

static enum exit_code send_message(const struct volume *volume,
				   const struct options *options,
				   const struct start_message *message)
{
	struct freeze freeze = { .fd = -1 };
	enum exit_code code = EXIT_DONE;

	if (options->freeze)
		code = freeze_begin(&freeze, volume);
	if (!code)
		code = stack_message(volume, "commit start%s", message->text);
	freeze_end(&freeze);
	return code;
}

static enum exit_code start(struct inventory *inventory,
			    const struct options *options,
			    struct start_message *message)
{
	struct volume *volume;
	enum exit_code code;

	code = inventory_find_stack(inventory, options->arguments[0], &volume);
	if (!code && options->top)
		code = add_layer(message, volume, "top", options->top);
	if (!code && options->base)
		code = add_layer(message, volume, "base", options->base);
	if (!code)
		code = send_message(volume, options, message);
	if (!code && options->wait)
		code = job_wait(volume, true, options->json);
	else if (!code && options->json)
		code = job_show(volume);
	return code;
}

enum exit_code command_start(const struct options *options)
{
	struct start_message message = { };
	struct inventory inventory = { };
	enum exit_code code = add_settings(&message, options);

	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = start(&inventory, options, &message);
	inventory_free(&inventory);
	return code;
}
