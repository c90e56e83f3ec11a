// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "device_tree.h"
#include "loop_device.h"

/*
 * Devices that were found to lie below the first.  One is visited once, however
 * many ways lead to it; those behind @next have not been looked at.
 */
struct walk {
	struct device_number *devices;
	size_t count;
	size_t next;
	bool failed;
};

static bool is_same(struct device_number a, struct device_number b)
{
	return a.major == b.major && a.minor == b.minor;
}

static void add_device(struct walk *walk, struct device_number device)
{
	struct device_number *more;
	size_t i;

	for (i = 0; i < walk->count; i++)
		if (is_same(walk->devices[i], device))
			return;
	more = reallocarray(walk->devices, walk->count + 1, sizeof(*more));
	if (!more) {
		walk->failed = true;
		return;
	}
	walk->devices = more;
	more[walk->count++] = device;
}

/* @path: of a file that says "major:minor" */
static void add_from_file(struct walk *walk, const char *path)
{
	struct device_number device;
	FILE *file = fopen(path, "re");

	if (!file)
		return;
	if (fscanf(file, "%u:%u", &device.major, &device.minor) == 2)
		add_device(walk, device);
	fclose(file);
}

static void add_slaves(struct walk *walk, const char *directory)
{
	struct dirent *entry;
	char path[512];
	DIR *slaves;

	snprintf(path, sizeof(path), "%s/slaves", directory);
	slaves = opendir(path);
	while (slaves && (entry = readdir(slaves))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/slaves/%s/dev", directory,
			 entry->d_name);
		add_from_file(walk, path);
	}
	if (slaves)
		closedir(slaves);
}

/* Above a partition's directory is that of its disk. */
static void add_disk(struct walk *walk, const char *directory)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/partition", directory);
	if (access(path, F_OK))
		return;
	snprintf(path, sizeof(path), "%s/../dev", directory);
	add_from_file(walk, path);
}

static void look_below(struct walk *walk, struct device_number device)
{
	struct device_number below;
	char directory[64];

	snprintf(directory, sizeof(directory), "/sys/dev/block/%u:%u",
		 device.major, device.minor);
	add_slaves(walk, directory);
	add_disk(walk, directory);
	if (loop_lies_on(device.major, device.minor, &below.major,
			 &below.minor))
		add_device(walk, below);
}

bool device_lies_on(struct device_number upper, struct device_number lower)
{
	struct walk walk = { };
	bool found = false;

	add_device(&walk, upper);
	while (!found && walk.next < walk.count) {
		struct device_number device = walk.devices[walk.next++];

		found = is_same(device, lower);
		if (!found)
			look_below(&walk, device);
	}
	free(walk.devices);
	/* What could not be seen is taken for the worse. */
	return found || walk.failed;
}
