// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "feature.h"
#include "message.h"

static enum exit_code set_on_store(const struct store *store, const char *text)
{
	struct feature feature;
	enum exit_code code = feature_parse(text, FEATURE_STORE, &feature);

	if (code)
		return code;
	return store_message(store, "set %s %s", feature.name, feature.value);
}

static enum exit_code set_on_stack(const struct volume *volume, const char *text)
{
	struct feature feature;
	enum exit_code code = feature_parse(text, FEATURE_STACK, &feature);

	if (code)
		return code;
	return stack_message(volume, "set %s %s", feature.name, feature.value);
}

enum exit_code command_set(const struct options *options)
{
	const char *name = options->arguments[0];
	const char *text = options->arguments[1];
	struct inventory inventory;
	struct volume *volume;
	struct store *store;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_live(&inventory, name, &store, &volume);
	if (!code)
		code = store ? set_on_store(store, text) :
			       set_on_stack(volume, text);
	inventory_free(&inventory);
	return code;
}
