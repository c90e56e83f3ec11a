// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "io_ring.h"
#include "size.h"
#include "store_file.h"

enum {
	WINDOW_BLOCKS = 1024,		/* 4 MiB, read ahead at most */
	BUFFER_BLOCKS = WINDOW_BLOCKS,
	MOST_PARTS = 256,
};

struct store_file {
	struct device_file device;
	struct cowstack_reader reader;
	struct io_ring *ring;
	u64 blocks;
	char *buffer;			/* aligned as O_DIRECT wants it */
	/* What the buffer holds, and how far the next window reaches. */
	u64 first;
	u64 count;
	u64 window;
};

/*
 * Past the page cache: what the kernel's module writes does not go through it,
 * so that it may hold what was there before.
 */
static void switch_to_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	/*
	 * Not every file system can; there the cache is right anyway.  What was
	 * opened without waiting must wait from here on: requests that may not
	 * are answered EAGAIN by devices that know no other way.
	 */
	if (flags < 0 || fcntl(fd, F_SETFL, (flags | O_DIRECT) & ~O_NONBLOCK))
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static int fill_window(struct store_file *file, u64 first, u64 blocks)
{
	int error;

	file->first = first;
	file->count = 0;
	error = io_ring_read(file->ring, file->buffer,
			     blocks * COWSTACK_BLOCK_SIZE,
			     first * COWSTACK_BLOCK_SIZE);
	if (!error)
		file->count = blocks;
	return error;
}

/*
 * Makes the buffer hold block @first.  One that follows what was there is most
 * likely followed by more: the window doubles; elsewhere it starts small.
 */
static int prepare_window(struct store_file *file, u64 first, u64 blocks)
{
	u64 end = file->first + file->count;
	u64 window;
	int error;

	if (first >= file->first && first < end)
		return 0;
	if (file->count && first >= end && first - end < file->window)
		file->window = min(file->window * 2, (u64)WINDOW_BLOCKS);
	else
		file->window = 1;
	window = max(file->window, min(blocks, (u64)WINDOW_BLOCKS));
	window = min(window, file->blocks - first);
	error = fill_window(file, first, window);
	/* A block nobody asked for must not fail those that were. */
	if (error && window > blocks)
		error = fill_window(file, first, blocks);
	return error;
}

static int read_blocks(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	struct store_file *file = container_of(reader, struct store_file,
					       reader);
	char *to = buffer;
	u64 n;
	int error;

	if (first >= file->blocks || blocks > file->blocks - first)
		return -EIO;
	while (blocks) {
		error = prepare_window(file, first, blocks);
		if (error)
			return error;
		n = min(blocks, file->first + file->count - first);
		memcpy(to,
		       file->buffer + (first - file->first) *
				      COWSTACK_BLOCK_SIZE,
		       n * COWSTACK_BLOCK_SIZE);
		to += n * COWSTACK_BLOCK_SIZE;
		first += n;
		blocks -= n;
	}
	return 0;
}

/* Runs from @runs on that the buffer has room for, each in its place in it. */
static u32 fill_parts(const struct store_file *file,
		      const struct cowstack_run_read *runs, u32 count,
		      struct io_ring_part *parts)
{
	u64 used = 0;
	u32 n;

	for (n = 0; n < count && n < MOST_PARTS; n++) {
		if (runs[n].blocks > BUFFER_BLOCKS - used)
			break;
		parts[n].buffer = file->buffer + used * COWSTACK_BLOCK_SIZE;
		parts[n].bytes = runs[n].blocks * COWSTACK_BLOCK_SIZE;
		parts[n].offset = runs[n].first * COWSTACK_BLOCK_SIZE;
		used += runs[n].blocks;
	}
	return n;
}

static int read_runs(struct cowstack_reader *reader,
		     const struct cowstack_run_read *runs, u32 count)
{
	struct store_file *file = container_of(reader, struct store_file,
					       reader);
	struct io_ring_part parts[MOST_PARTS];
	int error = 0;
	u32 i, n;

	for (i = 0; i < count; i++)
		if (runs[i].first >= file->blocks ||
		    runs[i].blocks > file->blocks - runs[i].first)
			return -EIO;
	file->count = 0;
	for (; count && !error; runs += n, count -= n) {
		n = fill_parts(file, runs, count, parts);
		if (!n)
			return -EINVAL;
		error = io_ring_read_parts(file->ring, parts, n);
		for (i = 0; i < n && !error; i++)
			memcpy(runs[i].buffer, parts[i].buffer, parts[i].bytes);
	}
	return error;
}

/* Half of the machine's memory, in pages of the map. */
static u64 count_pages_in_memory(void)
{
	u64 bytes = (u64)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

	return bytes / 2 / (COWSTACK_PAGE_CHUNKS * sizeof(map_word_t) + 256);
}

enum exit_code store_file_open(struct store_file **result, const char *path,
			       enum device_use use)
{
	struct store_file *file = calloc(1, sizeof(*file));
	enum exit_code code;

	if (!file)
		return fail_errno(-ENOMEM, NULL, "%s", path);
	code = device_file_open(&file->device, path, use);
	if (code) {
		free(file);
		return code;
	}
	switch_to_direct(file->device.fd);
	file->ring = io_ring_open(file->device.fd);
	if (!file->ring ||
	    posix_memalign((void **)&file->buffer, COWSTACK_BLOCK_SIZE,
			   BUFFER_BLOCKS * COWSTACK_BLOCK_SIZE)) {
		store_file_close(file);
		return fail_errno(-ENOMEM, NULL, "%s", path);
	}
	file->blocks = file->device.bytes / COWSTACK_BLOCK_SIZE;
	file->reader.read = read_blocks;
	file->reader.read_runs = read_runs;
	file->reader.device_sectors = file->device.bytes >>
				      COWSTACK_SECTOR_SHIFT;
	file->reader.max_pages = count_pages_in_memory();
	*result = file;
	return EXIT_DONE;
}

void store_file_close(struct store_file *file)
{
	if (!file)
		return;
	io_ring_close(file->ring);
	device_file_close(&file->device);
	free(file->buffer);
	free(file);
}

const struct device_file *store_file_device(const struct store_file *file)
{
	return &file->device;
}

u64 store_file_sectors(const struct store_file *file)
{
	return file->reader.device_sectors;
}

struct cowstack_reader *store_file_reader(struct store_file *file)
{
	return &file->reader;
}

static enum exit_code fail_damaged(const char *path,
				   const struct cowstack_load_report *report)
{
	const char *why = report->why ? report->why : "metadata makes no sense";

	if (report->where)
		return fail(EXIT_DAMAGED,
			    "%s is damaged at block %llu: %s; see dmcommit check --repair",
			    path, llu(report->where), why);
	return fail(EXIT_DAMAGED, "%s is damaged: %s; see dmcommit check --repair",
		    path, why);
}

enum exit_code store_file_refuse(const char *path, int error,
				 const struct cowstack_load_report *report)
{
	switch (error) {
	case -EUCLEAN:
		return fail_damaged(path, report);
	case -EINVAL:
		return fail(EXIT_MISSING,
			    "%s holds no store; if it did, see dmcommit check --repair, else dmcommit format makes one",
			    path);
	case -EOPNOTSUPP:
	case -ENOMEM:
	case -EFBIG:
		return fail_errno(error, report->why, "%s", path);
	default:
		return fail(EXIT_FAILED,
			    "%s: block %llu cannot be read: %s; copy what can be read to a new disk, then see dmcommit check --repair",
			    path, llu(report->where), strerror(-error));
	}
}

enum exit_code store_file_load(struct store_file *file,
			       struct cowstack_metadata *md,
			       struct cowstack_load_report *report)
{
	int error = cowstack_load(md, &file->reader, report);

	return error ? store_file_refuse(file->device.path, error, report) :
		       EXIT_DONE;
}

static int read_superblock(struct store_file *file, u64 place,
			   struct cowstack_superblock *superblock,
			   const char **why)
{
	struct disk_superblock block;
	int error = -EINVAL;

	*why = "no store";
	if (place < file->blocks)
		error = read_blocks(&file->reader, place, 1, &block);
	if (error) {
		*why = error == -EINVAL ? *why : strerror(-error);
		return error;
	}
	return cowstack_superblock_decode(superblock, &block, place,
					  file->reader.device_sectors, why);
}

int store_file_superblock(struct store_file *file,
			  struct cowstack_superblock *superblock,
			  const char **why)
{
	struct cowstack_superblock other;
	const char *other_why;
	int error = read_superblock(file, COWSTACK_SUPERBLOCK_A, superblock,
				    why);
	int other_error = read_superblock(file, COWSTACK_SUPERBLOCK_B, &other,
					  &other_why);

	/* As load.c has it: a later version's counts, whatever the other says. */
	if (error == -EOPNOTSUPP)
		return error;
	if (other_error == -EOPNOTSUPP) {
		*why = other_why;
		return other_error;
	}
	if (!other_error && (error || other.sequence > superblock->sequence)) {
		*superblock = other;
		return 0;
	}
	/* One that has our magic says more than one that has not. */
	if (error == -EINVAL && other_error != -EINVAL) {
		*why = other_why;
		return other_error;
	}
	return error;
}

int store_file_flush(struct store_file *file)
{
	return fsync(file->device.fd) ? -errno : 0;
}

int store_file_read_parts(struct store_file *file,
			  const struct io_ring_part *parts, size_t count)
{
	return io_ring_read_parts(file->ring, parts, count);
}

int store_file_write_parts(struct store_file *file,
			   const struct io_ring_part *parts, size_t count)
{
	file->count = 0;
	return io_ring_write_parts(file->ring, parts, count);
}

int store_file_verify(struct store_file *file, const struct io_ring_part *parts,
		      size_t count, char *scratch)
{
	int error = store_file_flush(file);

	return error ? error : io_ring_compare_parts(file->ring, parts, count,
						     scratch);
}

/* Blocks from @blocks on that lie in a row, in memory and on the device. */
static size_t count_row(const struct store_block *blocks, size_t count)
{
	size_t n = 1;

	while (n < count && blocks[n].place == blocks[0].place + n &&
	       blocks[n].image == (char *)blocks[0].image +
					  n * COWSTACK_BLOCK_SIZE)
		n++;
	return n;
}

int store_file_write(struct store_file *file, const struct store_block *blocks,
		     size_t count)
{
	struct io_ring_part parts[MOST_PARTS];
	size_t done = 0, n, i;
	int error = 0;

	file->count = 0;
	while (done < count && !error) {
		for (i = 0; i < ARRAY_SIZE(parts) && done < count; i++) {
			n = count_row(blocks + done, count - done);
			parts[i].buffer = blocks[done].image;
			parts[i].bytes = n * COWSTACK_BLOCK_SIZE;
			parts[i].offset = blocks[done].place *
					  COWSTACK_BLOCK_SIZE;
			done += n;
		}
		error = io_ring_write_parts(file->ring, parts, i);
	}
	return error;
}

static int write_superblock(struct store_file *file, u64 place,
			    const struct cowstack_superblock *superblock)
{
	int error;

	file->count = 0;
	cowstack_superblock_encode(superblock, place, (void *)file->buffer);
	error = io_ring_write(file->ring, file->buffer, COWSTACK_BLOCK_SIZE,
			      place * COWSTACK_BLOCK_SIZE);
	return error ? error : store_file_flush(file);
}

int store_file_write_superblocks(struct store_file *file,
				 const struct cowstack_superblock *superblock)
{
	int error = write_superblock(file, COWSTACK_SUPERBLOCK_A, superblock);

	/* A crash here leaves the other as it was: the newer counts. */
	if (!error)
		error = write_superblock(file, COWSTACK_SUPERBLOCK_B,
					 superblock);
	return error;
}

int store_file_clear(struct store_file *file,
		     const struct cowstack_geometry *geometry)
{
	const u64 ring = COWSTACK_RING_START * COWSTACK_BLOCK_SIZE;
	u64 metadata = geometry->data_start << COWSTACK_SECTOR_SHIFT;
	int error;

	file->count = 0;
	memset(file->buffer, 0, BUFFER_BLOCKS * COWSTACK_BLOCK_SIZE);
	/*
	 * First the superblocks of an earlier store go, for good.  With them
	 * still there and the ring half gone, a crash would leave what looks
	 * like that store, without the last it was told.
	 */
	error = io_ring_write(file->ring, file->buffer, ring, 0);
	if (!error)
		error = store_file_flush(file);
	if (!error)
		error = io_ring_write_zeroes(file->ring, file->buffer,
					     BUFFER_BLOCKS *
					     COWSTACK_BLOCK_SIZE,
					     metadata - ring, ring);
	return error ? error : store_file_flush(file);
}

int store_file_format(struct store_file *file,
		      const struct cowstack_superblock *superblock)
{
	int error = store_file_clear(file, &superblock->geometry);

	return error ? error : store_file_write_superblocks(file, superblock);
}

enum exit_code store_identify(const char *path, struct device_file *device,
			      struct cowstack_superblock *superblock)
{
	struct cowstack_load_report report = { };
	struct store_file *file;
	enum exit_code code = store_file_open(&file, path, DEVICE_LOOK);
	int error;

	if (code)
		return code;
	*device = *store_file_device(file);
	device->fd = -1;
	error = store_file_superblock(file, superblock, &report.why);
	if (error)
		code = store_file_refuse(path, error, &report);
	store_file_close(file);
	return code;
}
