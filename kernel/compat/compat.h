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

/* Open modes of block devices have a type and names of their own since 6.5. */
#ifndef BLK_OPEN_READ
typedef fmode_t blk_mode_t;
#define BLK_OPEN_READ FMODE_READ
#define BLK_OPEN_WRITE FMODE_WRITE
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

#endif /* COWSTACK_COMPAT_H */
