// SPDX-License-Identifier: GPL-2.0
/*
 * usage: mirror_io DEVICE SHADOW SEED OPERATIONS THREADS coarse|fine
 *
 * Does the same random writes, zeroings and discards to DEVICE and to SHADOW, a
 * plain device of the same size with the same content, reads both, and says
 * where they differ.  Threads own separate sectors: a stretch of the device each
 * (coarse), or every THREADS-th unit of three sectors (fine), so that several
 * write parts of the same sixteenth at once.  OPERATIONS, of each thread, may be
 * seconds: 60s.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	SECTOR = 512,
	MOST_SECTORS = 1024,
	FINE_UNIT = 3,
};

static const char *device_name, *shadow_name;
static uint64_t device_sectors;
static unsigned int thread_count;
static unsigned long operations;	/* of each thread, where end_time is 0 */
static time_t end_time;			/* on the monotonic clock */
static uint64_t seed;
static bool fine;
static bool failed;			/* set by any thread */

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t random;
	int device;
	int shadow;
	char *buffer;
	char *other;
};

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static void fail(const char *what, uint64_t sector, uint64_t sectors)
{
	if (!failed)
		printf("# %s: %s, sectors %llu + %llu\n", what,
		       errno ? strerror(errno) : "content differs",
		       (unsigned long long)sector,
		       (unsigned long long)sectors);
	__atomic_store_n(&failed, true, __ATOMIC_RELAXED);
}

/* A range that this worker owns. */
static void pick_range(struct worker *w, uint64_t *sector, uint64_t *sectors)
{
	uint64_t share = device_sectors / thread_count;
	uint64_t r = next_random(w);

	if (fine) {
		uint64_t units = device_sectors / FINE_UNIT / thread_count;
		/* A small part of the device, so that threads meet. */
		uint64_t unit = r % (units < 500 ? units : 500);

		*sector = (unit * thread_count + w->number) * FINE_UNIT;
		*sectors = 1 + (r >> 32) % FINE_UNIT;
		return;
	}
	/* Mostly small and aligned, now and then anything. */
	*sectors = 1 + (r >> 8) % ((r & 7) ? 64 : MOST_SECTORS);
	if (*sectors > share)
		*sectors = share;
	*sector = (r >> 24) % (share - *sectors + 1);
	if ((r & 0x30) == 0x30)
		*sector &= ~7ULL;
	*sector += share * w->number;
}

static bool transfer(ssize_t (*io)(int, void *, size_t, off_t), int fd,
		     void *buffer, uint64_t sector, uint64_t sectors)
{
	return io(fd, buffer, sectors * SECTOR, sector * SECTOR) ==
	       (ssize_t)(sectors * SECTOR);
}

static ssize_t write_at(int fd, void *buffer, size_t bytes, off_t at)
{
	return pwrite(fd, buffer, bytes, at);
}

static ssize_t write_through(int fd, void *buffer, size_t bytes, off_t at)
{
	struct iovec v = { buffer, bytes };

	return pwritev2(fd, &v, 1, at, RWF_DSYNC);
}

static void do_write(struct worker *w, uint64_t sector, uint64_t sectors,
		     bool durable)
{
	uint64_t *words = (uint64_t *)w->buffer;
	uint64_t i;

	for (i = 0; i < sectors * SECTOR / 8; i++)
		words[i] = next_random(w);
	if (!transfer(durable ? write_through : write_at, w->device, w->buffer,
		      sector, sectors) ||
	    !transfer(write_at, w->shadow, w->buffer, sector, sectors))
		fail("write", sector, sectors);
}

static void do_compare(struct worker *w, uint64_t sector, uint64_t sectors)
{
	if (!transfer(pread, w->device, w->buffer, sector, sectors) ||
	    !transfer(pread, w->shadow, w->other, sector, sectors)) {
		fail("read", sector, sectors);
	} else if (memcmp(w->buffer, w->other, sectors * SECTOR)) {
		errno = 0;
		fail("compare", sector, sectors);
	}
}

static void do_zero(struct worker *w, uint64_t sector, uint64_t sectors)
{
	uint64_t range[2] = { sector * SECTOR, sectors * SECTOR };

	memset(w->buffer, 0, sectors * SECTOR);
	if (ioctl(w->device, BLKZEROOUT, range) ||
	    !transfer(write_at, w->shadow, w->buffer, sector, sectors))
		fail("zero", sector, sectors);
}

/* A discard may zero or keep, sector by sector, but nothing else. */
static void do_discard(struct worker *w, uint64_t sector, uint64_t sectors)
{
	static const char zeroes[SECTOR];
	uint64_t range[2] = { sector * SECTOR, sectors * SECTOR };
	uint64_t i;

	if (ioctl(w->device, BLKDISCARD, range) ||
	    !transfer(pread, w->device, w->buffer, sector, sectors) ||
	    !transfer(pread, w->shadow, w->other, sector, sectors)) {
		fail("discard", sector, sectors);
		return;
	}
	for (i = 0; i < sectors; i++) {
		const char *now = w->buffer + i * SECTOR;

		if (memcmp(now, w->other + i * SECTOR, SECTOR) &&
		    memcmp(now, zeroes, SECTOR)) {
			errno = 0;
			fail("after a discard", sector + i, 1);
		}
	}
	if (!transfer(write_at, w->shadow, w->buffer, sector, sectors))
		fail("shadow", sector, sectors);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static bool goes_on(unsigned long done)
{
	if (__atomic_load_n(&failed, __ATOMIC_RELAXED))
		return false;
	return end_time ? now() < end_time : done < operations;
}

static void *work(void *argument)
{
	struct worker *w = argument;
	unsigned long n;

	for (n = 0; goes_on(n); n++) {
		uint64_t sector, sectors;

		pick_range(w, &sector, &sectors);
		switch (next_random(w) % 16) {
		case 0:
			do_zero(w, sector, sectors);
			break;
		case 1:
			do_discard(w, sector, sectors);
			break;
		case 2:
			if (fdatasync(w->device))
				fail("fdatasync", 0, 0);
			break;
		case 3:
			do_write(w, sector, sectors, true);
			break;
		case 4 ... 8:
			do_compare(w, sector, sectors);
			break;
		default:
			do_write(w, sector, sectors, false);
		}
	}
	return NULL;
}

static int open_device(const char *name)
{
	int fd = open(name, O_RDWR | O_DIRECT);

	if (fd < 0) {
		perror(name);
		exit(2);
	}
	return fd;
}

static void start_worker(struct worker *w, unsigned int number)
{
	w->number = number;
	w->random = seed * 1000003 + number + 1;
	w->device = open_device(device_name);
	w->shadow = open_device(shadow_name);
	if (posix_memalign((void **)&w->buffer, 4096, MOST_SECTORS * SECTOR) ||
	    posix_memalign((void **)&w->other, 4096, MOST_SECTORS * SECTOR))
		exit(2);
	pthread_create(&w->thread, NULL, work, w);
}

static void compare_all(struct worker *w)
{
	uint64_t sector, n;

	for (sector = 0; sector < device_sectors && !failed; sector += n) {
		n = device_sectors - sector;
		if (n > MOST_SECTORS)
			n = MOST_SECTORS;
		do_compare(w, sector, n);
	}
}

int main(int argc, char **argv)
{
	struct worker *workers;
	unsigned int i;
	uint64_t bytes;
	char *unit;

	if (argc != 7) {
		fputs("usage: mirror_io DEVICE SHADOW SEED OPERATIONS THREADS coarse|fine\n",
		      stderr);
		return 2;
	}
	device_name = argv[1];
	shadow_name = argv[2];
	seed = strtoull(argv[3], NULL, 0);
	operations = strtoul(argv[4], &unit, 0);
	if (*unit == 's')
		end_time = now() + operations;
	thread_count = strtoul(argv[5], NULL, 0);
	fine = !strcmp(argv[6], "fine");
	i = open_device(device_name);
	if (ioctl(i, BLKGETSIZE64, &bytes))
		return 2;
	device_sectors = bytes / SECTOR;
	close(i);
	workers = calloc(thread_count, sizeof(*workers));
	for (i = 0; i < thread_count; i++)
		start_worker(&workers[i], i);
	for (i = 0; i < thread_count; i++)
		pthread_join(workers[i].thread, NULL);
	compare_all(&workers[0]);
	return failed;
}
