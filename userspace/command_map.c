// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "live_view.h"
#include "size.h"
#include "terminal.h"
#include "volume_map.h"

enum { FILE_PARTS = 256 };		/* where no terminal says how many */

static enum exit_code find_parts(const struct options *options,
				 unsigned int *parts)
{
	u64 number;

	*parts = options->json || options->svg ? FILE_PARTS :
		 map_text_columns(terminal_width(STDOUT_FILENO));
	if (!options->parts)
		return EXIT_DONE;
	if (number_parse(options->parts, MAP_MAX_PARTS, &number) || !number)
		return fail(EXIT_USAGE, "map: --parts %s: a number from 1 to %u is wanted",
			    options->parts, MAP_MAX_PARTS);
	*parts = number;
	return EXIT_DONE;
}

static enum exit_code write_svg(const struct volume_map *map, const char *path)
{
	struct stat st;
	bool failed;
	FILE *file;

	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		return fail(EXIT_REFUSED,
			    "map: --svg %s is a block device, whose content the picture would overwrite; give a file",
			    path);
	file = fopen(path, "w");
	if (!file)
		return fail_errno(-errno, NULL, "map: --svg %s", path);
	map_svg_print(file, map);
	failed = ferror(file);
	if (fclose(file) || failed)
		return fail(EXIT_FAILED, "map: --svg %s: not all of it could be written: %s",
			    path, strerror(errno));
	return EXIT_DONE;
}

static enum exit_code show(const struct volume_map *map,
			   const struct options *options)
{
	struct json json = { .file = stdout };
	enum exit_code code = EXIT_DONE;

	if (options->svg)
		code = write_svg(map, options->svg);
	if (code)
		return code;
	if (options->json)
		map_json_print(&json, map);
	else if (!options->svg)
		map_text_print(map);
	return EXIT_DONE;
}

static enum exit_code look(const void *context)
{
	const struct options *options = context;
	struct inventory inventory;
	struct volume_map map = { };
	struct volume *volume;
	unsigned int parts;
	enum exit_code code = find_parts(options, &parts);

	if (code)
		return code;
	code = inventory_load(&inventory);
	if (!code)
		code = inventory_find_volume(&inventory, options->arguments[0],
					     &volume);
	if (!code)
		code = volume_map_load(&map, volume, parts);
	if (!code)
		code = show(&map, options);
	volume_map_free(&map);
	inventory_free(&inventory);
	return code;
}

enum exit_code command_map(const struct options *options)
{
	if (!options->watch)
		return look(options);
	if (options->svg)
		return fail(EXIT_USAGE, "map: a file is not watched: leave out --svg or --watch");
	return live_view_run(look, options, WATCH_INTERVAL, options->json);
}
