// SPDX-License-Identifier: GPL-2.0
/*
 * usage: ima_status DEVICE
 *
 * Prints what each target of a mapped device says of itself to the kernel's
 * integrity measurement (STATUSTYPE_IMA), one line for each.  dmsetup cannot ask
 * for it.
 */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { ROOM = 64 << 10 };

static void print_targets(const struct dm_ioctl *d)
{
	const char *start = (const char *)d + d->data_start;
	const struct dm_target_spec *spec = (const void *)start;
	unsigned int i;

	for (i = 0; i < d->target_count; i++) {
		printf("%s\n", (const char *)(spec + 1));
		/* Of a status, this is counted from the first one. */
		spec = (const void *)(start + spec->next);
	}
}

int main(int argc, char **argv)
{
	struct dm_ioctl *d = calloc(1, ROOM);
	int fd = open("/dev/mapper/control", O_RDWR);

	if (argc != 2 || !d || fd < 0) {
		fputs("usage: ima_status DEVICE\n", stderr);
		return 2;
	}
	d->version[0] = DM_VERSION_MAJOR;
	d->version[1] = DM_VERSION_MINOR;
	d->data_size = ROOM;
	d->data_start = sizeof(*d);
	d->flags = DM_IMA_MEASUREMENT_FLAG;
	snprintf(d->name, sizeof(d->name), "%s", argv[1]);
	if (ioctl(fd, DM_TABLE_STATUS, d)) {
		perror(argv[1]);
		return 1;
	}
	if (d->flags & DM_BUFFER_FULL_FLAG) {
		fputs("ima_status: more than there is room for\n", stderr);
		return 1;
	}
	print_targets(d);
	return 0;
}
