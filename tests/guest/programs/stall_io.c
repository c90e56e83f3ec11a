// SPDX-License-Identifier: GPL-2.0
/*
 * usage: stall_io DEVICE THREADS FIRST_MIB MIB
 *
 * Endless random reads and writes of 4 KiB there, past the page cache, two writes
 * to a read.  For each line on stdin it prints the longest write, the longest read
 * (milliseconds, those still under way included) and how many ended since the last
 * line.  It ends with stdin; with 1 if anything failed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, MOST_THREADS = 64 };

struct worker {
	pthread_t thread;
	uint64_t random;
	/* Protected by lock. */
	uint64_t began;			/* ns; 0: nothing is under way */
	bool writes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker workers[MOST_THREADS];
static unsigned int thread_count;
static uint64_t longest[2], ended;	/* protected by lock; [1]: writes */
static bool failed;
static int device;
static uint64_t first_block, block_count;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static void note_begin(struct worker *w, bool writes)
{
	pthread_mutex_lock(&lock);
	w->began = now_ns();
	w->writes = writes;
	pthread_mutex_unlock(&lock);
}

static void note_time(const struct worker *w, uint64_t now)
{
	if (w->began && now - w->began > longest[w->writes])
		longest[w->writes] = now - w->began;
}

static void note_end(struct worker *w, bool good)
{
	pthread_mutex_lock(&lock);
	note_time(w, now_ns());
	w->began = 0;
	ended++;
	failed |= !good;
	pthread_mutex_unlock(&lock);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	char *buffer;

	if (posix_memalign((void **)&buffer, BLOCK, BLOCK))
		exit(2);
	for (;;) {
		uint64_t r = next_random(w);
		off_t at = (first_block + (r >> 8) % block_count) * BLOCK;
		bool writes = r % 3;
		ssize_t n;

		*(uint64_t *)buffer = r;
		note_begin(w, writes);
		n = writes ? pwrite(device, buffer, BLOCK, at) :
			     pread(device, buffer, BLOCK, at);
		note_end(w, n == BLOCK);
	}
	return NULL;
}

static void report(void)
{
	unsigned int i;
	uint64_t now;

	pthread_mutex_lock(&lock);
	now = now_ns();
	for (i = 0; i < thread_count; i++)
		note_time(&workers[i], now);
	printf("%llu %llu %llu\n", (unsigned long long)longest[1] / 1000000,
	       (unsigned long long)longest[0] / 1000000,
	       (unsigned long long)ended);
	longest[0] = 0;
	longest[1] = 0;
	ended = 0;
	pthread_mutex_unlock(&lock);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[16];
	unsigned int i;

	if (argc != 5) {
		fputs("usage: stall_io DEVICE THREADS FIRST_MIB MIB\n", stderr);
		return 2;
	}
	device = open(argv[1], O_RDWR | O_DIRECT);
	if (device < 0) {
		perror(argv[1]);
		return 2;
	}
	thread_count = strtoul(argv[2], NULL, 0);
	first_block = strtoull(argv[3], NULL, 0) * (1 << 20) / BLOCK;
	block_count = strtoull(argv[4], NULL, 0) * (1 << 20) / BLOCK;
	if (!thread_count || thread_count > MOST_THREADS || !block_count)
		return 2;
	for (i = 0; i < thread_count; i++) {
		workers[i].random = 1000003ULL * (i + 1);
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	while (fgets(line, sizeof(line), stdin))
		report();
	return failed;
}
