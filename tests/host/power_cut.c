// SPDX-License-Identifier: GPL-2.0
/*
 * Disks with caches that lose power, under any program: preloaded, it counts what is
 * written and flushed, and at CUT_AT, counted from 1, of what was written since its
 * file's last flush some is undone, as CUT_SEED says, and the program dies.  Files
 * count each by itself.  CUT_COUNT names a file that the whole count goes to.
 * CUT_LIES names a file whose flushes do nothing: a planted bug.  What is written to
 * the file CUT_BAD between the bytes CUT_BAD_FIRST and CUT_BAD_END is lost, and told
 * so to who flushes next, once, as the page cache does; with CUT_QUIET nobody is told.
 *
 * io_uring is not there then, and neither is fallocate(): all goes by pwrite().
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct io_uring;

enum { MOST_WRITES = 65536 };

struct write {
	int fd;
	off_t offset;
	size_t bytes;
	char *before;
};

static struct write writes[MOST_WRITES];
static unsigned int write_count;
static unsigned long operations;
static unsigned long long state;
static int bad_is_pending;

int io_uring_queue_init(unsigned int entries, struct io_uring *ring,
			unsigned int flags)
{
	(void)entries;
	(void)ring;
	(void)flags;
	return -EOPNOTSUPP;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	(void)fd;
	(void)mode;
	(void)offset;
	(void)length;
	errno = EOPNOTSUPP;
	return -1;
}

static unsigned int next_random(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 33;
}

static int is_file(int fd, const char *name)
{
	const char *path = getenv(name);
	struct stat a, b;

	return path && !stat(path, &a) && !fstat(fd, &b) &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

static int is_bad(int fd, off_t offset, size_t bytes)
{
	return is_file(fd, "CUT_BAD") && offset < number("CUT_BAD_END") &&
	       offset + (off_t)bytes > number("CUT_BAD_FIRST");
}

static ssize_t real_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	ssize_t (*next)(int fd, const void *data, size_t bytes, off_t offset) =
		dlsym(RTLD_NEXT, "pwrite");

	return next(fd, data, bytes, offset);
}

/* Those of one file, all or some; the newest first, so that older ones win. */
static void lose_power(void)
{
	unsigned int percent = next_random() % 3 * 50;
	unsigned int i;

	for (i = write_count; i-- > 0;)
		if (next_random() % 100 < percent)
			real_pwrite(writes[i].fd, writes[i].before,
				    writes[i].bytes, writes[i].offset);
	_exit(86);
}

static void count_operation(void)
{
	const char *at = getenv("CUT_AT"), *seed = getenv("CUT_SEED");

	operations++;
	if (!state)
		state = seed ? strtoull(seed, NULL, 10) * 2 + 1 : 1;
	if (at && operations == strtoul(at, NULL, 10))
		lose_power();
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	struct write *w = &writes[write_count];
	void *before;

	count_operation();
	if (is_bad(fd, offset, bytes)) {
		bad_is_pending = 1;
		return bytes;
	}
	if (write_count < MOST_WRITES &&
	    !posix_memalign(&before, 4096, bytes) &&
	    pread(fd, before, bytes, offset) == (ssize_t)bytes) {
		*w = (struct write){ fd, offset, bytes, before };
		write_count++;
	}
	return real_pwrite(fd, data, bytes, offset);
}

int fsync(int fd)
{
	unsigned int i, kept = 0;

	count_operation();
	if (is_file(fd, "CUT_LIES"))
		return 0;
	if (bad_is_pending && !getenv("CUT_QUIET") && is_file(fd, "CUT_BAD")) {
		bad_is_pending = 0;
		errno = EIO;
		return -1;
	}
	for (i = 0; i < write_count; i++) {
		if (writes[i].fd == fd)
			free(writes[i].before);
		else
			writes[kept++] = writes[i];
	}
	write_count = kept;
	return 0;
}

static void __attribute__((destructor)) tell_count(void)
{
	const char *path = getenv("CUT_COUNT");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (file) {
		fprintf(file, "%lu\n", operations);
		fclose(file);
	}
}
