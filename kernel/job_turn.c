// SPDX-License-Identifier: GPL-2.0
#include <linux/part_stat.h>

#include "job_turn.h"
#include "stack.h"

static DEFINE_SPINLOCK(turns_lock);
static LIST_HEAD(turns);

void job_turn_enter(struct job_turn *turn, struct gendisk *disk,
		    wait_queue_head_t *wait)
{
	spin_lock(&turns_lock);
	if (list_empty(&turn->list)) {
		turn->disk = disk;
		turn->wait = wait;
		list_add_tail(&turn->list, &turns);
	}
	spin_unlock(&turns_lock);
}

void job_turn_leave(struct job_turn *turn)
{
	struct job_turn *other;

	spin_lock(&turns_lock);
	if (!list_empty(&turn->list)) {
		list_del_init(&turn->list);
		list_for_each_entry(other, &turns, list)
			wake_up_all(other->wait);
	}
	spin_unlock(&turns_lock);
}

bool job_turn_is_mine(const struct job_turn *turn)
{
	const struct job_turn *other;
	bool mine = false;

	spin_lock(&turns_lock);
	list_for_each_entry(other, &turns, list) {
		if (other->disk != turn->disk)
			continue;
		mine = other == turn;
		break;
	}
	spin_unlock(&turns_lock);
	return mine;
}

/* Of all targets of @md; stores_mutex held. */
static long count_parked(const struct mapped_device *md)
{
	struct store *store;
	struct stack *stack;
	long parked = 0;

	list_for_each_entry(store, &stores, list)
		list_for_each_entry(stack, &store->stacks, list)
			if (stack->md == md)
				parked += atomic_read(&stack->parked_writes);
	return parked;
}

/* What dm itself counts for the mapped device: nothing is added to the path. */
static bool has_users(const struct stack *stack)
{
	struct block_device *part = dm_disk(stack->md)->part0;
	long in_flight = 0;
	int cpu;

	/* A bio may end on another CPU than it began on. */
	for_each_possible_cpu(cpu)
		in_flight += part_stat_local_read_cpu(part, in_flight[0], cpu) +
			     part_stat_local_read_cpu(part, in_flight[1], cpu);
	return in_flight > 0 && in_flight > count_parked(stack->md);
}

static bool shares_device(const struct stack *stack, const struct store *store,
			  const struct block_device *destination)
{
	return stack->store == store ||
	       (destination && stack->base &&
		stack->base->bd_disk == destination->bd_disk);
}

bool job_users_wait(struct stack *stack, struct block_device *destination)
{
	struct store *store;
	struct stack *other;
	bool wait = false;

	if (atomic64_read(&stack->store->parked_writes))
		return false;
	mutex_lock(&stores_mutex);
	list_for_each_entry(store, &stores, list)
		list_for_each_entry(other, &store->stacks, list)
			if (!READ_ONCE(store->suspended) &&
			    shares_device(other, stack->store, destination) &&
			    has_users(other))
				wait = true;
	mutex_unlock(&stores_mutex);
	return wait;
}
