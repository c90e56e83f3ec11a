// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes of the store's device.
 *
 * A device may tell of data that it has lost only once, to the flush that is under way;
 * one that was asked for meanwhile, and began behind it, finds nothing left to lose and
 * succeeds.  So what makes words durable is sent only when no other flush is under way
 * and none has failed: flush_begin() waits for the others, and keeps new ones out until
 * flush_end().
 *
 * A user's flush that finds nothing changed goes straight to the device, several of them
 * side by side, as on any disk.
 */
#include "store.h"

void flush_begin(struct store *store)
{
	mutex_lock(&store->flush_mutex);
	WRITE_ONCE(store->flushing, true);
	/* Pairs with flush_enter_direct(): one of the two sees the other. */
	smp_mb();
	wait_event(store->flush_idle, !atomic_read(&store->direct_flushes));
	/* Pairs with leave_direct(): words_lost, from who has left. */
	smp_rmb();
}

int flush_end(struct store *store, int error)
{
	if (error)
		WRITE_ONCE(store->words_lost, true);
	/* A user's flush that finds it false comes behind ours. */
	smp_store_release(&store->flushing, false);
	mutex_unlock(&store->flush_mutex);
	return error;
}

int flush_send(struct store *store)
{
	lockdep_assert_held(&store->flush_mutex);
	flush_take_unflushed(store);
	return block_flush(store->bdev);
}

int flush_device(struct store *store)
{
	int error;

	flush_begin(store);
	error = flush_end(store, flush_send(store));
	/* One before it may be the only one that was told. */
	return error || !READ_ONCE(store->words_lost) ? error : -EIO;
}

/* What came before it, words_lost too, is seen by who finds that none is left. */
static void leave_direct(struct store *store)
{
	if (atomic_dec_and_test(&store->direct_flushes) &&
	    wq_has_sleeper(&store->flush_idle))
		wake_up(&store->flush_idle);
}

bool flush_enter_direct(struct store *store)
{
	atomic_inc(&store->direct_flushes);
	/* Pairs with flush_begin(). */
	smp_mb__after_atomic();
	/* Pairs with flush_end(). */
	if (smp_load_acquire(&store->flushing)) {
		leave_direct(store);
		return false;
	}
	flush_take_unflushed(store);
	return true;
}

void flush_leave_direct(struct store *store, bool failed)
{
	if (failed)
		WRITE_ONCE(store->words_lost, true);
	leave_direct(store);
}

bool flush_take_unflushed(struct store *store)
{
	/* Most flushes of some loads find none: what all processors read stays as it is. */
	return atomic_read(&store->unflushed) &&
	       atomic_xchg(&store->unflushed, 0);
}

bool flush_is_due(struct store *store)
{
	/* One that is ro still takes writes in place. */
	return atomic_read(&store->unflushed) &&
	       READ_ONCE(store->mode) != STORE_FAIL;
}

void flush_init(struct store *store)
{
	mutex_init(&store->flush_mutex);
	init_waitqueue_head(&store->flush_idle);
}
