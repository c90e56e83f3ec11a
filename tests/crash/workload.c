// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oracle.h"
#include "stacks.h"
#include "workload.h"

enum { WORKERS_PER_VOLUME = 2, WORKERS = VOLUMES * WORKERS_PER_VOLUME };

struct worker {
	pthread_t thread;
	struct random random;
	unsigned int volume;
	int fd;
	u32 block;			/* sectors: no I/O of less */
	u8 *buffer;
	aio_context_t context;
};

static struct {
	struct worker workers[WORKERS];
	struct workload_options options;
	pthread_rwlock_t pause;
	bool stop;
	bool allow_reads;
	bool was_full;
} work;

void workload_init(void)
{
	pthread_rwlockattr_t attributes;
	unsigned int i;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&work.pause, &attributes);
	for (i = 0; i < WORKERS; i++) {
		work.workers[i].volume = i % VOLUMES;
		work.workers[i].buffer =
			aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
		if (syscall(SYS_io_setup, 1, &work.workers[i].context)) {
			perror("io_setup");
			exit(1);
		}
	}
}

/* An error without a cut, other than for want of room, is a finding. */
static bool succeeded(struct worker *w, bool good, const char *what)
{
	int error = errno;

	if (good)
		return true;
	if (error == ENOSPC) {
		WRITE_ONCE(work.was_full, true);
		usleep(2000);
	} else if (power_is_on() && !disk_has_erred()) {
		oracle_report("I/O error without a cut", "volume %u: %s: %s",
			      w->volume + 1, what, strerror(error));
	}
	return false;
}

/* Sizes from one sector on, each power of two as often as the others. */
static void choose_range(struct worker *w, u32 *first, u32 *count)
{
	u32 most = work.options.most_sectors;
	u32 scale = 1u << random_below(&w->random, ilog2(most) + 1);
	u32 align = random_percent(&w->random, 50) ? min(scale, 128u) :
						     random_percent(&w->random,
								    50) ? 8 : 1;

	*count = min(1 + (u32)random_below(&w->random, scale), most);
	align = max(align, w->block);
	if (align > 1)
		*count = DIV_ROUND_UP(*count, align) * align;
	*first = random_below(&w->random, VOLUME_SECTORS - *count + 1);
	*first -= *first % align;
}

/*
 * A plain write with RWF_DSYNC is followed by a flush of the whole device; one that is
 * submitted like this sends FUA, and nothing behind it.
 */
static bool write_fua(struct worker *w, off_t at, size_t bytes)
{
	struct iocb iocb = {
		.aio_fildes = w->fd, .aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_buf = (uintptr_t)w->buffer, .aio_nbytes = bytes,
		.aio_offset = at, .aio_rw_flags = RWF_DSYNC,
	};
	struct iocb *list[] = { &iocb };
	struct io_event event;

	if (syscall(SYS_io_submit, w->context, 1, list) != 1 ||
	    syscall(SYS_io_getevents, w->context, 1, 1, &event, NULL) != 1)
		return false;
	errno = event.res < 0 ? -event.res : EIO;
	return event.res == (__s64)bytes;
}

static void write_range(struct worker *w, u32 first, u32 count)
{
	size_t bytes = (size_t)count * DISK_SECTOR;
	off_t at = (off_t)first * DISK_SECTOR;
	bool fua = random_percent(&w->random, work.options.fua_percent);
	u32 handle, version, i;
	bool good;

	if (!oracle_begin(w->volume, OPERATION_WRITE, first, count, &handle,
			  &version))
		return;
	for (i = 0; i < count; i++)
		pattern_make(w->buffer + (size_t)i * DISK_SECTOR, w->volume,
			     first + i, version);
	good = fua ? write_fua(w, at, bytes) :
		     pwrite(w->fd, w->buffer, bytes, at) == (ssize_t)bytes;
	good = succeeded(w, good, "write");
	oracle_end(w->volume, handle, good, fua);
}

static int zero_ioctl(struct worker *w, unsigned long command, u32 first,
		      u32 count)
{
	u64 range[2] = { (u64)first * DISK_SECTOR, (u64)count * DISK_SECTOR };

	return ioctl(w->fd, command, range);
}

static void zero_range(struct worker *w, u32 first, u32 count)
{
	u32 handle, version;
	bool good;

	if (!oracle_begin(w->volume, OPERATION_ZERO, first, count, &handle,
			  &version))
		return;
	good = !zero_ioctl(w, BLKZEROOUT, first, count);
	good = succeeded(w, good, "write zeroes");
	oracle_end(w->volume, handle, good, false);
}

static bool reads_as_zeroes(struct worker *w, u32 first, u32 count)
{
	ssize_t bytes = (ssize_t)count * DISK_SECTOR;

	if (pread(w->fd, w->buffer, bytes, (off_t)first * DISK_SECTOR) != bytes)
		return false;
	return !w->buffer[0] && !memcmp(w->buffer, w->buffer + 1, bytes - 1);
}

/*
 * Whole chunks read as zeroes afterwards, unless there was no room to note that;
 * of other ranges the edges may stay.
 */
static void discard_range(struct worker *w, u32 first, u32 count)
{
	u32 chunk = work.options.chunk_sectors;
	bool whole = !(first % chunk) && !(count % chunk);
	u32 handle, version;
	bool good;

	if (!oracle_begin(w->volume,
			  whole ? OPERATION_ZERO : OPERATION_MAYBE_ZERO,
			  first, count, &handle, &version))
		return;
	good = !zero_ioctl(w, BLKDISCARD, first, count);
	good = succeeded(w, good, "discard");
	if (good && whole && !reads_as_zeroes(w, first, count))
		oracle_doubt(handle);
	oracle_end(w->volume, handle, good, false);
}

static void discard_some(struct worker *w)
{
	u32 chunk = work.options.chunk_sectors;
	u32 first, count;

	choose_range(w, &first, &count);
	if (random_percent(&w->random, 85)) {
		first -= first % chunk;
		count = min(DIV_ROUND_UP(count, chunk) * chunk,
			    VOLUME_SECTORS - first);
	}
	discard_range(w, first, count);
}

static void flush(struct worker *w)
{
	u32 clock = oracle_clock();

	if (succeeded(w, !fdatasync(w->fd), "flush"))
		oracle_flushed(w->volume, clock);
}

static void read_range(struct worker *w, u32 first, u32 count)
{
	ssize_t bytes = (ssize_t)count * DISK_SECTOR;
	bool good;

	if (!oracle_begin_read(w->volume, first, count))
		return;
	good = pread(w->fd, w->buffer, bytes, (off_t)first * DISK_SECTOR) ==
	       bytes;
	good = succeeded(w, good, "read");
	oracle_end_read(w->volume, first, count, good ? w->buffer : NULL);
}

static void do_something(struct worker *w)
{
	unsigned int choice = random_below(&w->random, 100);
	u32 first, count;

	if (choice < work.options.flush_percent) {
		flush(w);
		return;
	}
	choice = random_below(&w->random, 100);
	if (choice < work.options.discard_percent) {
		discard_some(w);
		return;
	}
	choose_range(w, &first, &count);
	choice = random_below(&w->random, 100);
	if (choice < 6)
		zero_range(w, first, count);
	else if (choice < 14 && READ_ONCE(work.allow_reads))
		read_range(w, first, count);
	else
		write_range(w, first, count);
}

static void *worker_thread(void *argument)
{
	struct worker *w = argument;

	while (!READ_ONCE(work.stop) && power_is_on()) {
		pthread_rwlock_rdlock(&work.pause);
		do_something(w);
		pthread_rwlock_unlock(&work.pause);
		if (READ_ONCE(work.options.rest_us))
			usleep(READ_ONCE(work.options.rest_us));
	}
	close(w->fd);
	return NULL;
}

static void find_block(struct worker *w)
{
	int bytes = 0;

	if (ioctl(w->fd, BLKSSZGET, &bytes) || bytes % DISK_SECTOR)
		bytes = 0;
	if (bytes != stacks_block(w->volume))
		oracle_report("wrong logical block", "volume %u: %d bytes, not %u",
			      w->volume + 1, bytes, stacks_block(w->volume));
	w->block = max(bytes / DISK_SECTOR, 1);
}

int workload_start(const char *const paths[],
		   const struct workload_options *options)
{
	unsigned int i;

	work.options = *options;
	work.stop = false;
	work.was_full = false;
	work.allow_reads = true;
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &work.workers[i];

		w->random.state = options->seed + i;
		w->fd = open(paths[w->volume], O_RDWR | O_DIRECT);
		if (w->fd >= 0)
			find_block(w);
		if (w->fd < 0 ||
		    pthread_create(&w->thread, NULL, worker_thread, w)) {
			perror(paths[w->volume]);
			exit(1);
		}
	}
	return 0;
}

void workload_stop(void)
{
	unsigned int i;

	WRITE_ONCE(work.stop, true);
	for (i = 0; i < WORKERS; i++)
		pthread_join(work.workers[i].thread, NULL);
}

bool workload_is_over(void)
{
	return READ_ONCE(work.stop);
}

void workload_rest(unsigned int us)
{
	WRITE_ONCE(work.options.rest_us, us);
}

void workload_pause(void)
{
	pthread_rwlock_wrlock(&work.pause);
}

void workload_resume(void)
{
	pthread_rwlock_unlock(&work.pause);
}

void workload_allow_reads(bool allow)
{
	WRITE_ONCE(work.allow_reads, allow);
}

void workload_forget_full(void)
{
	WRITE_ONCE(work.was_full, false);
}

bool workload_was_full(void)
{
	return READ_ONCE(work.was_full);
}
