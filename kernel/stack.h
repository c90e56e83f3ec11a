/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stack in core: a volume that is up.  Found in its store by volume id, shared
 * by all tables of one mapped device, and used by the I/O path.
 */
#ifndef COWSTACK_STACK_H
#define COWSTACK_STACK_H

#include "core/chain.h"
#include "core/table_line.h"
#include "io_gate.h"
#include "range_lock.h"
#include "store.h"

struct job;

struct stack {
	struct list_head list;		/* in store.stacks */
	unsigned int users;		/* tables; message_mutex */
	struct store *store;
	struct mapped_device *md;
	struct cowstack_volume *volume;
	/* Of the live table; changed under message_mutex and stores_mutex. */
	struct dm_target *target;
	char name[DM_NAME_LEN];		/* for logs */
	struct dm_table *newest;	/* the table that was built last */
	bool suspended;			/* message_mutex */
	bool pushing_back;		/* a noflush suspend; stack_pushes_back() */
	bool hurried;			/* a suspend waits for all bios */
	atomic_t zeroing;		/* of store.zeroing */
	atomic_t parked_writes;		/* of store.parked_writes */

	/*
	 * Set at resume, while no bio is in flight; NULL without a live table.
	 * Changed under message_mutex and stores_mutex.
	 */
	struct block_device *base;
	u64 base_sectors;
	dev_t last_base;		/* of the last live table */
	struct stack_features features;
	/* As the base is; NULL: nobody knows. The job's while it does not stand still. */
	struct base_sample *sample;

	struct io_gate writes;		/* closed for a snapshot */
	struct bio_list held_writes;	/* behind it; store.held_lock */
	struct range_lock_table ranges;

	/*
	 * Held over each change of the chain and the grace period after it: a
	 * slot must not come to another layer before (core/chain.h).
	 */
	struct mutex chain_mutex;
	struct job *job;		/* message_mutex; see job.h */
	spinlock_t job_lock;		/* what of it others look at */
	wait_queue_head_t job_still;	/* the thread stands still, or is none */
	u64 job_rate;			/* bytes/s of the last run; job_lock */
	unsigned int parked;		/* job_park() less job_unpark() */
	bool job_active;		/* the base is claimed; stores_mutex */
	bool base_shared;		/* by another's job, ever; stores_mutex */
	bool job_held;			/* its base was exchanged: not before it is started */
	bool job_shown;			/* one began, or goes on, since it is up */
};

/* One table of a stack. */
struct stack_table {
	struct list_head list;		/* of all that have a base; stores_mutex */
	const struct dm_table *dm_table; /* what it stands in */
	bool base_written;		/* by another since it was read; stores_mutex */
	struct stack *stack;
	struct dm_dev *base;
	struct dm_dev *store_dev;
	struct stack_features features;
	bool base_changed;		/* accept_base: another than recorded */
	u32 base_crc;
	u64 base_seed;
	struct base_sample *sample;	/* until it goes live */
};

/* Per-bio data. */
struct cowstack_io {
	struct stack *stack;
	struct list_head parked;
	unsigned long parked_at;	/* jiffies, of the first time; 0: never */
	int drain;			/* SRCU index, -1: not in a section */
	bool in_gate;
	bool locked;			/* range lock held */
	bool of_job;			/* of a stack above: never waits for room */
	bool step_after;		/* acknowledged when a step is durable */
	bool stepped;
	bool direct_flush;		/* of a user's, at the device */
	/* A write into sixteenths that are to enter the mask; or NULL. */
	struct cowstack_layer *layer;
	u64 sector;			/* of the volume */
	u64 sectors;
	dchunk_t chunk;			/* of the first; the rest follow it */
	struct range_lock lock;
	struct step_waiter waiter;
	struct work_struct work;
};

static inline struct cowstack_io *bio_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct cowstack_io));
}

static inline struct bio *io_bio(struct cowstack_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(struct cowstack_io));
}

/* --- stack.c --- */

/* message_mutex held, for these two. */
struct stack *stack_find(struct store *store, volume_id_t id);
struct stack *stack_open(struct store *store, struct mapped_device *md,
			 volume_id_t id, char **error_text);
/* Gives a table's hold back; the last one ends the job.  May sleep. */
void stack_put(struct stack *stack);

/* --- stack_target.c --- */
int stack_target_register(void);
void stack_target_unregister(void);

/* --- io_map.c --- */

/* Maps @bio of @ti, whose sector is the volume's.  Return: DM_MAPIO_*. */
int io_map(struct stack *stack, struct dm_target *ti, struct bio *bio);

/* @bio has ended; as a target's end_io.  Any context. */
int io_end(struct bio *bio, blk_status_t *error);

/* Maps and submits a bio that was deferred; process context. */
void io_map_deferred(struct bio *bio);

/* --- io_flush.c --- */

/* A flush; it goes to the store alone, for only commits write to the base.  DM_MAPIO_*. */
int io_map_flush(struct cowstack_io *io, struct dm_target *ti, struct bio *bio);

/*
 * One that went straight to the device has ended.  A device may tell of an error only once,
 * and whom it tells may be any user.  Return: has one failed?  The journal's worker makes
 * the store ro, then answers.
 */
bool io_end_flush(struct cowstack_io *io, bool failed);

/* @io's bio is completed when the next step is durable.  Any context. */
void io_wait_for_step(struct cowstack_io *io);

/* --- io_map.c, for the others --- */

/* Leaves all that @io holds; any context. */
void io_leave(struct cowstack_io *io);

/* Enters the drain section; false: the store is suspended. */
bool io_enter_drain(struct cowstack_io *io);

/* Has @io's bio ended with @error?  Completes it. */
void io_complete(struct cowstack_io *io, int error);

/* Room for the chunks of [io->sector, +io->sectors), range lock held. */
int io_admit(struct cowstack_io *io, gfp_t gfp);

/* Words enter the masks for what io_admit() gave room to. */
void io_publish(struct cowstack_io *io);

/* The layer that is written; the caller is inside the write gate. */
struct cowstack_layer *io_top_layer(struct stack *stack);

/* Makes the pages that @sector's words need.  0, -ENOMEM, -ENOSPC. */
int io_add_pages(struct stack *stack, struct cowstack_layer *layer, u64 sector,
		 gfp_t gfp);

/* Sectors from @sector on that the worker can take as one write. */
u64 io_deferrable_sectors(const struct cowstack_geometry *g, u64 sector,
			  u64 sectors);

/* --- commit.c --- */

/*
 * Asked by map() of a write: is it the thread of a commit, of another stack, that
 * sends it?  Remembers for that thread that its destination is a stack of ours,
 * through whatever lies between.
 */
bool commit_sends_write(void);

/* --- io_defer.c; any context, but for defer_park() --- */
void defer_bio(struct store *store, struct bio *bio);
void defer_hold(struct store *store, struct bio *bio);
void defer_postpone(struct store *store, struct bio *bio);
void defer_hold_write(struct stack *stack, struct bio *bio);
/*
 * There is no room: waits, or fails, as the store's on_full says; what a commit of
 * a stack above has written fails, and the commit waits.  Not from interrupts.
 */
void defer_park(struct store *store, struct bio *bio);
/* The write gate is open again. */
void defer_admit_writes(struct stack *stack);
/*
 * A noflush suspend: bios of @stack that are parked, or held for a suspended
 * store, or wait for a step that is not made, go back to dm.
 */
void defer_push_back(struct stack *stack);

/*
 * Does what would wait go back to dm?  dm takes bios back no more once a suspend was
 * interrupted, and that is a little before it calls presuspend_undo.  @stack has a bio
 * in flight; any context.
 */
static inline bool stack_pushes_back(const struct stack *stack)
{
	return READ_ONCE(stack->pushing_back) &&
	       dm_noflush_suspending(stack->target);
}

/* --- io_slow.c; process context --- */
void io_fill_piece(struct cowstack_io *io);
void io_zero_range(struct cowstack_io *io);

/* --- base.c --- */

/*
 * Checks @table's base against what the volume's record says.  0; -ESTALE: it
 * is another; an I/O error.  May sleep, reads the base.
 */
int base_check(struct stack_table *table, struct store *store,
	       char **error_text);
/*
 * What to call @bdev in a record: a stack of ours by its store and volume, which no
 * other has, anything else as the kernel does.
 */
void base_name(struct block_device *bdev, char name[COWSTACK_NAME_SIZE]);
/*
 * Is @device opened already, for less than @mode, by another stack of @table's
 * dm table?  Device-mapper would open it anew, once for both, and free what that
 * other stack holds.  stores_mutex not held.
 */
bool base_has_less_mode(const struct stack_table *table, dev_t device,
			blk_mode_t mode);
/*
 * @table's base is about to be checked, and the table may go live later: whether
 * another stack has written to the base by then is in base_written. stores_mutex held.
 */
void base_watch(struct stack_table *table);
/* stores_mutex not held. */
void base_unwatch(struct stack_table *table);
/*
 * Claims @stack's base for writing, until base_release(): no other stack over it goes
 * live meanwhile.  False: another live stack uses it, or, with @records, another volume
 * of the store that is down and holds data has it, as far as records tell; its name goes
 * to @name.  message_mutex held, stores_mutex and metadata_lock not.
 */
bool base_claim(struct stack *stack, bool records, char *name, size_t size);
/*
 * The job that claimed the base begins, and may write there from the return on: no other
 * stack goes live later by a table that is there now.  Not for a claim alone, as its job
 * may be refused.  And once more when it has written all, for tables that were built meanwhile
 * because it may share the base.  stores_mutex not held.
 */
void base_note_writing(struct stack *stack);
void base_release(struct stack *stack);
/*
 * @stack has a base from now on, or a job to it: where another stack has the same, and
 * one of the two writes there, what the other knows of its content is no longer sure.
 * stores_mutex held.
 */
void base_note_sharing(struct stack *stack);
/* Does @stack's volume hold clean copies of its base?  metadata_lock not held. */
bool base_has_copies(const struct stack *stack);
/*
 * The stack whose running job writes to @bdev, other than @but, unless it was
 * told that it may share it; with @copies, which must stay true, in any case.
 * stores_mutex held.
 */
struct stack *base_writer(struct block_device *bdev, const struct stack *but,
			  bool copies);
/* Is @bdev the base of any live stack?  stores_mutex held. */
bool base_is_in_use(struct block_device *bdev);
/* Does @bdev lie in @store, through stacks of ours? */
bool base_lies_in_store(struct block_device *bdev, struct store *store);

/* --- message.c, status.c --- */
int store_message(struct store *store, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen);
int stack_message(struct stack *stack, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen);
void store_status(struct store *store, char *result, unsigned int maxlen);
void stack_status(struct stack *stack, char *result, unsigned int maxlen);
/* The same line of a volume, up or down; stores_mutex and metadata_lock held. */
void volume_status(struct store *store, const struct cowstack_volume *volume,
		   char *result, unsigned int maxlen);
/* valid, mixed or unknown, as the contract has it; metadata_lock held. */
const char *base_alone_name(const struct cowstack_volume_info *info);

#endif /* COWSTACK_STACK_H */
