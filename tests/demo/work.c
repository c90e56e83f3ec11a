// SPDX-License-Identifier: GPL-2.0
/*
 * What the demo's machine does all day on its file system, how long each piece of
 * it took, and what must therefore be found in a snapshot of that file system.
 *
 * One thread keeps files: writes, rewrites and deletes them, each durably.  The
 * other keeps a database: rewrites random pages in place, past the page cache,
 * syncs after every few, and reads some back.  All content follows from an
 * object's number and version.  Every act goes to a log on another file system,
 * from which "report" and "verify" work.  Times are seconds since boot.
 *
 * An emulated processor stands still while its host does something else.  A thread
 * on each, more urgent than all others and with nothing to do but wake up, notices;
 * those moments do not count as stalls of the work.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/environment_user.h"

#define __printf(text, first) \
	__attribute__((__format__(__printf__, \
				   text, first)))

enum {
	PAGE_BYTES = 4096,
	PAGE_WORDS = PAGE_BYTES / 8,
	DATABASE_PAGES = 8192,		/* 32 MiB */
	PAGES_PER_SYNC = 8,
	PAGES_PER_READ = 4,
	FILES = 300,
	MOST_FILE_PAGES = 16,
	NAME_SIZE = 4096,
	TENTHS = 10,
	COMPARED_PAGES = 1024,		/* at once */
	/* So that two busy processors have time for other things too. */
	PAGE_PAUSE = 10000,		/* microseconds */
	FILE_PAUSE = 30000,
	BEAT_PAUSE = 5000,
	BEAT_LATE = 40000000,		/* nanoseconds: the processor stood still */
	MOST_PROCESSORS = 64,
};

enum act {
	FILE_CREATED,
	FILE_REWRITTEN,
	FILE_DELETED,
	PAGE_WRITTEN,
	PAGES_SYNCED,
	PAGE_READ,
	STOOD_STILL,			/* a processor, object is its number */
};

struct record {
	u64 begun;			/* nanoseconds since boot */
	u64 written;		/* what is left then is the sync */
	u64 ended;
	u32 act;
	u32 object;		/* number of the file or page */
	u32 version;
	u32 bytes;
	u64 checksum;
};

struct log {
	struct record *records;
	size_t count;
};

static atomic_bool stopping;
static const char *directory;
static int log_fd;

static u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static u64 parse_time(const char *text)
{
	return strtod(text, NULL) * 1e9;
}

/* splitmix64 */
static u64 next_random(u64 *state)
{
	u64 word = *state += 0x9e3779b97f4a7c15;

	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
	word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
	return word ^ (word >> 31);
}

static void fill(u64 *words, size_t count, u32 object,
		 u32 version)
{
	u64 state = (u64)version << 32 | object;
	size_t i;

	words[0] = state;
	for (i = 1; i < count; i++)
		words[i] = next_random(&state);
}

/* FNV-1a, by words. */
static u64 checksum_of(const u64 *words, size_t count)
{
	u64 sum = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < count; i++)
		sum = (sum ^ words[i]) * 0x100000001b3;
	return sum;
}

static u64 *page_buffer(size_t pages)
{
	void *buffer;

	if (posix_memalign(&buffer, PAGE_BYTES, pages * PAGE_BYTES))
		errx(1, "no memory");
	return buffer;
}

/* A short write would be an error too: none of ours is large. */
static void write_all(int fd, const void *data, size_t size, off_t offset,
		      const char *name)
{
	ssize_t done = pwrite(fd, data, size, offset);

	if (done < 0)
		err(1, "writing %s", name);
	if ((size_t)done != size)
		errx(1, "writing %s: only %zd of %zu bytes", name, done, size);
}

/* Both threads append; each record is one write. */
static void record_act(const struct record *record)
{
	if (write(log_fd, record, sizeof(*record)) != sizeof(*record))
		err(1, "writing the log");
}

static const char *file_name(char *name, u32 file)
{
	snprintf(name, NAME_SIZE, "%s/files/%u", directory, file);
	return name;
}

static const char *database_name(char *name)
{
	snprintf(name, NAME_SIZE, "%s/database", directory);
	return name;
}

static void write_file(struct record *record, u64 *buffer)
{
	size_t words = record->bytes / 8;
	char name[NAME_SIZE];
	int fd;

	fill(buffer, words, record->object, record->version);
	record->checksum = checksum_of(buffer, words);
	record->begun = now();
	fd = open(file_name(name, record->object), O_CREAT | O_WRONLY, 0644);
	if (fd < 0)
		err(1, "creating %s", name);
	write_all(fd, buffer, record->bytes, 0, name);
	record->written = now();
	if (fsync(fd))
		err(1, "fsync of %s", name);
	record->ended = now();
	close(fd);
}

static void delete_file(struct record *record, int parent)
{
	char name[NAME_SIZE];

	record->begun = now();
	if (unlink(file_name(name, record->object)))
		err(1, "deleting %s", name);
	record->written = now();
	if (fsync(parent))
		err(1, "fsync of the directory of %s", name);
	record->ended = now();
}

static void *keep_files(void *unused)
{
	u64 *buffer = page_buffer(MOST_FILE_PAGES);
	static u32 sizes[FILES], versions[FILES];
	struct record record = { };
	char name[NAME_SIZE];
	u64 random = 1;
	int parent;

	snprintf(name, sizeof(name), "%s/files", directory);
	if (mkdir(name, 0755) && errno != EEXIST)
		err(1, "%s", name);
	parent = open(name, O_RDONLY | O_DIRECTORY);
	while (!stopping) {
		u32 file = next_random(&random) % FILES;

		record.object = file;
		record.version = ++versions[file];
		if (sizes[file] && next_random(&random) % 3 == 0) {
			record.act = FILE_DELETED;
			record.bytes = 0;
			record.checksum = 0;
			delete_file(&record, parent);
		} else {
			record.act = sizes[file] ? FILE_REWRITTEN : FILE_CREATED;
			/* In place, in the size it has. */
			record.bytes = sizes[file] ?:
				(1 + next_random(&random) % MOST_FILE_PAGES) *
				PAGE_BYTES;
			write_file(&record, buffer);
		}
		sizes[file] = record.bytes;
		record_act(&record);
		usleep(FILE_PAUSE);
	}
	return unused;
}

static void write_page(int fd, u64 *buffer, u32 page, u32 version)
{
	struct record record = {
		.act = PAGE_WRITTEN, .object = page, .version = version,
		.bytes = PAGE_BYTES,
	};

	fill(buffer, PAGE_WORDS, page, version);
	record.begun = now();
	write_all(fd, buffer, PAGE_BYTES, (off_t)page * PAGE_BYTES, "the database");
	record.ended = now();
	record.written = record.ended;
	record_act(&record);
}

static void sync_pages(int fd)
{
	struct record record = { .act = PAGES_SYNCED };

	record.begun = now();
	record.written = record.begun;
	if (fdatasync(fd))
		err(1, "fdatasync of the database");
	record.ended = now();
	record_act(&record);
}

/* Whatever a commit does meanwhile, what is read is what was written last. */
static void read_page(int fd, u64 *buffer, u64 *wanted, u32 page,
		      u32 version)
{
	struct record record = {
		.act = PAGE_READ, .object = page, .version = version,
		.bytes = PAGE_BYTES,
	};

	record.begun = now();
	if (pread(fd, buffer, PAGE_BYTES, (off_t)page * PAGE_BYTES) != PAGE_BYTES)
		err(1, "reading page %u of the database", page);
	record.ended = now();
	record.written = record.ended;
	fill(wanted, PAGE_WORDS, page, version);
	if (memcmp(buffer, wanted, PAGE_BYTES))
		errx(1, "page %u of the database is not what was written last, its version %u",
		     page, version);
	record_act(&record);
}

static void *keep_database(void *unused)
{
	u64 *buffer = page_buffer(1), *wanted = page_buffer(1);
	static u32 versions[DATABASE_PAGES];
	char name[NAME_SIZE];
	u64 random = 2;
	unsigned int count;
	int fd;

	fd = open(database_name(name), O_RDWR | O_DIRECT);
	if (fd < 0)
		err(1, "%s", name);
	for (count = 1; !stopping; count++) {
		u32 page = next_random(&random) % DATABASE_PAGES;

		write_page(fd, buffer, page, ++versions[page]);
		if (count % PAGES_PER_SYNC == 0)
			sync_pages(fd);
		if (count % PAGES_PER_READ == 0) {
			page = next_random(&random) % DATABASE_PAGES;
			read_page(fd, buffer, wanted, page, versions[page]);
		}
		usleep(PAGE_PAUSE);
	}
	sync_pages(fd);
	return unused;
}

static void *feel_beat(void *argument)
{
	struct sched_param urgent = { .sched_priority = 1 };
	struct record record = { .act = STOOD_STILL, .object = (uintptr_t)argument };
	cpu_set_t processor;

	CPU_ZERO(&processor);
	CPU_SET(record.object, &processor);
	if (sched_setaffinity(0, sizeof(processor), &processor) ||
	    sched_setscheduler(0, SCHED_FIFO, &urgent))
		err(1, "scheduling");
	while (!stopping) {
		record.begun = now();
		usleep(BEAT_PAUSE);
		record.ended = now();
		record.written = record.ended;
		if (record.ended - record.begun > BEAT_LATE)
			record_act(&record);
	}
	return NULL;
}

static void stop(int signal)
{
	(void)signal;
	stopping = true;
}

static int run(char **arguments)
{
	pthread_t files, database, beats[MOST_PROCESSORS];
	long processors = min_t(long, sysconf(_SC_NPROCESSORS_ONLN),
				MOST_PROCESSORS);
	long i;

	directory = arguments[0];
	log_fd = open(arguments[1], O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0644);
	if (log_fd < 0)
		err(1, "%s", arguments[1]);
	signal(SIGTERM, stop);
	if (pthread_create(&files, NULL, keep_files, NULL) ||
	    pthread_create(&database, NULL, keep_database, NULL))
		errx(1, "no threads");
	for (i = 0; i < processors; i++)
		if (pthread_create(&beats[i], NULL, feel_beat, (void *)i))
			errx(1, "no threads");
	pthread_join(files, NULL);
	pthread_join(database, NULL);
	for (i = 0; i < processors; i++)
		pthread_join(beats[i], NULL);
	return 0;
}

static int make_database(char **arguments)
{
	u64 *buffer = page_buffer(1);
	u32 page;
	int fd;

	fd = open(arguments[0], O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0)
		err(1, "%s", arguments[0]);
	for (page = 0; page < DATABASE_PAGES; page++) {
		fill(buffer, PAGE_WORDS, page, 0);
		write_all(fd, buffer, PAGE_BYTES, (off_t)page * PAGE_BYTES,
			  arguments[0]);
	}
	if (close(fd))
		err(1, "%s", arguments[0]);
	return 0;
}

static void read_log(struct log *log, const char *name)
{
	struct stat status;
	int fd;

	fd = open(name, O_RDONLY);
	if (fd < 0 || fstat(fd, &status))
		err(1, "%s", name);
	log->count = status.st_size / sizeof(struct record);
	log->records = calloc(log->count + 1, sizeof(struct record));
	if (!log->records)
		errx(1, "no memory");
	if (read(fd, log->records, status.st_size) != status.st_size)
		errx(1, "%s: cannot be read whole", name);
	close(fd);
}

/* Latencies of one kind, in a given period. */
struct latencies {
	u64 *values;
	size_t count;
};

static void add_latency(struct latencies *latencies, u64 value)
{
	latencies->values[latencies->count++] = value;
}

static int compare_values(const void *a, const void *b)
{
	const u64 *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* One line: kind, how many, median, longest, in microseconds. */
static void print_latencies(const char *kind, struct latencies *latencies)
{
	size_t count = latencies->count;
	u64 median = 0, longest = 0;

	if (count) {
		qsort(latencies->values, count, sizeof(u64), compare_values);
		median = latencies->values[count / 2] / 1000;
		longest = latencies->values[count - 1] / 1000;
	}
	printf("%s %zu %llu %llu\n", kind, count, (unsigned long long)median,
	       (unsigned long long)longest);
}

static int compare_begins(const void *a, const void *b)
{
	const struct record *left = a, *right = b;

	return (left->begun > right->begun) - (left->begun < right->begun);
}

/* Moments in which a processor stood still, in order and without overlap. */
static void find_stills(const struct log *log, struct log *stills)
{
	struct record *last = NULL;
	struct log all = { };
	size_t i;

	all.records = calloc(log->count + 1, sizeof(struct record));
	stills->records = calloc(log->count + 1, sizeof(struct record));
	if (!all.records || !stills->records)
		errx(1, "no memory");
	for (i = 0; i < log->count; i++)
		if (log->records[i].act == STOOD_STILL)
			all.records[all.count++] = log->records[i];
	qsort(all.records, all.count, sizeof(struct record), compare_begins);
	for (i = 0; i < all.count; i++) {
		const struct record *r = &all.records[i];

		if (last && r->begun <= last->ended) {
			last->ended = max(last->ended, r->ended);
		} else {
			last = &stills->records[stills->count++];
			*last = *r;
		}
	}
	free(all.records);
}

static u64 duration_without(const struct log *stills, u64 begun, u64 ended)
{
	u64 duration = ended - begun;
	size_t i;

	for (i = 0; i < stills->count; i++) {
		u64 from = max(stills->records[i].begun, begun);
		u64 to = min(stills->records[i].ended, ended);

		if (from < to)
			duration -= to - from;
	}
	return duration;
}

enum kind { WRITE, SYNC, READ, DELETE, STILL, KINDS };

static enum kind kind_of(const struct record *record)
{
	switch (record->act) {
	case FILE_DELETED:
		return DELETE;
	case PAGE_READ:
		return READ;
	case STOOD_STILL:
		return STILL;
	default:
		return WRITE;
	}
}

static void add_act(struct latencies *latencies, const struct record *r,
		    const struct log *stills)
{
	if (r->act == STOOD_STILL) {
		add_latency(&latencies[STILL], r->ended - r->begun);
		return;
	}
	if (r->act != PAGES_SYNCED)
		add_latency(&latencies[kind_of(r)],
			    duration_without(stills, r->begun, r->written));
	if (r->ended != r->written)
		add_latency(&latencies[SYNC],
			    duration_without(stills, r->written, r->ended));
}

/*
 * Whatever was going on at any moment of the period counts, in full; the acts of a
 * tenth are those that ended in it, where the time that all stood still is none.
 */
static int report(char **arguments)
{
	static const char * const names[] = {
		"write", "sync", "read", "delete", "still"
	};
	u64 from = parse_time(arguments[1]), to = parse_time(arguments[2]);
	struct latencies latencies[KINDS] = { };
	unsigned int tenths[TENTHS] = { };
	struct log log, stills = { };
	u64 period;
	size_t i;

	read_log(&log, arguments[0]);
	find_stills(&log, &stills);
	period = max(duration_without(&stills, from, to), 1);
	for (i = 0; i < KINDS; i++)
		latencies[i].values = calloc(log.count + 1, sizeof(u64));
	for (i = 0; i < log.count; i++) {
		const struct record *r = &log.records[i];

		if (r->ended < from || r->begun >= to)
			continue;
		add_act(latencies, r, &stills);
		if (r->ended < to && r->act != STOOD_STILL)
			tenths[min(TENTHS - 1,
				   duration_without(&stills, from, r->ended) *
				   TENTHS / period)]++;
	}
	for (i = 0; i < KINDS; i++)
		print_latencies(names[i], &latencies[i]);
	printf("tenths");
	for (i = 0; i < TENTHS; i++)
		printf(" %u", tenths[i]);
	printf("\n");
	return 0;
}

struct verdict {
	unsigned int right, changing, wrong;
};

__printf(2, 3)
static void find_wrong(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;

	/* The first few tell it all. */
	if (verdict->wrong++ >= 5)
		return;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
}

static void verify_absent(struct verdict *verdict, const char *name)
{
	if (!access(name, F_OK) || errno != ENOENT)
		find_wrong(verdict, "%s should not be there", name);
	else
		verdict->right++;
}

static void verify_content(struct verdict *verdict, const char *name,
			   const struct record *record, u64 *buffer)
{
	int fd = open(name, O_RDONLY);
	ssize_t bytes;

	if (fd < 0) {
		find_wrong(verdict, "%s: %s", name, strerror(errno));
		return;
	}
	bytes = read(fd, buffer, MOST_FILE_PAGES * PAGE_BYTES);
	close(fd);
	if (bytes != (ssize_t)record->bytes)
		find_wrong(verdict, "%s has %zd bytes, not %u", name, bytes,
			   record->bytes);
	else if (checksum_of(buffer, bytes / 8) != record->checksum)
		find_wrong(verdict, "%s has a wrong checksum", name);
	else
		verdict->right++;
}

/*
 * The snapshot was taken at some moment between two times.  What was synced before
 * and touched again only afterwards has exactly one right state.
 */
static void verify_files(struct verdict *verdict, const struct log *log,
			 u64 before, u64 after)
{
	const struct record *last[FILES] = { };
	u64 *buffer = page_buffer(MOST_FILE_PAGES);
	bool changing[FILES] = { };
	char name[NAME_SIZE];
	u32 file;
	size_t i;

	for (i = 0; i < log->count; i++) {
		const struct record *r = &log->records[i];

		if (r->act > FILE_DELETED)
			continue;
		if (r->ended <= before)
			last[r->object] = r;
		else if (r->begun <= after)
			changing[r->object] = true;
	}
	for (file = 0; file < FILES; file++) {
		file_name(name, file);
		if (changing[file])
			verdict->changing++;
		else if (!last[file] || last[file]->act == FILE_DELETED)
			verify_absent(verdict, name);
		else
			verify_content(verdict, name, last[file], buffer);
	}
}

/* The oldest and the newest version that each page may have. */
static void find_versions(const struct log *log, u64 before, u64 after,
			  u32 *oldest, u32 *newest)
{
	static u32 written[DATABASE_PAGES];
	size_t i;

	for (i = 0; i < log->count; i++) {
		const struct record *r = &log->records[i];

		if (r->act == PAGES_SYNCED && r->ended <= before)
			memcpy(oldest, written, sizeof(written));
		if (r->act != PAGE_WRITTEN)
			continue;
		written[r->object] = r->version;
		if (r->begun <= after)
			newest[r->object] = r->version;
	}
}

static void verify_database(struct verdict *verdict, const struct log *log,
			    u64 before, u64 after)
{
	static u32 oldest[DATABASE_PAGES], newest[DATABASE_PAGES];
	u64 *buffer = page_buffer(1), *wanted = page_buffer(1);
	char name[NAME_SIZE];
	u32 page;
	FILE *file;

	find_versions(log, before, after, oldest, newest);
	file = fopen(database_name(name), "r");
	if (!file)
		err(1, "%s", name);
	for (page = 0; page < DATABASE_PAGES; page++) {
		u32 version;

		if (fread(buffer, PAGE_BYTES, 1, file) != 1)
			errx(1, "%s: page %u cannot be read", name, page);
		version = buffer[0] >> 32;
		fill(wanted, PAGE_WORDS, page, version);
		if (version < oldest[page] || version > newest[page])
			find_wrong(verdict, "page %u: version %u, not one of %u to %u",
				   page, version, oldest[page], newest[page]);
		else if (memcmp(buffer, wanted, PAGE_BYTES))
			find_wrong(verdict, "page %u: content damaged", page);
		else
			verdict->right++;
	}
	fclose(file);
}

static int print_verdict(const char *kind, const struct verdict *verdict)
{
	printf("%s %u %u %u\n", kind, verdict->right, verdict->changing,
	       verdict->wrong);
	return verdict->wrong != 0;
}

static int verify(char **arguments)
{
	u64 before = parse_time(arguments[2]);
	u64 after = parse_time(arguments[3]);
	struct verdict files = { }, pages = { };
	struct log log;

	directory = arguments[0];
	read_log(&log, arguments[1]);
	verify_files(&files, &log, before, after);
	verify_database(&pages, &log, before, after);
	return print_verdict("files", &files) | print_verdict("pages", &pages);
}

static int open_device(const char *name)
{
	int fd = open(name, O_RDONLY | O_DIRECT);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static size_t read_device(int fd, u64 *buffer, off_t offset, const char *name)
{
	ssize_t bytes = pread(fd, buffer, COMPARED_PAGES * PAGE_BYTES, offset);

	if (bytes < 0)
		err(1, "reading %s at %lld", name, (long long)offset);
	return bytes;
}

/* Past the page cache, so that it is the devices that are compared. */
static int compare(char **arguments)
{
	u64 *left = page_buffer(COMPARED_PAGES), *right = page_buffer(COMPARED_PAGES);
	int left_fd = open_device(arguments[0]);
	int right_fd = open_device(arguments[1]);
	off_t offset = 0;
	size_t bytes;

	do {
		bytes = read_device(left_fd, left, offset, arguments[0]);
		if (read_device(right_fd, right, offset, arguments[1]) != bytes)
			errx(1, "%s and %s differ in length", arguments[0],
			     arguments[1]);
		if (memcmp(left, right, bytes))
			errx(1, "%s and %s differ somewhere after byte %lld",
			     arguments[0], arguments[1], (long long)offset);
		offset += bytes;
	} while (bytes);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		const char *usage;
		int arguments;
		int (*run)(char **arguments);
	} commands[] = {
		{ "make-database", "FILE", 1, make_database },
		{ "run", "DIRECTORY LOG", 2, run },
		{ "report", "LOG FROM TO", 3, report },
		{ "verify", "DIRECTORY LOG BEFORE AFTER", 4, verify },
		{ "compare", "DEVICE DEVICE", 2, compare },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name) &&
		    argc - 2 == commands[i].arguments)
			return commands[i].run(argv + 2);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "usage: work %s %s\n", commands[i].name,
			commands[i].usage);
	return 2;
}
