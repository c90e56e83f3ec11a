// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>

#include "pace.h"
#include "store.h"

enum {
	PIECE_NS = 8 * NSEC_PER_USEC,
	REST = 16,			/* times what a piece took */
	MOST_REST_NS = NSEC_PER_MSEC,
};

#define A_MOMENT max(HZ / 100, 2)

static unsigned long count_switches(void)
{
	return current->nvcsw + current->nivcsw;
}

static void begin_piece(struct pace *pace)
{
	pace->began = ktime_get_ns();
	pace->switches = count_switches();
}

void pace_begin(struct pace *pace, const unsigned long *asked_at)
{
	pace->asked_at = asked_at;
	begin_piece(pace);
}

/* Is there somebody who waits for what is done here? */
static bool is_urgent(struct store *store)
{
	return READ_ONCE(store->out_of_space) || READ_ONCE(store->suspended) ||
	       atomic64_read(&store->parked_writes);
}

bool pace_has_users(struct store *store, const struct pace *pace)
{
	return time_before(jiffies, READ_ONCE(*pace->asked_at) + A_MOMENT) &&
	       !is_urgent(store);
}

/* A thread of ours may be the one that wants the processor; where none asks, none rests. */
static bool must_rest(struct store *store, const struct pace *pace)
{
	return !single_task_running() && pace_has_users(store, pace);
}

/* Longer where others of the store rest too: those that do not share its time. */
static void rest(struct store *store, u64 worked)
{
	u64 ns = min_t(u64, worked * REST, MOST_REST_NS) *
		 atomic_inc_return(&store->resting);
	u64 us = div_u64(ns, NSEC_PER_USEC);

	usleep_range(us, us + us / 4);
	atomic_dec(&store->resting);
}

void pace_give_way(struct store *store, struct pace *pace)
{
	u64 worked = ktime_get_ns() - pace->began;

	if (worked < PIECE_NS)
		return;
	/* Of what others took meanwhile nothing is made up for. */
	if (count_switches() != pace->switches)
		worked = PIECE_NS;
	if (must_rest(store, pace))
		rest(store, worked);
	else
		cond_resched();
	begin_piece(pace);
}

void pace_let_others(struct store *store, u64 took)
{
	u64 us = div_u64(min_t(u64, took, MOST_REST_NS), NSEC_PER_USEC) + 1;

	if (!single_task_running() && !is_urgent(store))
		usleep_range(us, us + us / 4);
}
