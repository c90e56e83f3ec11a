// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/load.h"
#include "fault_scenes.h"
#include "job_view.h"
#include "mapper.h"
#include "stacks.h"

enum {
	CHUNK = 32,			/* sectors; a sixteenth is two */
	DATA_SECTORS = 8192,
	UNUSED = 992,			/* a chunk that no scene writes to */
	PATIENCE_MS = 60000,
};

static int device = -1;
static u8 *buffer;
static bool is_armed;
static enum fault_source armed_source;
static u32 events_before;		/* of the store, when the fault was armed */

/* --- what is done to the device --- */

/* Only with a fault may anything fail, and no I/O because of memory. */
static bool may_fail(bool is_io, const char *what, int error)
{
	if (!is_armed || !fault_has_fired())
		oracle_report("an error without a fault", "%s: %s", what,
			      strerror(error));
	else if (is_io && fault_source_is_memory(armed_source))
		oracle_report("a failed allocation failed an I/O", "%s: %s",
			      what, strerror(error));
	return false;
}

static bool succeeded(bool good, const char *what)
{
	return good || may_fail(true, what, errno);
}

static void write_range(u32 first, u32 count, bool sync)
{
	struct iovec iov = { .iov_base = buffer,
			     .iov_len = (size_t)count * DISK_SECTOR };
	u32 handle, version, clock = oracle_clock(), i;
	bool good;

	if (!oracle_begin(0, OPERATION_WRITE, first, count, &handle, &version))
		return;
	for (i = 0; i < count; i++)
		pattern_make(buffer + (size_t)i * DISK_SECTOR, 0, first + i,
			     version);
	good = pwritev2(device, &iov, 1, (off_t)first * DISK_SECTOR,
			sync ? RWF_DSYNC : 0) == (ssize_t)iov.iov_len;
	good = succeeded(good, "write");
	oracle_end(0, handle, good, sync);
	if (good && sync)
		oracle_flushed(0, clock);
}

static void zero_range(unsigned long command, u32 first, u32 count)
{
	u64 range[2] = { (u64)first * DISK_SECTOR, (u64)count * DISK_SECTOR };
	u32 handle, version;
	bool good;

	if (!oracle_begin(0, OPERATION_ZERO, first, count, &handle, &version))
		return;
	good = !ioctl(device, command, range);
	good = succeeded(good, "zeroes");
	oracle_end(0, handle, good, false);
}

static void flush(void)
{
	u32 clock = oracle_clock();

	if (succeeded(!fdatasync(device), "flush"))
		oracle_flushed(0, clock);
}

static void read_range(u32 first, u32 count)
{
	ssize_t bytes = (ssize_t)count * DISK_SECTOR;
	bool good;

	if (!oracle_begin_read(0, first, count))
		return;
	good = pread(device, buffer, bytes, (off_t)first * DISK_SECTOR) ==
	       bytes;
	good = succeeded(good, "read");
	oracle_end_read(0, first, count, good ? buffer : NULL);
}

static void open_device(void)
{
	device = open(stack_paths[0], O_RDWR | O_DIRECT);
	if (device < 0)
		oracle_report("the stack cannot be opened", "%s",
			      strerror(errno));
}

static void close_device(void)
{
	if (device >= 0)
		close(device);
	device = -1;
}

/* --- what it is told --- */

static int tell(const char *text)
{
	int error = mapper_message("v1", text);

	if (error)
		may_fail(false, text, -error);
	return error;
}

static void snapshot(void)
{
	u32 clock = oracle_clock();

	if (!tell("snapshot"))
		oracle_flushed(0, clock);
}

static bool is_at_work(enum job_state state)
{
	return state == JOB_RUNNING || state == JOB_QUEUED;
}

static enum job_state wait_for_job(struct job_view *view)
{
	unsigned int ms;

	for (ms = 0; ms < PATIENCE_MS; ms += 2) {
		if (job_view(0, view))
			return JOB_IDLE;
		if (!is_at_work(view->state))
			return view->state;
		usleep(2000);
	}
	oracle_report("a job does not end", "%s", job_state_name(view->state));
	return view->state;
}

static void run_job(const char *text)
{
	struct job_view view;

	if (!tell(text))
		wait_for_job(&view);
}

/* Room that comes back does so behind the answer. */
static void wait_for_room(void)
{
	struct room_view view;
	unsigned int tries;

	for (tries = 0; tries < PATIENCE_MS / 2; tries++) {
		if (room_view(&view) || !view.freeing)
			return;
		usleep(2000);
	}
}

static bool store_is_rw(void)
{
	char text[1024];

	return !mapper_status("store", text, sizeof(text)) &&
	       !strncmp(text, "rw ", 3);
}

/* --- scenes --- */

/* Whole chunks, parts of sixteenths, zeroes; @round makes it overlap in part. */
static void fill(u32 round)
{
	u32 at = round * CHUNK;

	write_range(at, 3 * CHUNK, false);
	write_range(256 + at + 1, 3, false);
	write_range(448, CHUNK, false);
	zero_range(BLKZEROOUT, 448 + at, CHUNK);
	zero_range(BLKDISCARD, at + 2 * CHUNK, CHUNK);
	write_range(600 + 40 * round, CHUNK + 7, false);
}

static void prepare_layers(unsigned int layers)
{
	unsigned int i;

	for (i = 0; i < layers; i++) {
		fill(i);
		if (i + 1 < layers)
			snapshot();
	}
	flush();
}

static void prepare_one(void)
{
	prepare_layers(1);
}

static void prepare_three(void)
{
	prepare_layers(3);
}

static void act_work(void)
{
	write_range(0, 7, false);
	write_range(800, 64, false);
	write_range(933, 1, false);
	read_range(0, 128);
	zero_range(BLKZEROOUT, 802, 11);
	zero_range(BLKDISCARD, CHUNK, CHUNK);
	write_range(970, 4, true);
	write_range(CHUNK, CHUNK, false);
	flush();
	read_range(770, 200);
	write_range(800, 64, true);
}

static void act_snapshots(void)
{
	fill(1);
	snapshot();
	write_range(5, 40, false);
	snapshot();
	flush();
}

static void commit_all(const char *text)
{
	run_job(text);
	wait_for_room();
	write_range(9, 3, true);
}

static void act_commit(void)
{
	commit_all("commit start yield 0");
}

/* What is compared is flushed before, and that may hide that another flush has failed. */
static void act_commit_verify(void)
{
	commit_all("commit start verify 1 yield 0");
}

static void act_commit_layer(void)
{
	struct layer_list list;
	char text[64];

	if (layers_view(0, &list) || list.count < 3)
		return;
	snprintf(text, sizeof(text), "commit start top %u base %u yield 0",
		 list.layer[1].id, list.layer[2].id);
	run_job(text);
	wait_for_room();
	write_range(9, 3, true);
}

static void act_stream(void)
{
	run_job("stream start yield 0");
	wait_for_room();
	write_range(9, 3, true);
}

static void act_stream_base(void)
{
	run_job("stream start base none yield 0");
	write_range(9, 3, true);
}

/* What there is beside the two that are used, as far as it was acknowledged. */
enum presence { GONE, THERE, EITHER };

enum { CLONE = 9, NEW_VOLUME = 10 };

static enum presence clone_is, new_is;

static void tell_store(const char *text, enum presence *is, enum presence then)
{
	int error;

	*is = EITHER;
	error = mapper_message("store", text);
	if (error)
		may_fail(false, text, -error);
	else
		*is = then;
}

static void act_volumes(void)
{
	struct layer_list list;
	char text[64];

	if (layers_view(0, &list) || list.count < 2)
		return;
	snprintf(text, sizeof(text), "clone_volume %u 1 %u copy", CLONE,
		 list.layer[1].id);
	tell_store(text, &clone_is, THERE);
	snprintf(text, sizeof(text), "create_volume %u 2048 new", NEW_VOLUME);
	tell_store(text, &new_is, THERE);
	write_range(9, 3, true);
	if (clone_is == THERE) {
		snprintf(text, sizeof(text), "delete_volume %u", CLONE);
		tell_store(text, &clone_is, GONE);
	}
}

static bool is_listed(const char *volumes, unsigned int id)
{
	char start[16];

	snprintf(start, sizeof(start), "\n%u ", id);
	return !strncmp(volumes, start + 1, strlen(start) - 1) ||
	       strstr(volumes, start);
}

static void check_volume(const char *volumes, unsigned int id,
			 enum presence *is)
{
	enum presence seen = is_listed(volumes, id) ? THERE : GONE;

	if (*is != EITHER && *is != seen)
		oracle_report(seen == GONE ? "lost volume" : "a deleted volume is back",
			      "%u", id);
	*is = seen;
}

static void check_volumes(void)
{
	char text[1024];

	if (mapper_ask("store", "volumes", text, sizeof(text))) {
		oracle_report("volumes are not listed", "%s", "");
		return;
	}
	check_volume(text, CLONE, &clone_is);
	check_volume(text, NEW_VOLUME, &new_is);
}

/* One that reads the base keeps others from writing to it. */
static void delete_clone(void)
{
	char text[32];

	if (clone_is != THERE)
		return;
	snprintf(text, sizeof(text), "delete_volume %u", CLONE);
	if (mapper_message("store", text))
		oracle_report("a clone cannot be deleted", "%s", "");
	clone_is = GONE;
}

static void prepare_clean(void)
{
	prepare_layers(2);
	run_job("commit start retain 1 yield 0");
}

/* Every layer with clean copies lets go of them, and leaves. */
static void act_make_empty(void)
{
	struct layer_list list;
	char text[32];
	unsigned int i;

	if (layers_view(0, &list))
		return;
	for (i = 1; i < list.count; i++) {
		snprintf(text, sizeof(text), "make_empty %u", list.layer[i].id);
		if (tell(text))
			continue;
		snprintf(text, sizeof(text), "drop %u", list.layer[i].id);
		tell(text);
	}
	wait_for_room();
	write_range(9, 3, true);
}

static void prepare_load(void)
{
	prepare_layers(3);
	close_device();
	stacks_take_down();
}

static void act_bring_up(void)
{
	struct job_view view;
	int error = stacks_try_bring_up();

	if (error) {
		may_fail(false, "bring-up", -error);
		return;
	}
	wait_for_job(&view);
	open_device();
}

/* The power is gone; afterwards it is back. */
static void take_down_dark(void)
{
	close_device();
	stacks_take_down();
	power_on();
	disk_forget_pages(&store_disk);
}

static void lose_power(void)
{
	power_fail();
	take_down_dark();
}

/* The power goes in the middle of a commit and of writes. */
static void prepare_recovery(void)
{
	prepare_layers(3);
	if (mapper_message("v1", "commit start yield 0 speed 1M"))
		return;
	fill(3);
	usleep(50000);
	lose_power();
}

const struct fault_scene fault_scenes[] = {
	{ "work", prepare_one, .act = act_work },
	{ "snapshot", prepare_one, .act = act_snapshots },
	{ "commit", prepare_three, .act = act_commit },
	{ "commit-verify", prepare_three, .act = act_commit_verify },
	{ "commit-layer", prepare_three, .act = act_commit_layer },
	{ "stream", prepare_three, .act = act_stream },
	{ "stream-base", prepare_three, act_stream_base, .holds_all = true },
	{ "volumes", prepare_three, .act = act_volumes },
	{ "make_empty", prepare_clean, .act = act_make_empty },
	{ "load", prepare_load, .act = act_bring_up },
	{ "recovery", prepare_recovery, act_bring_up, .after_cut = true },
};

const unsigned int fault_scene_count = ARRAY_SIZE(fault_scenes);

/* --- afterwards --- */

/* All that was acknowledged is seen, durable or not. */
static void check_live(void)
{
	u32 at;

	for (at = 0; at < VOLUME_SECTORS; at += 512)
		read_range(at, 512);
}

/* A job that stands does so for a reason that it tells, and ends when asked again. */
static void finish_job(bool stands_for_fault)
{
	struct job_view view;
	enum job_state state = wait_for_job(&view);
	char text[1024];
	bool streams;

	if (state == JOB_IDLE || state == JOB_COMPLETED)
		return;
	if (state == JOB_STOPPED && !view.error)
		oracle_report("a job stopped and says no error", "%s", "");
	if (state == JOB_STOPPED && stands_for_fault &&
	    fault_source_is_memory(armed_source))
		oracle_report("a failed allocation stopped a job", "error %d",
			      view.error);
	streams = !mapper_status("v1", text, sizeof(text)) &&
		  strstr(text, " stream ");
	run_job(streams ? "stream start yield 0" : "commit start yield 0");
	if (wait_for_job(&view) != JOB_COMPLETED)
		oracle_report("a job does not end when asked again", "%s: error %d",
			      job_state_name(view.state), view.error);
}

/* May it have failed at what makes a store go on without writing? */
static bool touches_store(enum fault_source source)
{
	return source == SOURCE_STORE || source == SOURCE_STORE_STAYS ||
	       source == SOURCE_BIOS;
}

/* It comes behind what it tells of.  A job's end is one, too: then this proves little. */
static bool event_was_raised(void)
{
	unsigned int ms;

	for (ms = 0; ms < PATIENCE_MS; ms += 2) {
		if (mapper_events("store") != events_before)
			return true;
		usleep(2000);
	}
	return false;
}

/* A chunk, if there is room for it. */
static bool try_write(u32 first)
{
	u32 handle, version, i;
	ssize_t written;

	if (!oracle_begin(0, OPERATION_WRITE, first, CHUNK, &handle, &version))
		return false;
	for (i = 0; i < CHUNK; i++)
		pattern_make(buffer + (size_t)i * DISK_SECTOR, 0, first + i,
			     version);
	written = pwrite(device, buffer, CHUNK * DISK_SECTOR,
			 (off_t)first * DISK_SECTOR);
	oracle_end(0, handle, written > 0, false);
	return written > 0;
}

/* What a store that is not rw any more has to say, and must not do. */
static void check_degraded(const struct fault_scene *scene)
{
	if (!touches_store(armed_source))
		oracle_report("a store is not rw without a fault of its own", "%s",
			      fault_source_name(armed_source));
	if (!event_was_raised())
		oracle_report("a store is not rw and no event said so", "%s", "");
	/* What the top holds is still written in place; for all else there is no room. */
	if (!scene->holds_all && try_write(UNUSED))
		oracle_report("a store that is not rw takes a first write", "%s",
			      "");
}

static void look_at_live(const struct fault_scene *scene)
{
	if (device < 0)
		return;
	/* What was not flushed before a cut may be gone. */
	if (scene->after_cut && stacks_check())
		return;
	check_live();
	if (!store_is_rw()) {
		check_degraded(scene);
		return;
	}
	/* Whatever failed: what can be written can be made durable. */
	write_range(9, 3, true);
	flush();
	finish_job(true);
	check_live();
	check_volumes();
}

/* The same from what lies on the disks, and then a commit of all of it. */
static void look_after_load(void)
{
	struct stack_view view;
	struct job_view job;

	if (stacks_bring_up() || stacks_check())
		return;
	if (!store_is_rw())
		oracle_report("a store that is whole again is not rw", "%s", "");
	finish_job(false);
	check_volumes();
	delete_clone();
	if (stacks_commit(0, true, " verify 1 yield 0"))
		return;
	if (wait_for_job(&job) != JOB_COMPLETED)
		oracle_report("the last commit does not complete", "error %d",
			      job.error);
	if (!stacks_view(0, &view))
		stacks_check_commit(0, &view, false);
	stacks_take_down();
}

static int read_image(struct cowstack_reader *reader, u64 first, u64 blocks,
		      void *to)
{
	if ((first + blocks) * COWSTACK_BLOCK_SECTORS > STORE_DISK_SECTORS)
		return -EIO;
	memcpy(to, disk_peek(&store_disk, first * COWSTACK_BLOCK_SECTORS),
	       blocks * COWSTACK_BLOCK_SIZE);
	return 0;
}

/* A program that looks takes longer than all the rest, on the debug kernel. */
static void check_store(void)
{
	struct cowstack_reader reader = {
		.read = read_image, .device_sectors = STORE_DISK_SECTORS,
		.max_pages = U32_MAX,
	};
	struct cowstack_load_report report;
	struct cowstack_metadata metadata;
	int error = cowstack_load(&metadata, &reader, &report);

	if (error)
		oracle_report("the store is damaged", "%s (block %llu)",
			      report.why ?: strerror(-error),
			      (unsigned long long)report.where);
	else
		cowstack_metadata_exit(&metadata);
}

static bool start_anew(u64 data_sectors)
{
	stacks_format(CHUNK, data_sectors, "2 on_full error");
	clone_is = GONE;
	new_is = GONE;
	if (stacks_bring_up())
		return false;
	open_device();
	return true;
}

void scenes_init(void)
{
	buffer = aligned_alloc(4096, VOLUME_SECTORS * DISK_SECTOR);
	/* The same requests each time, in the same order. */
	disk_set_late_percent(0);
}

/*
 * The power goes at once, or never: what is looked at live is flushed, and that would
 * make durable what was said to be and is not.
 */
static void look_afterwards(const struct fault_scene *scene, bool cut)
{
	if (cut) {
		lose_power();
	} else {
		look_at_live(scene);
		close_device();
		stacks_take_down();
	}
	check_store();
	look_after_load();
}

void scene_count(const struct fault_scene *scene,
		 const bool wanted[SOURCES], u64 counts[SOURCES])
{
	start_anew(DATA_SECTORS);
	scene->prepare();
	fault_begin_count(wanted);
	scene->act();
	fault_end_count(counts);
	look_afterwards(scene, false);
}

bool scene_play(const struct fault_scene *scene, enum fault_source source,
		u64 n, bool cut)
{
	bool fired;

	start_anew(DATA_SECTORS);
	scene->prepare();
	armed_source = source;
	events_before = mapper_events("store");
	is_armed = true;
	fault_arm(source, n);
	scene->act();
	fired = fault_has_fired();
	fault_disarm();
	is_armed = false;
	look_afterwards(scene, cut);
	return fired;
}

/* --- the machine stops, and its disks do not --- */

static bool stop_is_armed;

enum disk_cut scenes_watch(const struct disk_request *request)
{
	if (!stop_is_armed || request->disk != &store_disk || !request->fua)
		return CUT_NOT;
	stop_is_armed = false;
	return CUT_HERE;
}

static void stop_in_next_step(void)
{
	power_set_stop(true);
	stop_is_armed = true;
	if (!fdatasync(device))
		oracle_report("a flush was answered without its step", "%s", "");
	power_set_stop(false);
}

void scene_play_stop(struct random *random)
{
	u32 chunks = COWSTACK_MIN_CHUNKS / 2 +
		     random_below(random, COWSTACK_MIN_CHUNKS / 2), i;

	if (!start_anew(COWSTACK_MIN_CHUNKS * CHUNK))
		return;
	for (i = 0; i < chunks; i++)
		try_write(i * CHUNK);
	flush();
	zero_range(BLKDISCARD, random_below(random, chunks) * CHUNK, CHUNK);
	stop_in_next_step();
	take_down_dark();
	if (stacks_bring_up())
		return;
	open_device();
	for (i = chunks; i < VOLUME_SECTORS / CHUNK; i++)
		try_write(i * CHUNK);
	lose_power();
	check_store();
	look_after_load();
}
