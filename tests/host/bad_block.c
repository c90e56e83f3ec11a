// SPDX-License-Identifier: GPL-2.0
/*
 * A block of a disk that reads as an error until it is written, under any program:
 * preloaded.  BAD_FILE names the disk's file, BAD_BLOCK the block of 4 KiB.
 *
 * io_uring is not there then: all goes by pread() and pwrite().
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct io_uring;

enum { BLOCK_BYTES = 4096 };

static int healed;

int io_uring_queue_init(unsigned int entries, struct io_uring *ring,
			unsigned int flags)
{
	(void)entries;
	(void)ring;
	(void)flags;
	return -EOPNOTSUPP;
}

static int is_bad(int fd, size_t bytes, off_t offset)
{
	const char *path = getenv("BAD_FILE"), *block = getenv("BAD_BLOCK");
	off_t bad = block ? strtol(block, NULL, 10) * BLOCK_BYTES : 0;
	struct stat a, b;

	return !healed && path && block && !stat(path, &a) && !fstat(fd, &b) &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev &&
	       offset < bad + BLOCK_BYTES && offset + (off_t)bytes > bad;
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
	ssize_t (*next)(int fd, void *data, size_t bytes, off_t offset) =
		dlsym(RTLD_NEXT, "pread");

	if (!is_bad(fd, bytes, offset))
		return next(fd, data, bytes, offset);
	errno = EIO;
	return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	ssize_t (*next)(int fd, const void *data, size_t bytes, off_t offset) =
		dlsym(RTLD_NEXT, "pwrite");

	healed |= is_bad(fd, bytes, offset);
	return next(fd, data, bytes, offset);
}
