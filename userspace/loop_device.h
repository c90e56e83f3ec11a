/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loop devices, which make block devices of regular files.
 *
 * One that was attached here says so in its reference string, which the kernel
 * keeps and makes nothing of (lo_file_name; losetup --list -o REF): "dmcommit:" and
 * the file's path.  losetup puts the path there alone unless told otherwise, so no
 * other has that beginning, and no other is ever detached.  The device stays
 * attached without anybody having it open until loop_detach().
 */
#ifndef DMCOMMIT_LOOP_DEVICE_H
#define DMCOMMIT_LOOP_DEVICE_H

#include <sys/stat.h>

#include "exit_code.h"
#include "core/environment.h"

struct loop_device {
	int fd;				/* held: it cannot go; -1: none */
	int lock;			/* on the file, by loop_attach(); or -1 */
	unsigned int major, minor;
	bool is_new;			/* it was attached for this use */
	char path[32];
};

/*
 * The loop device over all of a file: the one there is, whoever made it, or a new
 * one, with direct I/O where file and kernel can.  Two over the same file would
 * each have a cache and know nothing of the other's; one over a part of it, or
 * that cannot be written where that is wanted, is refused.  The file stays locked until
 * loop_close(): others that want it as a file must not come before the device is in use.
 */
enum exit_code loop_attach(struct loop_device *loop, const char *path,
			   bool read_only);

/* Lets go of it.  One that is new and was not put to @use is detached. */
void loop_close(struct loop_device *loop, bool use);

/*
 * Detaches a device if it is a loop device that loop_attach() made and nothing
 * lies on it any more.
 */
void loop_detach(unsigned int major, unsigned int minor);

/* Takes over the file's size if loop_attach() made it; 0 or -errno. */
int loop_update_size(unsigned int major, unsigned int minor);

/* A loop device that has this file, or a part of it; false: there is none. */
bool loop_find(const struct stat *file, unsigned int *major,
	       unsigned int *minor);

/* The device of the file system in which the file of a loop device lies. */
bool loop_lies_on(unsigned int major, unsigned int minor,
		  unsigned int *below_major, unsigned int *below_minor);

#endif /* DMCOMMIT_LOOP_DEVICE_H */
