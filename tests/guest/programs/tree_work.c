// SPDX-License-Identifier: GPL-2.0
/*
 * Work on a file system, and what has to be there afterwards.
 *
 *	tree_work make DIRECTORY SEED COUNT	files that are durable when it ends
 *	tree_work check DIRECTORY SEED COUNT	these and no others, byte for byte
 *	tree_work churn DIRECTORY SEED		works until SIGTERM, then looks
 *	tree_work same DEVICE DEVICE		byte for byte, past the page cache
 *
 * What "make" writes follows from seed and number, so that "check" needs nothing else:
 * it can look at a copy, or after a crash.  "churn" knows in memory what each file
 * holds, and reads past the page cache wherever the file system lets it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_SIZE = 160 << 10,
	FILES = 40,		/* of churn */
	PIECE = 1 << 20,	/* of devices */
	ENOUGH = 6,		/* complaints */
};

struct file {
	int there;
	size_t size;
	unsigned char *content;
};

static struct file files[FILES];
static unsigned int wrong;
static uint64_t state;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static uint64_t next_random(void)
{
	state += 0x9e3779b97f4a7c15ULL;
	return mix(state);
}

static size_t below(size_t n)
{
	return next_random() % n;
}

static void complain(const char *name, const char *what)
{
	wrong++;
	fprintf(stderr, "%s: %s: %s\n", name, what, strerror(errno));
}

static void fill_random(unsigned char *to, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 8) {
		uint64_t word = next_random();

		memcpy(to + i, &word, size - i < 8 ? size - i : 8);
	}
}

static void name_file(char *name, size_t room, const char *directory,
		      unsigned int number)
{
	snprintf(name, room, "%s/d%u/f%u", directory, number % 4, number);
}

static void make_directories(const char *directory)
{
	char name[4096];
	int i;

	mkdir(directory, 0755);
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s/d%d", directory, i);
		mkdir(name, 0755);
	}
}

/* In pieces, not in order, so that files are not simply streamed to the disk. */
static int write_pieces(int fd, const unsigned char *from, size_t size)
{
	size_t piece = 4096 + below(4) * 6000, count = size / piece + 1, i;

	for (i = 0; i < count; i++) {
		size_t at = (i * 7 % count) * piece;
		size_t length = at + piece > size ? size - at : piece;

		/* A multiple of 7 would leave pieces out. */
		if (count % 7 == 0) {
			at = i * piece;
			length = at + piece > size ? size - at : piece;
		}
		if (pwrite(fd, from + at, length, at) != (ssize_t)length)
			return -1;
	}
	return 0;
}

/* What is on the disk, where nothing of it is dirty. */
static void forget_pages(int fd)
{
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void compare_file(const char *name, const unsigned char *wanted,
			 size_t size)
{
	static unsigned char got[MAX_SIZE + 1];
	int fd = open(name, O_RDONLY);
	ssize_t length;
	size_t i;

	if (fd < 0) {
		complain(name, "open");
		return;
	}
	length = pread(fd, got, sizeof(got), 0);
	if (length < 0) {
		complain(name, "read");
	} else if ((size_t)length != size) {
		wrong++;
		fprintf(stderr, "%s: %zd bytes, not %zu\n", name, length, size);
	} else if (memcmp(got, wanted, size)) {
		for (i = 0; got[i] == wanted[i]; i++)
			;
		wrong++;
		fprintf(stderr, "%s: differs from byte %zu on\n", name, i);
	}
	close(fd);
}

/* --- make and check --- */

/* The content of file @number, in which some pages are holes. */
static size_t content_of(uint64_t seed, unsigned int number, unsigned char *to)
{
	size_t size, at;

	state = mix(seed * 1000003 + number);
	size = below(number % 5 ? 40000 : MAX_SIZE);
	fill_random(to, size);
	for (at = 0; at + 4096 <= size; at += 4096)
		if (!below(8))
			memset(to + at, 0, 4096);
	return size;
}

static void make_tree(const char *directory, uint64_t seed, unsigned int count)
{
	static unsigned char content[MAX_SIZE];
	char name[4096];
	unsigned int i;
	int fd;

	make_directories(directory);
	for (i = 0; i < count; i++) {
		size_t size = content_of(seed, i, content);

		name_file(name, sizeof(name), directory, i);
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0 || write_pieces(fd, content, size) ||
		    (i % 3 == 0 && fsync(fd)))
			complain(name, "write");
		if (fd >= 0 && close(fd))
			complain(name, "close");
	}
	fd = open(directory, O_RDONLY);
	if (fd < 0 || syncfs(fd))
		complain(directory, "syncfs");
	close(fd);
}

static unsigned int count_files(const char *directory)
{
	char name[4096];
	unsigned int count = 0;
	struct dirent *entry;
	DIR *d;
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s/d%d", directory, i);
		d = opendir(name);
		if (!d) {
			complain(name, "opendir");
			continue;
		}
		while ((entry = readdir(d)))
			count += entry->d_name[0] == 'f';
		closedir(d);
	}
	return count;
}

static void check_tree(const char *directory, uint64_t seed, unsigned int count)
{
	static unsigned char content[MAX_SIZE];
	unsigned int i, found = count_files(directory);
	char name[4096];

	if (found != count) {
		wrong++;
		fprintf(stderr, "%s: %u files, not %u\n", directory, found, count);
	}
	for (i = 0; i < count && wrong < ENOUGH; i++) {
		size_t size = content_of(seed, i, content);

		name_file(name, sizeof(name), directory, i);
		compare_file(name, content, size);
	}
}

/* --- churn --- */

static int open_file(const char *name, struct file *file)
{
	int fd = open(name, O_CREAT | O_RDWR, 0644);

	if (fd < 0)
		complain(name, "open");
	else
		file->there = 1;
	return fd;
}

/* What was never written, or lies past the end, is zero in ->content. */
static void set_size(struct file *file, size_t size)
{
	if (size < file->size)
		memset(file->content + size, 0, file->size - size);
	file->size = size;
}

static void overwrite(const char *name, struct file *file, int fd)
{
	size_t at = below(MAX_SIZE / 2), length = 1 + below(MAX_SIZE / 2);

	fill_random(file->content + at, length);
	if (at + length > file->size)
		file->size = at + length;
	if (pwrite(fd, file->content + at, length, at) != (ssize_t)length)
		complain(name, "write");
}

static void rewrite(const char *name, struct file *file, int fd)
{
	if (ftruncate(fd, 0))
		complain(name, "truncate");
	set_size(file, 0);
	set_size(file, 1 + below(MAX_SIZE));
	fill_random(file->content, file->size);
	if (write_pieces(fd, file->content, file->size))
		complain(name, "write");
}

static void cut_short(const char *name, struct file *file, int fd)
{
	set_size(file, below(MAX_SIZE));
	if (ftruncate(fd, file->size))
		complain(name, "truncate");
}

static void punch(const char *name, struct file *file, int fd)
{
	size_t at = below(MAX_SIZE), length = 1 + below(MAX_SIZE);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length)) {
		if (errno != EOPNOTSUPP)
			complain(name, "make a hole");
		return;
	}
	if (at + length > MAX_SIZE)
		length = MAX_SIZE - at;
	memset(file->content + at, 0, length);
}

static void write_mapped(const char *name, struct file *file, int fd)
{
	unsigned char *map;
	size_t at;

	if (file->size < 2)
		return;
	map = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		complain(name, "mmap");
		return;
	}
	at = below(file->size);
	fill_random(file->content + at, file->size - at);
	memcpy(map + at, file->content + at, file->size - at);
	if (munmap(map, file->size))
		complain(name, "munmap");
}

static void clone_file(const char *directory, const char *name, int fd,
		       const struct file *file)
{
	unsigned int number = below(FILES);
	struct file *other = &files[number];
	char other_name[4096];
	int other_fd;

	if (other == file)
		return;
	name_file(other_name, sizeof(other_name), directory, number);
	other_fd = open_file(other_name, other);
	if (other_fd < 0)
		return;
	if (ftruncate(other_fd, 0))
		complain(other_name, "truncate");
	set_size(other, 0);
	if (!ioctl(other_fd, FICLONE, fd)) {
		set_size(other, file->size);
		memcpy(other->content, file->content, file->size);
	} else if (errno != EOPNOTSUPP && errno != ENOTTY) {
		complain(name, "clone");
	}
	close(other_fd);
}

static void rename_file(const char *directory, const char *name,
			struct file *file)
{
	unsigned int number = below(FILES);
	struct file *other = &files[number], t;
	char other_name[4096];

	if (other == file)
		return;
	name_file(other_name, sizeof(other_name), directory, number);
	if (rename(name, other_name)) {
		complain(name, "rename");
		return;
	}
	set_size(other, 0);
	t = *other;
	*other = *file;
	*file = t;
	file->there = 0;
}

static void remove_file(const char *name, struct file *file)
{
	if (unlink(name))
		complain(name, "unlink");
	file->there = 0;
	set_size(file, 0);
}

static void read_back(const char *name, struct file *file, int fd)
{
	forget_pages(fd);
	compare_file(name, file->content, file->size);
}

static void operate(const char *directory)
{
	unsigned int number = below(FILES), what = below(20);
	struct file *file = &files[number];
	char name[4096];
	int fd;

	name_file(name, sizeof(name), directory, number);
	fd = open_file(name, file);
	if (fd < 0)
		return;
	if (what < 5)
		overwrite(name, file, fd);
	else if (what < 8)
		rewrite(name, file, fd);
	else if (what == 8)
		cut_short(name, file, fd);
	else if (what < 11)
		punch(name, file, fd);
	else if (what == 11)
		write_mapped(name, file, fd);
	else if (what == 12)
		clone_file(directory, name, fd, file);
	else if (what == 13)
		rename_file(directory, name, file);
	else if (what == 14)
		remove_file(name, file);
	else if (what < 17 && fsync(fd))
		complain(name, "fsync");
	else if (what >= 17)
		read_back(name, file, fd);
	close(fd);
}

static void churn(const char *directory)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	unsigned int operations = 0, there = 0, i;
	sigset_t end;
	char name[4096];
	int fd;

	make_directories(directory);
	for (i = 0; i < FILES; i++)
		files[i].content = calloc(1, MAX_SIZE);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (; wrong < ENOUGH && sigtimedwait(&end, NULL, &pause) < 0; operations++)
		operate(directory);
	fd = open(directory, O_RDONLY);
	if (fd < 0 || syncfs(fd))
		complain(directory, "syncfs");
	close(fd);
	for (i = 0; i < FILES; i++) {
		if (!files[i].there)
			continue;
		name_file(name, sizeof(name), directory, i);
		fd = open(name, O_RDONLY);
		if (fd >= 0)
			forget_pages(fd);
		close(fd);
		compare_file(name, files[i].content, files[i].size);
		there++;
	}
	if (count_files(directory) != there) {
		wrong++;
		fprintf(stderr, "%s: not %u files\n", directory, there);
	}
	printf("%u operations, %u files\n", operations, there);
}

/* --- same --- */

static int open_device(const char *name, void **buffer)
{
	int fd = open(name, O_RDONLY | O_DIRECT);

	if (fd < 0 || posix_memalign(buffer, 4096, PIECE))
		complain(name, "open");
	return fd;
}

static void compare_devices(const char *a, const char *b)
{
	void *buffer_a, *buffer_b;
	int fd_a = open_device(a, &buffer_a), fd_b = open_device(b, &buffer_b);
	ssize_t length;
	off_t at = 0;

	if (wrong)
		return;
	do {
		length = pread(fd_a, buffer_a, PIECE, at);
		if (length < 0) {
			complain(a, "read");
		} else if (pread(fd_b, buffer_b, PIECE, at) != length) {
			complain(b, "read as much");
		} else if (memcmp(buffer_a, buffer_b, length)) {
			wrong++;
			fprintf(stderr, "%s and %s differ behind byte %lld\n",
				a, b, (long long)at);
		}
		at += length;
	} while (length > 0 && !wrong);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "make")) {
		make_tree(argv[2], strtoull(argv[3], NULL, 0), atoi(argv[4]));
	} else if (argc == 5 && !strcmp(argv[1], "check")) {
		check_tree(argv[2], strtoull(argv[3], NULL, 0), atoi(argv[4]));
	} else if (argc == 4 && !strcmp(argv[1], "same")) {
		compare_devices(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(argv[1], "churn")) {
		state = strtoull(argv[3], NULL, 0);
		churn(argv[2]);
	} else {
		fprintf(stderr, "usage: see the top of tree_work.c\n");
		return 2;
	}
	return wrong != 0;
}
