// SPDX-License-Identifier: GPL-2.0
/*
 * Bios that cannot go on now, and what lets them go on:
 *
 *   deferred    a worker takes them at once
 *   held        the store is suspended; until it is resumed
 *   held writes a snapshot has closed the write gate; until it opens
 *   postponed   the journal is nearly full; until a checkpoint has ended
 *   parked      the store is full; until room is made, or no_space_timeout
 *
 * None of these holds a gate, a drain section or a lock, so nothing that they
 * wait for waits for them.
 */
#include "stack.h"

#define POSTPONED_RETRY max(HZ / 50, 1)

static void work_fn(struct work_struct *work)
{
	struct cowstack_io *io = container_of(work, struct cowstack_io, work);
	struct bio *bio = io_bio(io);

	if (bio_op(bio) == REQ_OP_DISCARD ||
	    bio_op(bio) == REQ_OP_WRITE_ZEROES)
		io_zero_range(io);
	else
		io_map_deferred(bio);
}

void defer_bio(struct store *store, struct bio *bio)
{
	struct cowstack_io *io = bio_io(bio);
	bool zeroes = bio_op(bio) == REQ_OP_DISCARD ||
		      bio_op(bio) == REQ_OP_WRITE_ZEROES;

	if (zeroes) {
		atomic_inc(&store->zeroing);
		atomic_inc(&io->stack->zeroing);
	}
	INIT_WORK(&io->work, work_fn);
	queue_work(zeroes ? store->discard_wq : store->defer_wq, &io->work);
}

static void admit_list(struct store *store, struct bio_list *bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios)))
		defer_bio(store, bio);
}

/* Takes all of @list and gives it to the workers. */
static void admit_all(struct store *store, struct bio_list *list)
{
	struct bio_list bios;
	unsigned long flags;

	spin_lock_irqsave(&store->held_lock, flags);
	bios = *list;
	bio_list_init(list);
	spin_unlock_irqrestore(&store->held_lock, flags);
	admit_list(store, &bios);
}

/*
 * Adds @bio to @list if *@reason still stands; asked under the lock that the
 * other side takes after the reason is gone, so none is left behind.  held_lock
 * held.
 */
static bool must_hold(struct store *store, struct bio_list *list,
		      struct bio *bio, const bool *reason)
{
	/* A store that has failed will admit nobody any more. */
	if (!READ_ONCE(*reason) || READ_ONCE(store->mode) == STORE_FAIL)
		return false;
	bio_list_add(list, bio);
	return true;
}

static void hold(struct store *store, struct bio_list *list, struct bio *bio,
		 const bool *reason)
{
	unsigned long flags;
	bool wait;

	spin_lock_irqsave(&store->held_lock, flags);
	wait = must_hold(store, list, bio, reason);
	spin_unlock_irqrestore(&store->held_lock, flags);
	if (!wait)
		defer_bio(store, bio);
}

/* Back to dm, which brings it again after the stack's resume. */
static void push_back(struct bio *bio)
{
	bio->bi_status = BLK_STS_DM_REQUEUE;
	bio_endio(bio);
}

void defer_hold(struct store *store, struct bio *bio)
{
	struct stack *stack = bio_io(bio)->stack;
	unsigned long flags;
	bool back, wait = false;

	spin_lock_irqsave(&store->held_lock, flags);
	/* Asked under the lock that defer_push_back() takes after it is set. */
	back = stack_pushes_back(stack);
	if (!back)
		wait = must_hold(store, &store->held, bio, &store->suspended);
	spin_unlock_irqrestore(&store->held_lock, flags);
	if (back)
		push_back(bio);
	else if (!wait)
		defer_bio(store, bio);
}

void defer_admit_held(struct store *store)
{
	admit_all(store, &store->held);
}

void defer_hold_write(struct stack *stack, struct bio *bio)
{
	hold(stack->store, &stack->held_writes, bio, &stack->writes.closed);
}

void defer_admit_writes(struct stack *stack)
{
	admit_all(stack->store, &stack->held_writes);
}

void defer_postpone(struct store *store, struct bio *bio)
{
	static const bool always = true;

	journal_kick(store);
	hold(store, &store->postponed, bio, &always);
	/*
	 * Without a checkpoint under way (there was no memory for it, or it has
	 * just ended) nothing would bring the bio back.
	 */
	if (!READ_ONCE(store->checkpoint_running))
		queue_delayed_work(store->defer_wq, &store->postponed_timer,
				   POSTPONED_RETRY);
}

static void postponed_timer_fn(struct work_struct *work)
{
	defer_admit_postponed(container_of(to_delayed_work(work), struct store,
					   postponed_timer));
}

void defer_admit_postponed(struct store *store)
{
	admit_all(store, &store->postponed);
}

/* --- parked for room --- */

static void arm_parked_timer(struct store *store)
{
	if (READ_ONCE(store->features.no_space_timeout))
		queue_delayed_work(store->defer_wq, &store->parked_timer, HZ);
}

void defer_park(struct store *store, struct bio *bio)
{
	struct cowstack_io *io = bio_io(bio);
	unsigned long flags;
	bool back;

	store_set_out_of_space(store, true);
	/* A commit must not wait inside of a bio: nobody could park it there. */
	if (io->of_job ||
	    READ_ONCE(store->features.on_full) == ON_FULL_ERROR) {
		io_complete(io, -ENOSPC);
		return;
	}
	/* It may have been let try in between; only room counts. */
	if (!io->parked_at)
		io->parked_at = jiffies ?: 1;
	spin_lock_irqsave(&store->held_lock, flags);
	/* Asked under the lock that defer_push_back() takes after it is set. */
	back = stack_pushes_back(io->stack);
	if (!back) {
		list_add_tail(&io->parked, &store->parked);
		atomic64_inc(&store->parked_writes);
		atomic_inc(&io->stack->parked_writes);
	}
	spin_unlock_irqrestore(&store->held_lock, flags);
	if (back) {
		push_back(bio);
		return;
	}
	arm_parked_timer(store);
	/* Room may have come between the refusal and the list. */
	if (cowstack_allocator_has_room(&store->metadata.allocator) ||
	    !store_is_rw(store))
		defer_admit_parked(store);
}

typedef bool (*parked_filter)(const struct cowstack_io *io, const void *key);

/* Takes the parked bios that @filter picks off the list. */
static void take_parked(struct store *store, struct list_head *taken,
			parked_filter filter, const void *key)
{
	struct cowstack_io *io, *next;
	unsigned long flags;

	spin_lock_irqsave(&store->held_lock, flags);
	list_for_each_entry_safe(io, next, &store->parked, parked) {
		if (filter && !filter(io, key))
			continue;
		list_move_tail(&io->parked, taken);
		atomic64_dec(&store->parked_writes);
		atomic_dec(&io->stack->parked_writes);
	}
	spin_unlock_irqrestore(&store->held_lock, flags);
}

void defer_admit_parked(struct store *store)
{
	struct cowstack_io *io, *next;
	LIST_HEAD(taken);

	if (store->out_of_space &&
	    cowstack_allocator_has_room(&store->metadata.allocator)) {
		WRITE_ONCE(store->room_made_at, jiffies);
		store_set_out_of_space(store, false);
	}
	take_parked(store, &taken, NULL, NULL);
	list_for_each_entry_safe(io, next, &taken, parked) {
		list_del_init(&io->parked);
		defer_bio(store, io_bio(io));
	}
}

static bool is_of_stack(const struct cowstack_io *io, const void *key)
{
	return io->stack == key;
}

/* Moves @stack's bios that are held for a suspended store to @taken. */
static void take_held(struct stack *stack, struct bio_list *taken)
{
	struct store *store = stack->store;
	struct bio_list all;
	struct bio *bio;
	unsigned long flags;

	spin_lock_irqsave(&store->held_lock, flags);
	all = store->held;
	bio_list_init(&store->held);
	while ((bio = bio_list_pop(&all)))
		bio_list_add(bio_io(bio)->stack == stack ? taken : &store->held,
			     bio);
	spin_unlock_irqrestore(&store->held_lock, flags);
}

void defer_push_back(struct stack *stack)
{
	struct cowstack_io *io, *next;
	struct bio_list held;
	struct bio *bio;
	LIST_HEAD(taken);

	bio_list_init(&held);
	take_held(stack, &held);
	while ((bio = bio_list_pop(&held)))
		push_back(bio);
	journal_push_back(stack->store);
	take_parked(stack->store, &taken, is_of_stack, stack);
	list_for_each_entry_safe(io, next, &taken, parked) {
		list_del_init(&io->parked);
		push_back(io_bio(io));
	}
}

static bool is_too_old(const struct cowstack_io *io, const void *key)
{
	const unsigned long *timeout = key;
	unsigned long since = io->parked_at;
	unsigned long room = READ_ONCE(io->stack->store->room_made_at);

	if (time_after(room, since))
		since = room;
	return time_after_eq(jiffies, since + *timeout);
}

static void parked_timer_fn(struct work_struct *work)
{
	struct store *store = container_of(to_delayed_work(work), struct store,
					   parked_timer);
	unsigned long timeout = READ_ONCE(store->features.no_space_timeout) *
				HZ;
	struct cowstack_io *io, *next;
	LIST_HEAD(taken);

	if (timeout)
		take_parked(store, &taken, is_too_old, &timeout);
	if (!list_empty(&taken))
		pr_warn("cowstack %s: no room was made for %lu s: writes fail with ENOSPC (a stack that must be suspended now: dmsetup suspend --noflush)\n",
			store->name, timeout / HZ);
	list_for_each_entry_safe(io, next, &taken, parked) {
		list_del_init(&io->parked);
		io_complete(io, -ENOSPC);
	}
	if (atomic64_read(&store->parked_writes))
		arm_parked_timer(store);
}

int defer_init(struct store *store)
{
	const struct cowstack_geometry *g = store_geometry(store);

	spin_lock_init(&store->held_lock);
	bio_list_init(&store->held);
	bio_list_init(&store->postponed);
	INIT_LIST_HEAD(&store->parked);
	store->room_made_at = jiffies;
	INIT_DELAYED_WORK(&store->parked_timer, parked_timer_fn);
	INIT_DELAYED_WORK(&store->postponed_timer, postponed_timer_fn);
	store->defer_wq = alloc_workqueue("cowstack_deferred",
					  WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	store->discard_wq = alloc_workqueue("cowstack_discard",
					    WQ_MEM_RECLAIM | WQ_UNBOUND,
					    DISCARD_WORKERS);
	if (!store->defer_wq || !store->discard_wq)
		return -ENOMEM;
	return mempool_init_kmalloc_pool(&store->piece_buffers, 4,
					 max_t(size_t, PAGE_SIZE,
					       SECTOR_SIZE << g->piece_shift));
}

void defer_exit(struct store *store)
{
	/*
	 * No bio is left, but who put the last ones aside may have been kept from the
	 * processor since, and arm a timer yet.
	 */
	if (store->discard_wq)
		flush_workqueue(store->discard_wq);
	if (store->defer_wq) {
		flush_workqueue(store->defer_wq);
		cancel_delayed_work_sync(&store->parked_timer);
		cancel_delayed_work_sync(&store->postponed_timer);
		destroy_workqueue(store->defer_wq);
	}
	if (store->discard_wq)
		destroy_workqueue(store->discard_wq);
	mempool_exit(&store->piece_buffers);
}
