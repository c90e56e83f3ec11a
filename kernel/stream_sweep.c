// SPDX-License-Identifier: GPL-2.0
/*
 * One ascending pass of a stream: what the sources know moves up into the layer
 * that takes it, batch by batch:
 *
 *   gather    what must be copied is read into memory, from the store or the base
 *   settle    in the layer that takes it nothing else changes meanwhile:
 *             write that to the chunk which goes up, or to a new one;
 *             one step: words above, none below
 *
 * A crash between any two of these lines loses nothing: until the step is durable
 * the words below lead to the data, and the step's own flush makes what was copied
 * durable before the words above that show it.
 *
 * The layer that takes it may be the top that users write to.  Their first writes
 * to the chunks of a batch wait while it is settled (range locks), which is I/O of
 * the store and never of the base; reads and rewrites do not wait.  What they wrote
 * since the gathering is newer: the plan is made again under the locks.
 *
 * Lock order: chain_mutex, then range locks in ascending order, one for all that a
 * batch has in a region.  Requests that meet are granted as they came, those that wait
 * among them: with two in a region another's, of both, could stand between, and wait for
 * the first while the second waits for it.  Whoever else holds one waits for no other,
 * and a discard, which waits for one inside the write gate, is why the chain comes
 * first: a snapshot holds it when it waits for the gate.
 */
#include "commit.h"

enum {
	PULL_BYTES = COPY_BATCH_BYTES,
	/* Chunks looked at for one batch: bounds what goes by before it waits. */
	PULL_PASSED = 65536,
};

static bool locks_chunks(const struct job *job)
{
	return job->destination == job->stack->volume->top;
}

/* --- gathering --- */

static u64 piece_bytes(const struct job *job, u32 pieces)
{
	return (u64)pieces << commit_geometry(job)->piece_shift <<
	       SECTOR_SHIFT;
}

/* Where piece @piece of what was gathered for @entry lies in the buffer. */
static u64 buffer_place(const struct job *job, const struct pull_entry *entry,
			u32 piece)
{
	u16 before = entry->gathered & ((1u << piece) - 1);

	return entry->at + piece_bytes(job, hweight16(before));
}

static void read_base(struct job *job, struct pull_batch *batch, u64 sector,
		      u64 at, u64 bytes)
{
	u64 end = max(job->stack->base_sectors, sector);
	u64 has = min(bytes, (end - sector) << SECTOR_SHIFT);

	/* Behind its end it shows zeroes. */
	copy_batch_clear(batch->io, at + has, bytes - has);
	copy_batch_transfer(batch->io, job->stack->base, REQ_OP_READ, sector,
			    at, has);
}

static void gather_copies(struct job *job, struct pull_batch *batch,
			  const struct pull_entry *entry,
			  const struct cowstack_pull *pull)
{
	const struct cowstack_geometry *g = commit_geometry(job);
	u64 start = from_vchunk(entry->chunk) << g->chunk_shift;
	u32 i;

	for (i = 0; i < pull->count; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];
		u64 at = buffer_place(job, entry, c->first);
		u64 bytes = piece_bytes(job, c->count);

		if (c->from_base)
			read_base(job, batch,
				  start + ((u64)c->first << g->piece_shift),
				  at, bytes);
		else
			copy_batch_transfer(batch->io, job->stack->store->bdev,
					    REQ_OP_READ, c->place, at, bytes);
	}
}

static bool is_new(const struct job *job, vchunk_t chunk,
		   const struct cowstack_pull *pull)
{
	return pull->word != MAP_WORD_NONE &&
	       (pull->copied ||
		pull->word != chunk_map_get(&job->destination->map, chunk));
}

static void gather_chunk(struct job *job, struct pull_batch *batch,
			 vchunk_t chunk)
{
	struct pull_entry *entry = &batch->entries[batch->count];
	struct cowstack_pull pull;

	batch->passed++;
	cowstack_stream_plan(commit_geometry(job), &job->stream, chunk, &pull);
	/* Where nothing goes up the sources' words may still have to go. */
	if (!is_new(job, chunk, &pull))
		return;
	entry->chunk = chunk;
	entry->gathered = pull.copied;
	entry->at = batch->bytes;
	gather_copies(job, batch, entry, &pull);
	batch->bytes += piece_bytes(job, hweight16(pull.copied));
	batch->count++;
}

/* Begins to read what lies from job->next on; false: there is nothing. */
static bool gather(struct job *job, struct pull_batch *batch)
{
	const struct cowstack_geometry *g = commit_geometry(job);
	u64 most = min_t(u64, commit_most_bytes(job),
			 PULL_BYTES - piece_bytes(job, g->pieces));
	u32 most_entries = job->one_by_one ? 1 : PULL_ENTRIES;
	struct blk_plug plug;

	copy_batch_reset(batch->io);
	batch->first = job->next;
	batch->count = 0;
	batch->passed = 0;
	batch->bytes = 0;
	blk_start_plug(&plug);
	while (batch->count < most_entries && batch->bytes <= most &&
	       batch->passed < (job->one_by_one ? 1 : PULL_PASSED) &&
	       cowstack_stream_next(g, &job->stream, &job->next)) {
		gather_chunk(job, batch, job->next);
		job->next = to_vchunk(from_vchunk(job->next) + 1);
	}
	blk_finish_plug(&plug);
	batch->end = job->next;
	return batch->passed;
}

/* --- settling --- */

static void lock_granted(struct range_lock *lock)
{
	complete(&container_of(lock, struct pull_entry, lock)->granted);
}

/* From the chunk of @entries[0] to the last of these in its region; returns how many. */
static u32 lock_region(struct stack *stack, struct pull_entry *entries,
		       u32 count)
{
	struct pull_entry *entry = &entries[0];
	u64 end = range_lock_region_end(&stack->ranges,
					from_vchunk(entry->chunk));
	u32 n = 1;

	while (n < count && from_vchunk(entries[n].chunk) < end)
		entries[n++].locks = false;
	entry->locks = true;
	entry->lock.first = from_vchunk(entry->chunk);
	entry->lock.last = from_vchunk(entries[n - 1].chunk);
	entry->lock.exclusive = true;
	entry->lock.on_grant = lock_granted;
	init_completion(&entry->granted);
	if (!range_lock_acquire(&stack->ranges, &entry->lock))
		wait_for_completion(&entry->granted);
	return n;
}

static void lock_entries(struct job *job, struct pull_batch *batch)
{
	u32 i = 0;

	while (i < batch->count)
		i += lock_region(job->stack, &batch->entries[i],
				 batch->count - i);
}

static void unlock_entries(struct job *job, struct pull_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->count; i++)
		if (batch->entries[i].locks)
			range_lock_release(&job->stack->ranges,
					   &batch->entries[i].lock);
}

static u64 home_sector(const struct job *job, const struct pull_entry *entry,
		       u32 piece)
{
	const struct cowstack_geometry *g = commit_geometry(job);

	return cowstack_chunk_sector(g, map_word_chunk(entry->word)) +
	       ((u64)piece << g->piece_shift);
}

/*
 * What a user wrote meanwhile took a chunk of its own, and so more has to be
 * copied than was gathered: from the store alone, as what the base has was
 * gathered in any case.
 */
static int gather_rest(struct job *job, struct pull_entry *entry,
		       const struct cowstack_pull *pull)
{
	struct copy_batch *io = &job->check;
	struct store *store = job->stack->store;
	u32 i, round;
	int error = 0;

	copy_batch_reset(io);
	for (round = 0; round < 2 && !error; round++) {
		for (i = 0; i < pull->count; i++) {
			const struct cowstack_pull_copy *c = &pull->copies[i];

			if (c->from_base)
				continue;
			copy_batch_transfer(io, store->bdev,
					    round ? REQ_OP_WRITE : REQ_OP_READ,
					    round ? home_sector(job, entry,
								c->first) :
						    c->place,
					    piece_bytes(job, c->first),
					    piece_bytes(job, c->count));
		}
		error = copy_batch_wait(io);
	}
	return error;
}

/* Begins to write what was gathered for @entry to the chunk of its word. */
static int place_copies(struct job *job, struct pull_batch *batch,
			struct pull_entry *entry,
			const struct cowstack_pull *pull)
{
	bool rest = pull->copied & ~entry->gathered;
	int error = rest ? gather_rest(job, entry, pull) : 0;
	u32 i;

	for (i = 0; i < pull->count && !error; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];

		if (rest && !c->from_base)
			continue;
		copy_batch_transfer(batch->io, job->stack->store->bdev,
				    REQ_OP_WRITE,
				    home_sector(job, entry, c->first),
				    buffer_place(job, entry, c->first),
				    piece_bytes(job, c->count));
	}
	return error;
}

static int place_entry(struct job *job, struct pull_batch *batch,
		       struct pull_entry *entry)
{
	struct allocator *a = &job->stack->store->metadata.allocator;
	struct cowstack_replacement *r;
	struct cowstack_pull pull;
	dchunk_t room;
	u64 got;

	cowstack_stream_plan(commit_geometry(job), &job->stream, entry->chunk,
			     &pull);
	entry->took = false;
	entry->word = pull.word;
	if (!is_new(job, entry->chunk, &pull))
		return 0;
	if (pull.needs_chunk) {
		if (cowstack_allocator_take(a, 1, &room, &got))
			return -ENOSPC;
		entry->took = true;
		entry->word = map_word_at(pull.word, room);
	}
	r = &job->replacements[job->replacement_count++];
	r->chunk = entry->chunk;
	r->layer = job->destination;
	r->word = entry->word;
	return place_copies(job, batch, entry, &pull);
}

static int place_entries(struct job *job, struct pull_batch *batch)
{
	int error = 0, written;
	u32 i;

	job->replacement_count = 0;
	for (i = 0; i < batch->count; i++)
		batch->entries[i].took = false;
	for (i = 0; i < batch->count && !error; i++)
		error = place_entry(job, batch, &batch->entries[i]);
	written = copy_batch_wait(batch->io);
	return error ? error : written;
}

/* No step has been tried that names what was taken, or might. */
static void give_back_room(struct job *job, struct pull_batch *batch)
{
	struct allocator *a = &job->stack->store->metadata.allocator;
	const struct pull_entry *entry;

	for (entry = batch->entries; entry < batch->entries + batch->count;
	     entry++)
		if (entry->took)
			cowstack_allocator_untake(a, map_word_chunk(entry->word),
						  1);
}

/* One step; chain_mutex and the range locks are held. */
static int make_step(struct job *job, struct pull_batch *batch,
		     const struct cowstack_job *record)
{
	struct cowstack_let_go what = {
		.bottom = job->bottom,
		.top = job->top,
		.upward = true,
		.first = batch->first,
		.count = from_vchunk(batch->end) - from_vchunk(batch->first),
		.replacements = job->replacements,
		.replacement_count = job->replacement_count,
	};
	struct store *store = job->stack->store;
	struct store_change change = { };
	int error;

	mutex_lock(&store->metadata_lock);
	/* Whoever was told that it is cancelled finds the layers as they were. */
	if (job->stack->volume->info.job.state == COWSTACK_JOB_CANCELLED)
		error = -EINTR;
	else
		error = cowstack_change_let_go(&change.change, &store->metadata,
					       job->stack->volume, &what,
					       commit_update_progress, record);
	mutex_unlock(&store->metadata_lock);
	if (!error)
		error = journal_commit(store, &change);
	store_change_free(&change);
	return error;
}

/* Chunks that a batch has passed, as cowstack_stream_chunks() counts them. */
static u64 count_passed(const struct job *job, const struct pull_batch *batch)
{
	u64 base = cowstack_chunks_of(commit_geometry(job),
				      job->stream.base_sectors);
	u64 first = from_vchunk(batch->first), end = from_vchunk(batch->end);

	if (end <= base)
		return end - first;
	if (first >= base)
		return batch->passed;
	/* Rounded: the one batch that goes over the base's end. */
	return base - first;
}

/* -EAGAIN: the store is suspended, and nothing has changed. */
static int settle(struct job *job, struct pull_batch *batch)
{
	struct stack *stack = job->stack;
	struct cowstack_job record = commit_copy_record(job);
	bool locks;
	int error;

	record.cursor = from_vchunk(batch->end);
	record.done += count_passed(job, batch);
	mutex_lock(&stack->chain_mutex);
	locks = locks_chunks(job);
	if (locks)
		lock_entries(job, batch);
	error = place_entries(job, batch);
	if (!error)
		error = make_step(job, batch, &record);
	/* One that has failed may be on the disk all the same; then the store is ro. */
	if (error && store_is_rw(stack->store))
		give_back_room(job, batch);
	if (locks)
		unlock_entries(job, batch);
	mutex_unlock(&stack->chain_mutex);
	/* A write may have found no room while this had it. */
	if (error && atomic64_read(&stack->store->parked_writes))
		defer_admit_parked(stack->store);
	if (error)
		return error;
	spin_lock_irq(&stack->job_lock);
	job->record.cursor = record.cursor;
	spin_unlock_irq(&stack->job_lock);
	return 0;
}

/* --- the pass --- */

/*
 * A batch has failed with @error: its chunks again, one by one.  Those that fail
 * stay in their layers.
 */
static int handle_error(struct job *job, struct pull_batch *batch, int error)
{
	if (!commit_is_io_error(error) || error == -ENOSPC)
		return error;
	if (!job->one_by_one) {
		job->one_by_one = true;
		job->one_until = batch->end;
		job->next = batch->first;
		return 0;
	}
	/* It passed that chunk and no other. */
	commit_note_error(job, to_vchunk(from_vchunk(batch->end) - 1), 1,
			  error);
	return commit_goes_on_after_errors(job) ? 0 : error;
}

static int pull_batch(struct job *job, struct pull_batch *batch)
{
	int error = copy_batch_wait(batch->io);

	if (!error)
		error = settle(job, batch);
	if (error == -EAGAIN) {
		job->next = batch->first;
		return commit_wait_for_store(job);
	}
	if (error == -ENOMEM) {
		job->next = batch->first;
		return commit_wait_for_memory(job);
	}
	if (error)
		return handle_error(job, batch, error);
	commit_account(job, batch->bytes, count_passed(job, batch));
	return 0;
}

int stream_sweep(struct job *job)
{
	struct pull_batch *batch = &job->pull;
	int error = 0;

	job->one_by_one = false;
	while (!error && gather(job, batch)) {
		error = pull_batch(job, batch);
		if (job->one_by_one &&
		    from_vchunk(job->next) >= from_vchunk(job->one_until))
			job->one_by_one = false;
		if (!error && commit_must_wait(job))
			error = commit_wait(job);
		else if (!error)
			error = commit_keep_back(job);
	}
	return error;
}
