/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store in core: one for each device that a live or preloaded cowstore table
 * names, shared by all tables of that cowstore and by all its stacks.
 *
 * Lock order (a → b: b may be taken while a is held):
 *
 *   store.message_mutex → stack.chain_mutex → range locks, of a stream
 *                       → stores_mutex → store.metadata_lock
 *                       store.flush_mutex → store.metadata_lock
 *        → step_lock, held_lock, range lock buckets, allocator.lock, page locks
 *
 * stores_mutex and metadata_lock may be held over memory allocation (NOIO),
 * never over I/O, or a wait for it: what is waited for may be another store's to
 * finish, which needs the registry.  flush_mutex is, over a write of a step and each
 * flush of the store's own: nothing that a device waits for takes it.  The spinlocks
 * are never held together.
 *
 * Threads, each a workqueue of the store's own (WQ_MEM_RECLAIM), so that none
 * waits for a bio that it would have to finish itself:
 *
 *   journal     one durable step after the other
 *   checkpoint  pages home, superblocks
 *   deferred    bios that map() could not answer: fills of partial sixteenths,
 *               held, parked and postponed bios
 *   discard     users' discards and write-zeroes
 *   reclaim     chunks on their way to be free: drain, discard
 *
 * and a thread per running job (commit.c).  Discard and reclaim give way (pace.h).
 */
#ifndef COWSTACK_STORE_H
#define COWSTACK_STORE_H

#include <linux/bio.h>
#include <linux/dm-ioctl.h>
#include <linux/mempool.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "core/change.h"
#include "core/checkpoint.h"
#include "core/table_line.h"

enum store_mode {
	STORE_RW,
	STORE_RO,			/* no new metadata can be written, or data flushed */
	STORE_FAIL,
};

/*
 * Told when the next durable step is done, or can never be.  @goes_back is asked while a
 * suspended store makes no step, under the lock, in any context: if true it is told
 * -EREMCHG, which dm takes for a request to bring the bio again; if not, or NULL, it waits
 * for the store's resume.
 */
struct step_waiter {
	struct list_head list;
	bool (*goes_back)(const struct step_waiter *waiter);
	void (*done)(struct step_waiter *waiter, int error);
};

/* A change that is to be made durable, and who waits for it. */
struct store_change {
	struct cowstack_change change;
	struct completion *completion;
	int error;
};

/* Long discards rest (pace.h): few of them at a time may stand for all. */
enum { DISCARD_WORKERS = 4 };

struct store {
	struct list_head list;		/* stores_mutex */
	unsigned int users;		/* tables and stacks; stores_mutex */
	bool loading;			/* not to be used yet; stores_mutex */
	struct mapped_device *md;	/* whose store this is */
	struct dm_target *target;	/* of the live table, or NULL */
	char name[DM_NAME_LEN];		/* of the cowstore device, for logs */
	dev_t device;
	struct block_device *bdev;	/* while @active */
	unsigned int logical_block;	/* bytes, of the device */
	unsigned int dma_alignment;	/* a mask: what memory its I/O must be aligned to */
	bool stable_writes;		/* so is this: pages do not change on their way */
	struct store_features features;
	struct list_head tables;	/* struct store_table; stores_mutex */
	/* Changed under message_mutex and stores_mutex, read under either. */
	struct list_head stacks;

	enum store_mode mode;		/* one way; mode_lock */
	spinlock_t mode_lock;
	bool mend_superblock;		/* the one at mend_place is bad or old */
	u64 mend_place;
	bool active;			/* a live table was resumed once */
	bool suspended;			/* read by map() under drain */
	unsigned long used_at;		/* jiffies: by a user's I/O; pace.h */

	struct mutex message_mutex;	/* one message at a time; jobs */
	struct mutex metadata_lock;	/* see core/metadata.h */
	struct cowstack_metadata metadata;

	/* Bios that use chunks of the store; see reclaim.c. */
	struct srcu_struct drain;

	/* journal_io.c; step_lock protects the lists and flags. */
	spinlock_t step_lock;
	struct list_head step_waiters;
	struct list_head step_changes;	/* cowstack_transaction */
	bool step_running;
	bool step_stopped;		/* suspended: nothing new starts */
	bool step_kicked;		/* one more, though nobody waits for it */
	wait_queue_head_t step_idle;
	struct workqueue_struct *journal_wq;
	struct work_struct step_work;
	struct delayed_work step_timer;
	struct cowstack_step step;
	struct disk_record_block **step_blocks;
	struct bio_set bios;
	struct bio_set copy_bios;	/* a job's: it may wait for a lower store */

	/* device_flush.c */
	bool words_lost;		/* or data: ro, and flushes fail from now on */
	atomic_t unflushed;		/* 1: a write has ended since a flush last began */
	struct mutex flush_mutex;	/* one at a time, of the store's own */
	bool flushing;			/* users' flushes wait for a step; flush_mutex */
	atomic_t direct_flushes;	/* users', under way at the device */
	wait_queue_head_t flush_idle;

	/* checkpoint_io.c */
	struct workqueue_struct *checkpoint_wq;
	struct work_struct checkpoint_work;
	struct cowstack_checkpoint checkpoint;
	bool checkpoint_running;	/* metadata_lock */
	bool checkpoint_due;		/* there was no memory for it; metadata_lock */
	wait_queue_head_t ring_room;
	u8 *checkpoint_buffer;

	/* io_defer.c; held_lock protects the lists. */
	spinlock_t held_lock;
	struct bio_list held;		/* until the store is resumed */
	struct bio_list postponed;	/* until the journal has room */
	struct list_head parked;	/* struct cowstack_io, wait for room */
	bool out_of_space;
	struct work_struct event_work;
	struct workqueue_struct *defer_wq;
	struct workqueue_struct *discard_wq; /* of DISCARD_WORKERS */
	atomic_t zeroing;		/* bios there: queued, or under way */
	struct delayed_work parked_timer;
	unsigned long room_made_at;	/* jiffies */
	struct delayed_work postponed_timer;
	mempool_t piece_buffers;

	/* pace.c */
	atomic_t resting;		/* threads */
	unsigned long asked_at;		/* jiffies: a user, for a step */

	/* reclaim.c */
	struct workqueue_struct *reclaim_wq;
	struct work_struct reclaim_work;
	bool freeing_zombies;		/* the thread's own */

	/* Statistics. */
	atomic64_t steps;
	atomic64_t step_blocks_written;
	atomic64_t flushes_served;
	atomic64_t checkpoints;
	atomic64_t discarded;		/* chunks */
	atomic64_t parked_writes;	/* now */
	atomic64_t fills;		/* partial sixteenths completed */
};

/* One table of a cowstore, live or not. */
struct store_table {
	struct list_head list;		/* of the store's; stores_mutex */
	struct store *store;
	struct dm_dev *dev;
	struct store_features features;
};

extern struct mutex stores_mutex;
extern struct list_head stores;

static inline const struct cowstack_geometry *
store_geometry(const struct store *store)
{
	return &store->metadata.superblock.geometry;
}

/* --- store.c --- */

/*
 * The store of cowstore device @md, or the one that lies on @device, or will when a
 * table that was loaded is resumed; or NULL.  stores_mutex held.
 */
struct store *store_find(struct mapped_device *md);
struct store *store_find_device(dev_t device);

/**
 * store_open() - load the store that lies on @bdev.
 *
 * stores_mutex held; it is let go while the device is read.  Nobody else uses
 * the store meanwhile: it is marked as loading.  On failure *error_text names
 * what is wrong.
 *
 * Return: the store with one user, or an ERR_PTR.
 */
struct store *store_open(struct mapped_device *md, struct block_device *bdev,
			 char **error_text);

/*
 * Does @bdev hold the store that @store is?  0, -ESTALE: another, -ENOSPC: too small, or
 * what reading it gave.  @current_copy: as memory knows it, too, or -ENODATA: an older copy;
 * the store is suspended then.
 */
int store_check_device(struct store *store, struct block_device *bdev,
		       bool current_copy);

/* The name that @md has now, for logs.  Process context. */
void copy_device_name(struct mapped_device *md, char name[DM_NAME_LEN]);

/*
 * Writes @sb to @place, by way of @block, which is memory for it: durable when it returns.
 * 0 or an errno.  May sleep; all that @sb leads to is durable by now.
 */
int store_write_superblock(struct store *store, const struct cowstack_superblock *sb,
			   u64 place, struct disk_superblock *block);

/* Likewise one that is bad or old, if there is such a one. */
int store_mend_superblock(struct store *store);

/* Gives one user's hold back; the last one frees the store.  May sleep. */
void store_put(struct store *store);

/* --- store_target.c --- */
int store_target_register(void);
void store_target_unregister(void);

/* --- journal_io.c --- */
int journal_init(struct store *store);
void journal_exit(struct store *store);

/* The store has failed: nobody waits any more.  Process context. */
void journal_fail(struct store *store);

/* Queues @waiter for the next step, or tells it at once; any context. */
void journal_wait(struct store *store, struct step_waiter *waiter);

/**
 * journal_commit() - make @change durable and apply it.
 *
 * Process context; waits for the step, not for more.  The change was prepared
 * by the caller under metadata_lock, who frees it with store_change_free().
 *
 * Return: 0, -EAGAIN (store suspended), -EROFS (mode), -EIO.
 */
int journal_commit(struct store *store, struct store_change *change);

/* Waits for a grace period where the change replaced a chain. */
void store_change_free(struct store_change *change);

/*
 * Somebody goes back from now on: who waits for a step that a suspended store does not
 * make is told so.  Who comes later is told at once, or, if the last step is still being
 * made, when that ends.  Any context.
 */
void journal_push_back(struct store *store);

/*
 * A step that makes durable what was published; process context.  -EAGAIN: the
 * store is suspended.
 */
int journal_flush(struct store *store);

/* A step now, though nobody waits for it; process context. */
void journal_kick(struct store *store);

/* Must a flush that comes now wait for a step?  Any context. */
bool journal_is_dirty(struct store *store);

/* No step begins from the return on; those asked for before are done. */
void journal_stop(struct store *store);
void journal_start(struct store *store);

/* Is the ring so full that new words must wait for the checkpoint? */
bool journal_is_full(struct store *store);

/* --- device_flush.c --- */
void flush_init(struct store *store);

/*
 * Flushes the device, with no other flush under way.  Return: 0, or a negative errno if
 * it, or any before it, has failed: words_lost.  May sleep.
 */
int flush_device(struct store *store);

/**
 * flush_begin() - no flush of the device is under way from here to flush_end().
 *
 * For a flush that has words written behind it in one request: words_lost, looked at in
 * between, tells whether one before has failed.  Waits for users' flushes that are at the
 * device; they wait for nothing of ours.  May sleep; not while the caller holds
 * metadata_lock.
 */
void flush_begin(struct store *store);

/* The one flush between both, but for the write of a step, which has its own. */
int flush_send(struct store *store);

/* @error: of the flush between; sets words_lost.  Returns it. */
int flush_end(struct store *store, int error);

/*
 * A user's flush that has no step to wait for goes to the device now.  False: one of the
 * store's own is under way, and it waits for a step after all.  Any context.
 */
bool flush_enter_direct(struct store *store);
/* It has ended.  Any context. */
void flush_leave_direct(struct store *store, bool failed);

/*
 * Writes that have ended count as flushed from now on: a flush of the device is about to
 * begin.  Return: have there been any?  Any context.
 */
bool flush_take_unflushed(struct store *store);
/* A write has ended that no flush has covered.  Any context. */
static inline void flush_note_write(struct store *store)
{
	if (!atomic_read(&store->unflushed))
		atomic_set(&store->unflushed, 1);
}

/* Is there such a write?  Any context. */
bool flush_is_due(struct store *store);

/*
 * Where a device with a cache has no FUA, such a write is flushed behind it, beside all
 * order here, and which of the two has failed is not told.  So none is sent there but a
 * step, between flush_begin() and flush_end().  Any context.
 */
static inline bool flush_stands_for_fua(const struct store *store)
{
	return bdev_write_cache(store->bdev) && !bdev_fua(store->bdev);
}

/* --- checkpoint_io.c --- */
int checkpoint_init(struct store *store);
void checkpoint_exit(struct store *store);
/* metadata_lock held, no step under way.  Starts one if it is time. */
void checkpoint_consider(struct store *store, bool now);
void checkpoint_wait(struct store *store);

/* --- io_defer.c --- */
int defer_init(struct store *store);
void defer_exit(struct store *store);
/* Room was made, or will never be: parked writes try again.  Not from interrupts. */
void defer_admit_parked(struct store *store);
/* The ring has room again: postponed writes try again. */
void defer_admit_postponed(struct store *store);
/* The store goes on after a suspend: held bios try again. */
void defer_admit_held(struct store *store);

/* --- reclaim.c --- */
int reclaim_init(struct store *store);
void reclaim_exit(struct store *store);
/* Chunks may be on their way to be free; any context. */
void reclaim_kick(struct store *store);
void reclaim_wait(struct store *store);

/* --- failure_mode.c --- */

/* Metadata cannot be written: no new allocation from here on.  Not from interrupts. */
void store_set_ro(struct store *store, const char *why, int error);
void store_set_fail(struct store *store, const char *why);
static inline bool store_is_rw(const struct store *store)
{
	return READ_ONCE(store->mode) == STORE_RW;
}

const char *store_mode_name(enum store_mode mode);
void store_event_init(struct store *store);
void store_event(struct store *store);
void store_set_out_of_space(struct store *store, bool full);

/* --- block_io.c: synchronous I/O of our own; process context --- */

/* One transfer between @sector of @bdev and memory (any kind); 0 or -errno. */
int block_io(struct store *store, struct block_device *bdev, blk_opf_t opf,
	     u64 sector, void *buffer, size_t bytes);
int block_flush(struct block_device *bdev);
/* Discards less than 4 GiB of the store's device, from a sector on; 0 or -errno. */
int block_discard(struct store *store, u64 sector, u64 sectors);

#endif /* COWSTACK_STORE_H */
