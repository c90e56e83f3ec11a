// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "bring_up.h"
#include "commands.h"
#include "signals.h"
#include "size.h"

enum { MAX_TRIES = 16 };

static enum exit_code choose_size(const char *text,
				  const struct device_file *base, u64 *sectors)
{
	u64 bytes = base->bytes;

	if (text && (size_parse(text, &bytes) || !bytes || bytes % 512 ||
		     bytes >> COWSTACK_SECTOR_SHIFT >
			     COWSTACK_MAX_VOLUME_SECTORS))
		return fail(EXIT_USAGE,
			    "size \"%s\" is not a number of whole sectors, up to 2097152T",
			    text);
	*sectors = bytes >> COWSTACK_SECTOR_SHIFT;
	if (!*sectors)
		return fail(EXIT_FAILED, "base %s is empty; say --size",
			    base->path);
	return EXIT_DONE;
}

static int try_to_make_volume(const struct store *store, const char *name,
			      u64 sectors, u32 id)
{
	char message[256];

	snprintf(message, sizeof(message),
		 "create_volume %u %llu %s", id, llu(sectors), name);
	return mapper_message(store->device.name, 0, message, NULL);
}

/* Takes the lowest free id, and the next where somebody else was faster. */
static enum exit_code make_volume(const struct inventory *inventory,
				  const struct store *store, const char *name,
				  u64 sectors, u32 *id)
{
	s64 lowest = inventory_free_id(inventory, store);
	unsigned int tries;
	int error;

	if (lowest < 0)
		return fail(EXIT_FAILED, "store %s has no volume id left",
			    store->device.name);
	for (tries = 0; tries < MAX_TRIES; tries++) {
		*id = lowest + tries;
		error = try_to_make_volume(store, name, sectors, *id);
		if (error != -EEXIST)
			break;
	}
	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot create volume %s in store %s", name,
				  store->device.name);
	return EXIT_DONE;
}

static void unmake_volume(const struct store *store, u32 id)
{
	char message[64];

	snprintf(message, sizeof(message), "delete_volume %u", id);
	mapper_message(store->device.name, 0, message, NULL);
}

static enum exit_code create_in(struct inventory *inventory,
				const struct store *store,
				const struct options *options)
{
	const char *name = options->arguments[0];
	struct device_file base;
	enum exit_code code;
	u64 sectors = 0;
	u32 id = 0;

	if (inventory_volume_of(inventory, store, name))
		return fail(EXIT_REFUSED,
			    "store %s has a volume %s already; choose another name",
			    store->device.name, name);
	code = mapper_name_check(name);
	if (!code)
		code = base_open(&base, options, store);
	if (!code)
		code = choose_size(options->size, &base, &sectors);
	if (!code)
		code = make_volume(inventory, store, name, sectors, &id);
	if (code)
		return code;
	code = stack_bring_up(store, id, name, sectors, &base, options);
	if (code)
		unmake_volume(store, id);
	return code;
}

enum exit_code command_create(const struct options *options)
{
	struct inventory inventory = { };
	struct store *store = NULL;
	bool attached = false;
	enum exit_code code;

	code = name_check("volume", options->arguments[0]);
	if (!code)
		code = stack_options_check(options);
	if (code)
		return code;
	signals_hold();
	code = store_prepare(&inventory, options->store, &store, &attached);
	if (!code) {
		code = create_in(&inventory, store, options);
		if (code)
			store_release(store, attached);
	}
	signals_release();
	inventory_free(&inventory);
	return code;
}
