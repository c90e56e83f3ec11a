/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which block device lies on which, as /sys has it: mapped devices, md and others
 * that have slaves, partitions, and loop devices with a file on a file system that
 * has one device.
 */
#ifndef DMCOMMIT_DEVICE_TREE_H
#define DMCOMMIT_DEVICE_TREE_H

#include "core/environment.h"

struct device_number {
	unsigned int major, minor;
};

/* Is it the same, or does it lie on it, through whatever is between? */
bool device_lies_on(struct device_number upper, struct device_number lower);

#endif /* DMCOMMIT_DEVICE_TREE_H */
