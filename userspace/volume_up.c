// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "bring_up.h"
#include "volume_up.h"

/* A volume without a name gets one from its store's and its id. */
static void choose_name(const struct volume *volume, char name[LINE_NAME])
{
	if (volume->line.name[0])
		snprintf(name, LINE_NAME, "%s", volume->line.name);
	else
		snprintf(name, LINE_NAME, "%.64s-%u",
			 volume->store->device.name, volume->line.id);
}

static enum exit_code bring_up(const struct volume *volume,
			       const struct options *options)
{
	char name[LINE_NAME];
	struct backing base;
	enum exit_code code;

	if (volume->stack)
		return fail(EXIT_REFUSED, "volume %s is up already, as %s/%s",
			    options->arguments[0], mapper_directory(),
			    volume->stack->name);
	if (volume->line.up)
		return fail(EXIT_REFUSED,
			    "volume %s is up already, with a table that dmcommit did not make",
			    options->arguments[0]);
	choose_name(volume, name);
	code = mapper_name_check(name);
	if (!code)
		code = base_open(&base, options, volume->store);
	if (code)
		return code;
	code = stack_bring_up(volume->store, volume->line.id, name,
			      volume->line.sectors, &base.device, options);
	backing_close(&base, !code);
	return code;
}

static enum exit_code find_in(struct inventory *inventory,
			      const struct store *store, const char *name,
			      struct volume **volume)
{
	const char *slash = strchr(name, '/');

	if (slash && strncmp(name, store->device.name, slash - name))
		return fail(EXIT_USAGE, "%s is not in store %s", name,
			    store->device.name);
	if (slash)
		name = slash + 1;
	*volume = inventory_volume_of(inventory, store, name);
	if (!*volume)
		return fail(EXIT_MISSING,
			    "store %s has no volume %s; dmcommit create makes one",
			    store->device.name, name);
	return EXIT_DONE;
}

enum exit_code volume_up_in_store(struct inventory *inventory,
				  const struct options *options)
{
	struct attached_store attached;
	struct volume *volume;
	struct store *store;
	enum exit_code code = store_prepare(inventory, options->store, &store,
					    &attached);

	if (code)
		return code;
	code = find_in(inventory, store, options->arguments[0], &volume);
	if (!code)
		code = bring_up(volume, options);
	if (code)
		store_release(&attached);
	return code;
}

enum exit_code volume_up_anywhere(struct inventory *inventory,
				  const struct options *options)
{
	struct volume *volume;
	enum exit_code code = inventory_load(inventory);

	if (!code)
		code = inventory_find_volume(inventory, options->arguments[0],
					     &volume);
	return code ? code : bring_up(volume, options);
}
