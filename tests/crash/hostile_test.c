// SPDX-License-Identifier: GPL-2.0
/*
 * usage: hostile_test stores|lines [--count N] [--seed N] [--check-every N]
 *                     [--only N] DIRECTORY
 *
 * stores  N damaged stores, checksums right, are offered to dmcommit check and to the
 *         module.  Either both refuse one, with the errno that core has for it, or it is
 *         used: what is read stays the same through jobs and messages, and dmcommit check
 *         finds nothing wrong with what is left.
 * lines   N table lines and messages: what the parsers refuse the module refuses, others
 *         it takes or refuses with an errno that the interface names; what a volume shows
 *         stays the same.
 *
 * DIRECTORY has what there is to begin with: tests/crash/Makefile, hostile.tar.  The same
 * count and seed, the same inputs; --only N: the N-th alone.  A finding ends it, and says
 * how to have it again.
 */
#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "mapper.h"
#include "surely.h"

enum { HANG_SECONDS = 200 };

static struct hostile_options options = {
	.count = 100, .seed = 1, .check_every = 1,
};

static const char *mode;
static bool found;

static struct {
	pthread_mutex_t lock;
	u64 number;
	const char *what;
	time_t until;			/* 0: nothing is offered */
} offered = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- findings --- */

static time_t seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void say_place(void)
{
	printf("# FOUND: %s --seed %llu --only %llu: %s: ", mode,
	       (unsigned long long)options.seed,
	       (unsigned long long)offered.number,
	       offered.what ? offered.what : "");
}

void hostile_found(const char *format, ...)
{
	va_list args;

	found = true;
	say_place();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

bool hostile_has_found(void)
{
	return found;
}

/* A thread that hangs in the kernel can only be killed: all of us. */
static void *watch(void *argument)
{
	bool late;

	for (;;) {
		sleep(1);
		pthread_mutex_lock(&offered.lock);
		late = offered.until && seconds_now() > offered.until;
		pthread_mutex_unlock(&offered.lock);
		if (!late)
			continue;
		say_place();
		printf("no end after %d s\n", HANG_SECONDS);
		fflush(stdout);
		kill(getpid(), SIGKILL);
	}
	return argument;
}

void hostile_begin(u64 number, const char *what)
{
	pthread_mutex_lock(&offered.lock);
	offered.number = number;
	offered.what = what;
	offered.until = seconds_now() + HANG_SECONDS;
	pthread_mutex_unlock(&offered.lock);
}

void hostile_end(void)
{
	pthread_mutex_lock(&offered.lock);
	offered.until = 0;
	pthread_mutex_unlock(&offered.lock);
}

/* --- what there is to begin with --- */

static void read_whole(const char *path, struct hostile_file *file)
{
	FILE *stream = surely(fopen(path, "r"));
	long size;

	fseek(stream, 0, SEEK_END);
	size = ftell(stream);
	rewind(stream);
	file->bytes = surely(calloc(1, size + 1));
	file->size = fread(file->bytes, 1, size, stream);
	fclose(stream);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

struct hostile_file *hostile_files(const struct hostile_options *o,
				   const char *part, u32 *count)
{
	struct hostile_file *files;
	struct dirent **entries;
	char path[PATH_MAX];
	int i, n;

	snprintf(path, sizeof(path), "%s/%s", o->directory, part);
	n = scandir(path, &entries, is_visible, alphasort);
	if (n <= 0) {
		fprintf(stderr, "hostile_test: there is nothing in %s\n", path);
		exit(2);
	}
	files = surely(calloc(n, sizeof(*files)));
	for (i = 0; i < n; i++) {
		files[i].name = surely(strdup(entries[i]->d_name));
		snprintf(path, sizeof(path), "%s/%s/%s", o->directory, part,
			 files[i].name);
		read_whole(path, &files[i]);
		free(entries[i]);
	}
	free(entries);
	*count = n;
	return files;
}

void hostile_seed(struct random *r, const struct hostile_options *o, u64 number)
{
	r->state = o->seed << 32 ^ number;
	r->state = random_next(r);
}

u64 hostile_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kilobytes = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	return kilobytes;
}

/* --- options --- */

static void refuse_options(void)
{
	fputs("usage: hostile_test stores|lines [--count N] [--seed N] [--check-every N]\n"
	      "                    [--only N] DIRECTORY\n", stderr);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "check-every", required_argument, NULL, 'e' },
		{ "only", required_argument, NULL, 'o' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		u64 number = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (option == 'c')
			options.count = number;
		else if (option == 's')
			options.seed = number;
		else if (option == 'e' && number)
			options.check_every = number;
		else if (option == 'o')
			options.count = number;
		else
			refuse_options();
		options.only |= option == 'o';
	}
	if (optind + 2 != argc || !options.count)
		refuse_options();
	mode = argv[optind];
	options.directory = argv[optind + 1];
}

int main(int argc, char **argv)
{
	pthread_t watchdog;

	parse_options(argc, argv);
	printf("# seed %llu\n", (unsigned long long)options.seed);
	mapper_init();
	if (pthread_create(&watchdog, NULL, watch, NULL))
		return 2;
	if (!strcmp(mode, "stores"))
		hostile_stores(&options);
	else if (!strcmp(mode, "lines"))
		hostile_lines(&options);
	else
		refuse_options();
	fflush(stdout);
	return found;
}
