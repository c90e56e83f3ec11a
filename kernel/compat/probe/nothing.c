// SPDX-License-Identifier: GPL-2.0
/* Compiles with any kernel: probe.mk. */
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/workqueue.h>
