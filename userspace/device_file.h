/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices as files: opening them, and what the kernel says of them in /sys and
 * /proc.
 */
#ifndef DMCOMMIT_DEVICE_FILE_H
#define DMCOMMIT_DEVICE_FILE_H

#include "exit_code.h"
#include "core/environment.h"

enum { DEVICE_PATH = 512 };

struct device_file {
	int fd;				/* -1: not open */
	int loop;			/* of a file: its loop device, held; or -1 */
	const char *path;
	bool block;			/* else a regular file */
	bool read_only;			/* the device itself */
	bool zoned;			/* writes go to the end of zones only */
	unsigned int logical_block;	/* bytes; of a regular file 0 */
	unsigned int major, minor;
	u64 bytes;
};

enum device_use {
	DEVICE_LOOK,			/* who else uses it does not matter */
	DEVICE_READ,			/* nobody else uses it */
	DEVICE_WRITE,			/* nobody else uses it */
};

/* Opens a block device or a regular file, or says why not. */
enum exit_code device_file_open(struct device_file *file, const char *path,
				enum device_use use);

/* The same for what must be a block device. */
enum exit_code block_device_open(struct device_file *file, const char *path,
				 enum device_use use);

/* Does @path lead to the same device, or file? */
bool device_file_is_at(const struct device_file *file, const char *path);

void device_file_close(struct device_file *file);

/* Is @text a path of a device rather than a name? */
bool is_device_path(const char *text);

/* "/dev/sdb", "/dev/mapper/vm1"; "8:16" where nobody knows. */
const char *device_path(unsigned int major, unsigned int minor,
			char path[DEVICE_PATH]);

/* 0 where nobody knows. */
u64 device_bytes(unsigned int major, unsigned int minor);

/* Where a file system on the device is mounted; false: nowhere we can see. */
bool device_mount_point(unsigned int major, unsigned int minor,
			char path[DEVICE_PATH]);

/*
 * The same, opened there: not where something else was mounted over it.  -1: nowhere.
 */
int device_mount_open(unsigned int major, unsigned int minor,
		      char path[DEVICE_PATH]);

/* A device on top of this one; false: none. */
bool device_holder(unsigned int major, unsigned int minor,
		   char name[DEVICE_PATH]);

/* The file that a loop device makes a block device of; false: it is none. */
bool device_backing_file(unsigned int major, unsigned int minor,
			 char path[DEVICE_PATH]);

/* Can it be told of a range to be zero, without being sent zeroes? */
bool device_has_write_zeroes(unsigned int major, unsigned int minor);

/*
 * Has udev look again at a device and its partitions, as what lies on it has
 * changed.  Where udev does not run, nothing comes of it.
 */
void device_announce(unsigned int major, unsigned int minor);

/* Writes back and flushes what was written to a device; 0 or -errno. */
int device_flush(const char *path);

#endif /* DMCOMMIT_DEVICE_FILE_H */
