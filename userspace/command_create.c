// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "bring_up.h"
#include "commands.h"
#include "name_check.h"
#include "signals.h"
#include "size.h"
#include "volume_make.h"

static enum exit_code choose_size(const char *text,
				  const struct device_file *base, u64 *sectors)
{
	if (text)
		return volume_size_parse(text, sectors);
	*sectors = base->bytes >> COWSTACK_SECTOR_SHIFT;
	if (!*sectors)
		return fail(EXIT_FAILED, "base %s is empty; say --size",
			    base->path);
	return EXIT_DONE;
}

static enum exit_code create_over(struct inventory *inventory,
				  const struct store *store,
				  const struct device_file *base,
				  const struct options *options)
{
	const char *name = options->arguments[0];
	enum exit_code code;
	u64 sectors = 0;
	char size[32];
	u32 id;

	code = choose_size(options->size, base, &sectors);
	if (code)
		return code;
	snprintf(size, sizeof(size), "%llu", llu(sectors));
	code = volume_make(inventory, store, name, "create_volume", size, &id);
	if (code)
		return code;
	code = stack_bring_up(store, id, name, sectors, base, options);
	if (code)
		volume_unmake(store, id);
	return code;
}

static enum exit_code create_in(struct inventory *inventory,
				const struct store *store,
				const struct options *options)
{
	const char *name = options->arguments[0];
	struct backing base;
	enum exit_code code;

	code = volume_name_check(inventory, store, name);
	if (!code)
		code = mapper_name_check(name);
	if (!code)
		code = base_open(&base, options, store);
	if (code)
		return code;
	code = create_over(inventory, store, &base.device, options);
	backing_close(&base, !code);
	return code;
}

enum exit_code command_create(const struct options *options)
{
	struct inventory inventory = { };
	struct store *store = NULL;
	struct attached_store attached;
	enum exit_code code;
	u64 sectors;

	code = name_check("volume", options->arguments[0]);
	if (!code && options->size)
		code = volume_size_parse(options->size, &sectors);
	if (!code)
		code = stack_options_check(options);
	if (code)
		return code;
	signals_hold();
	code = store_prepare(&inventory, options->store, &store, &attached);
	if (!code) {
		code = create_in(&inventory, store, options);
		if (code)
			store_release(&attached);
	}
	signals_release();
	inventory_free(&inventory);
	return code;
}
