// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "spent.h"

static struct {
	enum spent_part part;
	double since;
	double seconds[SPENT_PARTS];
} spent = { .part = SPENT_OTHER };

/* Of the guest's processor, since it booted: parts of all its time. */
static void print_processor(void)
{
	unsigned long long user, nice, system, idle;
	FILE *file = fopen("/proc/stat", "r");

	if (file && fscanf(file, "cpu %llu %llu %llu %llu", &user, &nice,
			   &system, &idle) == 4)
		printf("# the processor: %llu s in user code, %llu s in the kernel, %llu s idle\n",
		       user / 100, system / 100, idle / 100);
	if (file)
		fclose(file);
}

double spent_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void spent_begin(enum spent_part part)
{
	double now = spent_now();

	if (spent.since)
		spent.seconds[spent.part] += now - spent.since;
	spent.part = part;
	spent.since = now;
}

double spent_lap(void)
{
	static double last;
	double now = spent_now(), lap = now - last;

	last = now;
	return lap;
}

void spent_print(unsigned int cuts)
{
	static const char *const names[SPENT_PARTS] = {
		[SPENT_BRING_UP] = "bring-up", [SPENT_CHECK] = "content",
		[SPENT_JOBS] = "jobs", [SPENT_WORK] = "work",
		[SPENT_STOP] = "stop", [SPENT_TAKE_DOWN] = "take-down",
		[SPENT_OFFLINE] = "offline check", [SPENT_OTHER] = "other",
	};
	unsigned int part;

	spent_begin(SPENT_OTHER);
	printf("# milliseconds a cut:");
	for (part = 0; part < SPENT_PARTS; part++)
		printf("%s %s %.0f", part ? "," : "", names[part],
		       cuts ? spent.seconds[part] * 1000 / cuts : 0);
	putchar('\n');
	print_processor();
}
