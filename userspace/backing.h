/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a base or a store lies on: a block device, or a regular file, of which a
 * loop device makes one.
 */
#ifndef DMCOMMIT_BACKING_H
#define DMCOMMIT_BACKING_H

#include "device_file.h"
#include "loop_device.h"

struct backing {
	struct device_file device;	/* not open; its path is what was given */
	struct loop_device loop;	/* held until backing_close(); or none */
};

/* Attaches a loop device where that is needed, or says why it cannot be. */
enum exit_code backing_open(struct backing *backing, const char *path,
			    bool read_only);

/* @use: it was put to use; else what backing_open() attached is detached. */
void backing_close(struct backing *backing, bool use);

#endif /* DMCOMMIT_BACKING_H */
