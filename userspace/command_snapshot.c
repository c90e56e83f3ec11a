// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "freeze.h"
#include "layer_list.h"
#include "message.h"
#include "name_check.h"
#include "size.h"

static enum exit_code take_snapshot(const struct volume *volume,
				    const struct options *options)
{
	char text[LINE_NAME + 16];

	snprintf(text, sizeof(text), "snapshot%s%s", options->name ? " " : "",
		 options->name ? options->name : "");
	return options->freeze ? freeze_message(volume, text) :
				 stack_message(volume, "%s", text);
}

/* Whose child is the top, if it was the top itself before. */
static bool is_next_to_top(const struct layer_list *list, u32 id)
{
	return list->count && layer_is_top(list->layers) &&
	       list->layers->parent == id;
}

/*
 * There is no message for both.  A snapshot that somebody else takes meanwhile
 * must not be pinned in place of ours, so the chain has to have grown by one.
 */
static enum exit_code pin_snapshot(const struct volume *volume, u32 id)
{
	struct layer_list list;
	enum exit_code code = layer_list_load(&list, volume);

	if (!code && !is_next_to_top(&list, id))
		code = fail(EXIT_REFUSED,
			    "the snapshot of %s was taken, but the chain changed beside it and it was not pinned; see dmcommit layers, then dmcommit pin",
			    volume->name);
	layer_list_free(&list);
	return code ? code : stack_message(volume, "pin %u", id);
}

static enum exit_code snapshot_and_pin(const struct volume *volume,
				       const struct options *options)
{
	struct stack_status status;
	int error = stack_status(volume->stack->name, &status);
	enum exit_code code;

	if (error)
		return fail_errno(error, NULL, "%s: status", volume->name);
	code = take_snapshot(volume, options);
	return code ? code : pin_snapshot(volume, status.top);
}

/* Of a number every command takes it that it is a layer's id. */
static enum exit_code check_layer_name(const char *name)
{
	u64 id;

	if (number_parse(name, U32_MAX, &id))
		return name_check("layer", name);
	return fail(EXIT_USAGE,
		    "\"%s\" is no name for a layer: a number is a layer's id",
		    name);
}

enum exit_code command_snapshot(const struct options *options)
{
	struct inventory inventory = { };
	struct volume *volume;
	enum exit_code code = EXIT_DONE;

	if (options->name)
		code = check_layer_name(options->name);
	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code && options->pin)
		code = snapshot_and_pin(volume, options);
	else if (!code)
		code = take_snapshot(volume, options);
	inventory_free(&inventory);
	return code;
}
