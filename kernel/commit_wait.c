// SPDX-License-Identifier: GPL-2.0
/*
 * Where the thread of a job waits, and why: parked, not its turn at the disk, too
 * fast, users first, its time over, no room in the stack below.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched/stat.h>

#include "commit.h"

enum {
	/* What it has done since it last looked: more was waiting, not work. */
	MOST_WORK_NS = NSEC_PER_MSEC,
	/* Others have so many times as long, then it goes on for a while. */
	OTHERS_SHARE = 19,
	BREATH_NS = NSEC_PER_MSEC,	/* then it looks again */
};

/* --- standing still --- */

bool commit_must_end(struct job *job)
{
	return kthread_should_stop() || READ_ONCE(job->cancelled) ||
	       READ_ONCE(job->paused);
}

void commit_set_still(struct job *job, bool still)
{
	spin_lock_irq(&job->stack->job_lock);
	job->still = still;
	spin_unlock_irq(&job->stack->job_lock);
	wake_up_all(&job->wait);
	if (still)
		wake_up_all(&job->stack->job_still);
}

static bool may_go_on(struct job *job)
{
	bool go;

	spin_lock_irq(&job->stack->job_lock);
	go = !job->stack->parked;
	if (go)
		job->still = false;
	spin_unlock_irq(&job->stack->job_lock);
	return go;
}

/* Where the thread may be stopped: nothing of its own is under way. */
void commit_stand_still(struct job *job)
{
	commit_set_still(job, true);
	wait_event_idle(job->wait, may_go_on(job) || kthread_should_stop());
}

void commit_sleep_still(struct job *job, unsigned long most)
{
	commit_set_still(job, true);
	wait_event_idle_timeout(job->wait, commit_must_end(job), most);
	commit_stand_still(job);
}

void commit_end_io(struct job *job)
{
	u32 i;

	/* Whoever waits for it again finds what came of it. */
	for (i = 0; i < ARRAY_SIZE(job->batch); i++)
		if (job->batch[i].store)
			copy_batch_wait(&job->batch[i]);
}

int commit_wait_for_memory(struct job *job)
{
	commit_end_io(job);
	if (!commit_must_end(job))
		commit_sleep_still(job, max(HZ / 10, 1));
	return commit_must_end(job) ? -EINTR : 0;
}

static void set_state(struct job *job, enum cowstack_job_state state)
{
	bool changes;

	spin_lock_irq(&job->stack->job_lock);
	changes = job->record.state != state;
	job->record.state = state;
	spin_unlock_irq(&job->stack->job_lock);
	if (changes)
		store_event(job->stack->store);
}

static bool is_late(struct job *job)
{
	u64 until = READ_ONCE(job->record.until);

	return until && ktime_get_real_seconds() >= until;
}

static void wait_for_turn(struct job *job)
{
	struct block_device *bdev = job->destination ?
		job->stack->store->bdev : job->stack->base;

	job_turn_enter(&job->turn, bdev->bd_disk, &job->wait);
	if (job_turn_is_mine(&job->turn))
		return;
	set_state(job, COWSTACK_JOB_QUEUED);
	commit_set_still(job, true);
	while (!commit_must_end(job) && !is_late(job) &&
	       !job_turn_is_mine(&job->turn))
		wait_event_idle_timeout(job->wait, commit_must_end(job) ||
					job_turn_is_mine(&job->turn), HZ);
	commit_stand_still(job);
	if (!commit_must_end(job))
		set_state(job, COWSTACK_JOB_RUNNING);
}

/* --- how fast --- */

static u64 throttle_delay(struct job *job)
{
	u64 delay;

	spin_lock_irq(&job->stack->job_lock);
	delay = cowstack_throttle_delay(&job->throttle, ktime_get_ns());
	spin_unlock_irq(&job->stack->job_lock);
	return delay;
}

/* Waits as the speed says; a change of anything is looked at within 100 ms. */
static void keep_to_speed(struct job *job)
{
	u64 delay;

	while (!commit_must_end(job) && !is_late(job) && (delay = throttle_delay(job)))
		commit_sleep_still(job, min_t(u64, nsecs_to_jiffies(delay) + 1,
					      max(HZ / 10, 1)));
}

static bool uses_base(const struct job *job)
{
	return !job->destination || job->stream.base_sectors;
}

static bool users_wait(struct job *job)
{
	return commit_has_flag(job, COWSTACK_JOB_YIELD) &&
	       job_users_wait(job->stack, uses_base(job) ?
			      job->stack->base : NULL);
}

int commit_keep_back(struct job *job)
{
	u64 began = ktime_get_ns();
	u64 most = 99 * (began - job->work_began);
	unsigned long then = jiffies;

	while (!commit_must_end(job) && !is_late(job) && users_wait(job) &&
	       ktime_get_ns() - began < most)
		commit_sleep_still(job, 1);
	job->group_began += jiffies - then;
	job->work_began = ktime_get_ns();
	return commit_must_end(job) ? -EINTR : 0;
}

/*
 * Does somebody wait for this processor, whom the job makes way for?  Not while
 * writes wait for the room it makes.
 */
static bool others_wait(struct job *job)
{
	struct store *store = job->stack->store;

	return commit_has_flag(job, COWSTACK_JOB_YIELD) &&
	       !single_task_running() && !READ_ONCE(store->out_of_space) &&
	       !atomic64_read(&store->parked_writes);
}

void commit_begin_work(struct job *job)
{
	job->breathed = ktime_get_ns();
}

/*
 * schedule() would not do: a thread that has slept is owed time, and is chosen again
 * for as long as that; a low priority, which is set once and for all, may keep it
 * from making room while all processors are busy with what needs that room.
 */
void commit_breathe(struct job *job)
{
	u64 began = ktime_get_ns();
	u64 work = min_t(u64, began - job->breathed, MOST_WORK_NS);
	u64 most = began + OTHERS_SHARE * work;
	u64 now = began;

	while (now < most && others_wait(job) && !commit_must_end(job)) {
		u64 us = div_u64(min_t(u64, most - now, BREATH_NS),
				 NSEC_PER_USEC) + 1;

		usleep_range_state(us, us + us / 4, TASK_IDLE);
		now = ktime_get_ns();
	}
	if (now == began)
		cond_resched();
	job->breathed = ktime_get_ns();
}

/* Who has resumed it since has taken the time away. */
static void update_until(struct cowstack_volume_info *info,
			 const void *argument)
{
	if (info->job.state == COWSTACK_JOB_RUNNING && info->job.until)
		info->job.state = COWSTACK_JOB_PAUSED;
}

static int prepare_until(struct job *job, struct cowstack_change *c,
			 const void *argument)
{
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, update_until, NULL);
}

/*
 * The time that was given is over: as "commit pause".  A resume changes the
 * record, and calls the thread back then: what it has changed already must not be
 * taken for a pause, and what it changes later takes the flag back.
 */
static int pause_itself(struct job *job)
{
	struct store *store = job->stack->store;
	int error = commit_make_durable(job, prepare_until, NULL);

	if (error)
		return error;
	mutex_lock(&store->metadata_lock);
	if (job->stack->volume->info.job.state == COWSTACK_JOB_PAUSED)
		WRITE_ONCE(job->paused, true);
	mutex_unlock(&store->metadata_lock);
	if (READ_ONCE(job->paused))
		pr_info("cowstack %s: %s: paused, its time is over\n",
			job->stack->name, commit_word(job));
	return 0;
}

bool commit_must_wait(struct job *job)
{
	return commit_must_end(job) || READ_ONCE(job->stack->parked) ||
	       throttle_delay(job) || is_late(job);
}

bool commit_may_go_on(struct job *job)
{
	return !commit_must_wait(job) && !users_wait(job);
}

/* All that there may be to wait for, once; its time may run out meanwhile. */
static int wait_once(struct job *job)
{
	u64 worked = ktime_get_ns() - job->work_began;

	if (is_late(job))
		return pause_itself(job);
	wait_for_turn(job);
	keep_to_speed(job);
	/* Standing still was no work. */
	job->work_began = ktime_get_ns() - worked;
	return commit_keep_back(job);
}

int commit_wait(struct job *job)
{
	int error = 0;

	commit_stand_still(job);
	while (!commit_must_end(job) && !error) {
		error = wait_once(job);
		/* One that was late did not wait for its turn; with a later end it does. */
		if (!is_late(job) && job_turn_is_mine(&job->turn))
			break;
	}
	return commit_must_end(job) ? -EINTR : error;
}

/* --- a stack below without room --- */

bool commit_sends_write(void)
{
	struct job *job;

	/* Device-mapper maps in the context of who submits. */
	if (likely(!(current->flags & PF_KTHREAD)) ||
	    kthread_func(current) != commit_thread)
		return false;
	job = kthread_data(current);
	job->over_stack = true;
	return true;
}

static void show_error(struct job *job, u32 from, u32 to)
{
	spin_lock_irq(&job->stack->job_lock);
	if (job->record.error == from)
		job->record.error = to;
	spin_unlock_irq(&job->stack->job_lock);
	store_event(job->stack->store);
}

/* It runs on, and its status has the errno: that is how it shows. */
void commit_begin_room_wait(struct job *job)
{
	pr_warn("cowstack %s: commit: the stack below has no room: waits for it\n",
		job->stack->name);
	show_error(job, 0, ENOSPC);
}

int commit_wait_for_room(struct job *job)
{
	unsigned long then = jiffies;
	int error;

	commit_sleep_still(job, HZ);
	error = commit_wait(job);
	job->group_began += jiffies - then;
	return error;
}

void commit_end_room_wait(struct job *job)
{
	show_error(job, ENOSPC, 0);
}

/* A quarter of a second's worth, or little where users would wait for it. */
u64 commit_most_bytes(struct job *job)
{
	u64 speed = READ_ONCE(job->record.speed);
	u64 most = speed ? max_t(u64, speed / 4, 1) : U64_MAX;

	return users_wait(job) ? min_t(u64, most, 1 << 20) : most;
}

void commit_account(struct job *job, u64 bytes, u64 chunks)
{
	u64 now = ktime_get_ns();

	spin_lock_irq(&job->stack->job_lock);
	cowstack_throttle_spend(&job->throttle, bytes, now);
	job->record.done += chunks;
	job->moved += bytes;
	job->moved_in_all += bytes;
	if (now - job->rate_since > NSEC_PER_SEC / 2) {
		job->rate = mul_u64_u64_div_u64(job->moved, NSEC_PER_SEC,
						now - job->rate_since);
		job->moved = 0;
		job->rate_since = now;
	}
	spin_unlock_irq(&job->stack->job_lock);
}

/* A run's rate is that of all of it; what it moved last says less. */
void commit_keep_rate(struct job *job)
{
	u64 ns = ktime_get_ns() - job->run_began;

	lockdep_assert_held(&job->stack->job_lock);
	if (!job->moved_in_all || !ns)
		return;
	job->rate = mul_u64_u64_div_u64(job->moved_in_all, NSEC_PER_SEC, ns);
	job->stack->job_rate = job->rate;
}
