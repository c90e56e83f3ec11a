// SPDX-License-Identifier: GPL-2.0
#include "commands.h"
#include "inventory.h"
#include "loop_device.h"
#include "signals.h"

static enum exit_code check_unused(const struct inventory *inventory,
				   const struct store *store)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++) {
		const struct volume *volume = &inventory->volumes[i];

		if (volume->store == store && volume->stack)
			return fail(EXIT_REFUSED,
				    "store %s: its volume %s is up; dmcommit down takes it down",
				    store->device.name, volume->name);
	}
	return EXIT_DONE;
}

static enum exit_code remove_store(const char *name)
{
	int error = mapper_remove(name);

	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot detach store %s", name);
	return EXIT_DONE;
}

/* Was this a store, before its table was taken from it by force? */
static bool is_left_over(const char *name)
{
	struct mapped_device device;
	char uuid[LINE_UUID];

	return !mapper_find(name, &device) &&
	       store_dm_uuid_parse(device.uuid, uuid);
}

static enum exit_code detach(struct inventory *inventory, const char *text)
{
	/* One that does not answer any more must go all the same. */
	struct store *store = inventory_store(inventory, text);
	enum exit_code code;

	if (store) {
		code = check_unused(inventory, store);
		if (!code)
			code = remove_store(store->device.name);
		if (!code)
			loop_detach(store->major, store->minor);
		return code;
	}
	if (is_left_over(text))
		return remove_store(text);
	return inventory_find_store(inventory, text, &store);
}

enum exit_code command_detach(const struct options *options)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	signals_hold();
	if (!code)
		code = detach(&inventory, options->arguments[0]);
	signals_release();
	inventory_free(&inventory);
	return code;
}
