// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>

#include "range_lock.h"

void range_lock_table_init(struct range_lock_table *table, u32 region_shift)
{
	unsigned int i;

	table->region_shift = region_shift;
	for (i = 0; i < RANGE_LOCK_BUCKETS; i++) {
		spin_lock_init(&table->buckets[i].lock);
		INIT_LIST_HEAD(&table->buckets[i].locks);
	}
}

u64 range_lock_region_end(const struct range_lock_table *table, u64 chunk)
{
	return ((chunk >> table->region_shift) + 1) << table->region_shift;
}

static struct range_lock_bucket *find_bucket(struct range_lock_table *table,
					     const struct range_lock *lock)
{
	u64 region = lock->first >> table->region_shift;

	return &table->buckets[hash_64(region, ilog2(RANGE_LOCK_BUCKETS))];
}

static bool locks_meet(const struct range_lock *a, const struct range_lock *b)
{
	return (a->exclusive || b->exclusive) && a->first <= b->last &&
	       b->first <= a->last;
}

/* Must @lock wait for anything in front of it?  Bucket lock held. */
static bool must_wait(const struct range_lock_bucket *bucket,
		      const struct range_lock *lock)
{
	const struct range_lock *earlier;

	list_for_each_entry(earlier, &bucket->locks, list) {
		if (earlier == lock)
			break;
		if (locks_meet(earlier, lock))
			return true;
	}
	return false;
}

bool range_lock_acquire(struct range_lock_table *table, struct range_lock *lock)
{
	struct range_lock_bucket *bucket = find_bucket(table, lock);
	unsigned long flags;
	bool granted;

	spin_lock_irqsave(&bucket->lock, flags);
	list_add_tail(&lock->list, &bucket->locks);
	granted = !must_wait(bucket, lock);
	lock->granted = granted;
	spin_unlock_irqrestore(&bucket->lock, flags);
	return granted;
}

bool range_lock_try(struct range_lock_table *table, struct range_lock *lock,
		    u64 first, u64 last)
{
	struct range_lock_bucket *bucket;
	unsigned long flags;
	bool granted;

	lock->first = first;
	lock->last = last;
	lock->exclusive = false;
	lock->granted = true;
	bucket = find_bucket(table, lock);
	spin_lock_irqsave(&bucket->lock, flags);
	granted = !must_wait(bucket, lock);
	if (granted)
		list_add_tail(&lock->list, &bucket->locks);
	spin_unlock_irqrestore(&bucket->lock, flags);
	return granted;
}

/* The next waiting lock that may be granted, marked so, or NULL. */
static struct range_lock *grant_one(struct range_lock_bucket *bucket)
{
	struct range_lock *lock;

	list_for_each_entry(lock, &bucket->locks, list) {
		if (!lock->granted && !must_wait(bucket, lock)) {
			lock->granted = true;
			return lock;
		}
	}
	return NULL;
}

void range_lock_release(struct range_lock_table *table, struct range_lock *lock)
{
	struct range_lock_bucket *bucket = find_bucket(table, lock);
	struct range_lock *next;
	unsigned long flags;

	spin_lock_irqsave(&bucket->lock, flags);
	list_del(&lock->list);
	while ((next = grant_one(bucket))) {
		/* A granted lock stays until its owner releases it. */
		spin_unlock_irqrestore(&bucket->lock, flags);
		next->on_grant(next);
		spin_lock_irqsave(&bucket->lock, flags);
	}
	spin_unlock_irqrestore(&bucket->lock, flags);
}
