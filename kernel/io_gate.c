// SPDX-License-Identifier: GPL-2.0
#include <linux/errno.h>
#include <linux/rcupdate.h>

#include "io_gate.h"

int io_gate_init(struct io_gate *gate)
{
	gate->inside = alloc_percpu(long);
	gate->closed = false;
	init_waitqueue_head(&gate->empty);
	init_waitqueue_head(&gate->opened);
	return gate->inside ? 0 : -ENOMEM;
}

void io_gate_exit(struct io_gate *gate)
{
	free_percpu(gate->inside);
	gate->inside = NULL;
}

bool io_gate_enter(struct io_gate *gate)
{
	bool open;

	/*
	 * Pairs with the grace period in io_gate_close(): who saw the gate open
	 * has been counted by the time it ends.  These sections are cheaper than
	 * rcu_read_lock() where readers may be preempted, and ours are short.
	 */
	rcu_read_lock_sched();
	/* And with io_gate_open(): what was changed behind the gate shows inside. */
	open = !smp_load_acquire(&gate->closed);
	if (open)
		this_cpu_inc(*gate->inside);
	rcu_read_unlock_sched();
	return open;
}

void io_gate_enter_wait(struct io_gate *gate)
{
	while (!io_gate_enter(gate))
		wait_event_idle(gate->opened,
				!READ_ONCE(gate->closed));
}

void io_gate_leave(struct io_gate *gate)
{
	rcu_read_lock_sched();
	/* What was done inside shows before the count; pairs with is_empty(). */
	smp_wmb();
	this_cpu_dec(*gate->inside);
	if (likely(!READ_ONCE(gate->closed))) {
		rcu_read_unlock_sched();
		return;
	}
	/* The gate must not go away between the count and the wake-up. */
	rcu_read_lock();
	rcu_read_unlock_sched();
	wake_up(&gate->empty);
	rcu_read_unlock();
}

static bool is_empty(struct io_gate *gate)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(gate->inside, cpu));
	/* What they did shows after the counts; pairs with io_gate_leave(). */
	smp_rmb();
	return !sum;
}

/*
 * After the grace period nobody enters any more.  A leave that read the gate as
 * open ended before it too, so every later one wakes us.
 */
void io_gate_close(struct io_gate *gate)
{
	WRITE_ONCE(gate->closed, true);
	synchronize_rcu_expedited();
	wait_event(gate->empty, is_empty(gate));
}

void io_gate_open(struct io_gate *gate)
{
	/* Pairs with io_gate_enter(). */
	smp_store_release(&gate->closed, false);
	wake_up_all(&gate->opened);
}
