/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one seam between core and the world it is built for.
 *
 * The files of core/ decide and do no I/O.  The very same files are built into
 * the module and into userspace (tool, unit tests, crash simulation).  All that
 * they need of either comes from here: fixed-size integers, byte order, lists,
 * atomics, memory, text and the CRC.  Nothing of the block layer does.
 */
#ifndef COWSTACK_CORE_ENVIRONMENT_H
#define COWSTACK_CORE_ENVIRONMENT_H

#ifdef __KERNEL__

#include <linux/processor.h>	/* bit_spinlock.h uses, and does not include it */

#include <linux/atomic.h>
#include <linux/bit_spinlock.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/byteorder/generic.h>
#include <linux/crc32.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>

/* CRC-32 as zlib's crc32() computes it; crc is 0 for the first piece. */
static inline u32 environment_crc32(u32 crc, const void *data, size_t bytes)
{
	return ~crc32_le(~crc, data, bytes);
}

/* Has whoever waits for this been killed? */
static inline bool environment_killed(void)
{
	return fatal_signal_pending(current);
}

/*
 * A lock of one bit of @word, for a few instructions, from any context.  The
 * result goes back to environment_bit_unlock().
 */
static inline unsigned long environment_bit_lock(int bit, unsigned long *word)
{
	unsigned long flags;

	local_irq_save(flags);
	bit_spin_lock(bit, word);
	return flags;
}

static inline void environment_bit_unlock(int bit, unsigned long *word,
					  unsigned long flags)
{
	bit_spin_unlock(bit, word);
	local_irq_restore(flags);
}

#else

#include "environment_user.h"

#endif

#endif /* COWSTACK_CORE_ENVIRONMENT_H */
