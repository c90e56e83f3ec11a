// SPDX-License-Identifier: GPL-2.0
/*
 * The thread that commits or streams: where it begins and ends.
 *
 *   mark the base mixed, or layers that show no point in time meanwhile (a step)
 *   the sweep (commit_sweep.c, stream_sweep.c), waiting where it must (commit_wait.c)
 *   emptied layers leave the chain; the base is valid again (a step)
 *
 * A crash between any two of these lines loses nothing, and the record says what
 * to go on with.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include "base_sample.h"
#include "commit.h"
#include "core/job_end.h"
#include "job_range.h"

/* --- records --- */

/*
 * Each of these changes what it means and no more: a message may have changed
 * the rest of the record since the thread last looked.
 */

static void update_end(struct cowstack_volume_info *info, const void *argument)
{
	const struct cowstack_job *record = argument;

	info->job.errors = record->errors;
	info->job.first_error = record->first_error;
	info->job.error = record->error;
	if (info->job.state != COWSTACK_JOB_CANCELLED &&
	    info->job.state != COWSTACK_JOB_PAUSED)
		info->job.state = record->state;
}

void commit_update_progress(struct cowstack_volume_info *info,
			    const void *argument)
{
	const struct cowstack_job *record = argument;

	info->job.cursor = record->cursor;
	info->job.done = record->done;
	info->job.errors = record->errors;
	info->job.first_error = record->first_error;
	info->job.error = record->error;
}

const char *commit_word(const struct job *job)
{
	return job_is_stream(job) ? "stream" : "commit";
}

struct cowstack_job commit_copy_record(struct job *job)
{
	struct cowstack_job record;

	spin_lock_irq(&job->stack->job_lock);
	record = job->record;
	spin_unlock_irq(&job->stack->job_lock);
	return record;
}

void commit_note_error(struct job *job, vchunk_t chunk, u64 chunks, int error)
{
	struct cowstack_job *record = &job->record;
	u64 sector = from_vchunk(chunk) << commit_geometry(job)->chunk_shift;

	pr_err_ratelimited("cowstack %s: %s: error %d at sector %llu: %llu chunks stay in their layers\n",
			   job->stack->name, commit_word(job), error, sector, chunks);
	spin_lock_irq(&job->stack->job_lock);
	if (!record->errors)
		record->first_error = sector;
	record->errors += chunks;
	if (record->on_error != COWSTACK_ON_ERROR_IGNORE && !record->error)
		record->error = -error;
	spin_unlock_irq(&job->stack->job_lock);
	if (record->on_error == COWSTACK_ON_ERROR_REPORT)
		store_event(job->stack->store);
}

/* --- changes --- */

int commit_wait_for_store(struct job *job)
{
	commit_end_io(job);
	commit_stand_still(job);
	if (kthread_should_stop())
		return -EINTR;
	schedule_timeout_uninterruptible(1);
	return 0;
}

/* Whoever was told so finds the layers as they are then. */
static bool was_cancelled(struct job *job)
{
	if (job->stack->volume->info.job.state != COWSTACK_JOB_CANCELLED)
		return false;
	WRITE_ONCE(job->cancelled, true);
	return true;
}

int commit_make_durable(struct job *job, commit_prepare_fn prepare,
			const void *argument)
{
	struct store *store = job->stack->store;
	struct store_change change;
	int error;

	memset(&change, 0, sizeof(change));
	do {
		mutex_lock(&job->stack->chain_mutex);
		mutex_lock(&store->metadata_lock);
		error = was_cancelled(job) ? -EINTR :
			prepare(job, &change.change, argument);
		mutex_unlock(&store->metadata_lock);
		if (!error)
			error = journal_commit(store, &change);
		store_change_free(&change);
		mutex_unlock(&job->stack->chain_mutex);
		if (error == -EAGAIN)
			error = commit_wait_for_store(job);
		else if (error == -ENOMEM)
			error = commit_wait_for_memory(job);
		else
			return error;
	} while (!error);
	return error;
}

static int prepare_begin(struct job *job, struct cowstack_change *c,
			 const void *argument)
{
	/* The sources of a stream: what it has taken is no more theirs to show. */
	if (job_is_stream(job) && job->top)
		return cowstack_change_mix(c, &job->stack->store->metadata,
					   job->stack->volume, job->bottom,
					   job->destination,
					   cowstack_job_update_begin,
					   argument);
	if (job->destination && !job_is_stream(job))
		return cowstack_change_mix(c, &job->stack->store->metadata,
					   job->stack->volume, job->destination,
					   job->top, cowstack_job_update_begin,
					   argument);
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, cowstack_job_update_begin,
				    argument);
}

static int prepare_end(struct job *job, struct cowstack_change *c,
		       const void *argument)
{
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, update_end, argument);
}

/* Whoever was told that the job stands must find all layers in their place. */
static bool was_told_to_end(struct job *job)
{
	enum cowstack_job_state state = job->stack->volume->info.job.state;

	if (state == COWSTACK_JOB_CANCELLED)
		WRITE_ONCE(job->cancelled, true);
	else if (state == COWSTACK_JOB_PAUSED)
		WRITE_ONCE(job->paused, true);
	else
		return false;
	return true;
}

static int refuse_change(struct cowstack_change *c, int error)
{
	memset(c, 0, sizeof(*c));
	return error;
}

/* All layers of the range in one go, as they are empty. */
static int prepare_finish(struct job *job, struct cowstack_change *c,
			  const void *argument)
{
	if (was_told_to_end(job))
		return refuse_change(c, -EINTR);
	if (job_is_stream(job))
		return cowstack_change_pull(c, &job->stack->store->metadata,
					    job->stack->volume,
					    job->destination, job->below,
					    cowstack_job_update_end, argument);
	return cowstack_change_remove_layers(c, &job->stack->store->metadata,
					     job->stack->volume, job->bottom,
					     job->top, cowstack_job_update_end,
					     argument);
}

/* The record alone: layers of the range still hold something. */
static int prepare_finish_kept(struct job *job, struct cowstack_change *c,
			       const void *argument)
{
	if (was_told_to_end(job))
		return refuse_change(c, -EINTR);
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, cowstack_job_update_end,
				    argument);
}

static int prepare_remove(struct job *job, struct cowstack_change *c,
			  const void *argument)
{
	struct cowstack_layer *layer = (void *)argument;

	return cowstack_change_remove_layers(c, &job->stack->store->metadata,
					     job->stack->volume, layer, layer,
					     NULL, NULL);
}

/* --- from the beginning to the end --- */

/* Of a range that keeps something, the layers that keep nothing leave. */
static int remove_emptied(struct job *job)
{
	struct cowstack_layer *layer = job->top;
	int error = 0;

	while (layer && !error) {
		struct cowstack_layer *below = layer->parent;
		bool last = layer == job->bottom;
		bool empty;

		mutex_lock(&job->stack->store->metadata_lock);
		empty = cowstack_layer_is_empty(layer);
		mutex_unlock(&job->stack->store->metadata_lock);
		if (empty)
			error = commit_make_durable(job, prepare_remove, layer);
		if (last)
			break;
		layer = below;
	}
	return error;
}

/* Not where errors left something, or clean copies stay. */
static bool range_is_empty(struct job *job)
{
	bool empty = true;
	u32 i;

	mutex_lock(&job->stack->store->metadata_lock);
	for (i = 0; i < job->range.count && empty; i++)
		empty = cowstack_layer_is_empty(job->range.layer[i]);
	mutex_unlock(&job->stack->store->metadata_lock);
	return empty;
}

/* Not where errors were noted: what failed is still in its layers. */
static bool base_becomes_valid(struct job *job)
{
	bool covers;

	if (job->destination || job->record.errors)
		return false;
	mutex_lock(&job->stack->store->metadata_lock);
	covers = cowstack_job_makes_base_valid(job->stack->volume, job->top);
	mutex_unlock(&job->stack->store->metadata_lock);
	return covers;
}

/* Whoever shares the base may have written to it. */
static int read_sample(struct stack *stack, u32 *crc)
{
	u64 seed = stack->volume->info.base_seed;

	if (stack->sample &&
	    (stack->features.allow_shared_base ||
	     READ_ONCE(stack->base_shared) ||
	     !base_sample_fits(stack->sample, stack->base, seed))) {
		base_sample_free(stack->sample);
		stack->sample = NULL;
	}
	if (!stack->sample)
		stack->sample = base_sample_new(stack->base, seed);
	if (!stack->sample)
		return -ENOMEM;
	return base_sample_read(stack->sample, stack->store, stack->base, crc);
}

static int sample_base(struct job *job, u32 *crc)
{
	int error;

	do
		error = read_sample(job->stack, crc);
	while (error == -ENOMEM && !(error = commit_wait_for_memory(job)));
	return error;
}

static int finish(struct job *job)
{
	struct stack *stack = job->stack;
	struct cowstack_job_end f = {
		.record = commit_copy_record(job),
		.base_sectors = stack->base_sectors,
		.now = ktime_get_real_seconds(),
	};
	/* Of a stream's sources those that others use too keep what they have. */
	bool kept = job_is_stream(job) ? f.record.errors :
					 !range_is_empty(job);
	int error = 0;

	/*
	 * Nobody but this thread changes the mark.  A base that stays mixed keeps
	 * the sample from before: it is known by its size, and where it has failed
	 * it may not be readable.
	 */
	f.base_valid = base_becomes_valid(job);
	if (f.base_valid)
		error = sample_base(job, &f.base_crc);
	if (error)
		return error;
	f.record.state = COWSTACK_JOB_COMPLETED;
	if (!f.record.errors)
		f.record.done = f.record.total;
	error = commit_make_durable(job, kept ? prepare_finish_kept :
						prepare_finish, &f);
	if (error)
		return error;
	if (kept && remove_emptied(job))
		pr_warn("cowstack %s: commit: emptied layers stay in the chain\n",
			stack->name);
	/* Who sees the end may do what a thread at work forbids. */
	spin_lock_irq(&stack->job_lock);
	commit_keep_rate(job);
	job->record = f.record;
	job->ending = true;
	spin_unlock_irq(&stack->job_lock);
	return 0;
}

static u64 chunks_left(const struct job *job)
{
	return job_is_stream(job) ?
		cowstack_stream_chunks(commit_geometry(job), &job->stream) :
		cowstack_range_chunks(&job->range);
}

/* "verify" may be asked for at any time. */
int commit_allocate_check(struct job *job)
{
	int error = 0;

	while (!error && copy_batch_init(&job->check, job->stack->store))
		error = commit_wait_for_memory(job);
	return error;
}

static int fill_buffers(struct job *job)
{
	struct store *store = job->stack->store;
	int error = copy_batch_init(&job->batch[0], store);

	if (!error)
		error = copy_batch_init(&job->batch[1], store);
	if (!error && job_is_stream(job))
		error = copy_batch_init(&job->check, store);
	return error;
}

/*
 * Eight MiB or more: too long a wait for the message that starts the job, and for one
 * that is queued too much to hold.  Where there is no memory yet the job waits.
 */
static int allocate_buffers(struct job *job)
{
	int error = 0;

	while (!error && fill_buffers(job))
		error = commit_wait_for_memory(job);
	return error;
}

/* What cannot be read is an error of its chunk, which comes up when that is copied. */
static int find_tail(struct job *job)
{
	int error = 0;

	if (job->destination || job_is_stream(job))
		return 0;
	while (!error && job_range_find_tail(job->stack, &job->range,
					     &job->tail) == -ENOMEM)
		error = commit_wait_for_memory(job);
	return error;
}

static int run_job_once(struct job *job)
{
	u64 left = chunks_left(job);
	struct cowstack_job_begin begin = { };
	int error;

	commit_begin_work(job);
	job->next = to_vchunk(0);
	job->group_first = to_vchunk(0);
	/* Nothing may be written before, nor while another has the disk. */
	error = commit_wait(job);
	if (!error)
		error = allocate_buffers(job);
	if (!error)
		error = find_tail(job);
	if (error)
		return error;
	spin_lock_irq(&job->stack->job_lock);
	job->run_began = ktime_get_ns();
	job->moved_in_all = 0;
	job->record.error = 0;
	job->record.errors = 0;
	job->record.first_error = 0;
	/* What an earlier run has done stays done; a stream passes it again. */
	if (job_is_stream(job))
		job->record.done = 0;
	job->record.total = job->record.done + left;
	begin.total = job->record.total;
	if (!job->destination)
		begin.mixed_top = job->record.top;
	spin_unlock_irq(&job->stack->job_lock);
	error = commit_make_durable(job, prepare_begin, &begin);
	if (!error)
		error = job_is_stream(job) ? stream_sweep(job) :
					     commit_sweep(job);
	/* Before anybody is told that it has ended. */
	if (!job->destination && !job_is_stream(job))
		base_note_writing(job->stack);
	if (!error)
		error = finish(job);
	return error;
}

static const char *destination_name(const struct job *job)
{
	return job->destination ? "a layer" : "the base";
}

static void report_completed(struct job *job)
{
	const struct cowstack_job *record = &job->record;

	if (job_is_stream(job) && !record->errors)
		pr_info("cowstack %s: stream into layer %u completed\n",
			job->stack->name, from_layer_id(record->top));
	else if (job_is_stream(job))
		pr_err("cowstack %s: stream into layer %u completed, but %llu chunks could not be pulled up, the first at sector %llu\n",
		       job->stack->name, from_layer_id(record->top),
		       record->errors, record->first_error);
	else if (record->errors)
		pr_err("cowstack %s: commit of layer %u into %s completed, but %llu chunks could not be committed, the first at sector %llu\n",
		       job->stack->name, from_layer_id(record->top),
		       destination_name(job), record->errors,
		       record->first_error);
	else
		pr_info("cowstack %s: commit of layer %u into %s completed\n",
			job->stack->name, from_layer_id(record->top),
			destination_name(job));
}

/* Records that @error has stopped it. */
static void record_stop(struct job *job, struct cowstack_job *record, int error)
{
	int recorded;

	record->state = COWSTACK_JOB_STOPPED;
	record->error = -error;
	recorded = commit_make_durable(job, prepare_end, record);
	/* -EINTR: it was cancelled at the last moment, as recorded. */
	job->unrecorded = recorded && recorded != -EINTR;
	if (job->unrecorded)
		pr_warn("cowstack %s: %s: its end could not be recorded\n",
			job->stack->name, commit_word(job));
	pr_err("cowstack %s: %s stopped: error %d; nothing is lost, a new start goes on\n",
	       job->stack->name, commit_word(job), error);
}

/*
 * What ended the thread, as the record says.  Who cancelled or paused has made
 * that durable.  A removal leaves the record running: it is taken up again.
 */
static void record_end(struct job *job, int error)
{
	struct cowstack_job record = commit_copy_record(job);

	if (READ_ONCE(job->cancelled))
		record.state = COWSTACK_JOB_CANCELLED;
	else if (READ_ONCE(job->paused))
		record.state = COWSTACK_JOB_PAUSED;
	else if (error != -EINTR)
		record_stop(job, &record, error);
	else
		return;
	if (record.state != COWSTACK_JOB_STOPPED)
		pr_info("cowstack %s: %s %s\n", job->stack->name, commit_word(job),
			record.state == COWSTACK_JOB_PAUSED ? "paused" :
							      "cancelled");
	spin_lock_irq(&job->stack->job_lock);
	commit_keep_rate(job);
	job->record.state = record.state;
	job->record.error = record.error;
	spin_unlock_irq(&job->stack->job_lock);
}

/* False: the job was resumed at the last moment, and goes on. */
static bool may_end(struct job *job, int error)
{
	bool end;

	spin_lock_irq(&job->stack->job_lock);
	end = error != -EINTR || kthread_should_stop() || job->cancelled ||
	      job->paused;
	job->ending = end;
	spin_unlock_irq(&job->stack->job_lock);
	return end;
}

/*
 * Whatever it allocates must wait for no I/O: that may wait for the room the job is to
 * make, or for a resume that waits for the job.  And what memory wrote out in this
 * context would be taken for the job's own (commit_sends_write()), and fail where a
 * user's write waits for room.
 */
int commit_thread(void *data)
{
	unsigned int noio = memalloc_noio_save();
	struct job *job = data;
	int error;

	commit_stand_still(job);
	job->work_began = ktime_get_ns();
	do
		error = kthread_should_stop() ? -EINTR : run_job_once(job);
	while (!may_end(job, error));
	job_turn_leave(&job->turn);
	if (error)
		record_end(job, error);
	else
		report_completed(job);
	store_event(job->stack->store);
	base_release(job->stack);
	copy_batch_exit(&job->batch[0]);
	copy_batch_exit(&job->batch[1]);
	copy_batch_exit(&job->check);
	spin_lock_irq(&job->stack->job_lock);
	job->finished = true;
	spin_unlock_irq(&job->stack->job_lock);
	/* A start may have claimed it meanwhile, and have given up before it saw the end. */
	base_release(job->stack);
	commit_set_still(job, true);
	wait_event_idle(job->wait, kthread_should_stop());
	memalloc_noio_restore(noio);
	return 0;
}
