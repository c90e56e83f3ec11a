// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "message.h"
#include "size.h"

enum { MESSAGE_TEXT = 1024 };

/* The kernel's own words name the request; elsewhere it has to be said. */
static enum exit_code fail_message(int error, const char *device,
				   const char *text)
{
	const char *reason = mapper_reason();

	return fail_errno(error, reason, "%s%s%s", device,
			  reason ? "" : ": ", reason ? "" : text);
}

enum exit_code store_message(const struct store *store, const char *format, ...)
{
	char text[MESSAGE_TEXT];
	va_list arguments;
	int error;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	error = mapper_message(store->device.name, 0, text, NULL);
	if (error)
		return fail_message(error, store->device.name, text);
	return EXIT_DONE;
}

/* Somebody else's table may have it behind something else. */
static int find_start(const char *name, u64 *start)
{
	struct mapper_line line;
	int error = mapper_query(name, MAPPER_TABLE, &line);

	*start = line.start;
	free(line.text);
	return error;
}

static int send_to_stack(const char *name, const char *text, char **reply)
{
	u64 start;
	int error = find_start(name, &start);

	return error ? error : mapper_message(name, start, text, reply);
}

int stack_send(const struct volume *volume, const char *text)
{
	return send_to_stack(volume->stack->name, text, NULL);
}

enum exit_code stack_judge(const struct volume *volume, const char *text,
			   int error)
{
	return error ? fail_message(error, volume->stack->name, text) :
		       EXIT_DONE;
}

enum exit_code stack_message(const struct volume *volume,
			     const char *format, ...)
{
	char text[MESSAGE_TEXT];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return stack_judge(volume, text, stack_send(volume, text));
}

enum exit_code stack_ask(const struct volume *volume, const char *message,
			 char **reply)
{
	const char *name = volume->stack->name;
	int error = send_to_stack(name, message, reply);

	if (!error && !*reply) {
		*reply = strdup("");
		error = *reply ? 0 : -ENOMEM;
	}
	return error ? fail_message(error, name, message) : EXIT_DONE;
}

static int parse_layers(const char *reply, struct layer_line **layers,
			size_t *count)
{
	struct layer_line layer, *more;
	int error;

	*layers = NULL;
	*count = 0;
	while (reply && *reply) {
		error = layer_line_parse(reply, &layer);
		if (error)
			return error;
		more = reallocarray(*layers, *count + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		*layers = more;
		more[(*count)++] = layer;
		reply += strcspn(reply, "\n");
		reply += strspn(reply, "\n");
	}
	return 0;
}

/* A stack knows its own; of a volume that is down its store knows. */
static int ask_of_volume(const struct volume *volume, const char *verb,
			 char **reply)
{
	char text[64];

	*reply = NULL;
	if (volume->stack && !strcmp(verb, "layers"))
		return send_to_stack(volume->stack->name, verb, reply);
	if (!volume->store)
		return -ENXIO;
	snprintf(text, sizeof(text), "%s %u", verb, volume->line.id);
	return mapper_message(volume->store->device.name, 0, text, reply);
}

int volume_try_layers(const struct volume *volume, struct layer_line **layers,
		      size_t *count)
{
	char *reply;
	int error = ask_of_volume(volume, "layers", &reply);

	*layers = NULL;
	*count = 0;
	if (!error)
		error = parse_layers(reply, layers, count);
	free(reply);
	if (error) {
		free(*layers);
		*layers = NULL;
		*count = 0;
	}
	return error;
}

enum exit_code volume_layers(const struct volume *volume,
			     struct layer_line **layers, size_t *count)
{
	int error = volume_try_layers(volume, layers, count);

	return error ? fail_message(error, volume->name, "layers") : EXIT_DONE;
}

enum exit_code volume_record(const struct volume *volume,
			     struct stack_status *status)
{
	char *reply;
	int error = ask_of_volume(volume, "volume", &reply);

	memset(status, 0, sizeof(*status));
	if (!error)
		error = stack_status_parse(reply ? reply : "", status);
	free(reply);
	return error ? fail_message(error, volume->name, "volume") : EXIT_DONE;
}

int stack_status(const char *name, struct stack_status *status)
{
	struct mapper_line line;
	int error = mapper_query(name, MAPPER_STATUS, &line);

	if (!error)
		error = stack_status_parse(line.text, status);
	free(line.text);
	return error;
}

enum exit_code stack_job_message(const struct volume *volume,
				 const char *message)
{
	const char *name = volume->stack->name;
	int error = send_to_stack(name, message, NULL);

	if (error == -ENOENT)
		return fail(EXIT_FAILED, "%s has no job; dmcommit start %s begins one",
			    name, name);
	if (error)
		return fail_message(error, name, message);
	return EXIT_DONE;
}
