// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "drain.h"
#include "job_view.h"
#include "mapper.h"
#include "stacks.h"

enum {
	ROUNDS = 12,
	MILLISECOND = 1000,
	PIECE = 64,			/* sectors of one write or read */
	REST_MILLISECONDS = 300,	/* for a discard that must not come */
};

static struct {
	pthread_t thread;
	int fd;
	u8 *data;			/* what a slow read returns */
	u32 first;
	bool good;
} slow;

static u8 *buffer;

static bool write_piece(u32 first)
{
	u32 handle, version, i;
	bool good;

	if (!oracle_begin(0, OPERATION_WRITE, first, PIECE, &handle, &version))
		return false;
	for (i = 0; i < PIECE; i++)
		pattern_make(buffer + i * DISK_SECTOR, 0, first + i, version);
	good = pwrite(slow.fd, buffer, PIECE * DISK_SECTOR,
		      (off_t)first * DISK_SECTOR) == PIECE * DISK_SECTOR;
	oracle_end(0, handle, good, false);
	if (!good)
		oracle_report("I/O error without a cut", "write: %s",
			      strerror(errno));
	return good;
}

static void *slow_read(void *argument)
{
	slow.good = pread(slow.fd, slow.data, PIECE * DISK_SECTOR,
			  (off_t)slow.first * DISK_SECTOR) ==
		    PIECE * DISK_SECTOR;
	return NULL;
}

/* Up to two minutes until @wanted; what it waited for is said if it is not. */
static bool wait_until(bool (*wanted)(void), const char *what)
{
	unsigned int tries;

	for (tries = 0; tries < 120000; tries++) {
		if (wanted())
			return true;
		usleep(MILLISECOND);
	}
	oracle_report("drain: waited in vain", "%s", what);
	return false;
}

static bool read_is_held(void)
{
	return disk_holds(&store_disk);
}

static bool job_has_ended(void)
{
	struct job_view view;

	return !job_view(0, &view) && view.state == JOB_COMPLETED;
}

static bool nothing_comes_free(void)
{
	struct room_view view;

	return !room_view(&view) && !view.freeing;
}

/* The read is in the layer that is committed; what is freed is written to anew. */
static void commit_under_read(u32 first, u32 elsewhere)
{
	struct room_view view;
	unsigned int i;
	int error;

	error = mapper_message("v1", "commit start yield 0");
	if (error) {
		oracle_report("a message failed without a cut", "commit: %s",
			      strerror(-error));
		return;
	}
	if (!wait_until(job_has_ended, "a commit does not end"))
		return;
	usleep(REST_MILLISECONDS * MILLISECOND);
	for (i = 0; i < 4; i++)
		write_piece(elsewhere + i * PIECE);
	if (!room_view(&view) && !view.freeing)
		oracle_report("room came back under a read", "sector %u",
			      first);
}

static void run_round(u32 first, u32 elsewhere)
{
	if (!write_piece(first) || fdatasync(slow.fd))
		return;
	slow.first = first;
	disk_hold(&store_disk, DISK_READ, 0);
	if (!oracle_begin_read(0, first, PIECE) ||
	    pthread_create(&slow.thread, NULL, slow_read, NULL))
		return;
	if (wait_until(read_is_held, "the read does not reach the disk"))
		commit_under_read(first, elsewhere);
	disk_release(&store_disk);
	pthread_join(slow.thread, NULL);
	if (!slow.good)
		oracle_report("I/O error without a cut", "slow read");
	oracle_end_read(0, first, PIECE, slow.good ? slow.data : NULL);
	wait_until(nothing_comes_free, "room does not come back");
}

void drain_run(struct random *random)
{
	u32 half = VOLUME_SECTORS / 2;
	unsigned int round;

	buffer = aligned_alloc(4096, PIECE * DISK_SECTOR);
	slow.data = aligned_alloc(4096, PIECE * DISK_SECTOR);
	/* One answer at a time can be late. */
	disk_set_late_percent(0);
	stacks_format(32, 6144, "2 on_full error");
	if (stacks_bring_up() || stacks_check())
		return;
	slow.fd = open(stack_paths[0], O_RDWR | O_DIRECT);
	for (round = 0; round < ROUNDS && !oracle_finding(); round++)
		run_round(random_below(random, half / PIECE) * PIECE,
			  half + random_below(random, half / PIECE - 4) * PIECE);
	close(slow.fd);
	printf("# %u slow reads in chunks that were let go of\n", round);
	if (!oracle_finding())
		stacks_take_down();
}
