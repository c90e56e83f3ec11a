// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hostile.h"
#include "hostile_use.h"
#include "mapper.h"

enum {
	PLACES = 8,
	PLACE_SECTORS = 8,
	SPREAD_SECTORS = 1 << 12,	/* where most of them lie */
	JOB_TENTHS = 150,		/* before it is cancelled */
	CANCEL_TENTHS = 1200,		/* for what hangs */
};

static const char store_name[] = "hostile";
static const char stack_name[] = "hostile-stack";
static const char stack_path[] = "/dev/mapper/hostile-stack";

/* What a volume shows at a place is known from when it was last read or written. */
struct place {
	u64 sector;
	u32 sectors;
	u8 bytes[PLACE_SECTORS * 512];
};

static struct place places[PLACES];
static u32 place_count;

static struct {
	u64 stacks, refused, no_room, jobs, cancelled, messages;
} used;

int hostile_open_store(const char *path, u64 sectors)
{
	char table[128];

	snprintf(table, sizeof(table), "%s 4 on_full error no_space_timeout 1", path);
	return mapper_create(store_name, sectors, "cowstore", table);
}

int hostile_close_store(void)
{
	return mapper_remove(store_name);
}

/* --- messages --- */

static bool is_refusal(int error)
{
	switch (error) {
	case -EINVAL:
	case -ENOENT:
	case -EBUSY:
	case -EEXIST:
	case -E2BIG:
	case -ENOSPC:
	case -EOVERFLOW:
		return true;
	default:
		return false;
	}
}

static int tell(const char *name, const char *format, u32 a, u32 b)
{
	char text[128];
	int error;

	snprintf(text, sizeof(text), format, a, b);
	error = mapper_message(name, text);
	used.messages++;
	if (error && !is_refusal(error))
		hostile_found("\"%s\" gives %d", text, error);
	return error;
}

/* --- I/O --- */

static u8 *aligned_buffer(void)
{
	static u8 memory[2 * PLACE_SECTORS * 512];

	return (u8 *)(((uintptr_t)memory + 4095) & ~4095UL);
}

/* Places do not overlap, and none goes past the end. */
static void choose_places(struct random *r, u64 sectors)
{
	u32 tries, i;

	place_count = 0;
	for (tries = 0; tries < 4 * PLACES && place_count < PLACES; tries++) {
		u64 below = random_percent(r, 70) ?
				    min(sectors, (u64)SPREAD_SECTORS) : sectors;
		u64 sector = random_below(r, below) & ~(PLACE_SECTORS - 1ULL);

		if (!tries)
			sector = 0;
		for (i = 0; i < place_count && places[i].sector != sector;)
			i++;
		if (i < place_count)
			continue;
		places[place_count].sector = sector;
		places[place_count].sectors =
			min(sectors - sector, (u64)PLACE_SECTORS);
		place_count++;
	}
}

static bool read_place(int stack, const struct place *p, u8 *to)
{
	u32 bytes = p->sectors * 512;
	u8 *buffer = aligned_buffer();

	if (pread(stack, buffer, bytes, p->sector * 512) != bytes) {
		hostile_found("sector %llu cannot be read: %s",
			      (unsigned long long)p->sector, strerror(errno));
		return false;
	}
	memcpy(to, buffer, bytes);
	return true;
}

static void look_at_first(int stack)
{
	u32 i;

	for (i = 0; i < place_count && !hostile_has_found(); i++)
		read_place(stack, &places[i], places[i].bytes);
}

static void look_again(int stack, const char *when)
{
	u8 now[PLACE_SECTORS * 512];
	u32 i;

	for (i = 0; i < place_count && !hostile_has_found(); i++) {
		const struct place *p = &places[i];

		if (read_place(stack, p, now) &&
		    memcmp(now, p->bytes, p->sectors * 512))
			hostile_found("sector %llu shows something else %s",
				      (unsigned long long)p->sector, when);
	}
}

/* All of it, or a part; where there is no room it is what it was, or new. */
static void write_place(int stack, struct place *p, struct random *r)
{
	u32 first = random_percent(r, 50) ? 0 : random_below(r, p->sectors);
	u32 bytes = (p->sectors - first) * 512, i;
	u8 *buffer = aligned_buffer();

	for (i = 0; i < bytes; i++)
		buffer[i] = random_next(r);
	if (pwrite(stack, buffer, bytes, (p->sector + first) * 512) == bytes) {
		memcpy(p->bytes + first * 512, buffer, bytes);
		return;
	}
	if (errno != ENOSPC) {
		hostile_found("sector %llu cannot be written: %s",
			      (unsigned long long)p->sector, strerror(errno));
		return;
	}
	used.no_room++;
	read_place(stack, p, p->bytes);
}

static void discard_place(int stack, struct place *p)
{
	u64 range[] = { p->sector * 512, p->sectors * 512 };

	if (ioctl(stack, BLKDISCARD, range) && errno != ENOSPC)
		hostile_found("sector %llu cannot be discarded: %s",
			      (unsigned long long)p->sector, strerror(errno));
	else
		read_place(stack, p, p->bytes);
}

static void write_some(int stack, struct random *r)
{
	u32 i;

	for (i = 0; i < place_count && !hostile_has_found(); i++) {
		if (random_percent(r, 60))
			write_place(stack, &places[i], r);
		else if (random_percent(r, 30))
			discard_place(stack, &places[i]);
	}
	if (!hostile_has_found() && fsync(stack))
		hostile_found("a flush fails: %s", strerror(errno));
}

/* --- jobs --- */

static bool job_is_under_way(void)
{
	char status[512], state[32] = "";
	int error = mapper_status(stack_name, status, sizeof(status));

	if (error) {
		hostile_found("no status: %d", error);
		return false;
	}
	if (strncmp(status, "rw ", 3))
		hostile_found("its mode is not rw: %s", status);
	if (sscanf(status, "%*s %*s %*s %*s %*s %*s %31s", state) != 1)
		hostile_found("no job in its status: %s", status);
	return !strcmp(state, "running") || !strcmp(state, "queued");
}

static void end_job(void)
{
	u32 i;

	for (i = 0; i < JOB_TENTHS && job_is_under_way(); i++)
		usleep(i < 20 ? 5000 : 100000);
	if (hostile_has_found() || i < JOB_TENTHS)
		return;
	used.cancelled++;
	tell(stack_name, "commit cancel", 0, 0);
	for (i = 0; i < CANCEL_TENTHS && job_is_under_way(); i++)
		usleep(100000);
	if (i == CANCEL_TENTHS)
		hostile_found("a job does not end when it is cancelled");
}

static void run_job(struct random *r)
{
	static const char *const jobs[] = {
		"commit start", "commit start retain 1", "commit start verify 1",
		"commit start on_error ignore", "stream start",
		"stream start base none",
	};

	if (!tell(stack_name, jobs[random_below(r, ARRAY_SIZE(jobs))], 0, 0))
		used.jobs++;
	end_job();
}

static void say_something(const struct hostile_volume *volume, struct random *r)
{
	static const char *const messages[] = {
		"make_empty %u", "drop %u", "pin %u", "unpin %u", "layers",
		"errors", "commit plan", "commit start top %u", "commit resume",
	};
	u32 layer = random_percent(r, 80) ? random_below(r, volume->layer + 2) :
					    (u32)random_next(r);

	tell(stack_name, messages[random_below(r, ARRAY_SIZE(messages))], layer, 0);
}

/* --- volumes --- */

/* A stack may be shorter than its volume. */
static u64 choose_length(const struct hostile_volume *volume, struct random *r)
{
	if (random_percent(r, 60) || volume->sectors < 16)
		return volume->sectors;
	return 1 + random_below(r, min(volume->sectors, 1ULL << 20));
}

static int bring_up(const struct hostile_volume *volume, u64 sectors)
{
	char table[160];

	snprintf(table, sizeof(table),
		 "/dev/base /dev/mapper/%s %u 4 accept_base 1 allow_shared_base 1",
		 store_name, volume->id);
	return mapper_create(stack_name, sectors, "cowstack", table);
}

static void use_stack(const struct hostile_volume *volume, struct random *r)
{
	int stack = open(stack_path, O_RDWR | O_DIRECT);
	u32 i;

	if (stack < 0) {
		hostile_found("the stack cannot be opened: %s", strerror(errno));
		return;
	}
	look_at_first(stack);
	end_job();		/* one that was cut off goes on */
	look_again(stack, "when a job has gone on");
	write_some(stack, r);
	look_again(stack, "when some of it was written");
	tell(stack_name, "snapshot", 0, 0);
	write_some(stack, r);
	run_job(r);
	look_again(stack, "behind a job");
	for (i = 0; i < 4 && !hostile_has_found(); i++)
		say_something(volume, r);
	end_job();
	look_again(stack, "behind messages");
	close(stack);
}

void hostile_use_volume(const struct hostile_volume *volume, struct random *r)
{
	u64 sectors = choose_length(volume, r);
	int error = bring_up(volume, sectors);

	choose_places(r, sectors);
	if (error) {
		used.refused++;
		if (!is_refusal(error) && error != -EFBIG)
			hostile_found("volume %u does not come up: %d",
				      volume->id, error);
		return;
	}
	used.stacks++;
	use_stack(volume, r);
	if (hostile_has_found())
		return;
	error = mapper_remove(stack_name);
	if (error)
		hostile_found("the stack cannot be removed: %d", error);
}

void hostile_use_store(const struct hostile_volume *volumes, u32 count,
		       struct random *r)
{
	u32 i;

	tell(store_name, "create_volume %u 2048", 1 + random_below(r, 100), 0);
	tell(store_name, "grow", 0, 0);
	for (i = 0; i < count && !hostile_has_found(); i++) {
		tell(store_name, "volume %u", volumes[i].id, 0);
		if (random_percent(r, 30))
			tell(store_name, "resize_volume %u 8E", volumes[i].id, 0);
		if (random_percent(r, 40))
			tell(store_name, "delete_volume %u", volumes[i].id, 0);
	}
}

void hostile_use_print(void)
{
	printf("# stacks: %llu used, %llu refused; %llu jobs, %llu cancelled; ",
	       (unsigned long long)used.stacks, (unsigned long long)used.refused,
	       (unsigned long long)used.jobs,
	       (unsigned long long)used.cancelled);
	printf("%llu messages, %llu writes without room\n",
	       (unsigned long long)used.messages,
	       (unsigned long long)used.no_room);
}
