// SPDX-License-Identifier: GPL-2.0
/* Steering jobs, telling of them, and parking them for a suspend. */
#include <linux/ktime.h>

#include "job_parts.h"

bool job_is_at_work(struct store *store, const struct cowstack_volume *volume)
{
	struct stack *stack = stack_find(store, volume->info.id);

	return job_can_go_on(&volume->info.job) ||
	       (stack && job_is_active(stack));
}

bool job_covers(struct store *store, const struct cowstack_volume *volume,
		const struct cowstack_layer *layer)
{
	const struct cowstack_job *job = &volume->info.job;

	return job_is_at_work(store, volume) &&
	       from_layer_id(layer->id) <= from_layer_id(job->top) &&
	       from_layer_id(layer->id) >= from_layer_id(job->base);
}

/* --- steering --- */

/* A job that ended meanwhile has ended. */
static void update_cancel(struct cowstack_volume_info *info,
			  const void *argument)
{
	if (job_can_go_on(&info->job))
		info->job.state = COWSTACK_JOB_CANCELLED;
}

/*
 * The record says so before the message is answered, whatever becomes of the
 * thread, which shows the end when it stands still.
 */
int job_cancel(struct stack *stack)
{
	struct job *job = stack->job;
	int error;

	if (!job_can_go_on(&stack->volume->info.job))
		return -ENOENT;
	error = job_commit_info(stack, update_cancel, NULL);
	if (error)
		return error;
	stack->job_shown = true;
	if (stack->volume->info.job.state != COWSTACK_JOB_CANCELLED)
		return -ENOENT;		/* it came to its end before */
	if (job) {
		spin_lock_irq(&stack->job_lock);
		job->cancelled = true;
		spin_unlock_irq(&stack->job_lock);
		wake_up_all(&job->wait);
	}
	store_event(stack->store);
	return 0;
}

void job_update_pause(struct cowstack_volume_info *info, const void *argument)
{
	if (info->job.state == COWSTACK_JOB_RUNNING)
		info->job.state = COWSTACK_JOB_PAUSED;
}

int job_pause(struct stack *stack)
{
	struct job *job = stack->job;
	int error;

	if (!job_is_unfinished(stack))
		return -ENOENT;
	/* One that an error has stopped stands still already. */
	if (stack->volume->info.job.state != COWSTACK_JOB_RUNNING)
		return 0;
	error = job_commit_info(stack, job_update_pause, NULL);
	if (error)
		return error;
	if (!job_is_unfinished(stack))
		return -ENOENT;		/* it came to its end before */
	if (job && stack->volume->info.job.state == COWSTACK_JOB_PAUSED) {
		spin_lock_irq(&stack->job_lock);
		job->paused = true;
		job->record.state = COWSTACK_JOB_PAUSED;
		spin_unlock_irq(&stack->job_lock);
		wake_up_all(&job->wait);
	}
	store_event(stack->store);
	return 0;
}

int job_resume(struct stack *stack, struct job_options *options)
{
	/* First: what is no longer active is as its record says it is. */
	bool active = job_is_active(stack);

	if (!job_is_unfinished(stack))
		return -ENOENT;
	if (stack->volume->info.job.state == COWSTACK_JOB_RUNNING && active)
		return 0;
	options->stream = job_record_is_stream(&stack->volume->info.job);
	return job_start(stack, options);
}

static void update_speed(struct cowstack_volume_info *info,
			 const void *argument)
{
	info->job.speed = *(const u64 *)argument;
}

int job_set_speed(struct stack *stack, u64 speed)
{
	struct job *job = stack->job;
	int error;

	if (!job_can_go_on(&stack->volume->info.job))
		return -ENOENT;
	error = job_commit_info(stack, update_speed, &speed);
	if (error || !job)
		return error;
	spin_lock_irq(&stack->job_lock);
	job->record.speed = speed;
	cowstack_throttle_set(&job->throttle, speed, ktime_get_ns());
	spin_unlock_irq(&stack->job_lock);
	wake_up_all(&job->wait);
	return 0;
}

/* A thread at work is what counts, whatever its record says by then. */
static void look_at_thread(struct stack *stack, struct job_status *status)
{
	spin_lock_irq(&stack->job_lock);
	if (stack->job && (!stack->job->finished || stack->job->unrecorded))
		status->record = stack->job->record;
	status->rate = stack->job && !stack->job->finished ?
			       stack->job->rate : stack->job_rate;
	spin_unlock_irq(&stack->job_lock);
}

void job_get_status(struct stack *stack, struct job_status *status)
{
	lockdep_assert_held(&stack->store->metadata_lock);
	memset(status, 0, sizeof(*status));
	/* What ended before the stack came up is no news. */
	if (stack->job_shown || job_can_go_on(&stack->volume->info.job))
		status->record = stack->volume->info.job;
	look_at_thread(stack, status);
}

void job_get_volume_status(struct store *store,
			   const struct cowstack_volume *volume,
			   struct job_status *status)
{
	struct stack *stack = stack_find(store, volume->info.id);

	lockdep_assert_held(&stores_mutex);
	lockdep_assert_held(&store->metadata_lock);
	memset(status, 0, sizeof(*status));
	status->record = volume->info.job;
	if (stack)
		look_at_thread(stack, status);
}

/* --- parking --- */

void job_park(struct stack *stack)
{
	struct job *job;

	/* Nobody starts or frees a job meanwhile. */
	lockdep_assert_held(&stack->store->message_mutex);
	spin_lock_irq(&stack->job_lock);
	stack->parked++;
	job = stack->job;
	spin_unlock_irq(&stack->job_lock);
	if (job)
		wake_up_all(&job->wait);
}

/* A job that is started from now on stands still at once. */
static bool job_stands_still(struct stack *stack)
{
	bool still;

	spin_lock_irq(&stack->job_lock);
	still = !stack->job || stack->job->still;
	spin_unlock_irq(&stack->job_lock);
	return still;
}

void job_wait_parked(struct stack *stack)
{
	wait_event(stack->job_still, job_stands_still(stack));
}

void job_unpark(struct stack *stack)
{
	struct job *job;

	spin_lock_irq(&stack->job_lock);
	stack->parked--;
	job = stack->job;
	spin_unlock_irq(&stack->job_lock);
	if (job)
		wake_up_all(&job->wait);
}

void jobs_park(struct store *store)
{
	struct stack *stack;

	lockdep_assert_held(&store->message_mutex);
	list_for_each_entry(stack, &store->stacks, list)
		job_park(stack);
	list_for_each_entry(stack, &store->stacks, list)
		job_wait_parked(stack);
}

void jobs_resume(struct store *store)
{
	struct stack *stack;

	list_for_each_entry(stack, &store->stacks, list) {
		job_unpark(stack);
		/* A stack that came up meanwhile could not do it itself. */
		if (stack->base && !stack->suspended)
			job_take_up(stack);
	}
}
