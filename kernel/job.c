// SPDX-License-Identifier: GPL-2.0
/*
 * Starting, steering and ending jobs, and the snapshot that one begins with.
 * What a job does is in commit.c.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>

#include "commit.h"

void job_init_stack(struct stack *stack)
{
	mutex_init(&stack->chain_mutex);
	spin_lock_init(&stack->job_lock);
}

/* --- starting --- */

static void free_job(struct job *job)
{
	copy_batch_exit(&job->batch[0]);
	copy_batch_exit(&job->batch[1]);
	kvfree(job);
}

static struct job *new_job(struct stack *stack)
{
	struct job *job = kvzalloc(sizeof(*job), GFP_KERNEL);

	if (!job)
		return NULL;
	job->stack = stack;
	init_waitqueue_head(&job->wait);
	job->still = true;
	if (copy_batch_init(&job->batch[0], stack->store) ||
	    copy_batch_init(&job->batch[1], stack->store)) {
		free_job(job);
		return NULL;
	}
	return job;
}

void job_end_thread(struct stack *stack)
{
	struct job *job = stack->job;

	if (!job)
		return;
	/* kthread_stop() wakes the thread wherever it waits on job->wait. */
	kthread_stop(job->thread);
	base_release(stack);
	spin_lock_irq(&stack->job_lock);
	stack->job = NULL;
	spin_unlock_irq(&stack->job_lock);
	free_job(job);
}

/* A thread that only has its end to report is waited for by whoever ends it. */
static bool job_is_active(struct stack *stack)
{
	return stack->job && !READ_ONCE(stack->job->finished) &&
	       READ_ONCE(stack->job->record.state) == COWSTACK_JOB_RUNNING;
}

/* The range of a commit into the base: all from @top down. */
static int set_range(struct job *job, layer_id_t top)
{
	struct store *store = job->stack->store;
	struct cowstack_layer *layer;
	int error = -ENOENT;

	mutex_lock(&store->metadata_lock);
	for (layer = job->stack->volume->top->parent; layer;
	     layer = layer->parent) {
		if (layer->id == top) {
			job->top = layer;
			error = 0;
		}
		job->bottom = layer;
	}
	if (!error)
		cowstack_range_fill(&job->range, job->top, NULL);
	mutex_unlock(&store->metadata_lock);
	return error;
}

/* Starts the thread of @job, whose record is durable; the base is claimed. */
static int run_job(struct stack *stack, struct job *job,
		   const struct cowstack_job *record)
{
	u64 now = ktime_get_ns();
	int error = set_range(job, record->top);

	if (error) {
		free_job(job);
		return error;
	}
	job->record = *record;
	job->rate_since = now;
	cowstack_throttle_set(&job->throttle, record->speed, now);
	job->thread = kthread_create(commit_thread, job, "cowstack/%s",
				     stack->name);
	if (IS_ERR(job->thread)) {
		error = PTR_ERR(job->thread);
		free_job(job);
		return error;
	}
	spin_lock_irq(&stack->job_lock);
	stack->job = job;
	spin_unlock_irq(&stack->job_lock);
	wake_up_process(job->thread);
	return 0;
}

/* A cowstack_update_fn: the whole record, where no thread is. */
static void update_record(struct cowstack_volume_info *info,
			  const void *argument)
{
	info->job = *(const struct cowstack_job *)argument;
}

static int commit_info(struct stack *stack, cowstack_update_fn update,
		       const void *argument)
{
	struct store *store = stack->store;
	struct store_change change;
	int error;

	/* So that it does not come between what the thread decides and does. */
	mutex_lock(&stack->chain_mutex);
	mutex_lock(&store->metadata_lock);
	error = cowstack_change_info(&change.change, &store->metadata,
				     stack->volume, update, argument);
	mutex_unlock(&store->metadata_lock);
	if (!error)
		error = journal_commit(store, &change);
	store_change_free(&change);
	mutex_unlock(&stack->chain_mutex);
	return error;
}

/* The write gate is closed by the caller. */
static int freeze_top(struct stack *stack, const char *name,
		      cowstack_update_fn update, const void *argument,
		      struct store_change *change)
{
	struct store *store = stack->store;
	int error;

	mutex_lock(&store->metadata_lock);
	error = cowstack_change_snapshot(&change->change, &store->metadata,
					 stack->volume, name,
					 ktime_get_real_seconds(), update,
					 argument);
	mutex_unlock(&store->metadata_lock);
	return error ? error : journal_commit(store, change);
}

static void open_gate(struct stack *stack)
{
	io_gate_open(&stack->writes);
	defer_admit_writes(stack);
}

int stack_snapshot(struct stack *stack, const char *name,
		   cowstack_update_fn update, const void *argument)
{
	struct store_change change = { };
	int error;

	mutex_lock(&stack->chain_mutex);
	io_gate_close(&stack->writes);
	error = freeze_top(stack, name, update, argument, &change);
	open_gate(stack);
	store_change_free(&change);
	mutex_unlock(&stack->chain_mutex);
	return error;
}

/* One line that says why "commit start" does not; returns @error. */
__printf(4, 5)
static int refuse(const struct stack *stack, struct job_options *options,
		  int error, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	pr_err("cowstack %s: commit start: %pV\n", stack->name, &vaf);
	va_end(args);
	options->refused = true;
	return error;
}

/*
 * What lies behind a shorter base's end could not be written there.  @range is
 * room to work with: the write gate may be closed, so nothing is allocated.
 */
static int check_base_end(struct stack *stack, struct job_options *options,
			  struct cowstack_layer *top,
			  struct cowstack_range *range)
{
	struct store *store = stack->store;
	u64 held;

	if (stack->base_sectors >= stack->volume->info.sectors)
		return 0;
	mutex_lock(&store->metadata_lock);
	cowstack_range_fill(range, top, NULL);
	held = cowstack_range_held_behind(store_geometry(store), range,
					  stack->base_sectors);
	mutex_unlock(&store->metadata_lock);
	if (!held)
		return 0;
	return refuse(stack, options, -ENOSPC,
		      "the base ends at sector %llu, the layers hold %llu sectors behind it",
		      stack->base_sectors, held);
}

/* The record of a job that had nothing to do, and when that was. */
struct nothing_to_copy {
	struct cowstack_job record;
	u64 now;
};

static void update_nothing_to_copy(struct cowstack_volume_info *info,
				   const void *argument)
{
	const struct nothing_to_copy *n = argument;

	info->job = n->record;
	if (info->mixed_top == COWSTACK_BASE_LAYER)
		info->base_time = n->now;
}

/* With nothing to copy the base is, as it stands, the volume. */
static int complete_at_once(struct stack *stack, struct cowstack_job *record)
{
	struct nothing_to_copy n = { .now = ktime_get_real_seconds() };

	record->state = COWSTACK_JOB_COMPLETED;
	n.record = *record;
	return commit_info(stack, update_nothing_to_copy, &n);
}

/*
 * Decides what the commit takes, with no write in flight: a snapshot of the top,
 * or, where that is empty, writes wait for room or the chain has no room for one
 * more layer, the frozen layers.
 */
static int begin_with_snapshot(struct stack *stack, struct job_options *options,
			       struct cowstack_job *record,
			       struct cowstack_range *range)
{
	struct cowstack_volume *volume = stack->volume;
	struct cowstack_layer *newest = volume->top->parent;
	struct store_change change = { };
	int error;

	mutex_lock(&stack->chain_mutex);
	io_gate_close(&stack->writes);
	if (cowstack_layer_is_empty(volume->top) ||
	    (newest && atomic64_read(&stack->store->parked_writes)) ||
	    cowstack_volume_depth(volume) == COWSTACK_MAX_LAYERS) {
		open_gate(stack);
		mutex_unlock(&stack->chain_mutex);
		if (!newest)
			return complete_at_once(stack, record);
		record->top = newest->id;
		error = check_base_end(stack, options, newest, range);
		return error ? error : commit_info(stack, update_record, record);
	}
	record->top = volume->top->id;
	error = check_base_end(stack, options, volume->top, range);
	if (!error) {
		error = freeze_top(stack, NULL, update_record, record, &change);
		if (error == -ENOSPC)
			refuse(stack, options, error,
			       "the store is too full for a snapshot: commit another volume, or grow it");
	}
	open_gate(stack);
	store_change_free(&change);
	mutex_unlock(&stack->chain_mutex);
	return error;
}

/* Claims the base for writing; false: another uses it, which was said. */
static bool claim_base(struct stack *stack, const char *what, bool records)
{
	char name[DM_NAME_LEN];

	if (base_claim(stack, records, name, sizeof(name)))
		return true;
	pr_err("cowstack %s: %s: the base is also that of %s\n", stack->name,
	       what, name);
	return false;
}

static int check_start(struct stack *stack, struct job_options *options)
{
	if (stack->features.read_only_base)
		return refuse(stack, options, -EROFS,
			      "the base was opened read-only");
	if (job_is_active(stack))
		return refuse(stack, options, -EBUSY, "a job is running");
	if (!store_is_rw(stack->store))
		return refuse(stack, options, -EROFS, "the store is read-only");
	return 0;
}

static bool job_can_go_on(const struct cowstack_job *record)
{
	return record->kind == COWSTACK_JOB_COMMIT &&
	       (record->state == COWSTACK_JOB_STOPPED ||
		record->state == COWSTACK_JOB_PAUSED ||
		record->state == COWSTACK_JOB_RUNNING);
}

/* The base is claimed and no thread is there any more. */
static int begin(struct stack *stack, struct job *job,
		 struct job_options *options, struct cowstack_job *record)
{
	stack->job_shown = true;
	*record = stack->volume->info.job;
	if (job_can_go_on(record) && !set_range(job, record->top)) {
		if (options->speed_given)
			record->speed = options->speed;
		record->state = COWSTACK_JOB_RUNNING;
		return commit_info(stack, update_record, record);
	}
	memset(record, 0, sizeof(*record));
	record->kind = COWSTACK_JOB_COMMIT;
	record->state = COWSTACK_JOB_RUNNING;
	record->speed = options->speed;
	return begin_with_snapshot(stack, options, record, &job->range);
}

int job_start(struct stack *stack, struct job_options *options)
{
	struct cowstack_job record;
	struct job *job;
	int error = check_start(stack, options);

	if (error)
		return error;
	job_end_thread(stack);
	if (!claim_base(stack, "commit start", true)) {
		options->refused = true;
		return -EBUSY;
	}
	job = new_job(stack);
	if (!job) {
		base_release(stack);
		return -ENOMEM;
	}
	error = begin(stack, job, options, &record);
	store_event(stack->store);
	if (error || record.state == COWSTACK_JOB_COMPLETED) {
		base_release(stack);
		free_job(job);
		return error;
	}
	error = run_job(stack, job, &record);
	if (error)
		base_release(stack);
	return error;
}

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
	error = commit_info(stack, update_cancel, NULL);
	if (error)
		return error;
	if (stack->volume->info.job.state != COWSTACK_JOB_CANCELLED)
		return -ENOENT;		/* it came to its end before */
	if (job) {
		spin_lock_irq(&stack->job_lock);
		job->cancelled = true;
		if (job->finished)
			job->record.state = COWSTACK_JOB_CANCELLED;
		spin_unlock_irq(&stack->job_lock);
		wake_up_all(&job->wait);
	}
	store_event(stack->store);
	return 0;
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
	error = commit_info(stack, update_speed, &speed);
	if (error || !job)
		return error;
	spin_lock_irq(&stack->job_lock);
	job->record.speed = speed;
	cowstack_throttle_set(&job->throttle, speed, ktime_get_ns());
	spin_unlock_irq(&stack->job_lock);
	wake_up_all(&job->wait);
	return 0;
}

void job_get_status(struct stack *stack, struct job_status *status)
{
	lockdep_assert_held(&stack->store->metadata_lock);
	memset(status, 0, sizeof(*status));
	/* What ended before the stack came up is no news. */
	if (stack->job_shown || job_can_go_on(&stack->volume->info.job))
		status->record = stack->volume->info.job;
	spin_lock_irq(&stack->job_lock);
	/* A thread knows more than what is recorded so far. */
	if (stack->job) {
		status->record = stack->job->record;
		if (!stack->job->finished)
			status->rate = stack->job->rate;
	}
	spin_unlock_irq(&stack->job_lock);
}

static void update_pause(struct cowstack_volume_info *info,
			 const void *argument)
{
	if (info->job.state == COWSTACK_JOB_RUNNING)
		info->job.state = COWSTACK_JOB_PAUSED;
}

/* A job that cannot go on by itself waits to be told to. */
static void pause_untaken(struct stack *stack)
{
	if (commit_info(stack, update_pause, NULL))
		pr_warn("cowstack %s: commit: could not be paused\n",
			stack->name);
	store_event(stack->store);
}

void job_take_up(struct stack *stack)
{
	struct cowstack_job record = stack->volume->info.job;
	struct job *job;

	if (record.kind != COWSTACK_JOB_COMMIT ||
	    record.state != COWSTACK_JOB_RUNNING || stack->job)
		return;
	stack->job_shown = true;
	if (!stack->features.resume_commit || stack->features.read_only_base ||
	    stack->job_held ||
	    /* Records were asked when it was started, and can but guess now. */
	    !claim_base(stack, "commit", false)) {
		pause_untaken(stack);
		return;
	}
	job = new_job(stack);
	if (!job || run_job(stack, job, &record)) {
		base_release(stack);
		pr_err("cowstack %s: commit: could not be taken up again, and is paused: start it anew\n",
		       stack->name);
		pause_untaken(stack);
		return;
	}
	pr_info("cowstack %s: commit of layer %u goes on\n", stack->name,
		from_layer_id(record.top));
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
	if (!job)
		return;
	wake_up_all(&job->wait);
	wait_event(job->wait, READ_ONCE(job->still));
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
