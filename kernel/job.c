// SPDX-License-Identifier: GPL-2.0
/*
 * Starting and ending jobs, and the snapshot that one begins with.  Steering them is
 * in job_control.c; what a job takes is decided in job_range.c and stream_range.c,
 * what it does is in commit.c.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>

#include "job_parts.h"
#include "job_range.h"

enum { END_SECONDS = 10 };

void job_init_stack(struct stack *stack)
{
	mutex_init(&stack->chain_mutex);
	spin_lock_init(&stack->job_lock);
	init_waitqueue_head(&stack->job_still);
}

/* --- starting --- */

static void free_job(struct job *job)
{
	copy_batch_exit(&job->batch[0]);
	copy_batch_exit(&job->batch[1]);
	copy_batch_exit(&job->check);
	kvfree(job->replacements);
	kvfree(job->pull.entries);
	kvfree(job);
}

static int allocate_lists(struct job *job)
{
	job->replacements = kvcalloc(COWSTACK_MAX_REPLACEMENTS,
				     sizeof(*job->replacements), GFP_KERNEL);
	job->pull.entries = kvcalloc(PULL_ENTRIES, sizeof(*job->pull.entries),
				     GFP_KERNEL);
	job->pull.io = &job->batch[0];
	return job->replacements && job->pull.entries ? 0 : -ENOMEM;
}

static struct job *new_job(struct stack *stack)
{
	struct job *job = kvzalloc(sizeof(*job), GFP_KERNEL);

	if (!job)
		return NULL;
	job->stack = stack;
	init_waitqueue_head(&job->wait);
	INIT_LIST_HEAD(&job->turn.list);
	job->still = true;
	if (allocate_lists(job)) {
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
	wake_up_all(&stack->job_still);
	free_job(job);
}

bool job_is_active(struct stack *stack)
{
	return stack->job && !READ_ONCE(stack->job->ending);
}

bool job_is_unfinished(const struct stack *stack)
{
	return job_can_go_on(&stack->volume->info.job);
}

bool job_keeps_copies(const struct stack *stack)
{
	return job_is_unfinished(stack) &&
	       stack->volume->info.job.flags & COWSTACK_JOB_RETAIN;
}

static int find_range(struct stack *stack, const struct cowstack_job *record,
		      struct job_range *range)
{
	return job_record_is_stream(record) ?
		       stream_range_find(stack, record, range) :
		       job_range_find(stack, record, range);
}

static void set_range(struct job *job, const struct job_range *range)
{
	struct store *store = job->stack->store;

	job->top = range->top;
	job->bottom = range->bottom;
	job->destination = range->destination;
	job->below = range->below;
	mutex_lock(&store->metadata_lock);
	if (job_is_stream(job)) {
		stream_range_fill(job->stack, range,
				  job->record.flags & COWSTACK_JOB_WITH_BASE,
				  &job->stream);
		if (job->top)
			cowstack_range_fill(&job->range, job->top,
					    job->bottom->parent);
	} else {
		cowstack_range_fill(&job->range, job->top, job->destination);
		if (job->destination)
			cowstack_range_fill(&job->merged, job->top,
					    job->destination->parent);
	}
	mutex_unlock(&store->metadata_lock);
}

static bool writes_base(const struct cowstack_job *record)
{
	return record->kind == COWSTACK_JOB_COMMIT &&
	       record->base == COWSTACK_BASE_LAYER;
}

/*
 * Starts the thread of @job, whose record is durable; the base is claimed where
 * it is the destination.  Takes @job over.
 */
static int run_job(struct stack *stack, struct job *job,
		   const struct cowstack_job *record)
{
	u64 now = ktime_get_ns();
	struct job_range range;
	int error = find_range(stack, record, &range);

	if (error) {
		free_job(job);
		return error;
	}
	job->record = *record;
	set_range(job, &range);
	job->rate_since = now;
	cowstack_throttle_set(&job->throttle, record->speed, now);
	job->thread = kthread_create(commit_thread, job, "cowstack/%s",
				     stack->name);
	if (IS_ERR(job->thread)) {
		error = PTR_ERR(job->thread);
		free_job(job);
		return error;
	}
	if (writes_base(record))
		base_note_writing(stack);
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

int job_commit_info(struct stack *stack, cowstack_update_fn update,
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
	if (n->record.kind == COWSTACK_JOB_COMMIT &&
	    n->record.base == COWSTACK_BASE_LAYER &&
	    info->mixed_top == COWSTACK_BASE_LAYER)
		info->base_time = n->now;
}

/* With nothing to copy the base is, as it stands, the volume. */
static int complete_at_once(struct stack *stack, struct cowstack_job *record)
{
	struct nothing_to_copy n = { .now = ktime_get_real_seconds() };

	record->state = COWSTACK_JOB_COMPLETED;
	n.record = *record;
	return job_commit_info(stack, update_nothing_to_copy, &n);
}

static layer_id_t id_or_base(const struct cowstack_layer *layer)
{
	return layer ? layer->id : COWSTACK_BASE_LAYER;
}

static void set_record_range(struct cowstack_job *record,
			     const struct job_range *range)
{
	if (record->kind == COWSTACK_JOB_STREAM) {
		record->top = id_or_base(range->destination);
		record->base = id_or_base(range->below);
		return;
	}
	record->top = id_or_base(range->top);
	record->base = id_or_base(range->destination);
}

/* Snapshot and record in one step; the write gate is closed. */
static int begin_with_snapshot(struct stack *stack, struct job_options *options,
			       struct cowstack_job *record,
			       struct store_change *change)
{
	int error = freeze_top(stack, NULL, update_record, record, change);

	if (error == -ENOSPC)
		job_refuse(stack, options, error,
			   "the store is too full for a snapshot: commit another volume, or grow it");
	return error;
}

/*
 * Decides what a new job takes, and records it.  Where that may be a snapshot no
 * write is in flight meanwhile, so that what is decided stays right.
 */
static int choose_range(struct stack *stack, struct job_options *options,
			struct job *job, struct job_range *range)
{
	int error;

	if (options->stream) {
		error = stream_range_choose(stack, options, range);
		return error || range->nothing ? error :
			stream_range_check_room(stack, options, range,
						&job->stream);
	}
	error = job_range_choose(stack, options, range);
	return error || range->nothing ? error :
		job_range_check_base_end(stack, options, range, &job->range);
}

static int begin_anew(struct stack *stack, struct job_options *options,
		      struct job *job, struct cowstack_job *record)
{
	bool gate = !options->stream && !(options->given & JOB_OPTION_TOP);
	struct store_change change = { };
	struct job_range range;
	int error;

	mutex_lock(&stack->chain_mutex);
	if (gate)
		io_gate_close(&stack->writes);
	error = choose_range(stack, options, job, &range);
	if (!error)
		set_record_range(record, &range);
	if (!error && range.snapshot)
		error = begin_with_snapshot(stack, options, record, &change);
	if (gate)
		open_gate(stack);
	store_change_free(&change);
	mutex_unlock(&stack->chain_mutex);
	if (error || range.snapshot)
		return error;
	if (!range.nothing)
		return job_commit_info(stack, update_record, record);
	return complete_at_once(stack, record);
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

/* What only a commit into the base needs. */
static int check_base(struct stack *stack, struct job_options *options,
		      bool goes_on)
{
	bool retain = options->given & JOB_OPTION_RETAIN ? options->retain :
		goes_on && stack->volume->info.job.flags & COWSTACK_JOB_RETAIN;

	if (stack->features.read_only_base)
		return job_refuse(stack, options, -EROFS,
				  "the base was opened read-only");
	if (retain && stack->features.allow_shared_base)
		return job_refuse(stack, options, -EINVAL,
				  "retain 1: no clean copies of a base that others may write to");
	if (!claim_base(stack, "commit start", true)) {
		options->refused = true;
		return -EBUSY;
	}
	return 0;
}

static void apply_options(struct cowstack_job *record,
			  const struct job_options *options)
{
	if (options->given & JOB_OPTION_SPEED)
		record->speed = options->speed;
	if (options->given & JOB_OPTION_ON_ERROR)
		record->on_error = options->on_error;
	if (options->given & JOB_OPTION_YIELD)
		record->flags = (record->flags & ~COWSTACK_JOB_YIELD) |
				(options->yield ? COWSTACK_JOB_YIELD : 0);
	if (options->given & JOB_OPTION_RETAIN)
		record->flags = (record->flags & ~COWSTACK_JOB_RETAIN) |
				(options->retain ? COWSTACK_JOB_RETAIN : 0);
	if (options->given & JOB_OPTION_VERIFY)
		record->flags = (record->flags & ~COWSTACK_JOB_VERIFY) |
				(options->verify ? COWSTACK_JOB_VERIFY : 0);
	/* A time that is over would pause it again. */
	record->until = options->given & JOB_OPTION_UNTIL ? options->until : 0;
}

/* --- going on --- */

/* Told to pause, but not to cancel, and not at its end yet? */
static bool is_paused_thread(struct stack *stack)
{
	return job_is_active(stack) && READ_ONCE(stack->job->paused) &&
	       !READ_ONCE(stack->job->cancelled);
}

static void update_go_on(struct cowstack_volume_info *info,
			 const void *argument)
{
	if (!job_can_go_on(&info->job))
		return;
	info->job.state = COWSTACK_JOB_RUNNING;
	apply_options(&info->job, argument);
}

/* A thread that was paused and has not come to its end just goes on. */
static bool call_back(struct stack *stack, const struct job_options *options)
{
	struct job *job = stack->job;
	bool back = false;

	spin_lock_irq(&stack->job_lock);
	if (job && !job->ending && !job->cancelled) {
		job->paused = false;
		job->record.state = COWSTACK_JOB_RUNNING;
		apply_options(&job->record, options);
		if (options->given & JOB_OPTION_SPEED)
			cowstack_throttle_set(&job->throttle, options->speed,
					      ktime_get_ns());
		back = true;
	}
	spin_unlock_irq(&stack->job_lock);
	if (back)
		wake_up_all(&job->wait);
	return back;
}

/*
 * What was paused goes on with @options, without a wait for the I/O that its
 * thread may still have under way.  1: the thread has come to its end.
 */
static int go_on(struct stack *stack, const struct job_options *options)
{
	int error = job_commit_info(stack, update_go_on, options);

	if (error)
		return error;
	if (!call_back(stack, options))
		return 1;
	store_event(stack->store);
	return 0;
}

static int check_start(struct stack *stack, struct job_options *options)
{
	bool goes_on;

	if (!store_is_rw(stack->store))
		return job_refuse(stack, options, -EROFS,
				  "the store is read-only");
	if (job_is_active(stack) && !READ_ONCE(stack->job->paused) &&
	    !READ_ONCE(stack->job->cancelled))
		return job_refuse(stack, options, -EBUSY, "a job is running");
	/* Not before: one that runs may come to its end at any time. */
	goes_on = job_is_unfinished(stack);
	if (goes_on && options->stream !=
			       job_record_is_stream(&stack->volume->info.job))
		return job_refuse(stack, options, -EBUSY,
				  "another kind of job stands still: it goes on or is cancelled first");
	if (goes_on && options->given & (JOB_OPTION_TOP | JOB_OPTION_BASE))
		return job_refuse(stack, options, -EBUSY,
				  "a job stands still: it goes on without \"top\" and \"base\", or is cancelled first");
	return 0;
}

/* Into the base, as far as can be told before the layers are looked at? */
static bool is_into_base(const struct stack *stack,
			 const struct job_options *options, bool goes_on)
{
	if (options->stream)
		return false;
	if (goes_on)
		return writes_base(&stack->volume->info.job);
	if (options->given & JOB_OPTION_BASE)
		return !options->base;
	return !stack->features.commit_base;
}

/* Is there a job that stands still, all of whose layers are there? */
static bool can_go_on(struct stack *stack)
{
	struct cowstack_job record = stack->volume->info.job;
	struct job_range range;

	return job_can_go_on(&record) && !find_range(stack, &record, &range);
}

/* No thread is there any more, and the base is claimed if it is needed. */
static int begin(struct stack *stack, struct job *job,
		 struct job_options *options, bool goes_on,
		 struct cowstack_job *record)
{
	*record = stack->volume->info.job;
	if (goes_on) {
		apply_options(record, options);
		record->state = COWSTACK_JOB_RUNNING;
		return job_commit_info(stack, update_record, record);
	}
	memset(record, 0, sizeof(*record));
	record->kind = options->stream ? COWSTACK_JOB_STREAM :
					 COWSTACK_JOB_COMMIT;
	record->state = COWSTACK_JOB_RUNNING;
	record->flags = COWSTACK_JOB_YIELD;
	if (options->with_base)
		record->flags |= COWSTACK_JOB_WITH_BASE;
	apply_options(record, options);
	return begin_anew(stack, options, job, record);
}

/* A job that cannot go on by itself waits to be told to. */
static void pause_untaken(struct stack *stack)
{
	if (job_commit_info(stack, job_update_pause, NULL))
		pr_warn("cowstack %s: commit: could not be paused\n",
			stack->name);
	store_event(stack->store);
}

/*
 * Ends the thread of an earlier job.  Not one that has I/O under way: that may take
 * long on a slow disk, and the store's messages wait for us.  Where only its end is
 * left to be told, and whoever starts another may have seen it already, it is waited
 * for as long as a busy machine may take for that.
 */
static int end_old_thread(struct stack *stack, struct job_options *options)
{
	struct job *job = stack->job;
	long most = max(HZ / 10, 1);

	if (job && READ_ONCE(job->ending))
		most = END_SECONDS * HZ;
	if (job && !wait_event_timeout(job->wait, READ_ONCE(job->finished),
				       most))
		return job_refuse(stack, options, -EBUSY,
				  "the job before is coming to its end: try again");
	job_end_thread(stack);
	return 0;
}

/* The record must not say that a job runs which nobody runs. */
static void pause_running(struct stack *stack)
{
	if (stack->volume->info.job.state == COWSTACK_JOB_RUNNING)
		pause_untaken(stack);
}

/* No thread is there; into_base: the base is claimed. */
static int begin_thread(struct stack *stack, struct job_options *options,
			bool goes_on)
{
	struct job *job = new_job(stack);
	struct cowstack_job record;
	int error;

	if (!job)
		return -ENOMEM;
	error = begin(stack, job, options, goes_on, &record);
	if (error || record.state == COWSTACK_JOB_COMPLETED) {
		free_job(job);
		base_release(stack);
	} else {
		error = run_job(stack, job, &record);
	}
	if (!error) {
		/* Told to, over the base as it is now. */
		stack->job_held = false;
		stack->job_shown = true;
		store_event(stack->store);
	}
	return error;
}

int job_start(struct stack *stack, struct job_options *options)
{
	struct job_range range;
	bool goes_on, into_base;
	int error = check_start(stack, options);

	if (error)
		return error;
	/* Now that none runs. */
	goes_on = can_go_on(stack);
	into_base = is_into_base(stack, options, goes_on);
	if (options->retain && !into_base)
		error = job_refuse(stack, options, -EINVAL,
				   "retain 1: goes with the base only");
	/* Words that name no range are refused before the base is asked about. */
	if (!error && !goes_on && !options->stream)
		error = job_range_choose(stack, options, &range);
	if (!error && into_base)
		error = check_base(stack, options, goes_on);
	if (error)
		return error;
	if (is_paused_thread(stack)) {
		error = go_on(stack, options);
		if (error <= 0)
			return error;
		/* With nothing left to do when it was told to go on. */
		if (!job_is_unfinished(stack))
			return 0;
	}
	error = end_old_thread(stack, options);
	if (error) {
		/* Its base is given back when it has ended, and not before. */
		pause_running(stack);
		return error;
	}
	/* As that thread has done. */
	if (into_base)
		error = check_base(stack, options, goes_on);
	if (!error)
		error = begin_thread(stack, options, goes_on);
	if (error) {
		base_release(stack);
		pause_running(stack);
	}
	return error;
}

int job_plan(struct stack *stack, struct job_options *options,
	     struct cowstack_job *range, struct cowstack_estimate *estimate)
{
	struct job_range chosen;
	int error;

	/* Layers may leave as soon as the lock is let go: their ids stay true. */
	mutex_lock(&stack->chain_mutex);
	error = job_range_choose(stack, options, &chosen);
	memset(range, 0, sizeof(*range));
	if (!error)
		set_record_range(range, &chosen);
	mutex_unlock(&stack->chain_mutex);
	memset(estimate, 0, sizeof(*estimate));
	if (error || chosen.nothing)
		return error;
	return job_range_estimate(stack, from_layer_id(range->top),
				  from_layer_id(range->base), estimate);
}

void job_take_up(struct stack *stack)
{
	struct cowstack_job record = stack->volume->info.job;
	bool into_base = writes_base(&record);
	const char *word = record.kind == COWSTACK_JOB_STREAM ? "stream" :
								"commit";
	struct job *job;

	if (record.kind == COWSTACK_JOB_NONE ||
	    record.state != COWSTACK_JOB_RUNNING || stack->job)
		return;
	stack->job_shown = true;
	if (!stack->features.resume_commit ||
	    (into_base && (stack->features.read_only_base || stack->job_held ||
			   (stack->features.allow_shared_base &&
			    job_keeps_copies(stack)) ||
			   /* Records were asked at the start, and can but guess now. */
			   !claim_base(stack, "commit", false)))) {
		pause_untaken(stack);
		return;
	}
	job = new_job(stack);
	if (!job || run_job(stack, job, &record)) {
		base_release(stack);
		pr_err("cowstack %s: %s: could not be taken up again, and is paused: start it anew\n",
		       stack->name, word);
		pause_untaken(stack);
		return;
	}
	pr_info("cowstack %s: %s of layer %u goes on\n", stack->name, word,
		from_layer_id(record.top));
}
