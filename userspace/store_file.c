// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "io_ring.h"
#include "store_file.h"

enum {
	WINDOW_BLOCKS = 1024,		/* 4 MiB, read ahead at most */
	BUFFER_BLOCKS = WINDOW_BLOCKS,
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

static int write_superblock(struct store_file *file, u64 place,
			    const struct cowstack_superblock *superblock)
{
	cowstack_superblock_encode(superblock, place, (void *)file->buffer);
	return io_ring_write(file->ring, file->buffer, COWSTACK_BLOCK_SIZE,
			     place * COWSTACK_BLOCK_SIZE);
}

static int flush(struct store_file *file)
{
	return fsync(file->device.fd) ? -errno : 0;
}

int store_file_format(struct store_file *file,
		      const struct cowstack_superblock *superblock)
{
	const u64 ring = COWSTACK_RING_START * COWSTACK_BLOCK_SIZE;
	u64 metadata = superblock->geometry.data_start << COWSTACK_SECTOR_SHIFT;
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
		error = flush(file);
	if (!error)
		error = io_ring_write_zeroes(file->ring, file->buffer,
					     BUFFER_BLOCKS *
					     COWSTACK_BLOCK_SIZE,
					     metadata - ring, ring);
	if (!error)
		error = flush(file);
	if (!error)
		error = write_superblock(file, COWSTACK_SUPERBLOCK_A,
					 superblock);
	if (!error)
		error = write_superblock(file, COWSTACK_SUPERBLOCK_B,
					 superblock);
	return error ? error : flush(file);
}

enum exit_code store_identify(const char *path, struct device_file *device,
			      struct cowstack_superblock *superblock)
{
	struct store_file *file;
	const char *why;
	enum exit_code code = store_file_open(&file, path, DEVICE_LOOK);
	int error;

	if (code)
		return code;
	*device = *store_file_device(file);
	device->fd = -1;
	error = store_file_superblock(file, superblock, &why);
	if (error == -EINVAL)
		code = fail(EXIT_MISSING,
			    "%s holds no store: dmcommit format makes one",
			    path);
	else if (error)
		code = fail_errno(error, why, "%s", path);
	store_file_close(file);
	return code;
}
