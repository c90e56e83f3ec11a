// SPDX-License-Identifier: GPL-2.0
/*
 * One ascending pass over the range of a commit:
 *
 *   for each group of batches:
 *       gather from the store, write to the destination, flush it
 *       let go: one step that drops the words of all layers of the range,
 *       while the first batch of the next group is on its way
 *
 * A crash between any two of these lines loses nothing: until the let-go is
 * durable the words lead to the store, and after it the destination has the
 * data, which was flushed before.  What was written twice is the same twice.
 *
 * Where the destination is a layer, words move: the newest word's data chunk
 * becomes the layer's, and takes from the words below what it lacks.  That goes
 * to sixteenths that no word shows, and the step's own flush makes it durable
 * before the word that shows it.
 *
 * The layers of the range do not change but by us, so what a group's words come
 * to is asked when it is gathered and again when it is let go of.
 */
#include "base_sample.h"
#include "commit.h"
#include "core/fault.h"

/* A group is let go when it reaches any of these, or when writes wait for room. */
enum {
	GROUP_BYTES = 32 << 20,		/* written, or of the store's space */
	GROUP_CHUNKS = 8192,		/* passed over: bounds the step */
	/* Known: with what the last batch adds, its words fit one step. */
	GROUP_FOUND = COWSTACK_MAX_REPLACEMENTS / 2,
	GROUP_TIME = HZ,
	/*
	 * Zeroes of one batch: where the device has no write-zeroes these are
	 * writes, and nothing else is looked at before they have ended.
	 */
	BATCH_ZERO_BYTES = 32 << 20,
};

static struct block_device *destination_device(const struct job *job)
{
	return job->destination ? job->stack->store->bdev : job->stack->base;
}

/* --- letting go --- */

static int prepare_let_go(struct job *job, struct cowstack_change *c,
			  const void *argument)
{
	struct cowstack_let_go what = {
		.bottom = job->bottom,
		.top = job->top,
		.first = job->group_first,
		.count = job->group_chunks,
		.replacements = job->replacements,
		.replacement_count = job->replacement_count,
	};

	return cowstack_change_let_go(c, &job->stack->store->metadata,
				      job->stack->volume, &what,
				      commit_update_progress, argument);
}

/* FAULT_DROP_IN_TWO_STEPS: the newest layer of the range alone. */
static int prepare_let_go_newest(struct job *job, struct cowstack_change *c,
				 const void *argument)
{
	struct cowstack_let_go what = {
		.bottom = job->top,
		.top = job->top,
		.first = job->group_first,
		.count = job->group_chunks,
	};

	return cowstack_change_let_go(c, &job->stack->store->metadata,
				      job->stack->volume, &what,
				      commit_update_progress, argument);
}

/* The word that stays of @chunk, and where; false: none does. */
static bool find_replacement(struct job *job, vchunk_t chunk,
			     struct cowstack_replacement *r)
{
	struct cowstack_merge merge;

	r->chunk = chunk;
	if (job->destination) {
		cowstack_range_merge(commit_geometry(job), &job->merged, chunk,
				     &merge);
		r->layer = job->destination;
		r->word = merge.word;
		return merge.word != MAP_WORD_NONE;
	}
	r->word = cowstack_range_newest(&job->range, chunk, &r->layer);
	if (!map_word_mask(r->word))
		return false;	/* zeroes take no room: nothing to keep */
	/* What was kept before, and is still the newest, stays. */
	if (!commit_has_flag(job, COWSTACK_JOB_RETAIN) &&
	    !map_word_is_clean(r->word))
		return false;
	r->word = map_word_as_clean(r->word);
	return true;
}

/* -EOVERFLOW: there are more than a group can have; nothing may be let go of. */
static int find_replacements(struct job *job, u64 end)
{
	vchunk_t chunk = job->group_first;

	job->replacement_count = 0;
	if (!job->replacements)
		return 0;
	while (cowstack_range_next(&job->range, &chunk) &&
	       from_vchunk(chunk) < end) {
		if (job->replacement_count == COWSTACK_MAX_REPLACEMENTS)
			return -EOVERFLOW;
		if (find_replacement(job, chunk,
				     &job->replacements[job->replacement_count]))
			job->replacement_count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	return 0;
}

static int let_go(struct job *job)
{
	struct cowstack_job record = commit_copy_record(job);
	int error;

	record.cursor = from_vchunk(job->group_first) + job->group_chunks;
	error = find_replacements(job, record.cursor);
	if (error)
		return error;
	if (cowstack_fault(FAULT_DROP_IN_TWO_STEPS) && job->top != job->bottom)
		error = commit_make_durable(job, prepare_let_go_newest, &record);
	if (!error)
		error = commit_make_durable(job, prepare_let_go, &record);
	if (error)
		return error;
	spin_lock_irq(&job->stack->job_lock);
	job->record.cursor = record.cursor;
	spin_unlock_irq(&job->stack->job_lock);
	return 0;
}

/* The next group begins at @first. */
static void begin_group(struct job *job, vchunk_t first)
{
	job->group_first = first;
	job->group_chunks = 0;
	job->group_found = 0;
	job->group_bytes = 0;
	job->group_space = 0;
	job->group_began = jiffies;
}

/*
 * The journal's step flushes the store itself.  What others have read of the base
 * stays in the page cache for as long as anybody has the device open, as we have:
 * they would read again what was there before, also into a backup.
 */
static int flush_destination(struct job *job)
{
	if (job->destination)
		return 0;
	invalidate_bdev(job->stack->base);
	if (cowstack_fault(FAULT_SKIP_DESTINATION_FLUSH))
		return 0;
	return block_flush(job->stack->base);
}

/* What was written up to chunk @end reaches the disk; then its words may go. */
static int flush_group(struct job *job, vchunk_t end)
{
	int error;

	job->group_chunks = from_vchunk(end) - from_vchunk(job->group_first);
	if (!job->group_chunks)
		return 0;
	error = flush_destination(job);
	if (!error) {
		job->let_go_due = true;
		return 0;
	}
	commit_note_error(job, job->group_first, job->group_found, error);
	if (!commit_goes_on_after_errors(job))
		return error;
	begin_group(job, end);
	return 0;
}

/* The words of a group that was flushed go, if there is one. */
static int let_go_flushed(struct job *job)
{
	int error = 0;

	if (!job->let_go_due)
		return 0;
	job->let_go_due = false;
	if (!cowstack_fault(FAULT_DROP_BEFORE_COPY))
		error = let_go(job);
	if (!error)
		begin_group(job, to_vchunk(from_vchunk(job->group_first) +
					   job->group_chunks));
	return error;
}

static int settle_group(struct job *job, vchunk_t end)
{
	int error = let_go_flushed(job);

	if (!error)
		error = flush_group(job, end);
	return error ? error : let_go_flushed(job);
}

static int drop_unwritten(struct job *job, vchunk_t end)
{
	if (!cowstack_fault(FAULT_DROP_BEFORE_COPY))
		return 0;
	job->group_chunks = from_vchunk(end) - from_vchunk(job->group_first);
	return let_go(job);
}

static bool group_is_full(const struct job *job, vchunk_t end)
{
	return job->group_bytes >= GROUP_BYTES ||
	       job->group_space >= GROUP_BYTES ||
	       job->group_found >= GROUP_FOUND ||
	       from_vchunk(end) - from_vchunk(job->group_first) >=
		       GROUP_CHUNKS ||
	       time_after_eq(jiffies, job->group_began + GROUP_TIME) ||
	       READ_ONCE(job->stack->store->out_of_space);
}

/* --- gathering --- */

static bool cut_segment(struct cowstack_segment *segment, u64 end)
{
	if (segment->sector >= end)
		return false;
	segment->sectors = min(segment->sectors, end - segment->sector);
	return true;
}

/*
 * The volume may end within a block of the base's, which is written as a whole: data
 * has what lies behind the end there too.  Zeroes have not, and end where the volume does:
 * what they leave of the block is written with them (copy_engine.c).
 */
static u64 volume_end(const struct job *job, bool zero)
{
	u32 block = bdev_logical_block_size(job->stack->base) >> SECTOR_SHIFT;
	u64 sectors = job->stack->volume->info.sectors;

	return zero ? sectors : round_up(sectors, block);
}

/* Data may reach up to there: behind the base's end zeroes at most, of its last piece. */
static u64 data_end(const struct job *job, u64 has)
{
	return job->tail.sector == has ? has + job->tail.sectors : has;
}

/*
 * The part of @segment that is the volume's and that the base has: false:
 * nothing.  A last chunk may hold more than the volume does.  Behind the base's end
 * zeroes show in any case; data is not there when a job starts, but the base may be
 * shorter when it goes on, and then that data stays in its layers.
 */
static bool clip_segment(struct job *job, struct copy_batch *batch,
			 struct cowstack_segment *segment)
{
	u64 has = job->stack->base_sectors;

	if (!cut_segment(segment, volume_end(job, segment->zero)))
		return false;
	if (!segment->zero &&
	    segment->sector + segment->sectors > data_end(job, has)) {
		batch->error = -ENXIO;
		return false;
	}
	return cut_segment(segment, has);
}

/*
 * A run that goes on is cut at the device's limit: would the next chunk begin a
 * request that the rest of the buffer cannot fill?
 */
static bool ends_request(const struct job *job, const struct copy_batch *batch)
{
	u32 limit = queue_max_sectors(bdev_get_queue(destination_device(job)));
	u32 room = (COPY_BATCH_BYTES - batch->used) >> SECTOR_SHIFT;
	const struct copy_run *last;

	if (!batch->run_count || room >= limit)
		return false;
	last = &batch->runs[batch->run_count - 1];
	return !last->zero && last->sectors >= limit &&
	       (u32)last->sectors % limit < commit_geometry(job)->chunk_sectors;
}

static bool batch_has_room(const struct job *job,
			   const struct copy_batch *batch)
{
	/* Each run begins at a block of its own. */
	u32 bytes = (commit_geometry(job)->chunk_sectors << SECTOR_SHIFT) +
		    COWSTACK_MAX_PIECES * COWSTACK_BLOCK_SIZE;

	return batch->used + bytes <= COPY_BATCH_BYTES &&
	       batch->zero_bytes < BATCH_ZERO_BYTES &&
	       batch->run_count + COWSTACK_MAX_PIECES <= COPY_BATCH_RUNS;
}

static void gather_segment(struct copy_batch *batch,
			   const struct cowstack_segment *segment)
{
	/* Should there be no room after all: what is not copied stays. */
	if (!copy_batch_add(batch, segment))
		batch->error = -EIO;
}

static void gather_chunk(struct job *job, struct copy_batch *batch,
			 vchunk_t chunk)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	const struct cowstack_geometry *g = commit_geometry(job);
	struct cowstack_merge merge;
	u32 i, n;

	if (job->destination) {
		cowstack_range_merge(g, &job->merged, chunk, &merge);
		for (i = 0; i < merge.count; i++)
			gather_segment(batch, &merge.copies[i]);
		return;
	}
	n = cowstack_range_plan(g, &job->range, chunk, segments);
	for (i = 0; i < n; i++)
		if (clip_segment(job, batch, &segments[i]))
			gather_segment(batch, &segments[i]);
}

/*
 * Gathers from job->next on; returns the chunks that were found.  A batch ends
 * where its group does, so that a let-go stays a bounded step.
 */
static u64 gather(struct job *job, struct copy_batch *batch)
{
	u64 most = commit_most_bytes(job);
	struct blk_plug plug;
	u64 found = 0;

	copy_batch_reset(batch);
	commit_begin_work(job);
	blk_start_plug(&plug);
	while (batch_has_room(job, batch) && !ends_request(job, batch) &&
	       batch->bytes + batch->zero_bytes < most &&
	       found < GROUP_FOUND &&
	       cowstack_range_next(&job->range, &job->next)) {
		gather_chunk(job, batch, job->next);
		job->next = to_vchunk(from_vchunk(job->next) + 1);
		found++;
		commit_breathe(job);
	}
	copy_batch_send(batch);
	blk_finish_plug(&plug);
	return found;
}

/* --- writing --- */

static struct base_sample *sample_of(struct job *job)
{
	return job->destination ? NULL : job->stack->sample;
}

static void begin_writing(struct job *job, struct copy_batch *batch)
{
	struct block_device *bdev = destination_device(job);
	u32 i;

	commit_begin_work(job);
	/*
	 * Not plugged: what adjoins is one run already, and a plug without a
	 * scheduler behind it is emptied from its end.
	 */
	for (i = 0; i < batch->run_count; i++) {
		copy_batch_write(batch, bdev, i);
		commit_breathe(job);
	}
	/* While the disk is at it. */
	if (sample_of(job))
		base_sample_learn(sample_of(job), batch, job);
}

/* What has failed may have arrived or not. */
static int end_writing(struct job *job, struct copy_batch *batch)
{
	int error = copy_batch_wait(batch);

	if (error && sample_of(job))
		base_sample_forget(sample_of(job), batch);
	return error;
}

static int flush_for_reading_back(struct job *job)
{
	if (job->destination)
		return flush_device(job->stack->store);
	return block_flush(job->stack->base);
}

/* Reads back what was written and compares it, behind the disk's own cache. */
static int verify(struct job *job, struct copy_batch *batch)
{
	int error;

	if (!commit_has_flag(job, COWSTACK_JOB_VERIFY))
		return 0;
	error = commit_allocate_check(job);
	if (!error)
		error = flush_for_reading_back(job);
	return error ? error :
		       copy_batch_compare(batch, &job->check,
					  destination_device(job));
}

/*
 * What was gathered stays right while it waits: the range does not change but by
 * us.  Whatever was written of it is written again.
 */
static int write_when_room(struct job *job, struct copy_batch *batch,
			   vchunk_t first)
{
	int error = settle_group(job, first);

	if (error)
		return error;
	commit_begin_room_wait(job);
	do {
		error = commit_wait_for_room(job);
		if (error)
			break;
		batch->error = 0;
		begin_writing(job, batch);
		error = end_writing(job, batch);
	} while (commit_lacks_room(job, error));
	commit_end_room_wait(job);
	return error;
}

static void count_batch(struct job *job, const struct copy_batch *batch,
			u64 chunks)
{
	commit_account(job, batch->bytes + batch->zero_bytes, chunks);
	job->group_found += chunks;
	job->group_bytes += batch->bytes;
	job->group_space += chunks << commit_geometry(job)->chunk_shift <<
			    SECTOR_SHIFT;
}

/* One chunk by itself, to see whether it is the one that fails. */
static int copy_chunk(struct job *job, struct copy_batch *batch, vchunk_t chunk)
{
	int error;

	copy_batch_reset(batch);
	gather_chunk(job, batch, chunk);
	error = copy_batch_wait(batch);
	if (error)
		return error;
	begin_writing(job, batch);
	error = end_writing(job, batch);
	if (commit_lacks_room(job, error))
		error = write_when_room(job, batch, chunk);
	return error ? error : verify(job, batch);
}

/*
 * A batch up to @end has failed with @error: its chunks again, one by one.  Those
 * that fail stay in their layers, and the groups end before and begin behind them.
 */
static int salvage(struct job *job, struct copy_batch *batch, vchunk_t first,
		   vchunk_t end, int error)
{
	vchunk_t chunk = first;
	int settled = let_go_flushed(job);

	if (settled || !commit_is_io_error(error))
		return settled ? settled : error;
	while (cowstack_range_next(&job->range, &chunk) &&
	       from_vchunk(chunk) < from_vchunk(end)) {
		vchunk_t behind = to_vchunk(from_vchunk(chunk) + 1);

		error = commit_wait(job);
		if (error)
			return error;
		error = copy_chunk(job, batch, chunk);
		/* To be told to end is no fault of the chunk's. */
		if (error && !commit_is_io_error(error))
			return error;
		if (!error) {
			count_batch(job, batch, 1);
		} else {
			settled = settle_group(job, chunk);
			if (settled)
				return settled;
			commit_note_error(job, chunk, 1, error);
			if (!commit_goes_on_after_errors(job))
				return error;
			begin_group(job, behind);
		}
		chunk = behind;
	}
	return 0;
}

/*
 * Writes what @batch has gathered from @first up to @end while the next batch is
 * gathered into @reading.  0, or an error that ends the job.
 */
static int write_batch(struct job *job, struct copy_batch *batch,
		       struct copy_batch *reading, vchunk_t first, vchunk_t end,
		       u64 chunks, u64 *found)
{
	int error = copy_batch_wait(batch);

	*found = 0;
	if (!error) {
		error = drop_unwritten(job, end);
		if (error)
			return error;
		begin_writing(job, batch);
		/* The disk need not wait for the store. */
		error = let_go_flushed(job);
		if (error) {
			end_writing(job, batch);
			return error;
		}
		*found = gather(job, reading);
		error = end_writing(job, batch);
		if (commit_lacks_room(job, error)) {
			copy_batch_wait(reading);
			error = write_when_room(job, batch, first);
		}
		if (!error)
			error = verify(job, batch);
		if (!error) {
			count_batch(job, batch, chunks);
			return 0;
		}
		/* Whatever the other gathers is gathered again. */
		copy_batch_wait(reading);
	}
	job->next = end;
	error = salvage(job, batch, first, end, error);
	if (!error)
		*found = gather(job, reading);
	return error;
}

/*
 * Where the thread may have to wait, no I/O of its own may be under way, and
 * what was gathered in vain is gathered again.
 */
static int stop_and_wait(struct job *job, struct copy_batch *reading,
			 vchunk_t end, u64 *found)
{
	int error;

	copy_batch_wait(reading);
	job->next = end;
	error = settle_group(job, end);
	if (!error)
		error = commit_wait(job);
	if (!error)
		*found = gather(job, reading);
	return error;
}

int commit_sweep(struct job *job)
{
	struct copy_batch *reading = &job->batch[0];
	struct copy_batch *writing = &job->batch[1];
	vchunk_t first = job->group_first;
	int error;
	u64 found;

	job->let_go_due = false;
	begin_group(job, first);
	found = gather(job, reading);
	while (found) {
		vchunk_t end = job->next;
		u64 chunks = found;

		swap(reading, writing);
		error = write_batch(job, writing, reading, first, end, chunks,
				    &found);
		if (!error && (group_is_full(job, end) ||
			       commit_has_flag(job, COWSTACK_JOB_VERIFY)))
			error = found && commit_may_go_on(job) ?
					flush_group(job, end) :
					settle_group(job, end);
		if (!error && commit_must_wait(job)) {
			error = stop_and_wait(job, reading, end, &found);
		} else if (!error && found) {
			/* It may have to stand still there. */
			copy_batch_wait(reading);
			error = commit_keep_back(job);
		}
		if (error) {
			copy_batch_wait(reading);
			return error;
		}
		first = end;
	}
	copy_batch_wait(reading);
	return settle_group(job, first);
}
