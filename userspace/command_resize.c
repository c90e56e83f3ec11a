// SPDX-License-Identifier: GPL-2.0

#include "commands.h"
#include "message.h"
#include "size.h"
#include "volume_make.h"

static enum exit_code enlarge_volume(const struct volume *volume, u64 sectors)
{
	char present[SIZE_TEXT];

	if (!volume->store)
		return fail(EXIT_MISSING, "the store of %s is not attached; see dmcommit list",
			    volume->name);
	if (sectors < volume->line.sectors)
		return fail(EXIT_REFUSED,
			    "volume %s has %s already, and cannot shrink",
			    volume->name,
			    size_print(volume->line.sectors << 9, present));
	if (sectors == volume->line.sectors)
		return EXIT_DONE;
	return store_message(volume->store, "resize_volume %u %llu",
			     volume->line.id, llu(sectors));
}

/* The stack shows the new size when it has a table that says so. */
static enum exit_code resize_stack(const char *name, u64 sectors)
{
	struct mapper_line line;
	int error = mapper_query(name, MAPPER_TABLE, &line);

	if (!error && (line.lines != 1 || line.start)) {
		free(line.text);
		return fail(EXIT_FAILED,
			    "the volume has its new size, but %s has a table of more than that: reload it with dmsetup",
			    name);
	}
	if (!error && line.length != sectors) {
		line.length = sectors;
		error = mapper_reload(name, &line);
	}
	free(line.text);
	if (error)
		return fail_errno(error, mapper_reason(),
				  "the volume has its new size, but %s does not show it",
				  name);
	return EXIT_DONE;
}

enum exit_code command_resize(const struct options *options)
{
	struct inventory inventory = { };
	struct volume *volume;
	u64 sectors = 0;
	enum exit_code code = volume_size_parse(options->arguments[1],
						&sectors);

	if (!code)
		code = inventory_load(&inventory);
	if (!code)
		code = inventory_find_volume(&inventory, options->arguments[0],
					     &volume);
	if (!code)
		code = enlarge_volume(volume, sectors);
	if (!code && volume->stack)
		code = resize_stack(volume->stack->name, sectors);
	inventory_free(&inventory);
	return code;
}
