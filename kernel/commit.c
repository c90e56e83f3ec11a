// SPDX-License-Identifier: GPL-2.0
/*
 * The thread that commits.
 *
 *   mark the base mixed (a step)
 *   for each group of batches, ascending:
 *       gather from the store, write to the base, flush the base
 *       let go: one step that drops the words of all layers of the range
 *   the layers leave the chain; the base is valid again (a step)
 *
 * A crash between any two of these lines loses nothing: until the let-go is
 * durable the words lead to the store, and after it the base has the data, which
 * was flushed before.  What was written twice is the same twice.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>

#include "commit.h"
#include "core/fault.h"

/* A group is let go when it reaches any of these, or when writes wait for room. */
enum {
	GROUP_BYTES = 32 << 20,		/* written, or of the store's space */
	GROUP_CHUNKS = 8192,		/* passed over: bounds the step */
	GROUP_TIME = HZ,
	/*
	 * Zeroes of one batch: where the device has no write-zeroes these are
	 * writes, and nothing else is looked at before they have ended.
	 */
	BATCH_ZERO_BYTES = 32 << 20,
};

static const struct cowstack_geometry *job_geometry(const struct job *job)
{
	return store_geometry(job->stack->store);
}

/* --- records --- */

/*
 * Each of these changes what it means and no more: a message may have changed
 * the rest of the record since the thread last looked.
 */

static void update_begin(struct cowstack_volume_info *info,
			 const void *argument)
{
	const struct cowstack_job *record = argument;

	info->job.total = record->total;
	info->job.error = 0;
	/* Of several that were begun the highest top counts. */
	if (from_layer_id(record->top) > from_layer_id(info->mixed_top))
		info->mixed_top = record->top;
}

static void update_progress(struct cowstack_volume_info *info,
			    const void *argument)
{
	const struct cowstack_job *record = argument;

	info->job.cursor = record->cursor;
	info->job.done = record->done;
}

static void update_end(struct cowstack_volume_info *info, const void *argument)
{
	const struct cowstack_job *record = argument;

	if (info->job.state == COWSTACK_JOB_CANCELLED)
		return;
	info->job.state = record->state;
	info->job.error = record->error;
}

struct finish {
	struct cowstack_job record;
	u64 base_sectors;
	u32 base_crc;
	u64 now;
};

static void update_finish(struct cowstack_volume_info *info,
			  const void *argument)
{
	const struct finish *f = argument;

	info->job = f->record;
	info->base_sectors = f->base_sectors;
	info->base_crc = f->base_crc;
	info->flags |= COWSTACK_VOLUME_BASE_RECORDED;
	/* A commit of less than was begun before leaves the mark. */
	if (from_layer_id(f->record.top) >= from_layer_id(info->mixed_top)) {
		info->mixed_top = COWSTACK_BASE_LAYER;
		info->base_time = f->now;
	}
}

static struct cowstack_job copy_record(struct job *job)
{
	struct cowstack_job record;

	spin_lock_irq(&job->stack->job_lock);
	record = job->record;
	spin_unlock_irq(&job->stack->job_lock);
	return record;
}

/* --- standing still --- */

static bool must_end(struct job *job)
{
	return kthread_should_stop() || READ_ONCE(job->cancelled);
}

static void set_still(struct job *job, bool still)
{
	spin_lock_irq(&job->stack->job_lock);
	job->still = still;
	spin_unlock_irq(&job->stack->job_lock);
	wake_up_all(&job->wait);
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
static void stand_still(struct job *job)
{
	set_still(job, true);
	wait_event_idle(job->wait, may_go_on(job) || kthread_should_stop());
}

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

	while (!must_end(job) && (delay = throttle_delay(job))) {
		unsigned long most = max(HZ / 10, 1);

		stand_still(job);
		wait_event_timeout(job->wait,
				   must_end(job) || !throttle_delay(job),
				   min(nsecs_to_jiffies(delay) + 1, most));
	}
}

static void account(struct job *job, u64 bytes, u64 chunks)
{
	u64 now = ktime_get_ns();

	spin_lock_irq(&job->stack->job_lock);
	cowstack_throttle_spend(&job->throttle, bytes, now);
	job->record.done += chunks;
	job->moved += bytes;
	if (now - job->rate_since > NSEC_PER_SEC / 2) {
		job->rate = mul_u64_u64_div_u64(job->moved, NSEC_PER_SEC,
						now - job->rate_since);
		job->moved = 0;
		job->rate_since = now;
	}
	spin_unlock_irq(&job->stack->job_lock);
}

/* --- changes --- */

typedef int (*prepare_fn)(struct job *job, struct cowstack_change *c,
			  const void *argument);

/*
 * Makes a change durable; a store that is suspended meanwhile is waited for,
 * standing still.  Return: 0, -EINTR: the thread must end; an error.
 */
static int make_durable(struct job *job, prepare_fn prepare,
			const void *argument)
{
	struct store *store = job->stack->store;
	struct store_change change;
	int error;

	for (;;) {
		mutex_lock(&job->stack->chain_mutex);
		mutex_lock(&store->metadata_lock);
		error = prepare(job, &change.change, argument);
		mutex_unlock(&store->metadata_lock);
		if (!error)
			error = journal_commit(store, &change);
		store_change_free(&change);
		mutex_unlock(&job->stack->chain_mutex);
		if (error != -EAGAIN)
			return error;
		stand_still(job);
		if (kthread_should_stop())
			return -EINTR;
		schedule_timeout_uninterruptible(1);
	}
}

static int prepare_begin(struct job *job, struct cowstack_change *c,
			 const void *argument)
{
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, update_begin,
				    argument);
}

static int prepare_end(struct job *job, struct cowstack_change *c,
		       const void *argument)
{
	return cowstack_change_info(c, &job->stack->store->metadata,
				    job->stack->volume, update_end, argument);
}

static int prepare_let_go(struct job *job, struct cowstack_change *c,
			  const void *argument)
{
	return cowstack_change_let_go(c, &job->stack->store->metadata,
				      job->stack->volume, job->bottom,
				      job->top, job->group_first,
				      job->group_chunks, update_progress,
				      argument);
}

/* FAULT_DROP_IN_TWO_STEPS: the newest layer of the range alone. */
static int prepare_let_go_newest(struct job *job, struct cowstack_change *c,
				 const void *argument)
{
	return cowstack_change_let_go(c, &job->stack->store->metadata,
				      job->stack->volume, job->top, job->top,
				      job->group_first, job->group_chunks,
				      update_progress, argument);
}

static int prepare_finish(struct job *job, struct cowstack_change *c,
			  const void *argument)
{
	/* Whoever was told so must find all layers in their place. */
	if (job->stack->volume->info.job.state == COWSTACK_JOB_CANCELLED) {
		memset(c, 0, sizeof(*c));
		WRITE_ONCE(job->cancelled, true);
		return -EINTR;
	}
	return cowstack_change_remove_layers(c, &job->stack->store->metadata,
					     job->stack->volume, job->bottom,
					     job->top, update_finish,
					     argument);
}

/* --- the sweep --- */

static int let_go(struct job *job)
{
	struct cowstack_job record = copy_record(job);
	int error = 0;

	record.cursor = from_vchunk(job->group_first) + job->group_chunks;
	if (cowstack_fault(FAULT_DROP_IN_TWO_STEPS) && job->top != job->bottom)
		error = make_durable(job, prepare_let_go_newest, &record);
	if (!error)
		error = make_durable(job, prepare_let_go, &record);
	if (error)
		return error;
	spin_lock_irq(&job->stack->job_lock);
	job->record.cursor = record.cursor;
	spin_unlock_irq(&job->stack->job_lock);
	return 0;
}

/* What was written up to chunk @end reaches the disk, then the words go. */
static int settle_group(struct job *job, vchunk_t end)
{
	int error = 0;

	job->group_chunks = from_vchunk(end) - from_vchunk(job->group_first);
	if (!job->group_chunks)
		return 0;
	if (!cowstack_fault(FAULT_SKIP_DESTINATION_FLUSH))
		error = block_flush(job->stack->base);
	if (!error && !cowstack_fault(FAULT_DROP_BEFORE_COPY))
		error = let_go(job);
	job->group_first = end;
	job->group_bytes = 0;
	job->group_space = 0;
	job->group_began = jiffies;
	return error;
}

/*
 * The part of @segment that is the volume's and that the base has; false:
 * nothing.  A last chunk may hold more than the volume does.
 */
static bool clip_segment(struct job *job, struct cowstack_segment *segment)
{
	u64 end = min(job->stack->base_sectors,
		      job->stack->volume->info.sectors);

	if (segment->sector >= end)
		return false;
	segment->sectors = min(segment->sectors, end - segment->sector);
	return true;
}

static bool batch_has_room(const struct job *job,
			   const struct copy_batch *batch)
{
	u32 pages = (job_geometry(job)->chunk_sectors >> 3) +
		    COWSTACK_MAX_PIECES;

	return batch->pages_used + pages <= COPY_BATCH_PAGES &&
	       batch->zero_bytes < BATCH_ZERO_BYTES &&
	       batch->run_count + COWSTACK_MAX_PIECES <= COPY_BATCH_RUNS;
}

/* Bytes of a batch, zeroes included: all that it holds, or a quarter of a second's worth. */
static u64 most_bytes(struct job *job)
{
	u64 speed;

	spin_lock_irq(&job->stack->job_lock);
	speed = job->record.speed;
	spin_unlock_irq(&job->stack->job_lock);
	return speed ? max_t(u64, speed / 4, 1) : U64_MAX;
}

/*
 * Gathers from job->next on; returns the chunks that were found.  A batch ends
 * where its group does, so that a let-go stays a bounded step.
 */
static u64 gather(struct job *job, struct copy_batch *batch)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	const struct cowstack_geometry *g = job_geometry(job);
	u64 most = most_bytes(job);
	u64 found = 0;
	struct blk_plug plug;
	u32 i, n;

	copy_batch_reset(batch);
	blk_start_plug(&plug);
	while (batch_has_room(job, batch) &&
	       batch->bytes + batch->zero_bytes < most &&
	       found < GROUP_CHUNKS &&
	       cowstack_range_next(&job->range, &job->next)) {
		n = cowstack_range_plan(g, &job->range, job->next, segments);
		for (i = 0; i < n; i++)
			if (clip_segment(job, &segments[i]) &&
			    WARN_ON_ONCE(!copy_batch_add(batch, &segments[i])))
				batch->error = -EIO;
		job->next = to_vchunk(from_vchunk(job->next) + 1);
		found++;
	}
	blk_finish_plug(&plug);
	return found;
}

static bool group_is_full(const struct job *job, vchunk_t end)
{
	return job->group_bytes >= GROUP_BYTES ||
	       job->group_space >= GROUP_BYTES ||
	       from_vchunk(end) - from_vchunk(job->group_first) >=
		       GROUP_CHUNKS ||
	       time_after_eq(jiffies, job->group_began + GROUP_TIME) ||
	       READ_ONCE(job->stack->store->out_of_space);
}

static int drop_unwritten(struct job *job, vchunk_t end)
{
	if (!cowstack_fault(FAULT_DROP_BEFORE_COPY))
		return 0;
	job->group_chunks = from_vchunk(end) - from_vchunk(job->group_first);
	return let_go(job);
}

/*
 * The store is read for one batch while the other is written.  Where the thread
 * may have to stop, it first waits for both, and what was gathered in vain is
 * gathered again.
 */
static int sweep(struct job *job)
{
	struct copy_batch *reading = &job->batch[0];
	struct copy_batch *writing = &job->batch[1];
	u64 found;
	vchunk_t written = job->group_first;
	int error = 0;

	job->group_began = jiffies;
	found = gather(job, reading);
	while (found && !error) {
		vchunk_t end = job->next;
		u64 chunks = found;

		error = copy_batch_wait(reading);
		if (!error)
			error = drop_unwritten(job, end);
		if (error)
			break;
		swap(reading, writing);
		copy_batch_write(writing, job->stack->base);
		found = gather(job, reading);
		error = copy_batch_wait(writing);
		if (error)
			break;
		written = end;
		account(job, writing->bytes + writing->zero_bytes, chunks);
		job->group_bytes += writing->bytes;
		job->group_space += chunks << job_geometry(job)->chunk_shift <<
				    SECTOR_SHIFT;
		if (group_is_full(job, end))
			error = settle_group(job, written);
		if (error || must_end(job) || READ_ONCE(job->stack->parked) ||
		    throttle_delay(job)) {
			copy_batch_wait(reading);
			job->next = end;
			if (!error)
				error = settle_group(job, written);
			keep_to_speed(job);
			stand_still(job);
			if (error || must_end(job))
				return error ? error : -EINTR;
			found = gather(job, reading);
		}
	}
	copy_batch_wait(reading);
	return error ? error : settle_group(job, written);
}

static int finish(struct job *job)
{
	struct stack *stack = job->stack;
	struct finish f = {
		.record = copy_record(job),
		.base_sectors = stack->base_sectors,
		.now = ktime_get_real_seconds(),
	};
	int error = base_sample(stack->store, stack->base,
				stack->volume->info.base_seed, &f.base_crc);

	if (error)
		return error;
	f.record.state = COWSTACK_JOB_COMPLETED;
	f.record.done = f.record.total;
	error = make_durable(job, prepare_finish, &f);
	if (!error) {
		spin_lock_irq(&stack->job_lock);
		job->record = f.record;
		spin_unlock_irq(&stack->job_lock);
	}
	return error;
}

static int run_commit(struct job *job)
{
	struct cowstack_job record;
	u64 left = cowstack_range_chunks(&job->range);
	int error;

	spin_lock_irq(&job->stack->job_lock);
	job->record.state = COWSTACK_JOB_RUNNING;
	job->record.error = 0;
	/* What an earlier run has done stays done. */
	job->record.total = job->record.done + left;
	record = job->record;
	spin_unlock_irq(&job->stack->job_lock);
	error = make_durable(job, prepare_begin, &record);
	if (!error)
		error = sweep(job);
	if (!error)
		error = finish(job);
	return error;
}

static void report_end(struct job *job, int error)
{
	const char *name = job->stack->name;

	switch (error) {
	case 0:
		pr_info("cowstack %s: commit of layer %u completed\n", name,
			from_layer_id(job->record.top));
		break;
	case -EINTR:
		pr_info("cowstack %s: commit cancelled\n", name);
		break;
	default:
		pr_err("cowstack %s: commit stopped: error %d; nothing is lost, a new start goes on\n",
		       name, error);
	}
	store_event(job->stack->store);
}

static void record_end(struct job *job, int error)
{
	struct cowstack_job record = copy_record(job);

	if (error == -EINTR) {
		/* Who cancelled has made it durable. */
		record.state = COWSTACK_JOB_CANCELLED;
	} else {
		record.state = COWSTACK_JOB_STOPPED;
		record.error = -error;
		if (make_durable(job, prepare_end, &record))
			pr_warn("cowstack %s: commit: its end could not be recorded\n",
				job->stack->name);
	}
	/* Shown only now: who sees it may start the next one. */
	spin_lock_irq(&job->stack->job_lock);
	job->record.state = record.state;
	job->record.error = record.error;
	spin_unlock_irq(&job->stack->job_lock);
	report_end(job, error);
}

int commit_thread(void *data)
{
	struct job *job = data;
	int error;

	stand_still(job);
	error = kthread_should_stop() ? -EINTR : run_commit(job);
	if (error && READ_ONCE(job->cancelled))
		error = -EINTR;
	/* A removal leaves the record running: it is taken up again. */
	if (!error)
		report_end(job, 0);
	else if (error != -EINTR || READ_ONCE(job->cancelled))
		record_end(job, error);
	copy_batch_exit(&job->batch[0]);
	copy_batch_exit(&job->batch[1]);
	spin_lock_irq(&job->stack->job_lock);
	job->finished = true;
	job->still = true;
	spin_unlock_irq(&job->stack->job_lock);
	base_release(job->stack);
	wake_up_all(&job->wait);
	wait_event_idle(job->wait, kthread_should_stop());
	return 0;
}
