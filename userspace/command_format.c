// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "commands.h"
#include "name_check.h"
#include "signature.h"
#include "size.h"
#include "store_file.h"
#include "target_line.h"

static enum exit_code parse_chunk_size(const char *text, u32 *sectors)
{
	u64 bytes = 64 << 10;

	if (text && (size_parse(text, &bytes) || !is_power_of_2(bytes) ||
		     bytes < COWSTACK_MIN_CHUNK_SECTORS * 512 ||
		     bytes > COWSTACK_MAX_CHUNK_SECTORS * 512))
		return fail(EXIT_USAGE,
			    "chunk size \"%s\" is not a power of two from 4K to 1M",
			    text);
	*sectors = bytes >> COWSTACK_SECTOR_SHIFT;
	return EXIT_DONE;
}

/* libblkid does not know our own. */
static enum exit_code check_no_store(struct store_file *file, const char *path)
{
	struct cowstack_superblock superblock;
	const char *why;
	int error = store_file_superblock(file, &superblock, &why);

	if (error == -EINVAL)
		return EXIT_DONE;
	if (error == -EUCLEAN || error == -EOPNOTSUPP)
		return fail(EXIT_REFUSED,
			    "%s holds a store (%s); --force overwrites it",
			    path, why);
	if (error)
		return fail_errno(error, why, "%s", path);
	return fail(EXIT_REFUSED, "%s holds store %s; --force overwrites it",
		    path, superblock.name[0] ? superblock.name : "without a name");
}

static enum exit_code check_empty(struct store_file *file, const char *path)
{
	char found[128];
	int result = signature_find(store_file_device(file)->fd, found,
				    sizeof(found));

	if (result < 0)
		return fail_errno(result, NULL, "cannot look at %s", path);
	if (result > 0)
		return fail(EXIT_REFUSED,
			    "%s holds something (%s); --force overwrites it",
			    path, found);
	return check_no_store(file, path);
}

static enum exit_code cut_up(struct cowstack_geometry *geometry,
			     struct store_file *file, const char *path,
			     u32 chunk_sectors)
{
	const struct device_file *device = store_file_device(file);
	u64 sectors = store_file_sectors(file);
	char size[SIZE_TEXT], least[SIZE_TEXT];
	int error = cowstack_geometry_init(geometry, sectors, chunk_sectors);

	if (device->zoned)
		return fail(EXIT_FAILED,
			    "%s is zoned, and a store is written in any order; use another device",
			    path);
	if (device->logical_block > COWSTACK_BLOCK_SIZE)
		return fail(EXIT_FAILED,
			    "%s has logical blocks of %u bytes, and a store is written in blocks of %u; use another device",
			    path, device->logical_block, COWSTACK_BLOCK_SIZE);
	if (error == -ENOSPC)
		return fail(EXIT_FAILED,
			    "%s is too small: %s, and a store with such chunks needs %s",
			    path, size_print(sectors << 9, size),
			    size_print((1 << 20) + COWSTACK_MIN_CHUNKS *
						   (u64)chunk_sectors * 512,
				       least));
	if (error == -EFBIG)
		return fail(EXIT_FAILED,
			    "%s has more chunks than a store can have; use larger ones",
			    path);
	if (error)
		return fail_errno(error, NULL, "%s", path);
	return EXIT_DONE;
}

/* A random (version 4) UUID. */
static enum exit_code draw_uuid(u8 uuid[COWSTACK_UUID_SIZE])
{
	if (getrandom(uuid, COWSTACK_UUID_SIZE, 0) != COWSTACK_UUID_SIZE)
		return fail_errno(-errno, NULL, "cannot draw a uuid");
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return EXIT_DONE;
}

static enum exit_code write_store(struct store_file *file,
				  const struct options *options,
				  const struct cowstack_geometry *geometry)
{
	const char *path = options->arguments[0];
	char text[LINE_UUID], name[COWSTACK_NAME_SIZE];
	struct cowstack_superblock superblock;
	u8 uuid[COWSTACK_UUID_SIZE];
	enum exit_code code = draw_uuid(uuid);
	int error = 0;

	if (code)
		return code;
	store_uuid_print(uuid, text);
	snprintf(name, sizeof(name), "store-%.8s", text);
	cowstack_format(&superblock, geometry, uuid,
			options->name ? options->name : name, time(NULL));
	/* What is found elsewhere would be taken for the device's content. */
	if (options->force)
		error = signature_wipe(store_file_device(file)->fd);
	if (!error)
		error = store_file_format(file, &superblock);
	if (error)
		return fail_errno(error, NULL, "cannot write to %s", path);
	return EXIT_DONE;
}

enum exit_code command_format(const struct options *options)
{
	const char *path = options->arguments[0];
	struct cowstack_geometry geometry;
	struct store_file *file;
	enum exit_code code = EXIT_DONE;
	u32 chunk_sectors = 0;

	if (options->name)
		code = name_check("store", options->name);
	if (!code)
		code = parse_chunk_size(options->chunk_size, &chunk_sectors);
	if (!code)
		code = store_file_open(&file, path, DEVICE_WRITE);
	if (code)
		return code;
	code = cut_up(&geometry, file, path, chunk_sectors);
	if (!code && !options->force)
		code = check_empty(file, path);
	if (!code)
		code = write_store(file, options, &geometry);
	store_file_close(file);
	return code;
}
