// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "error_list.h"
#include "live_view.h"
#include "metrics.h"
#include "status_view.h"

static enum exit_code show_volume(struct json *json, const char *key,
				  const struct volume *volume)
{
	struct status_view view;
	enum exit_code code = status_view_load(&view, volume);

	if (!code && json)
		status_print_volume_json(json, key, &view);
	else if (!code)
		status_print_volume_text(&view);
	status_view_free(&view);
	return code;
}

static void show_store(struct json *json, const struct store *store)
{
	if (json)
		status_print_store_json(json, NULL, store);
	else
		status_print_store_text(store);
}

/* One that went down meanwhile, or failed, must not hide the others. */
static enum exit_code show_all(struct json *json, struct inventory *inventory)
{
	enum exit_code code = EXIT_DONE, one;
	size_t i;

	if (json) {
		json_begin_object(json, NULL);
		json_begin_array(json, "stores");
	}
	for (i = 0; i < inventory->store_count; i++)
		show_store(json, &inventory->stores[i]);
	if (json) {
		json_end_array(json);
		json_begin_array(json, "volumes");
	}
	for (i = 0; i < inventory->volume_count; i++) {
		one = show_volume(json, NULL, &inventory->volumes[i]);
		code = code ? code : one;
	}
	if (json) {
		json_end_array(json);
		json_end_object(json);
	}
	return code;
}

static enum exit_code show_named(struct json *json, struct inventory *inventory,
				 const char *text)
{
	struct volume *volume;
	struct store *store;
	enum exit_code code = inventory_find_either(inventory, text, &store,
						    &volume);

	if (code)
		return code;
	if (volume)
		return show_volume(json, NULL, volume);
	show_store(json, store);
	return EXIT_DONE;
}

static enum exit_code show_errors(struct inventory *inventory,
				  const struct options *options)
{
	struct volume *volume;
	enum exit_code code = inventory_find_stack(inventory,
						   options->arguments[0],
						   &volume);

	return code ? code : error_list_print(volume, options->json);
}

static enum exit_code show(const struct options *options)
{
	struct json json = { .file = stdout };
	struct json *target = options->json ? &json : NULL;
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	if (!code && options->metrics)
		code = metrics_print(&inventory);
	else if (!code && options->errors)
		code = show_errors(&inventory, options);
	else if (!code && options->argument_count)
		code = show_named(target, &inventory, options->arguments[0]);
	else if (!code)
		code = show_all(target, &inventory);
	inventory_free(&inventory);
	return code;
}

static enum exit_code show_again(const void *context)
{
	return show(context);
}

enum exit_code command_status(const struct options *options)
{
	if (options->errors && !options->argument_count)
		return fail(EXIT_USAGE, "status: --errors wants a volume");
	if (options->metrics && (options->argument_count || options->json ||
				 options->watch || options->errors))
		return fail(EXIT_USAGE,
			    "status: --metrics is of everything, and goes with nothing else");
	if (options->watch)
		return live_view_run(show_again, options, WATCH_INTERVAL,
				     options->json);
	return show(options);
}
