/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COWSTACK_CRASH_DISK_SERVER_H
#define COWSTACK_CRASH_DISK_SERVER_H

#include "disk.h"

enum { MAX_TRANSFER = 4 << 20 };	/* bytes, of disk->buffer */

/* /dev/nbdN, of disk->node, from here on until it is stopped; 0 or -errno. */
int disk_start_serving(struct disk *disk);
/* Waits until the kernel has let go of it. */
void disk_stop_serving(struct disk *disk);

/* Serves @r; @buffer takes what is read.  Return: 0, or the (positive) errno of the answer. */
int disk_serve(struct disk *disk, const struct disk_request *r, u8 *buffer);

#endif /* COWSTACK_CRASH_DISK_SERVER_H */
