/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Range locks: who may give words to chunks of a top layer.
 *
 * A write into sixteenths that the top layer does not hold takes its chunks
 * shared; whoever must see none of those in flight (the fill of a partial
 * sixteenth, a discard) takes them exclusively.  Reads and rewrites take none.
 *
 * Requests are granted in the order of arrival where they meet, so nobody
 * starves.  Nobody sleeps: a request that must wait is granted by a callback.
 * The table is hashed by regions of 1 MiB; a request lies within one.
 */
#ifndef COWSTACK_RANGE_LOCK_H
#define COWSTACK_RANGE_LOCK_H

#include "core/types.h"

struct range_lock {
	struct list_head list;		/* in a bucket; protected by its lock */
	u64 first;
	u64 last;
	bool exclusive;
	bool granted;
	/* Called once, without locks, maybe from interrupts. */
	void (*on_grant)(struct range_lock *lock);
};

enum { RANGE_LOCK_BUCKETS = 256 };

struct range_lock_bucket {
	spinlock_t lock;		/* taken with interrupts off */
	struct list_head locks;		/* granted and waiting, as they came */
};

struct range_lock_table {
	u32 region_shift;		/* of chunks */
	struct range_lock_bucket buckets[RANGE_LOCK_BUCKETS];
};

void range_lock_table_init(struct range_lock_table *table, u32 region_shift);

/* First chunk of the region behind @chunk's. */
u64 range_lock_region_end(const struct range_lock_table *table, u64 chunk);

/**
 * range_lock_acquire() - ask for [first, last], which lie in one region.
 *
 * @lock's fields but the list are set by the caller.  Any context.
 *
 * Return: true: granted; false: on_grant() will be called.
 */
bool range_lock_acquire(struct range_lock_table *table,
			struct range_lock *lock);

/* [first, last] shared, or false: it would have to wait, nothing was done. */
bool range_lock_try(struct range_lock_table *table, struct range_lock *lock,
		    u64 first, u64 last);

/* Any context; calls on_grant() of those who can go on now. */
void range_lock_release(struct range_lock_table *table,
			struct range_lock *lock);

#endif /* COWSTACK_RANGE_LOCK_H */
