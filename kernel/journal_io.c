// SPDX-License-Identifier: GPL-2.0
/*
 * The thread that makes steps durable.
 *
 * Users' flushes, FUA writes and changes queue up; one step serves all that
 * came before it was made.  Once a second a step is made in any case if words
 * have changed, or a checkpoint is due; and where none is, the device is flushed
 * if it has been written to.
 */
#include "core/fault.h"
#include "store.h"

#define STEP_PERIOD HZ

static struct store_change *to_store_change(struct cowstack_transaction *t)
{
	return container_of(t, struct store_change, change.transaction);
}

static void complete_waiters(struct list_head *waiters, int error)
{
	struct step_waiter *waiter, *next;

	list_for_each_entry_safe(waiter, next, waiters, list) {
		list_del_init(&waiter->list);
		waiter->done(waiter, error);
	}
}

static void complete_changes(struct list_head *changes, int error)
{
	struct cowstack_transaction *t, *next;

	list_for_each_entry_safe(t, next, changes, list) {
		struct store_change *change = to_store_change(t);

		list_del_init(&t->list);
		change->error = error;
		complete(change->completion);
	}
}

/* --- writing --- */

/* Blocks [first, end) of the step, which lie in a row on the device. */
static struct bio *make_step_bio(struct store *store, u32 first, u32 end,
				 blk_opf_t opf)
{
	struct cowstack_step *step = &store->step;
	mblock_t place = cowstack_step_place(&store->metadata, step, first);
	struct bio *bio;
	u32 i;

	bio = bio_alloc_bioset(store->bdev, end - first, opf, GFP_NOIO,
			       &store->bios);
	bio->bi_iter.bi_sector = from_mblock(place) * COWSTACK_BLOCK_SECTORS;
	for (i = first; i < end; i++)
		__bio_add_page(bio, virt_to_page(store->step_blocks[i]),
			       COWSTACK_BLOCK_SIZE,
			       offset_in_page(store->step_blocks[i]));
	return bio;
}

static int write_blocks(struct store *store, u32 first, u32 end, blk_opf_t opf)
{
	struct bio *bio = make_step_bio(store, first, end, opf);
	int error = submit_bio_wait(bio);

	bio_put(bio);
	return error;
}

/*
 * PREFLUSH: the data that the words name is durable before them.  FUA: so is
 * the step when the write ends.  A step that runs over the ring's end is two
 * writes; without both it is none, so the order between them does not matter,
 * but the first one's flush must come before the second's blocks count.
 */
static int write_step(struct store *store)
{
	const struct cowstack_geometry *g = store_geometry(store);
	struct cowstack_step *step = &store->step;
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC | REQ_META | REQ_FUA;
	u32 split = step->blocks;
	u64 offset;
	int error;

	div64_u64_rem(step->position, g->ring_blocks, &offset);
	if (offset + step->blocks > g->ring_blocks)
		split = g->ring_blocks - offset;
	error = write_blocks(store, 0, split,
			     cowstack_fault(FAULT_SKIP_STORE_FLUSH) ?
				     opf : opf | REQ_PREFLUSH);
	if (!error && split < step->blocks)
		error = write_blocks(store, split, step->blocks, opf);
	atomic64_inc(&store->steps);
	atomic64_add(step->blocks, &store->step_blocks_written);
	return error;
}

/* --- making a step --- */

static const char flush_failed[] = "device cannot be flushed";

/* What a round of the thread works on. */
struct round {
	struct list_head waiters;
	struct list_head changes;	/* not in a step yet */
	struct list_head applied;	/* in the step that was just made */
};

static void take_requests(struct store *store, struct round *round)
{
	spin_lock_irq(&store->step_lock);
	list_splice_tail_init(&store->step_waiters, &round->waiters);
	list_splice_tail_init(&store->step_changes, &round->changes);
	store->step_kicked = false;
	spin_unlock_irq(&store->step_lock);
}

static void add_changes(struct store *store, struct round *round)
{
	struct cowstack_transaction *t, *next;

	list_for_each_entry_safe(t, next, &round->changes, list) {
		if (!cowstack_step_add(&store->step, t))
			break;
	}
}

static void make_step(struct store *store, struct round *round)
{
	struct cowstack_metadata *md = &store->metadata;

	cowstack_step_begin(md, &store->step, store->step_blocks);
	cowstack_step_collect(md, &store->step);
	add_changes(store, round);
	cowstack_step_seal(md, &store->step);
}

static bool ring_has_room(struct store *store)
{
	bool room;

	mutex_lock(&store->metadata_lock);
	room = cowstack_ring_room(&store->metadata) >=
	       store->metadata.max_step_blocks;
	if (!room)
		checkpoint_consider(store, true);
	mutex_unlock(&store->metadata_lock);
	return room;
}

/*
 * The checkpoint began when half of the ring was used, so this is rare.  It
 * needs no step to end, so waiting for it here is safe.
 */
static void wait_for_ring(struct store *store)
{
	while (store_is_rw(store) && !ring_has_room(store)) {
		if (READ_ONCE(store->checkpoint_running))
			wait_event(store->ring_room,
				   !READ_ONCE(store->checkpoint_running));
		else	/* No memory to begin one: try again. */
			schedule_timeout_uninterruptible(HZ / 10);
	}
}

static void finish_step(struct store *store, struct round *round)
{
	mutex_lock(&store->metadata_lock);
	cowstack_step_finish(&store->metadata, &store->step, &round->applied);
	checkpoint_consider(store, false);
	mutex_unlock(&store->metadata_lock);
	reclaim_kick(store);
}

/* Between flush_begin() and flush_end(). */
static int make_and_write_step(struct store *store, struct round *round)
{
	bool unflushed = flush_take_unflushed(store);

	mutex_lock(&store->metadata_lock);
	make_step(store, round);
	mutex_unlock(&store->metadata_lock);
	if (store->step.blocks)
		return write_step(store);
	return unflushed || !list_empty(&round->waiters) ? flush_send(store) : 0;
}

static int begin_step(struct store *store)
{
	if (!store_is_rw(store))
		return -EROFS;
	wait_for_ring(store);
	flush_begin(store);
	if (store_is_rw(store) && !READ_ONCE(store->words_lost))
		return 0;
	flush_end(store, 0);
	/* By a flush that no step made: a user's, a job's, a checkpoint's. */
	if (READ_ONCE(store->words_lost))
		store_set_ro(store, flush_failed, -EIO);
	return -EROFS;
}

/* One step.  Return: 0, or an error, after which no step is made any more. */
static int run_step(struct store *store, struct round *round)
{
	int error = begin_step(store);

	if (error)
		return error;
	error = flush_end(store, make_and_write_step(store, round));
	if (error) {
		store_set_ro(store,
			     store->step.blocks ? "journal cannot be written" :
						  flush_failed,
			     error);
		list_splice_tail_init(&store->step.transactions,
				      &round->changes);
		mutex_lock(&store->metadata_lock);
		list_splice_tail_init(&store->step.freed,
				      &store->metadata.freed_waiting);
		mutex_unlock(&store->metadata_lock);
		return error;
	}
	finish_step(store, round);
	return 0;
}

static void fail_round(struct store *store, struct round *round, int error)
{
	bool asked = !list_empty(&round->waiters);

	complete_changes(&round->changes, error);
	if (READ_ONCE(store->words_lost) ||
	    cowstack_words_are_dirty(&store->metadata))
		complete_waiters(&round->waiters, -EIO);
	/* Data in place is flushed all the same. */
	if (!asked && !flush_is_due(store))
		return;
	error = flush_device(store) ? -EIO : 0;
	complete_waiters(&round->waiters, error);
}

static void run_round(struct store *store, struct round *round)
{
	int error = 0;

	/* Several steps where one does not hold all; each is right by itself. */
	do {
		error = run_step(store, round);
		complete_changes(&round->applied, 0);
	} while (!error &&
		 (!store->step.complete || !list_empty(&round->changes)));
	if (error)
		fail_round(store, round, error);
	else
		complete_waiters(&round->waiters, 0);
}

/* Is there anything to do?  If not, the thread goes idle; step_lock held. */
static bool has_requests(struct store *store)
{
	return !list_empty(&store->step_waiters) ||
	       !list_empty(&store->step_changes) || store->step_kicked;
}

/* Told now, rather than at the next step; step_lock held. */
static bool goes_back(const struct store *store, const struct step_waiter *waiter)
{
	return store->step_stopped && !store->step_running &&
	       waiter->goes_back && waiter->goes_back(waiter);
}

static struct step_waiter *take_one_back(struct store *store)
{
	struct step_waiter *waiter, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&store->step_lock, flags);
	list_for_each_entry(waiter, &store->step_waiters, list) {
		if (!goes_back(store, waiter))
			continue;
		list_del_init(&waiter->list);
		found = waiter;
		break;
	}
	spin_unlock_irqrestore(&store->step_lock, flags);
	return found;
}

/* One by one: the suspend that wants them back may be interrupted meanwhile. */
void journal_push_back(struct store *store)
{
	struct step_waiter *waiter;

	while ((waiter = take_one_back(store)))
		waiter->done(waiter, -EREMCHG);
}

static void step_work_fn(struct work_struct *work)
{
	struct store *store = container_of(work, struct store, step_work);
	struct round round;
	bool more, last = false;

	INIT_LIST_HEAD(&round.waiters);
	INIT_LIST_HEAD(&round.changes);
	INIT_LIST_HEAD(&round.applied);
	do {
		struct step_waiter *waiter;
		u64 served = 0;

		take_requests(store, &round);
		list_for_each_entry(waiter, &round.waiters, list)
			served++;
		atomic64_add(served, &store->flushes_served);
		run_round(store, &round);

		spin_lock_irq(&store->step_lock);
		/* Once stopped, one more round serves who came before that. */
		more = has_requests(store) && !last;
		last = store->step_stopped;
		if (!more)
			WRITE_ONCE(store->step_running, false);
		spin_unlock_irq(&store->step_lock);
		cond_resched();
	} while (more);
	/* Who came in the last round, too late for it, found a step being made. */
	if (last)
		journal_push_back(store);
	wake_up_all(&store->step_idle);
}

/* step_lock held. */
static void start_step_work(struct store *store)
{
	if (store->step_running || store->step_stopped)
		return;
	/*
	 * Before the words are taken from the dirty list: who finds the list
	 * empty afterwards finds the flag set (journal_is_dirty()).
	 */
	WRITE_ONCE(store->step_running, true);
	queue_work(store->journal_wq, &store->step_work);
}

void journal_wait(struct store *store, struct step_waiter *waiter)
{
	unsigned long flags;
	int error = 0;

	WRITE_ONCE(store->asked_at, jiffies);
	spin_lock_irqsave(&store->step_lock, flags);
	if (READ_ONCE(store->mode) == STORE_FAIL) {
		error = -EIO;
	} else if (goes_back(store, waiter)) {
		error = -EREMCHG;
	} else {
		list_add_tail(&waiter->list, &store->step_waiters);
		start_step_work(store);
	}
	spin_unlock_irqrestore(&store->step_lock, flags);
	if (error)
		waiter->done(waiter, error);
}

/* The mode is STORE_FAIL by now, so nobody queues up behind us. */
void journal_fail(struct store *store)
{
	LIST_HEAD(waiters);
	LIST_HEAD(changes);

	spin_lock_irq(&store->step_lock);
	list_splice_tail_init(&store->step_waiters, &waiters);
	list_splice_tail_init(&store->step_changes, &changes);
	spin_unlock_irq(&store->step_lock);
	complete_waiters(&waiters, -EIO);
	complete_changes(&changes, -EIO);
}

int journal_commit(struct store *store, struct store_change *change)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct list_head *list = &change->change.transaction.list;
	bool stopped;

	if (!store_is_rw(store))
		return -EROFS;
	change->completion = &done;
	change->error = 0;
	spin_lock_irq(&store->step_lock);
	stopped = store->step_stopped;
	if (!stopped) {
		list_add_tail(list, &store->step_changes);
		start_step_work(store);
	}
	spin_unlock_irq(&store->step_lock);
	if (stopped)
		return -EAGAIN;
	wait_for_completion(&done);
	return change->error;
}

void store_change_free(struct store_change *change)
{
	/* Lookups may still hold the chain that was replaced. */
	if (change->change.old_chain)
		synchronize_rcu_expedited();
	cowstack_change_free(&change->change);
}

void journal_kick(struct store *store)
{
	spin_lock_irq(&store->step_lock);
	/* The one that is being made may have looked already at what has changed. */
	store->step_kicked = true;
	start_step_work(store);
	spin_unlock_irq(&store->step_lock);
}

struct flush_waiter {
	struct step_waiter waiter;
	struct completion done;
	int error;
};

static void flush_waiter_done(struct step_waiter *waiter, int error)
{
	struct flush_waiter *f = container_of(waiter, struct flush_waiter,
					      waiter);

	f->error = error;
	complete(&f->done);
}

int journal_flush(struct store *store)
{
	struct flush_waiter f = { .waiter.done = flush_waiter_done };
	bool stopped;

	init_completion(&f.done);
	spin_lock_irq(&store->step_lock);
	stopped = store->step_stopped;
	if (!stopped) {
		list_add_tail(&f.waiter.list, &store->step_waiters);
		start_step_work(store);
	}
	spin_unlock_irq(&store->step_lock);
	if (stopped)
		return -EAGAIN;
	wait_for_completion(&f.done);
	return f.error;
}

bool journal_is_dirty(struct store *store)
{
	bool dirty = cowstack_words_are_dirty(&store->metadata);

	/* Pairs with the order in step_work_fn(): flag, list. */
	smp_rmb();
	return dirty || READ_ONCE(store->step_running) ||
	       READ_ONCE(store->words_lost) ||
	       cowstack_words_are_dirty(&store->metadata);
}

bool journal_is_full(struct store *store)
{
	/* Racy on purpose: a hint that slows writers down before the end. */
	return READ_ONCE(store->metadata.head) -
		       READ_ONCE(store->metadata.tail) >
	       store_geometry(store)->ring_blocks / 4 * 3;
}

static bool timer_has_work(struct store *store)
{
	if (flush_is_due(store))
		return true;
	return store_is_rw(store) &&
	       (READ_ONCE(store->words_lost) ||
		cowstack_words_are_dirty(&store->metadata) ||
		READ_ONCE(store->checkpoint_due));
}

static void step_timer_fn(struct work_struct *work)
{
	struct store *store = container_of(to_delayed_work(work), struct store,
					   step_timer);

	spin_lock_irq(&store->step_lock);
	if (timer_has_work(store)) {
		/* As in journal_kick(). */
		store->step_kicked = true;
		start_step_work(store);
	}
	if (!store->step_stopped)
		queue_delayed_work(store->journal_wq, &store->step_timer,
				   STEP_PERIOD);
	spin_unlock_irq(&store->step_lock);
}

void journal_stop(struct store *store)
{
	bool running;

	spin_lock_irq(&store->step_lock);
	/* What was asked for before is still done. */
	if (has_requests(store))
		start_step_work(store);
	store->step_stopped = true;
	running = store->step_running;
	spin_unlock_irq(&store->step_lock);
	if (running)
		wait_event(store->step_idle, !READ_ONCE(store->step_running));
	cancel_delayed_work_sync(&store->step_timer);
}

void journal_start(struct store *store)
{
	spin_lock_irq(&store->step_lock);
	store->step_stopped = false;
	if (has_requests(store))
		start_step_work(store);
	queue_delayed_work(store->journal_wq, &store->step_timer, STEP_PERIOD);
	spin_unlock_irq(&store->step_lock);
}

int journal_init(struct store *store)
{
	u32 i;

	spin_lock_init(&store->step_lock);
	INIT_LIST_HEAD(&store->step_waiters);
	INIT_LIST_HEAD(&store->step_changes);
	init_waitqueue_head(&store->step_idle);
	init_waitqueue_head(&store->ring_room);
	flush_init(store);
	INIT_WORK(&store->step_work, step_work_fn);
	INIT_DELAYED_WORK(&store->step_timer, step_timer_fn);
	store->step_stopped = true;
	store->asked_at = jiffies - HZ;
	store->used_at = store->asked_at;
	store->journal_wq = alloc_workqueue("cowstack_journal",
					    WQ_MEM_RECLAIM | WQ_HIGHPRI |
					    WQ_PERCPU, 2);
	store->step_blocks = kcalloc(store->metadata.max_step_blocks,
				     sizeof(*store->step_blocks), GFP_KERNEL);
	if (!store->journal_wq || !store->step_blocks)
		return -ENOMEM;
	for (i = 0; i < store->metadata.max_step_blocks; i++) {
		store->step_blocks[i] = (void *)__get_free_page(GFP_KERNEL);
		if (!store->step_blocks[i])
			return -ENOMEM;
	}
	return 0;
}

void journal_exit(struct store *store)
{
	u32 i;

	if (store->journal_wq) {
		cancel_delayed_work_sync(&store->step_timer);
		destroy_workqueue(store->journal_wq);
	}
	for (i = 0; store->step_blocks && i < store->metadata.max_step_blocks;
	     i++)
		free_page((unsigned long)store->step_blocks[i]);
	kfree(store->step_blocks);
}
