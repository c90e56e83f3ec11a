// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Before linux/fs.h, which has macros of the same names as ours. */
#include <linux/fs.h>

#include "base_file.h"
#include "core/base_places.h"

enum { ZERO_BYTES = 1 << 20 };

enum exit_code base_file_open(struct base_file *base, const char *path)
{
	enum exit_code code = device_file_open(&base->device, path,
					       DEVICE_WRITE);
	int flags;

	if (code)
		return code;
	flags = fcntl(base->device.fd, F_GETFL);
	if (flags >= 0)
		fcntl(base->device.fd, F_SETFL, flags & ~O_NONBLOCK);
	/*
	 * What is smaller than a page, or than one of the device's blocks, is put into
	 * what the cache has around it: that must not be from before a stack wrote.
	 */
	if (base->device.block)
		ioctl(base->device.fd, BLKFLSBUF, 0);
	base->sectors = base->device.bytes >> COWSTACK_SECTOR_SHIFT;
	base->ring = io_ring_open(base->device.fd);
	if (base->ring)
		return EXIT_DONE;
	device_file_close(&base->device);
	return fail_errno(-ENOMEM, NULL, "%s", path);
}

void base_file_close(struct base_file *base)
{
	io_ring_close(base->ring);
	device_file_close(&base->device);
}

static int add_to_sample(struct base_file *base, void *buffer, u64 offset,
			 u64 bytes, u32 *crc)
{
	int error = io_ring_read(base->ring, buffer, bytes, offset);

	if (!error)
		*crc = environment_crc32(*crc, buffer, bytes);
	return error;
}

int base_file_sample(struct base_file *base, u64 seed, u32 *crc)
{
	u64 bytes = base->sectors << COWSTACK_SECTOR_SHIFT;
	u64 head = min_t(u64, bytes, COWSTACK_BASE_HEAD);
	u64 tail = min_t(u64, bytes, COWSTACK_BASE_TAIL);
	void *buffer = malloc(COWSTACK_BASE_HEAD);
	u32 i, places = COWSTACK_BASE_PLACES;
	int error;

	if (!buffer)
		return -ENOMEM;
	*crc = 0;
	error = add_to_sample(base, buffer, 0, head, crc);
	if (!error)
		error = add_to_sample(base, buffer, bytes - tail, tail, crc);
	if (bytes < COWSTACK_BLOCK_SIZE)
		places = 0;
	for (i = 0; i < places && !error; i++)
		error = add_to_sample(base, buffer,
				      cowstack_base_place(seed, bytes, i),
				      COWSTACK_BLOCK_SIZE, crc);
	free(buffer);
	return error;
}

int base_file_write(struct base_file *base, const struct io_ring_part *parts,
		    size_t count)
{
	return io_ring_write_parts(base->ring, parts, count);
}

int base_file_zero(struct base_file *base, u64 offset, u64 bytes)
{
	void *zeroes;
	int error;

	/* Of a block device this is a write-zeroes that may unmap. */
	if (!fallocate(base->device.fd,
		       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
		       bytes))
		return 0;
	zeroes = calloc(1, ZERO_BYTES);
	if (!zeroes)
		return -ENOMEM;
	error = io_ring_write_zeroes(base->ring, zeroes, ZERO_BYTES, bytes,
				     offset);
	free(zeroes);
	return error;
}

int base_file_flush(struct base_file *base)
{
	return fsync(base->device.fd) ? -errno : 0;
}

int base_file_verify(struct base_file *base, const struct io_ring_part *parts,
		     size_t count, char *scratch)
{
	int error = base_file_flush(base);

	if (error)
		return error;
	/* What is clean leaves the cache, and is read anew. */
	posix_fadvise(base->device.fd, 0, 0, POSIX_FADV_DONTNEED);
	return io_ring_compare_parts(base->ring, parts, count, scratch);
}
