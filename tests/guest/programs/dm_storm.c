// SPDX-License-Identifier: GPL-2.0
/*
 * usage: dm_storm STACK STORE SECONDS SEED THREADS VERB…
 *
 * Each thread does one of the verbs after the other, chosen at random (more often
 * one that is named more often), by device-mapper's own ioctls.  Prints, of each
 * verb, how often it was done, how often it was refused and the longest time it took,
 * without moments in which the whole machine stood still, as an emulated one does:
 *
 *	pause 120 30 41 ms
 *
 * and then of all: "all 7200 2100".  A refusal may have any errno that the interface
 * names for one; any other is printed as "unexpected", as is a verb that was refused
 * each time, and the exit status is 1.  Whatever was suspended or pinned is not so any
 * more at the end.
 *
 *	start stream pause resume cancel speed until   the job of STACK
 *	status layers errors table                questions
 *	snapshot make_empty drop pin set          the chain
 *	create clone delete                       other volumes of STORE
 *	suspend noflush reload                    STACK, for some milliseconds
 *	store_suspend store_reload                the same with STORE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFER = 65536,
	MOST_THREADS = 64,
	MOST_LAYERS = 256,
	MOST_WANTED = 256,
	OTHER_VOLUMES = 4,		/* ids 101 … */
	MANY_TRIES = 50,
	BEAT = 10,			/* milliseconds */
	LONG = 500,			/* looked at again when all beats have come */
};

struct caller {
	pthread_t thread;
	uint64_t random;
	char buffer[BUFFER];
};

struct verb {
	const char *name;
	int (*act)(struct caller *c);	/* 0, or an errno */
	/* Protected by lock. */
	unsigned long count, refused;
	uint64_t longest;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *stack_name, *store_name;
static int control;
static uint64_t end_time;
static bool unexpected;
static atomic_ullong stood_still;	/* ns, so far */
static atomic_bool all_ended;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t pick(struct caller *c, uint64_t most)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (c->random >> 11) % most;
}

/* --- ioctls --- */

static struct dm_ioctl *prepare(struct caller *c, const char *device,
				uint32_t flags)
{
	struct dm_ioctl *io = (struct dm_ioctl *)c->buffer;

	memset(c->buffer, 0, sizeof(*io) + 1024);
	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = BUFFER;
	io->data_start = sizeof(*io);
	io->flags = flags;
	snprintf(io->name, sizeof(io->name), "%s", device);
	return io;
}

static int call(unsigned long request, struct caller *c)
{
	return ioctl(control, request, c->buffer) ? errno : 0;
}

static int send(struct caller *c, const char *device, const char *format, ...)
{
	struct dm_ioctl *io = prepare(c, device, 0);
	struct dm_target_msg *m = (void *)(c->buffer + sizeof(*io));
	va_list args;

	va_start(args, format);
	vsnprintf(m->message, 256, format, args);
	va_end(args);
	return call(DM_TARGET_MSG, c);
}

static int suspend(struct caller *c, const char *device, uint32_t flags)
{
	prepare(c, device, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | flags);
	return call(DM_DEV_SUSPEND, c);
}

static int resume(struct caller *c, const char *device)
{
	prepare(c, device, 0);
	return call(DM_DEV_SUSPEND, c);
}

static int question(struct caller *c, const char *device, uint32_t flags)
{
	prepare(c, device, flags);
	return call(DM_TABLE_STATUS, c);
}

/* The table that it has, once more. */
static int load(struct caller *c, const char *device)
{
	struct dm_ioctl *io = (struct dm_ioctl *)c->buffer;
	struct dm_target_spec *spec;
	int error = question(c, device, DM_STATUS_TABLE_FLAG);

	if (error)
		return error;
	io->flags = 0;
	io->dev = 0;
	io->uuid[0] = 0;
	io->data_size = BUFFER;
	io->data_start = sizeof(*io);
	spec = (struct dm_target_spec *)(c->buffer + sizeof(*io));
	spec->next = 0;
	return call(DM_TABLE_LOAD, c);
}

static void rest(struct caller *c)
{
	usleep(pick(c, 30000));
}

static int suspend_a_while(struct caller *c, const char *device,
			   uint32_t flags, bool reload)
{
	int error = suspend(c, device, flags), loaded = 0;

	if (!error && reload)
		loaded = load(c, device);
	/* Not for long: little can be said to a store that is suspended. */
	if (!error)
		usleep(pick(c, 5000));
	/* A table that another loads meanwhile is as good. */
	error = resume(c, device);
	return loaded ? loaded : error;
}

/* --- layers --- */

/* Those below the top, newest first, or those of them that are pinned. */
static unsigned int list_layers(struct caller *c, bool pinned,
				unsigned int ids[MOST_LAYERS])
{
	struct dm_ioctl *io = (struct dm_ioctl *)c->buffer;
	unsigned int n = 0;
	char *line, *word, *end;

	if (send(c, stack_name, "layers") || !(io->flags & DM_DATA_OUT_FLAG))
		return 0;
	for (line = strchr(c->buffer + io->data_start, '\n');
	     line && line[1] && n < MOST_LAYERS; line = strchr(line + 1, '\n')) {
		word = strstr(line + 1, " pinned ");
		end = strchr(line + 1, '\n');
		if (!pinned || (word && word < end))
			ids[n++] = strtoul(line + 1, NULL, 10);
	}
	return n;
}

/* A frozen one; rarely one that is not there. */
static unsigned int pick_layer(struct caller *c)
{
	unsigned int ids[MOST_LAYERS], n = list_layers(c, false, ids);

	return n && pick(c, 16) ? ids[pick(c, n)] : 1 + pick(c, 50);
}

/* --- verbs --- */

static unsigned long pick_speed(struct caller *c)
{
	return pick(c, 2) ? 0 : 65536 << pick(c, 8);
}

static int do_start(struct caller *c)
{
	static const char * const on_error[] = { "stop", "report", "ignore" };
	unsigned long speed = pick_speed(c);
	unsigned int top;

	switch (pick(c, 8)) {
	case 0:
		return send(c, stack_name, "commit start top %u", pick_layer(c));
	case 1:
		top = pick_layer(c);
		return send(c, stack_name,
			    "commit start top %u base %u verify %u", top,
			    pick_layer(c), (unsigned int)pick(c, 2));
	case 2:
		return send(c, stack_name, "commit start retain 1 speed %lu",
			    speed);
	case 3:
		return send(c, stack_name,
			    "commit start yield 0 verify 1 on_error %s",
			    on_error[pick(c, 3)]);
	default:
		return send(c, stack_name, "commit start speed %lu", speed);
	}
}

static int start_until(struct caller *c)
{
	return send(c, stack_name, "commit start until %lld",
		    (long long)time(NULL) - 1 + (long long)pick(c, 3));
}

static int do_stream(struct caller *c)
{
	unsigned int top;

	if (pick(c, 2))
		return send(c, stack_name, "stream start speed %lu",
			    pick_speed(c));
	top = pick_layer(c);
	return send(c, stack_name, "stream start top %u base %u", top,
		    pick_layer(c));
}

static int commit_pause(struct caller *c)
{
	return send(c, stack_name, "commit pause");
}

static int commit_resume(struct caller *c)
{
	return send(c, stack_name, "commit resume");
}

static int commit_cancel(struct caller *c)
{
	return send(c, stack_name, "commit cancel");
}

static int commit_speed(struct caller *c)
{
	return send(c, stack_name, "commit speed %lu", pick_speed(c));
}

static int status(struct caller *c)
{
	return question(c, pick(c, 4) ? stack_name : store_name, 0);
}

static int table(struct caller *c)
{
	return question(c, pick(c, 4) ? stack_name : store_name,
			DM_STATUS_TABLE_FLAG);
}

static int layers(struct caller *c)
{
	return send(c, stack_name, "layers");
}

static int errors(struct caller *c)
{
	return send(c, stack_name, "errors");
}

static int snapshot(struct caller *c)
{
	return send(c, stack_name, "snapshot");
}

static int do_make_empty(struct caller *c)
{
	return send(c, stack_name, "make_empty %u", pick_layer(c));
}

static int do_drop(struct caller *c)
{
	return send(c, stack_name, "drop %u", pick_layer(c));
}

/* Unpinned more often than pinned, or nothing could be committed for long. */
static int do_pin(struct caller *c)
{
	unsigned int ids[MOST_LAYERS], n;

	if (!pick(c, 3))
		return send(c, stack_name, "pin %u", pick_layer(c));
	n = list_layers(c, true, ids);
	return send(c, stack_name, "unpin %u",
		    n ? ids[pick(c, n)] : pick_layer(c));
}

static int do_set(struct caller *c)
{
	if (pick(c, 2))
		return send(c, store_name, "set no_space_timeout %u",
			    60 + (unsigned int)pick(c, 3));
	return send(c, stack_name, "set commit_base %u",
		    pick(c, 3) ? 0 : pick_layer(c));
}

static int create(struct caller *c)
{
	return send(c, store_name, "create_volume %u 2048",
		    101 + (unsigned int)pick(c, OTHER_VOLUMES));
}

static int clone_layer(struct caller *c)
{
	unsigned int layer = pick_layer(c);

	return send(c, store_name, "clone_volume %u 1 %u",
		    101 + (unsigned int)pick(c, OTHER_VOLUMES), layer);
}

static int delete(struct caller *c)
{
	return send(c, store_name, "delete_volume %u",
		    101 + (unsigned int)pick(c, OTHER_VOLUMES));
}

static int suspend_flush(struct caller *c)
{
	return suspend_a_while(c, stack_name, 0, false);
}

static int suspend_noflush(struct caller *c)
{
	return suspend_a_while(c, stack_name, DM_NOFLUSH_FLAG, false);
}

static int reload(struct caller *c)
{
	return suspend_a_while(c, stack_name, pick(c, 2) ? DM_NOFLUSH_FLAG : 0,
			       true);
}

static int store_suspend(struct caller *c)
{
	return suspend_a_while(c, store_name, 0, false);
}

static int store_reload(struct caller *c)
{
	return suspend_a_while(c, store_name, 0, true);
}

static struct verb verbs[] = {
	{ .name = "start", .act = do_start },
	{ .name = "until", .act = start_until },
	{ .name = "stream", .act = do_stream },
	{ .name = "pause", .act = commit_pause },
	{ .name = "resume", .act = commit_resume },
	{ .name = "cancel", .act = commit_cancel },
	{ .name = "speed", .act = commit_speed },
	{ .name = "status", .act = status },
	{ .name = "table", .act = table },
	{ .name = "layers", .act = layers },
	{ .name = "errors", .act = errors },
	{ .name = "snapshot", .act = snapshot },
	{ .name = "make_empty", .act = do_make_empty },
	{ .name = "drop", .act = do_drop },
	{ .name = "pin", .act = do_pin },
	{ .name = "set", .act = do_set },
	{ .name = "create", .act = create },
	{ .name = "clone", .act = clone_layer },
	{ .name = "delete", .act = delete },
	{ .name = "suspend", .act = suspend_flush },
	{ .name = "noflush", .act = suspend_noflush },
	{ .name = "reload", .act = reload },
	{ .name = "store_suspend", .act = store_suspend },
	{ .name = "store_reload", .act = store_reload },
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum { VERBS = ARRAY_SIZE(verbs) };

static struct verb *wanted[MOST_WANTED];
static unsigned int wanted_count;

/* --- callers --- */

static bool is_refusal(int error)
{
	switch (error) {
	case EINVAL:
	case ENOENT:
	case EBUSY:
	case EAGAIN:
	case EEXIST:
	case E2BIG:
	case ENOSPC:
	/* dm's own: no table to resume to, or the device is going. */
	case ENXIO:
		return true;
	default:
		return false;
	}
}

/* More urgent than all others: if a beat comes late, nobody came to anything. */
static void *feel_beat(void *argument)
{
	struct sched_param urgent = { .sched_priority = 1 };
	uint64_t then = now_ns();

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent);
	while (!all_ended) {
		uint64_t now, late;

		usleep(BEAT * 1000);
		now = now_ns();
		late = now - then - BEAT * 1000000;
		if (late > 10 * BEAT * 1000000)
			stood_still += late;
		then = now;
	}
	return argument;
}

static void note(struct verb *v, int error, uint64_t time)
{
	pthread_mutex_lock(&lock);
	v->count++;
	v->refused += error != 0;
	if (time > v->longest)
		v->longest = time;
	if (error && !is_refusal(error)) {
		printf("unexpected: %s: %s\n", v->name, strerror(error));
		unexpected = true;
	}
	pthread_mutex_unlock(&lock);
}

static void *work(void *argument)
{
	struct caller *c = argument;

	while (now_ns() < end_time) {
		struct verb *v = wanted[pick(c, wanted_count)];
		uint64_t began = now_ns(), still = stood_still, took;
		int error = v->act(c);

		took = now_ns() - began;
		if (took > LONG * 1000000) {
			usleep(5 * BEAT * 1000);
			still = stood_still - still;
			took -= still < took ? still : took;
		}
		note(v, error, took);
		if (!pick(c, 4))
			rest(c);
	}
	return NULL;
}

static void leave_in_order(struct caller *c)
{
	unsigned int ids[MOST_LAYERS], i, n;

	resume(c, store_name);
	resume(c, stack_name);
	n = list_layers(c, true, ids);
	for (i = 0; i < n; i++)
		send(c, stack_name, "unpin %u", ids[i]);
	send(c, stack_name, "set commit_base 0");
	for (i = 0; i < OTHER_VOLUMES; i++)
		send(c, store_name, "delete_volume %u", 101 + i);
}

static bool want(const char *name)
{
	unsigned int i;

	for (i = 0; i < VERBS && wanted_count < MOST_WANTED; i++) {
		if (strcmp(verbs[i].name, name))
			continue;
		wanted[wanted_count++] = &verbs[i];
		return true;
	}
	fprintf(stderr, "dm_storm: no verb %s\n", name);
	return false;
}

static void print_counts(void)
{
	unsigned long count = 0, refused = 0;
	unsigned int i;

	for (i = 0; i < VERBS; i++) {
		const struct verb *v = &verbs[i];

		if (!v->count)
			continue;
		printf("%s %lu %lu %llu ms\n", v->name, v->count, v->refused,
		       (unsigned long long)v->longest / 1000000);
		count += v->count;
		refused += v->refused;
		/* One that was hardly tried may have had no luck. */
		if (v->refused == v->count && v->count >= MANY_TRIES) {
			printf("unexpected: %s: never done\n", v->name);
			unexpected = true;
		}
	}
	printf("all %lu %lu\n", count, refused);
}

int main(int argc, char **argv)
{
	struct caller *callers;
	unsigned int i, count;
	pthread_t beat;
	uint64_t seed;

	if (argc < 7) {
		fputs("usage: dm_storm STACK STORE SECONDS SEED THREADS VERB…\n",
		      stderr);
		return 2;
	}
	stack_name = argv[1];
	store_name = argv[2];
	end_time = now_ns() + strtoul(argv[3], NULL, 0) * 1000000000ULL;
	seed = strtoull(argv[4], NULL, 0);
	count = strtoul(argv[5], NULL, 0);
	for (i = 6; i < (unsigned int)argc; i++)
		if (!want(argv[i]))
			return 2;
	control = open("/dev/mapper/control", O_RDWR);
	callers = calloc(MOST_THREADS, sizeof(*callers));
	if (control < 0 || !callers || !count || count > MOST_THREADS)
		return 2;
	pthread_create(&beat, NULL, feel_beat, NULL);
	for (i = 0; i < count; i++) {
		callers[i].random = seed * 1000003 + i + 1;
		pthread_create(&callers[i].thread, NULL, work, &callers[i]);
	}
	for (i = 0; i < count; i++)
		pthread_join(callers[i].thread, NULL);
	all_ended = true;
	pthread_join(beat, NULL);
	leave_in_order(&callers[0]);
	print_counts();
	return unexpected;
}
