// SPDX-License-Identifier: GPL-2.0
/*
 * The thread that writes checkpoints.  The order of what it writes, and why it
 * may run beside steps, is in core/checkpoint.h.
 */
#include <linux/vmalloc.h>

#include "pace.h"
#include "store.h"

enum { BATCH_BLOCKS = 256 };		/* page images gathered at a time */

struct batch {
	mblock_t block[BATCH_BLOCKS];
	u32 count;
};

static int write_run(struct store *store, mblock_t first, const void *buffer,
		     u32 blocks)
{
	return block_io(store, store->bdev, REQ_OP_WRITE | REQ_META,
			from_mblock(first) * COWSTACK_BLOCK_SECTORS,
			(void *)buffer, blocks * COWSTACK_BLOCK_SIZE);
}

/* One at a time under the lock, for which users' steps wait. */
static int take_image(struct store *store, struct batch *batch)
{
	u8 *image = store->checkpoint_buffer +
		    batch->count * COWSTACK_BLOCK_SIZE;
	int r;

	mutex_lock(&store->metadata_lock);
	r = cowstack_checkpoint_next_page(&store->metadata, &store->checkpoint,
					  image, &batch->block[batch->count]);
	mutex_unlock(&store->metadata_lock);
	if (r > 0)
		batch->count++;
	return r;
}

static int take_images(struct store *store, struct batch *batch,
		       struct pace *pace)
{
	int r = 1;

	batch->count = 0;
	while (r > 0 && batch->count < BATCH_BLOCKS) {
		r = take_image(store, batch);
		if (journal_is_full(store))
			cond_resched();
		else
			pace_give_way(store, pace);
	}
	return r < 0 ? r : 0;
}

/* Blocks that lie in a row go out in one write. */
static int write_images(struct store *store, const struct batch *batch)
{
	u32 i, n;
	int error = 0;

	for (i = 0; i < batch->count && !error; i += n) {
		for (n = 1; i + n < batch->count; n++)
			if (from_mblock(batch->block[i + n]) !=
			    from_mblock(batch->block[i]) + n)
				break;
		error = write_run(store, batch->block[i],
				  store->checkpoint_buffer +
					  i * COWSTACK_BLOCK_SIZE, n);
	}
	return error;
}

static int write_pages(struct store *store)
{
	struct batch *batch = kmalloc(sizeof(*batch), GFP_NOIO | __GFP_NOFAIL);
	struct pace pace;
	int error;

	pace_begin(&pace, &store->asked_at);
	do {
		error = take_images(store, batch, &pace);
		if (!error)
			error = write_images(store, batch);
	} while (!error && batch->count == BATCH_BLOCKS);
	kfree(batch);
	return error;
}

static int write_index(struct store *store)
{
	struct cowstack_index_block *b;
	int error;

	mutex_lock(&store->metadata_lock);
	error = cowstack_checkpoint_make_index(&store->metadata,
					       &store->checkpoint);
	mutex_unlock(&store->metadata_lock);
	list_for_each_entry(b, &store->checkpoint.index, list) {
		if (error)
			break;
		memcpy(store->checkpoint_buffer, b->block,
		       COWSTACK_BLOCK_SIZE);
		error = write_run(store, b->place, store->checkpoint_buffer, 1);
	}
	return error;
}

static int write_superblock(struct store *store, u64 place)
{
	return store_write_superblock(store, &store->checkpoint.superblock, place,
				      (void *)store->checkpoint_buffer);
}

/*
 * A flush before the first: pages, index and the data that the pages name are
 * durable before a superblock leads there.  It is none of the write's own, for it
 * matters which of the two fails.  A crash between the superblocks finds the old
 * state whole: its blocks are given back only after both.
 */
static int write_superblocks(struct store *store)
{
	int error;

	mutex_lock(&store->metadata_lock);
	cowstack_checkpoint_superblock(&store->metadata, &store->checkpoint);
	mutex_unlock(&store->metadata_lock);
	error = flush_device(store);
	if (!error)
		error = write_superblock(store, COWSTACK_SUPERBLOCK_A);
	if (!error)
		error = write_superblock(store, COWSTACK_SUPERBLOCK_B);
	return error;
}

/* Are there gone layers that only wait for a checkpoint to forget them? */
static bool zombies_wait(struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;

	list_for_each_entry(layer, &md->zombies, list)
		if (layer->reclaimed)
			return true;
	return false;
}

static void checkpoint_work_fn(struct work_struct *work)
{
	struct store *store = container_of(work, struct store,
					   checkpoint_work);
	bool again;
	int error;

	error = write_pages(store);
	if (!error)
		error = write_index(store);
	if (!error)
		error = write_superblocks(store);
	if (error)
		store_set_ro(store, "checkpoint cannot be written", error);
	else
		synchronize_rcu();

	mutex_lock(&store->metadata_lock);
	if (!error)
		cowstack_checkpoint_end(&store->metadata, &store->checkpoint);
	again = !error && zombies_wait(&store->metadata);
	cowstack_checkpoint_free(&store->checkpoint);
	WRITE_ONCE(store->checkpoint_running, false);
	mutex_unlock(&store->metadata_lock);
	atomic64_inc(&store->checkpoints);
	wake_up_all(&store->ring_room);
	defer_admit_postponed(store);
	/* Old homes, and the room kept back for pages that are gone. */
	if (atomic64_read(&store->parked_writes))
		defer_admit_parked(store);
	/* Too young for this one: on a full store nobody else may make the next step. */
	if (again)
		journal_kick(store);
}

void checkpoint_consider(struct store *store, bool now)
{
	struct cowstack_metadata *md = &store->metadata;

	lockdep_assert_held(&store->metadata_lock);
	if (store->checkpoint_running || !store_is_rw(store))
		return;
	if (!now && !cowstack_ring_wants_checkpoint(md) && !zombies_wait(md))
		return;
	/* No memory: after the next step, which the timer makes. */
	WRITE_ONCE(store->checkpoint_due,
		   cowstack_checkpoint_begin(md, &store->checkpoint));
	if (store->checkpoint_due)
		return;
	store->checkpoint_running = true;
	queue_work(store->checkpoint_wq, &store->checkpoint_work);
}

void checkpoint_wait(struct store *store)
{
	flush_work(&store->checkpoint_work);
}

int checkpoint_init(struct store *store)
{
	INIT_WORK(&store->checkpoint_work, checkpoint_work_fn);
	store->checkpoint_buffer = vmalloc(BATCH_BLOCKS * COWSTACK_BLOCK_SIZE);
	store->checkpoint_wq = alloc_workqueue("cowstack_checkpoint",
					       WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	return store->checkpoint_buffer && store->checkpoint_wq ? 0 : -ENOMEM;
}

void checkpoint_exit(struct store *store)
{
	if (store->checkpoint_wq)
		destroy_workqueue(store->checkpoint_wq);
	vfree(store->checkpoint_buffer);
}
