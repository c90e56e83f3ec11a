// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fault_source.h"
#include "stacks.h"

static const struct {
	const char *name;
	const char *unit;
	const char *directory;		/* of a fault that the kernel makes */
} sources[SOURCES] = {
	[SOURCE_STORE] = { "store", "requests", NULL },
	[SOURCE_STORE_STAYS] = { "store-stays", "requests", NULL },
	[SOURCE_BASE] = { "base", "requests", NULL },
	[SOURCE_BASE_STAYS] = { "base-stays", "requests", NULL },
	[SOURCE_BIOS] = { "bios", "bytes", "fail_make_request" },
	[SOURCE_SLAB] = { "slab", "bytes", "failslab" },
	[SOURCE_PAGES] = { "pages", "pages", "fail_page_alloc" },
};

/* More than any run asks for. */
static const u64 plenty = 1 << 30;

static struct {
	enum fault_source source;
	u64 place;
	bool counts[SOURCES];
	/* Of requests; under the lock of all disks. */
	u64 passed[MAX_DISKS];
	bool fired;
	bool changes;			/* what failed was no read */
} fault;

const char *fault_source_name(enum fault_source source)
{
	return sources[source].name;
}

enum fault_source fault_source_find(const char *name)
{
	enum fault_source source;

	for (source = 0; source < SOURCES; source++)
		if (!strcmp(sources[source].name, name))
			break;
	return source;
}

const char *fault_source_unit(enum fault_source source)
{
	return sources[source].unit;
}

bool fault_source_is_of_kernel(enum fault_source source)
{
	return sources[source].directory;
}

bool fault_source_is_memory(enum fault_source source)
{
	return source == SOURCE_SLAB || source == SOURCE_PAGES;
}

/* --- requests --- */

static bool request_passes(const struct disk_request *request)
{
	fault.passed[request->disk->number]++;
	return false;
}

static bool request_fails(const struct disk_request *request)
{
	const struct disk *disk = fault.source == SOURCE_STORE ||
				  fault.source == SOURCE_STORE_STAYS ?
				  &store_disk : &base_disks[0];
	bool stays = fault.source == SOURCE_STORE_STAYS ||
		     fault.source == SOURCE_BASE_STAYS;
	u64 passed;

	if (request->disk != disk)
		return false;
	passed = ++fault.passed[disk->number];
	fault.fired |= passed == fault.place;
	fault.changes |= passed == fault.place && request->op != DISK_READ;
	return passed == fault.place || (stays && fault.fired);
}

/* --- what the kernel lets fail --- */

static int open_knob(enum fault_source source, const char *knob, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s",
		 sources[source].directory, knob);
	fd = open(path, flags);
	if (fd >= 0)
		return fd;
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(2);
}

static void set_knob(enum fault_source source, const char *knob, u64 value)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%llu",
			      (unsigned long long)value);
	int fd = open_knob(source, knob, O_WRONLY);

	if (write(fd, text, length) != length) {
		perror(knob);
		exit(2);
	}
	close(fd);
}

static u64 get_knob(enum fault_source source, const char *knob)
{
	char text[24] = "";
	int fd = open_knob(source, knob, O_RDONLY);

	if (read(fd, text, sizeof(text) - 1) <= 0) {
		perror(knob);
		exit(2);
	}
	close(fd);
	return strtoull(text, NULL, 10);
}

/* The one that is asked for once @space has been used up fails. */
static void arm_kernel(enum fault_source source, u64 space)
{
	set_knob(source, "space", space);
	set_knob(source, "times", 1);
	set_knob(source, "probability", 100);
}

static bool kernel_has_failed(enum fault_source source)
{
	return !get_knob(source, "times");
}

/* --- both --- */

void fault_arm(enum fault_source source, u64 n)
{
	fault.source = source;
	fault.place = n;
	fault.fired = false;
	fault.changes = false;
	memset(fault.passed, 0, sizeof(fault.passed));
	if (fault_source_is_of_kernel(source))
		arm_kernel(source, n - 1);
	else
		disk_set_faults(request_fails);
}

bool fault_has_fired(void)
{
	if (fault_source_is_of_kernel(fault.source) && !fault.fired)
		fault.fired = kernel_has_failed(fault.source);
	return fault.fired;
}

bool fault_stays_in_commit(void)
{
	return fault.changes && fault.source == SOURCE_BASE_STAYS;
}

void fault_disarm(void)
{
	if (fault_source_is_of_kernel(fault.source))
		set_knob(fault.source, "probability", 0);
	else
		disk_set_faults(NULL);
}

void fault_begin_count(const bool wanted[SOURCES])
{
	enum fault_source source;

	fault.source = SOURCE_STORE;
	fault.fired = false;
	memcpy(fault.counts, wanted, sizeof(fault.counts));
	memset(fault.passed, 0, sizeof(fault.passed));
	disk_set_faults(request_passes);
	for (source = 0; source < SOURCES; source++)
		if (wanted[source] && fault_source_is_of_kernel(source))
			arm_kernel(source, plenty);
}

static u64 end_kernel_count(enum fault_source source)
{
	set_knob(source, "probability", 0);
	return plenty - get_knob(source, "space");
}

void fault_end_count(u64 counts[SOURCES])
{
	enum fault_source source;

	disk_set_faults(NULL);
	counts[SOURCE_STORE] = fault.passed[store_disk.number];
	counts[SOURCE_STORE_STAYS] = counts[SOURCE_STORE];
	counts[SOURCE_BASE] = fault.passed[base_disks[0].number];
	counts[SOURCE_BASE_STAYS] = counts[SOURCE_BASE];
	for (source = 0; source < SOURCES; source++)
		if (fault_source_is_of_kernel(source))
			counts[source] = fault.counts[source] ?
						 end_kernel_count(source) : 0;
}
