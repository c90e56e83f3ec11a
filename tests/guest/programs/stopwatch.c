// SPDX-License-Identifier: GPL-2.0
/*
 * stopwatch COMMAND …: times what fio and a shell cannot time exactly. All results are
 * on stdout, "KEY VALUE" each, times in nanoseconds.
 *
 *   scatter DEVICE OFFSET BYTES BLOCK [PERCENT]
 *	writes each block of the range once, in random order, or PERCENT of them
 *   message NAME WORD…		how long the message took: "ns"
 *   job NAME WORD…		a message that starts a job, until it stands: "ns", "busy"
 *				(without idle time), "from", "to" (CLOCK_MONOTONIC),
 *				"state 0" when it completed
 *   merge NAME			resumes NAME, a snapshot-merge, until nothing is left
 *   run COMMAND WORD…		a program until it ends: "ns", "busy", "status"
 *   write DEVICE COUNT DEPTH OFFSET BYTES [NAME WORD…]
 *	random writes of 4 KiB, each place at most once in turn, and each result: "count",
 *	"ns", "p50", "p99", "worst"; for the last two also when they began and ended
 *	("p99_from", "p99_to" …; CLOCK_MONOTONIC). With NAME: sends it the message first,
 *	stops when its job stands; "left" says how many were then still to do. The word
 *	"merge" is no message: NAME, a snapshot-merge, is resumed, until nothing is left
 *   sync DEVICE COUNT OFFSET BYTES [NAME WORD…]
 *	the same, one at a time, each with fdatasync: the times are those of both
 *   share COUNT OFFSET BYTES DEVICE…
 *	one thread for each device, COUNT times a write and fdatasync: "ns"
 *   snapshot DEVICE NAME OFFSET BYTES DEPTH
 *	a snapshot under writes: "message", "in_flight" (the slowest write under way when
 *	it was sent), "stall" (the slowest that began before it returned), with its times
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/dm-ioctl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK = 4096,
	MOST_DEPTH = 64,
	MOST_DEVICES = 64,
	ROOM = 16384,			/* of a message to or from device-mapper */
	LOOK_NS = 5000000,		/* between two looks at a job */
};

/* --- time --- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* How long the processor has been idle; there is one. */
static uint64_t idle_ns(void)
{
	FILE *file = fopen("/proc/timer_list", "r");
	unsigned long long idle = 0, waits = 0;
	char line[256];

	if (!file)
		err(2, "/proc/timer_list");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "  .idle_sleeptime : %llu", &idle) != 1 &&
		    sscanf(line, "  .iowait_sleeptime: %llu", &waits) == 1)
			break;
	}
	fclose(file);
	return idle + waits;
}

static void print(const char *key, uint64_t value)
{
	printf("%s %llu\n", key, (unsigned long long)value);
}

static void sleep_ns(long ns)
{
	struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

/* --- random numbers, the same in each run --- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The numbers below @count in random order. */
static uint64_t *shuffled(uint64_t count, uint64_t seed)
{
	uint64_t *order = malloc(count * sizeof(*order));
	uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
	uint64_t i, j, t;

	if (!order)
		errx(2, "no memory");
	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count; i > 1; i--) {
		j = next_random(&state) % i;
		t = order[j];
		order[j] = order[i - 1];
		order[i - 1] = t;
	}
	return order;
}

static void *new_buffer(size_t bytes)
{
	void *buffer;

	if (posix_memalign(&buffer, BLOCK, bytes))
		errx(2, "no memory");
	memset(buffer, 0x5a, bytes);
	return buffer;
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT);

	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

/* --- device-mapper --- */

struct request {
	struct dm_ioctl header;
	char data[ROOM];
};

static int control = -1;

static void begin_request(struct request *r, const char *name)
{
	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR);
	if (control < 0)
		err(2, "/dev/mapper/control");
	memset(r, 0, sizeof(*r));
	r->header.version[0] = DM_VERSION_MAJOR;
	r->header.data_size = sizeof(*r);
	r->header.data_start = offsetof(struct request, data);
	snprintf(r->header.name, sizeof(r->header.name), "%s", name);
}

static void send_message(const char *name, char **words)
{
	struct request r;
	struct dm_target_msg *message = (void *)r.data;
	size_t at = 0;

	begin_request(&r, name);
	for (; *words; words++)
		at += snprintf(message->message + at,
			       sizeof(r.data) - sizeof(*message) - at, "%s%s",
			       at ? " " : "", *words);
	if (ioctl(control, DM_TARGET_MSG, &r))
		err(2, "%s: %s", name, message->message);
}

static void resume(const char *name)
{
	struct request r;

	begin_request(&r, name);
	if (ioctl(control, DM_DEV_SUSPEND, &r))
		err(2, "%s does not go live", name);
}

/* The parameters of the status line; *@event: the number of the last event. */
static void read_status(const char *name, char *line, size_t bytes,
			uint32_t *event)
{
	struct request r;
	struct dm_target_spec *target = (void *)r.data;

	begin_request(&r, name);
	if (ioctl(control, DM_TABLE_STATUS, &r))
		err(2, "%s: status", name);
	snprintf(line, bytes, "%.1000s", (char *)(target + 1));
	*event = r.header.event_nr;
}

static void wait_for_event(const char *name, uint32_t event)
{
	struct request r;

	begin_request(&r, name);
	r.header.event_nr = event;
	if (ioctl(control, DM_DEV_WAIT, &r))
		err(2, "%s: wait", name);
}

static bool is_running(const char *status)
{
	return strstr(status, " running ") || strstr(status, " queued ");
}

/* Of a snapshot-merge: is there nothing left but its own metadata? */
static bool is_merged(const char *name, const char *status)
{
	unsigned long long held, all, metadata;

	if (sscanf(status, "%llu/%llu %llu", &held, &all, &metadata) != 3)
		errx(2, "%s: %s", name, status);
	return held == metadata;
}

static bool is_merge(const char *word)
{
	return !strcmp(word, "merge");
}

/* Begins what @words say, see the head. */
static void begin_job(const char *name, char **words)
{
	if (is_merge(*words))
		resume(name);
	else
		send_message(name, words);
}

static bool job_stands(const char *name, const char *word)
{
	char status[1024];
	uint32_t event;

	read_status(name, status, sizeof(status), &event);
	return is_merge(word) ? is_merged(name, status) : !is_running(status);
}

/* --- commands that time one thing --- */

static uint64_t began, idle_before;

static void begin_time(void)
{
	idle_before = idle_ns();
	began = now_ns();
}

static void end_time(void)
{
	uint64_t ns = now_ns() - began;

	print("ns", ns);
	print("busy", ns - (idle_ns() - idle_before));
	print("from", began);
	print("to", began + ns);
}

static int time_message(char **words)
{
	begin_time();
	send_message(words[0], words + 1);
	end_time();
	return 0;
}

static int time_job(char **words)
{
	char status[1024];
	uint32_t event;

	begin_time();
	send_message(words[0], words + 1);
	for (;;) {
		read_status(words[0], status, sizeof(status), &event);
		if (!is_running(status))
			break;
		wait_for_event(words[0], event);
	}
	end_time();
	print("state", !strstr(status, " completed "));
	return 0;
}

/* Nobody says when a merge has ended: one looks. */
static int time_merge(char **words)
{
	begin_time();
	resume(words[0]);
	while (!job_stands(words[0], "merge"))
		sleep_ns(1000000);
	end_time();
	return 0;
}

static int time_program(char **words)
{
	int status;
	pid_t pid;

	begin_time();
	pid = fork();
	if (!pid) {
		execvp(words[0], words);
		err(127, "%s", words[0]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		err(2, "%s", words[0]);
	end_time();
	print("status", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	return 0;
}

/* --- writes --- */

static int scatter(int count, char **words)
{
	uint64_t offset = strtoull(words[1], NULL, 0);
	uint64_t block = strtoull(words[3], NULL, 0);
	uint64_t blocks = strtoull(words[2], NULL, 0) / block;
	uint64_t most = blocks * (count > 4 ? strtoull(words[4], NULL, 0) : 100) / 100;
	uint64_t *order = shuffled(blocks, 1);
	char *buffer = new_buffer(block);
	int fd = open_device(words[0]);
	uint64_t i;

	for (i = 0; i < most; i++)
		if (pwrite(fd, buffer, block, offset + order[i] * block) !=
		    (ssize_t)block)
			err(2, "%s", words[0]);
	return 0;
}

struct span {
	uint64_t ns, from;
};

struct times {
	struct span *spans;
	uint64_t count;
};

static void note_time(void *argument, uint64_t from, uint64_t to)
{
	struct times *t = argument;

	t->spans[t->count++] = (struct span){ .ns = to - from, .from = from };
}

static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

static void print_span(const char *key, const struct span *span)
{
	char text[32];

	print(key, span->ns);
	snprintf(text, sizeof(text), "%s_from", key);
	print(text, span->from);
	snprintf(text, sizeof(text), "%s_to", key);
	print(text, span->from + span->ns);
}

static void print_times(struct times *t, uint64_t count, uint64_t ns)
{
	print("count", count);
	print("ns", ns);
	if (!count)
		return;
	qsort(t->spans, count, sizeof(*t->spans), compare);
	print("p50", t->spans[count / 2].ns);
	print_span("p99", &t->spans[count - 1 - count / 100]);
	print_span("worst", &t->spans[count - 1]);
}

/* Random writes, as many at once as it is deep. */
struct load {
	int fd;
	aio_context_t context;
	struct iocb blocks[MOST_DEPTH];
	uint64_t started[MOST_DEPTH];
	unsigned int depth;
	unsigned int free[MOST_DEPTH], free_count;
	uint64_t offset, places, *order, at;
};

static void open_load(struct load *l, const char *path, unsigned int depth,
		      uint64_t offset, uint64_t bytes)
{
	char *buffer = new_buffer(BLOCK);
	unsigned int i;

	memset(l, 0, sizeof(*l));
	if (!depth || depth > MOST_DEPTH)
		errx(2, "a depth of 1 to %d", MOST_DEPTH);
	l->fd = open_device(path);
	l->depth = depth;
	l->offset = offset;
	l->places = bytes / BLOCK;
	l->order = shuffled(l->places, 2);
	if (syscall(SYS_io_setup, depth, &l->context))
		err(2, "io_setup");
	for (i = 0; i < depth; i++) {
		l->blocks[i].aio_fildes = l->fd;
		l->blocks[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		l->blocks[i].aio_buf = (uintptr_t)buffer;
		l->blocks[i].aio_nbytes = BLOCK;
		l->blocks[i].aio_data = i;
		l->free[l->free_count++] = i;
	}
}

static void submit(struct load *l)
{
	unsigned int i = l->free[--l->free_count];
	struct iocb *block = &l->blocks[i];

	block->aio_offset = l->offset + l->order[l->at++ % l->places] * BLOCK;
	l->started[i] = now_ns();
	if (syscall(SYS_io_submit, l->context, 1, &block) != 1)
		err(2, "io_submit");
}

/* Waits for at least one; tells @ended of each. */
static void reap(struct load *l,
		 void (*ended)(void *argument, uint64_t from, uint64_t to),
		 void *argument)
{
	struct io_event events[MOST_DEPTH];
	uint64_t now;
	int n, i;

	n = syscall(SYS_io_getevents, l->context, 1, l->depth, events, NULL);
	if (n < 1)
		err(2, "io_getevents");
	now = now_ns();
	for (i = 0; i < n; i++) {
		if (events[i].res != BLOCK)
			errx(2, "a write failed: %lld", (long long)events[i].res);
		ended(argument, l->started[events[i].data], now);
		l->free[l->free_count++] = events[i].data;
	}
}

/* Has the job ended?  Asked every now and then. */
static bool is_over(const char *name, char **words, uint64_t *looked)
{
	if (!name || now_ns() - *looked < LOOK_NS)
		return false;
	*looked = now_ns();
	return job_stands(name, *words);
}

static int time_writes(int words_count, char **words)
{
	uint64_t count = strtoull(words[1], NULL, 0);
	const char *name = words_count > 5 ? words[5] : NULL;
	struct times t = { .spans = malloc((count + MOST_DEPTH) *
					   sizeof(struct span)) };
	uint64_t start, looked;
	static struct load l;

	open_load(&l, words[0], strtoul(words[2], NULL, 0),
		  strtoull(words[3], NULL, 0), strtoull(words[4], NULL, 0));
	if (name)
		begin_job(name, words + 6);
	start = now_ns();
	looked = start;
	while (t.count < count && !is_over(name, words + 6, &looked)) {
		while (l.free_count)
			submit(&l);
		reap(&l, note_time, &t);
	}
	start = now_ns() - start;
	while (l.free_count < l.depth)
		reap(&l, note_time, &t);
	print_times(&t, t.count < count ? t.count : count, start);
	print("left", t.count < count ? count - t.count : 0);
	return 0;
}

static int time_syncs(int words_count, char **words)
{
	uint64_t count = strtoull(words[1], NULL, 0);
	uint64_t offset = strtoull(words[2], NULL, 0);
	uint64_t places = strtoull(words[3], NULL, 0) / BLOCK;
	const char *name = words_count > 4 ? words[4] : NULL;
	struct times t = { .spans = malloc(count * sizeof(struct span)) };
	uint64_t *order = shuffled(places, 3);
	char *buffer = new_buffer(BLOCK);
	int fd = open_device(words[0]);
	uint64_t start, from, looked;

	if (name)
		begin_job(name, words + 5);
	start = now_ns();
	looked = start;
	while (t.count < count && !is_over(name, words + 5, &looked)) {
		from = now_ns();
		if (pwrite(fd, buffer, BLOCK, offset +
			   order[t.count % places] * BLOCK) != BLOCK ||
		    fdatasync(fd))
			err(2, "%s", words[0]);
		note_time(&t, from, now_ns());
	}
	print_times(&t, t.count, now_ns() - start);
	print("left", count - t.count);
	return 0;
}

/* --- many that flush --- */

struct sharer {
	pthread_t thread;
	const char *device;
	uint64_t count, offset, places;
};

static void *flush_often(void *argument)
{
	struct sharer *s = argument;
	char *buffer = new_buffer(BLOCK);
	int fd = open_device(s->device);
	uint64_t *order = shuffled(s->places, 4);
	uint64_t i;

	for (i = 0; i < s->count; i++)
		if (pwrite(fd, buffer, BLOCK, s->offset +
			   order[i % s->places] * BLOCK) != BLOCK ||
		    fdatasync(fd))
			err(2, "%s", s->device);
	return NULL;
}

static int share(int words_count, char **words)
{
	static struct sharer sharers[MOST_DEVICES];
	int count = words_count - 3, i;

	if (count > MOST_DEVICES)
		errx(2, "at most %d devices", MOST_DEVICES);
	begin_time();
	for (i = 0; i < count; i++) {
		sharers[i].device = words[3 + i];
		sharers[i].count = strtoull(words[0], NULL, 0);
		sharers[i].offset = strtoull(words[1], NULL, 0);
		sharers[i].places = strtoull(words[2], NULL, 0) / BLOCK;
		if (pthread_create(&sharers[i].thread, NULL, flush_often,
				   &sharers[i]))
			errx(2, "no thread");
	}
	for (i = 0; i < count; i++)
		pthread_join(sharers[i].thread, NULL);
	end_time();
	return 0;
}

/* --- a snapshot under writes --- */

struct snapshot {
	char *name;
	uint64_t sent, returned;	/* ns; 0: not yet */
	uint64_t in_flight;
	struct span stall;
};

static void *take_snapshot(void *argument)
{
	char *words[2] = { strdup("snapshot") };
	struct snapshot *s = argument;

	__atomic_store_n(&s->sent, now_ns(), __ATOMIC_SEQ_CST);
	send_message(s->name, words);
	__atomic_store_n(&s->returned, now_ns(), __ATOMIC_SEQ_CST);
	return NULL;
}

static void note_stall(void *argument, uint64_t from, uint64_t to)
{
	uint64_t sent, returned;
	struct snapshot *s = argument;

	sent = __atomic_load_n(&s->sent, __ATOMIC_SEQ_CST);
	returned = __atomic_load_n(&s->returned, __ATOMIC_SEQ_CST);
	if (!sent || to < sent)
		return;
	if (from < sent) {
		if (to - from > s->in_flight)
			s->in_flight = to - from;
	} else if (!returned || from < returned) {
		if (to - from > s->stall.ns)
			s->stall = (struct span){ .ns = to - from, .from = from };
	}
}

static int time_snapshot(char **words)
{
	struct snapshot s = { .name = words[1] };
	uint64_t writes = 0, behind = 0;
	static struct load l;
	bool asked = false;
	pthread_t thread;

	open_load(&l, words[0], strtoul(words[4], NULL, 0),
		  strtoull(words[2], NULL, 0), strtoull(words[3], NULL, 0));
	/* As many behind it as before. */
	while (behind < 2000) {
		while (l.free_count) {
			submit(&l);
			writes++;
		}
		if (writes >= 2000 && !asked) {
			asked = true;
			if (pthread_create(&thread, NULL, take_snapshot, &s))
				errx(2, "no thread");
		}
		if (__atomic_load_n(&s.returned, __ATOMIC_SEQ_CST))
			behind++;
		reap(&l, note_stall, &s);
	}
	pthread_join(thread, NULL);
	print("message", s.returned - s.sent);
	print("in_flight", s.in_flight);
	print_span("stall", &s.stall);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	char **words = argv + 2;
	int count = argc - 2;

	if (!strcmp(command, "scatter") && count >= 4)
		return scatter(count, words);
	if (!strcmp(command, "message") && count >= 2)
		return time_message(words);
	if (!strcmp(command, "job") && count >= 2)
		return time_job(words);
	if (!strcmp(command, "merge") && count == 1)
		return time_merge(words);
	if (!strcmp(command, "run") && count >= 1)
		return time_program(words);
	if (!strcmp(command, "write") && count >= 5)
		return time_writes(count, words);
	if (!strcmp(command, "sync") && count >= 4)
		return time_syncs(count, words);
	if (!strcmp(command, "share") && count >= 4)
		return share(count, words);
	if (!strcmp(command, "snapshot") && count == 5)
		return time_snapshot(words);
	errx(2, "what it does stands at the head of its source");
}
