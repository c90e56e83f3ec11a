// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <blkid.h>

#include "signature.h"
#include "core/environment.h"

static int negative_errno(void)
{
	return errno ? -errno : -EIO;
}

static blkid_probe begin_probe(int fd)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe)
		return NULL;
	errno = 0;
	if (blkid_probe_set_device(probe, fd, 0, 0)) {
		blkid_free_probe(probe);
		return NULL;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC |
						 BLKID_SUBLKS_TYPE |
						 BLKID_SUBLKS_USAGE |
						 BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC |
						BLKID_PARTS_FORCE_GPT);
	return probe;
}

static const char *value(blkid_probe probe, const char *name)
{
	const char *data;

	return blkid_probe_lookup_value(probe, name, &data, NULL) ? NULL : data;
}

static void describe(blkid_probe probe, char *text, size_t size)
{
	static const struct {
		const char *usage, *words;
	} usages[] = {
		{ "filesystem", "file system" },
		{ "raid", "member of a RAID or of LVM" },
		{ "crypto", "encrypted volume" },
		{ "other", "signature" },
	};
	const char *type = value(probe, "TYPE");
	const char *usage = value(probe, "USAGE");
	const char *table = value(probe, "PTTYPE");
	const char *words = "signature";
	size_t i;

	if (!type && table) {
		snprintf(text, size, "%s partition table", table);
		return;
	}
	for (i = 0; usage && i < ARRAY_SIZE(usages); i++)
		if (!strcmp(usages[i].usage, usage))
			words = usages[i].words;
	snprintf(text, size, "%s %s", type ? type : "known", words);
}

/* libblkid reads and writes a few bytes here and there: not past the cache. */
static int begin_buffered(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags & ~O_DIRECT);
	return flags;
}

static int find(int fd, char *text, size_t size)
{
	blkid_probe probe = begin_probe(fd);
	int found;

	if (!probe)
		return negative_errno();
	/* One after the other, so that several do not pass for an error. */
	found = blkid_do_probe(probe);
	if (!found)
		describe(probe, text, size);
	else if (found < 0)
		found = negative_errno();
	blkid_free_probe(probe);
	return found < 0 ? found : !found;
}

static int wipe(int fd)
{
	blkid_probe probe = begin_probe(fd);
	int error = 0;

	if (!probe)
		return negative_errno();
	errno = 0;
	while (!error && !blkid_do_probe(probe))
		if (blkid_do_wipe(probe, 0))
			error = negative_errno();
	blkid_free_probe(probe);
	return error;
}

int signature_find(int fd, char *text, size_t size)
{
	int flags = begin_buffered(fd);
	int found = find(fd, text, size);

	fcntl(fd, F_SETFL, flags);
	return found;
}

int signature_wipe(int fd)
{
	int flags = begin_buffered(fd);
	int error = wipe(fd);

	fcntl(fd, F_SETFL, flags);
	return error;
}
