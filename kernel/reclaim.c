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
#include "store.h"

enum { ZOMBIE_PAGES = 64 };		/* freed at a time: 2 GiB at 64 KiB */

/* Frees what some pages of gone layers hold; are there more? */
static bool free_zombies(struct store *store)
{
	unsigned int pages;
	bool more = true;

	for (pages = 0; pages < ZOMBIE_PAGES && more; pages++) {
		mutex_lock(&store->metadata_lock);
		more = cowstack_zombies_free_chunks(&store->metadata);
		mutex_unlock(&store->metadata_lock);
		cond_resched();
	}
	/* A step that finds nothing to do considers a checkpoint. */
	if (!more && (pages > 1 || store->freeing_zombies))
		journal_kick(store);
	store->freeing_zombies = more;
	return more;
}

static void drain(struct store *store)
{
	if (cowstack_fault(FAULT_REUSE_BEFORE_DRAINED))
		return;
	if (READ_ONCE(store->out_of_space))
		synchronize_srcu_expedited(&store->drain);
	else
		synchronize_srcu(&store->drain);
}

static void discard_run(struct store *store, const struct chunk_run *run)
{
	const struct cowstack_geometry *g = store_geometry(store);
	int error;

	if (!store->features.discard_passdown ||
	    !bdev_max_discard_sectors(store->bdev))
		return;
	/* Advice: a device that refuses it loses nothing. */
	error = blkdev_issue_discard(store->bdev,
				     cowstack_chunk_sector(g, run->first),
				     run->count << g->chunk_shift, GFP_NOIO);
	if (!error)
		atomic64_add(run->count, &store->discarded);
}

static void reclaim_work_fn(struct work_struct *work)
{
	struct store *store = container_of(work, struct store, reclaim_work);
	struct chunk_run *run;
	LIST_HEAD(runs);
	bool more = free_zombies(store);

	cowstack_allocator_take_durable(&store->metadata.allocator, &runs);
	if (list_empty(&runs)) {
		if (more)
			reclaim_kick(store);
		return;
	}
	drain(store);
	list_for_each_entry(run, &runs, list) {
		discard_run(store, run);
		cond_resched();
	}
	cowstack_allocator_release(&store->metadata.allocator, &runs);
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
