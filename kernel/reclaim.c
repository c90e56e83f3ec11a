// SPDX-License-Identifier: GPL-2.0
/*
 * The thread that brings chunks back: those of layers that are gone, a page at
 * a time, and those whose freeing step is durable.
 *
 * A chunk may be used anew only when no bio can still reach it.  Whoever looks
 * a chunk up does so under store.drain (an SRCU section) and leaves the section
 * when its bio has ended; one grace period after the word is gone, so are they
 * all.  Only then is the chunk discarded, and only after that is it free.
 */
#include "core/fault.h"
#include "pace.h"
#include "store.h"

enum {
	ZOMBIE_PARTS = 1024,		/* freed at a time: 2 GiB at 64 KiB */
	DISCARD_BYTES = 4 << 20,	/* at a time: a device is long about it */
};

/* Frees some of what gone layers hold; is there more? */
static bool free_zombies(struct store *store, struct pace *pace)
{
	unsigned int parts;
	bool more = true;

	for (parts = 0; parts < ZOMBIE_PARTS && more; parts++) {
		mutex_lock(&store->metadata_lock);
		more = cowstack_zombies_free_chunks(&store->metadata);
		mutex_unlock(&store->metadata_lock);
		cond_resched();
		pace_give_way(store, pace);
	}
	/* A step that finds nothing to do considers a checkpoint. */
	if (!more && (parts > 1 || store->freeing_zombies))
		journal_kick(store);
	store->freeing_zombies = more;
	return more;
}

struct drained {
	struct rcu_head head;
	struct completion done;
};

static void drained_fn(struct rcu_head *head)
{
	complete(&container_of(head, struct drained, head)->done);
}

/*
 * synchronize_srcu() makes haste where nobody has asked for a while, and the
 * kernel's worker then asks without a rest whether bios of milliseconds have ended:
 * for 5 ms at a time users had no processor.  A callback never makes haste.
 */
static void drain(struct store *store)
{
	struct drained drained;

	if (cowstack_fault(FAULT_REUSE_BEFORE_DRAINED))
		return;
	if (READ_ONCE(store->out_of_space)) {
		synchronize_srcu_expedited(&store->drain);
		return;
	}
	init_rcu_head_on_stack(&drained.head);
	init_completion(&drained.done);
	call_srcu(&store->drain, &drained.head, drained_fn);
	wait_for_completion(&drained.done);
	destroy_rcu_head_on_stack(&drained.head);
}

/* Where the device can discard no less, no less. */
static u64 discard_step(struct store *store)
{
	u64 granularity = max(bdev_discard_granularity(store->bdev), 512U);

	return div64_u64(DISCARD_BYTES + granularity - 1, granularity) *
	       granularity >> SECTOR_SHIFT;
}

/*
 * Users' I/O waits behind a discard, on the device and for the processor.  False: it is
 * due later: the store is suspended, which must not wait for a terabyte of advice.
 */
static bool discard_run(struct store *store, const struct chunk_run *run,
			struct pace *pace)
{
	const struct cowstack_geometry *g = store_geometry(store);
	u64 sector = cowstack_chunk_sector(g, run->first);
	u64 end = sector + (run->count << g->chunk_shift);
	u64 step = discard_step(store);
	u64 began = ktime_get_ns();
	int error = 0;

	if (!store->features.discard_passdown ||
	    !bdev_max_discard_sectors(store->bdev))
		return true;
	while (sector < end) {
		u64 next = min(end, (div64_u64(sector, step) + 1) * step);

		/* Whoever waits for room has it at the resume. */
		if (READ_ONCE(store->suspended))
			return READ_ONCE(store->out_of_space);
		/* A device that refuses it loses nothing. */
		if (!error)
			error = block_discard(store, sector, next - sector);
		sector = next;
		cond_resched();
		pace_let_others(store, ktime_get_ns() - began);
		pace_give_way(store, pace);
		began = ktime_get_ns();
	}
	if (!error)
		atomic64_add(run->count, &store->discarded);
	return true;
}

/* Moves those that are discarded to @done. */
static void discard_runs(struct store *store, struct list_head *runs,
			 struct list_head *done, struct pace *pace)
{
	struct chunk_run *run, *next;

	list_for_each_entry_safe(run, next, runs, list) {
		if (!discard_run(store, run, pace))
			break;
		list_move_tail(&run->list, done);
	}
}

static void reclaim_work_fn(struct work_struct *work)
{
	struct store *store = container_of(work, struct store, reclaim_work);
	struct allocator *a = &store->metadata.allocator;
	LIST_HEAD(runs);
	LIST_HEAD(done);
	struct pace pace;
	bool more;

	pace_begin(&pace, &store->used_at);
	more = free_zombies(store, &pace);
	cowstack_allocator_take_durable(a, &runs);
	if (list_empty(&runs)) {
		if (more)
			reclaim_kick(store);
		return;
	}
	drain(store);
	discard_runs(store, &runs, &done, &pace);
	/* What is left is for when the store goes on; a load finds it free. */
	cowstack_allocator_durable(a, &runs);
	cowstack_allocator_release(a, &done);
	defer_admit_parked(store);
	reclaim_kick(store);
}

static bool has_work(struct store *store)
{
	/* Racy: whoever adds work kicks afterwards. */
	return !list_empty(&store->metadata.allocator.durable) ||
	       !list_empty(&store->metadata.zombies);
}

void reclaim_kick(struct store *store)
{
	if (has_work(store) && !READ_ONCE(store->suspended))
		queue_work(store->reclaim_wq, &store->reclaim_work);
}

void reclaim_wait(struct store *store)
{
	flush_work(&store->reclaim_work);
}

int reclaim_init(struct store *store)
{
	int error = init_srcu_struct(&store->drain);

	if (error)
		return error;
	INIT_WORK(&store->reclaim_work, reclaim_work_fn);
	store->reclaim_wq = alloc_workqueue("cowstack_reclaim",
					    WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (!store->reclaim_wq) {
		cleanup_srcu_struct(&store->drain);
		return -ENOMEM;
	}
	return 0;
}

void reclaim_exit(struct store *store)
{
	if (!store->reclaim_wq)
		return;
	destroy_workqueue(store->reclaim_wq);
	cleanup_srcu_struct(&store->drain);
}
