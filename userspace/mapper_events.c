// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/dm-ioctl.h>

#include "mapper_events.h"

/*
 * libdevmapper can arm its own file of control only, which it shows to nobody.
 * The kernel arms the file that it is asked by.
 */
int mapper_events_open(void)
{
	int fd = open("/dev/" DM_DIR "/" DM_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mapper_events_arm(int fd)
{
	struct dm_ioctl request = {
		/* The first version that knows it. */
		.version = { DM_VERSION_MAJOR, 37, 0 },
		.data_size = sizeof(request),
		.data_start = sizeof(request),
	};

	return ioctl(fd, DM_DEV_ARM_POLL, &request) ? -errno : 0;
}
