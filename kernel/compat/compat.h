/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Older kernels, spelled as the newest spells it.  Features are probed for,
 * never versions: stable kernels carry backports.
 */
#ifndef COWSTACK_COMPAT_H
#define COWSTACK_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

/* Open modes of block devices have a type and names of their own since 6.5. */
#ifndef BLK_OPEN_READ
typedef fmode_t blk_mode_t;
#define BLK_OPEN_READ FMODE_READ
#define BLK_OPEN_WRITE FMODE_WRITE
#endif

/*
 * A workqueue is bound to processors unless it says otherwise.  Newer kernels
 * warn of one that says neither, and of the system's by its old name.
 */
#ifndef COMPAT_HAS_workqueue_percpu
#define WQ_PERCPU 0
#endif

#ifndef COMPAT_HAS_workqueue_system_percpu
#define system_percpu_wq system_wq
#endif

/*
 * SRCU sections that end in another context than they began in.  The checked
 * names for it came with 6.3; what they rest on is in all kernels.
 */
static inline int compat_srcu_down_read(struct srcu_struct *srcu)
{
	int index = __srcu_read_lock(srcu);

	__release(srcu);	/* for sparse: the section stays open */
	return index;
}

static inline void compat_srcu_up_read(struct srcu_struct *srcu, int index)
{
	__acquire(srcu);
	__srcu_read_unlock(srcu, index);
}

/*
 * That what is written must not change on its way is one of a queue's limits since 6.11.
 * Before it is a flag of the queue, which dm sets anew when tables are exchanged.
 */
#ifdef BLK_FEAT_STABLE_WRITES
static inline void compat_limit_stable_writes(struct queue_limits *limits)
{
	limits->features |= BLK_FEAT_STABLE_WRITES;
}

static inline void compat_queue_stable_writes(struct request_queue *queue)
{
}
#else
static inline void compat_limit_stable_writes(struct queue_limits *limits)
{
}

static inline void compat_queue_stable_writes(struct request_queue *queue)
{
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, queue);
}
#endif

/*
 * The number of the device that dm_get_device() opens by this name, 0 if there
 * is none.  dm_get_dev_t() was that until 6.5; what is used here is in all.
 */
static inline dev_t compat_device_number(const char *name)
{
	unsigned int major, minor;
	dev_t number;
	char rest;

	if (sscanf(name, "%u:%u%c", &major, &minor, &rest) == 2)
		return MKDEV(major, minor);
	return lookup_bdev(name, &number) ? 0 : number;
}

#endif /* COWSTACK_COMPAT_H */
