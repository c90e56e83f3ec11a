// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

#include "backup.h"
#include "size.h"

enum { LINE_BYTES = 64, BLOCK_LINES = COWSTACK_BLOCK_SIZE / LINE_BYTES };

static u32 block_crc(const void *block)
{
	return environment_crc32(0, block, COWSTACK_BLOCK_SIZE);
}

static int read_block(struct store_file *store, u64 place, void *block)
{
	struct cowstack_reader *reader = store_file_reader(store);

	return reader->read(reader, place, 1, block);
}

/* --- writing --- */

static void put_block(struct text_file *file, u64 place, const u8 *old,
		      const void *new)
{
	char line[2 * LINE_BYTES + 64];
	unsigned int i, k;

	snprintf(line, sizeof(line), "block place=%llu old=0x%x new=0x%x\n",
		 llu(place), block_crc(old), block_crc(new));
	text_file_put(file, line);
	for (i = 0; i < BLOCK_LINES; i++) {
		for (k = 0; k < LINE_BYTES; k++)
			snprintf(line + 2 * k, 3, "%02x",
				 old[i * LINE_BYTES + k]);
		text_file_put(file, line);
		text_file_put(file, "\n");
	}
}

static int put_blocks(struct text_file *file, struct store_file *store,
		      const struct store_block *blocks, size_t count)
{
	u8 old[COWSTACK_BLOCK_SIZE];
	size_t i;

	for (i = 0; i < count; i++) {
		/* One that cannot be read has nothing to be put back. */
		if (read_block(store, blocks[i].place, old))
			memset(old, 0, sizeof(old));
		put_block(file, blocks[i].place, old, blocks[i].image);
	}
	return 0;
}

/* The file's name is durable when its directory is. */
static void sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

enum exit_code backup_write(const char *path, struct store_file *store,
			    const struct store_block *blocks, size_t count)
{
	struct text_file *file;
	enum exit_code code, closing;
	char line[64];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(EXIT_FAILED,
			    "cannot make the backup %s: %s; nothing was written; give another file with --backup",
			    path, strerror(errno));
	code = text_file_write_to(&file, path, fd, false);
	if (code)
		return code;
	text_file_put(file, BACKUP_HEAD "\n");
	snprintf(line, sizeof(line), "device sectors=%llu\n",
		 llu(store_file_sectors(store)));
	text_file_put(file, line);
	put_blocks(file, store, blocks, count);
	snprintf(line, sizeof(line), "end blocks=%zu\n", count);
	text_file_put(file, line);
	closing = text_file_close(file);
	sync_directory(path);
	return code ? code : closing;
}

/* --- reading --- */

struct backup {
	struct text_file *file;
	const char *path;
	struct store_file *store;
	bool force;
	u64 line;
	struct block_list list;
};

static enum exit_code refuse(const struct backup *backup, const char *why)
{
	return fail(EXIT_FAILED, "%s, line %llu: %s; nothing was changed",
		    backup->path, llu(backup->line), why);
}

static bool next_line(struct backup *backup, char *line, size_t size)
{
	backup->line++;
	return text_file_get(backup->file, line, size) == 1;
}

/* What cannot be read is something, too. */
static bool has_more(struct backup *backup)
{
	char line[2];

	backup->line++;
	return text_file_get(backup->file, line, sizeof(line));
}

static bool parse_hex(const char *line, u8 *bytes)
{
	unsigned int i, value;

	if (strlen(line) != 2 * LINE_BYTES)
		return false;
	for (i = 0; i < 2 * LINE_BYTES; i++)
		if (!isxdigit((unsigned char)line[i]))
			return false;
	for (i = 0; i < LINE_BYTES; i++) {
		if (sscanf(line + 2 * i, "%2x", &value) != 1)
			return false;
		bytes[i] = value;
	}
	return true;
}

static enum exit_code check_present(const struct backup *backup, u64 place,
				    u32 old, u32 new)
{
	u8 block[COWSTACK_BLOCK_SIZE];
	u32 crc;

	if (backup->force || read_block(backup->store, place, block))
		return EXIT_DONE;
	crc = block_crc(block);
	if (crc == old || crc == new)
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "block %llu of %s was changed since the backup; --force puts it back all the same",
		    llu(place), store_file_device(backup->store)->path);
}

static enum exit_code read_one(struct backup *backup, const char *line)
{
	unsigned long long place;
	char text[2 * LINE_BYTES + 2], again[128];
	unsigned int old, new, i;
	u8 *image;

	if (sscanf(line, "block place=%llu old=0x%x new=0x%x", &place, &old,
		   &new) != 3)
		return refuse(backup, "this is no line of a backup");
	snprintf(again, sizeof(again), "block place=%llu old=0x%x new=0x%x",
		 place, old, new);
	if (strcmp(line, again))
		return refuse(backup, "this is no line of a backup");
	if (place >= store_file_sectors(backup->store) / COWSTACK_BLOCK_SECTORS)
		return refuse(backup, "the device has no such block");
	image = block_list_add(&backup->list, place);
	if (!image)
		return fail_errno(-ENOMEM, NULL, "%s", backup->path);
	for (i = 0; i < BLOCK_LINES; i++)
		if (!next_line(backup, text, sizeof(text)) ||
		    !parse_hex(text, image + i * LINE_BYTES))
			return refuse(backup, "64 bytes should be here");
	if (block_crc(image) != old)
		return refuse(backup, "the block's checksum is another");
	return check_present(backup, place, old, new);
}

static enum exit_code read_blocks(struct backup *backup)
{
	char line[2 * LINE_BYTES + 2], end[64];
	enum exit_code code = EXIT_DONE;

	snprintf(end, sizeof(end), "device sectors=%llu",
		 llu(store_file_sectors(backup->store)));
	if (!next_line(backup, line, sizeof(line)) || strcmp(line, end))
		return refuse(backup, "it is of a device of another size");
	while (!code) {
		if (!next_line(backup, line, sizeof(line)))
			return refuse(backup, "the backup is cut off");
		snprintf(end, sizeof(end), "end blocks=%zu",
			 backup->list.count);
		if (!strcmp(line, end))
			break;
		code = read_one(backup, line);
	}
	if (!code && has_more(backup))
		code = refuse(backup, "there is something behind the end");
	return code;
}

enum exit_code backup_restore(struct text_file *file, const char *path,
			      struct store_file *store, bool force)
{
	struct backup backup = {
		.file = file, .path = path, .store = store, .force = force,
		.line = 1,
	};
	enum exit_code code = read_blocks(&backup);
	int error = 0;

	/* Cut off here, each block is one or the other: it can be done again. */
	if (!code)
		error = store_file_write(store, backup.list.blocks,
					 backup.list.count);
	if (!code && !error)
		error = store_file_flush(store);
	if (error)
		code = fail_errno(error, NULL, "cannot write to %s",
				  store_file_device(store)->path);
	block_list_exit(&backup.list);
	return code;
}
