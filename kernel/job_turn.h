/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who may use a disk when: jobs to one disk come one after the other, and a job
 * that yields keeps back while users wait for the same devices.
 *
 * "One disk" is one gendisk, whatever its partitions.  What lies below a device
 * of dm or md is not seen: two LVs of one disk are two disks here.
 */
#ifndef COWSTACK_JOB_TURN_H
#define COWSTACK_JOB_TURN_H

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/wait.h>

struct stack;

struct job_turn {
	struct list_head list;		/* who came first; turns_lock */
	struct gendisk *disk;
	wait_queue_head_t *wait;	/* woken when the turn may have come */
};

/* @turn stands behind all others; nothing if it stands somewhere already. */
void job_turn_enter(struct job_turn *turn, struct gendisk *disk,
		    wait_queue_head_t *wait);
/* It stands nowhere any more; others are woken.  Process context. */
void job_turn_leave(struct job_turn *turn);
/* Does nobody to the same disk stand before it?  Process context. */
bool job_turn_is_mine(const struct job_turn *turn);

/*
 * Do users have I/O in flight in a stack that shares the store's device with
 * @stack, or its base with @destination (NULL: none does)?  A write that is
 * parked for room counts for nothing: then no job may keep back.  In another store
 * such writes are not counted, nor stacks that wait for its resume.  May sleep.
 */
bool job_users_wait(struct stack *stack, struct block_device *destination);

#endif /* COWSTACK_JOB_TURN_H */
