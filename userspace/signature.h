/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libblkid, and nothing but it: what is on a device.
 */
#ifndef DMCOMMIT_SIGNATURE_H
#define DMCOMMIT_SIGNATURE_H

#include <stddef.h>

/*
 * Looks for file systems, RAID members, swap, LVM, partition tables …
 * @text: says what was found, "ext4 file system"
 *
 * Return: 1: something was found, 0: nothing, or -errno.
 */
int signature_find(int fd, char *text, size_t size);

/* Wipes all that signature_find() would find, wherever it lies; 0 or -errno. */
int signature_wipe(int fd);

#endif /* DMCOMMIT_SIGNATURE_H */
