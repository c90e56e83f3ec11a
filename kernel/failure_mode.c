// SPDX-License-Identifier: GPL-2.0
/*
 * rw → ro → fail, one way, and the other states that raise a dm event.
 *
 * ro    metadata cannot be written, or the device flushed: nothing new is
 *       allocated, what changes the map fails; reads, and rewrites of what the
 *       top layers hold, go on; a flush fails if anything is not durable.
 * fail  the store has lost its table: every I/O fails.
 */
#include "stack.h"

const char *store_mode_name(enum store_mode mode)
{
	static const char * const names[] = {
		[STORE_RW] = "rw", [STORE_RO] = "ro", [STORE_FAIL] = "fail",
	};

	return names[mode];
}

static void event_work_fn(struct work_struct *work)
{
	struct store *store = container_of(work, struct store, event_work);
	struct stack *stack;

	mutex_lock(&stores_mutex);
	if (store->target)
		dm_table_event(store->target->table);
	list_for_each_entry(stack, &store->stacks, list)
		if (stack->target)
			dm_table_event(stack->target->table);
	mutex_unlock(&stores_mutex);
}

/* Events sleep; whoever has one to raise may not. */
void store_event(struct store *store)
{
	queue_work(system_percpu_wq, &store->event_work);
}

void store_event_init(struct store *store)
{
	INIT_WORK(&store->event_work, event_work_fn);
}

static bool lower_mode(struct store *store, enum store_mode mode)
{
	unsigned long flags;
	bool lowered;

	spin_lock_irqsave(&store->mode_lock, flags);
	lowered = store->mode < mode;
	if (lowered)
		WRITE_ONCE(store->mode, mode);
	spin_unlock_irqrestore(&store->mode_lock, flags);
	if (lowered)
		store_event(store);
	return lowered;
}

void store_set_ro(struct store *store, const char *why, int error)
{
	if (lower_mode(store, STORE_RO)) {
		pr_err("cowstack %s: %s (error %d): store is read-only from now on\n",
		       store->name, why, error);
		wake_up_all(&store->ring_room);
		defer_admit_parked(store);
	}
}

void store_set_fail(struct store *store, const char *why)
{
	if (lower_mode(store, STORE_FAIL))
		pr_err("cowstack %s: %s: store has failed\n", store->name, why);
}

void store_set_out_of_space(struct store *store, bool full)
{
	if (READ_ONCE(store->out_of_space) == full)
		return;
	WRITE_ONCE(store->out_of_space, full);
	/* Where a commit makes room for waiting writes it is both many times a second. */
	if (full)
		pr_warn_ratelimited("cowstack %s: no room: writes that need any %s\n",
				    store->name,
				    store->features.on_full == ON_FULL_ERROR ?
					    "fail" :
					    "wait (commit a layer, or grow the store)");
	else
		pr_info_ratelimited("cowstack %s: there is room again\n", store->name);
	store_event(store);
}
