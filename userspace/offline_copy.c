// SPDX-License-Identifier: GPL-2.0
#include "offline_job.h"
#include "signals.h"

enum {
	BATCH_BYTES = 4 << 20,
	GROUP_BYTES = 32 << 20,		/* of data, between two let-gos */
	GROUP_CHUNKS = 8192,		/* passed over: bounds the step */
	GROUP_FOUND = COWSTACK_MAX_REPLACEMENTS / 2,
	BATCH_PARTS = 1024,
};

/* Bytes that go from what was read into what is written. */
struct patch {
	char *to;
	const char *from;
	size_t bytes;
};

/* A batch: what is read goes to the buffer, aligned, and on from there. */
struct offline_copy {
	char *buffer;
	char *scratch;			/* to read back into */
	u64 buffered;
	struct io_ring_part reads[BATCH_PARTS];
	struct io_ring_part writes[BATCH_PARTS];
	struct patch patches[BATCH_PARTS];
	struct cowstack_segment zeroes[BATCH_PARTS];
	unsigned int read_count;
	unsigned int write_count;
	unsigned int patch_count;
	unsigned int zero_count;
	u64 bytes;
	struct cowstack_replacement replacements[COWSTACK_MAX_REPLACEMENTS];
};

static vchunk_t behind(vchunk_t chunk)
{
	return to_vchunk(from_vchunk(chunk) + 1);
}

static bool is_below(vchunk_t chunk, vchunk_t end)
{
	return from_vchunk(chunk) < from_vchunk(end);
}

/* The next chunk of the range from *@chunk on, below @end; false: none. */
static bool next_chunk(const struct offline_job *job, vchunk_t *chunk,
		       vchunk_t end)
{
	return cowstack_range_next(&job->range, chunk) && is_below(*chunk, end);
}

/* --- gathering --- */

/* The part that is the volume's and that the base has. */
static bool clip_segment(const struct offline_job *job,
			 struct cowstack_segment *segment)
{
	u64 end = min(job->volume->info.sectors, job->base.sectors);

	if (segment->sector >= end)
		return false;
	segment->sectors = min(segment->sectors, end - segment->sector);
	return true;
}

static char *add_read(struct offline_copy *copy, u64 first_block, u64 blocks)
{
	struct io_ring_part *part = &copy->reads[copy->read_count++];

	part->buffer = copy->buffer + copy->buffered;
	part->bytes = blocks * COWSTACK_BLOCK_SIZE;
	part->offset = first_block * COWSTACK_BLOCK_SIZE;
	copy->buffered += part->bytes;
	return part->buffer;
}

/*
 * Sectors of the store.  Read by whole blocks, whatever the device's are; returns
 * where in memory they are then.
 */
static char *read_sectors(struct offline_copy *copy, u64 place, u64 sectors)
{
	u64 first = place / COWSTACK_BLOCK_SECTORS;
	u64 end = DIV_ROUND_UP(place + sectors, COWSTACK_BLOCK_SECTORS);

	return add_read(copy, first, end - first) +
	       (place % COWSTACK_BLOCK_SECTORS << COWSTACK_SECTOR_SHIFT);
}

static void add_write(struct offline_copy *copy, char *from, u64 sector,
		      u64 sectors)
{
	struct io_ring_part *part = &copy->writes[copy->write_count++];

	part->buffer = from;
	part->bytes = sectors << COWSTACK_SECTOR_SHIFT;
	part->offset = sector << COWSTACK_SECTOR_SHIFT;
}

static void add_zeroes(struct offline_copy *copy,
		       const struct cowstack_segment *segment)
{
	struct cowstack_segment *last = copy->zero_count ?
				&copy->zeroes[copy->zero_count - 1] : NULL;

	if (last && last->sector + last->sectors == segment->sector)
		last->sectors += segment->sectors;
	else
		copy->zeroes[copy->zero_count++] = *segment;
}

static void gather_for_base(struct offline_job *job, vchunk_t chunk)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES], *s;
	u32 count = cowstack_range_plan(offline_geometry(job), &job->range,
					chunk, segments);

	for (s = segments; s < segments + count; s++) {
		if (!clip_segment(job, s))
			continue;
		job->copy->bytes += s->sectors << COWSTACK_SECTOR_SHIFT;
		if (s->zero)
			add_zeroes(job->copy, s);
		else
			add_write(job->copy,
				  read_sectors(job->copy, s->place, s->sectors),
				  s->sector, s->sectors);
	}
}

/*
 * Pieces that are smaller than a block go into their chunk as it is, and all of that
 * is written: of its other pieces the same that is there.
 */
static void gather_small_pieces(struct offline_job *job,
				const struct cowstack_merge *merge)
{
	const struct cowstack_geometry *g = offline_geometry(job);
	struct offline_copy *copy = job->copy;
	u64 start = merge->copies[0].sector & ~(u64)(g->chunk_sectors - 1);
	char *chunk = read_sectors(copy, start, g->chunk_sectors);
	const struct cowstack_segment *s;

	for (s = merge->copies; s < merge->copies + merge->count; s++)
		copy->patches[copy->patch_count++] = (struct patch){
			.to = chunk + ((s->sector - start)
				       << COWSTACK_SECTOR_SHIFT),
			.from = read_sectors(copy, s->place, s->sectors),
			.bytes = s->sectors << COWSTACK_SECTOR_SHIFT,
		};
	add_write(copy, chunk, start, g->chunk_sectors);
}

/* What the destination's word lacks goes into its data chunk, or the newest's. */
static void gather_for_layer(struct offline_job *job, vchunk_t chunk)
{
	const struct cowstack_geometry *g = offline_geometry(job);
	struct offline_copy *copy = job->copy;
	struct cowstack_merge merge;
	const struct cowstack_segment *s;

	cowstack_range_merge(g, &job->merged, chunk, &merge);
	for (s = merge.copies; s < merge.copies + merge.count; s++)
		copy->bytes += s->sectors << COWSTACK_SECTOR_SHIFT;
	if (merge.count && 1u << g->piece_shift < COWSTACK_BLOCK_SECTORS) {
		gather_small_pieces(job, &merge);
		return;
	}
	for (s = merge.copies; s < merge.copies + merge.count; s++)
		add_write(copy, read_sectors(copy, s->place, s->sectors),
			  s->sector, s->sectors);
}

static bool batch_has_room(const struct offline_job *job)
{
	const struct offline_copy *copy = job->copy;
	u64 most = 2 * ((u64)offline_geometry(job)->chunk_sectors
			<< COWSTACK_SECTOR_SHIFT) +
		   2 * COWSTACK_MAX_PIECES * COWSTACK_BLOCK_SIZE;

	return copy->buffered + most <= BATCH_BYTES &&
	       copy->read_count + COWSTACK_MAX_PIECES < BATCH_PARTS &&
	       copy->zero_count + COWSTACK_MAX_PIECES < BATCH_PARTS &&
	       copy->patch_count + COWSTACK_MAX_PIECES < BATCH_PARTS;
}

/* With a speed a quarter of a second's: what is shown moves, an end is near. */
static u64 most_bytes(const struct offline_job *job)
{
	u64 speed = job->record.speed;

	return speed ? max(speed / 4, (u64)64 << 10) : BATCH_BYTES;
}

/* From *@next on, below @end; returns the chunks that were found. */
static u64 gather(struct offline_job *job, vchunk_t *next, vchunk_t end)
{
	struct offline_copy *copy = job->copy;
	u64 found = 0;

	copy->buffered = 0;
	copy->read_count = 0;
	copy->write_count = 0;
	copy->patch_count = 0;
	copy->zero_count = 0;
	copy->bytes = 0;
	while (batch_has_room(job) && copy->bytes < most_bytes(job) &&
	       next_chunk(job, next, end)) {
		if (job->destination)
			gather_for_layer(job, *next);
		else
			gather_for_base(job, *next);
		*next = behind(*next);
		found++;
	}
	return found;
}

/* --- copying --- */

static int write_batch(struct offline_job *job)
{
	struct offline_copy *copy = job->copy;
	unsigned int i;
	int error;

	if (job->destination)
		return store_file_write_parts(job->store.file, copy->writes,
					      copy->write_count);
	error = base_file_write(&job->base, copy->writes, copy->write_count);
	for (i = 0; i < copy->zero_count && !error; i++)
		error = base_file_zero(&job->base,
				       copy->zeroes[i].sector <<
					       COWSTACK_SECTOR_SHIFT,
				       copy->zeroes[i].sectors <<
					       COWSTACK_SECTOR_SHIFT);
	return error;
}

static int verify_batch(struct offline_job *job)
{
	const struct offline_copy *copy = job->copy;

	if (!(job->record.flags & COWSTACK_JOB_VERIFY))
		return 0;
	if (job->destination)
		return store_file_verify(job->store.file, copy->writes,
					 copy->write_count, copy->scratch);
	return base_file_verify(&job->base, copy->writes, copy->write_count,
				copy->scratch);
}

static int copy_batch(struct offline_job *job)
{
	struct offline_copy *copy = job->copy;
	int error = store_file_read_parts(job->store.file, copy->reads,
					  copy->read_count);
	unsigned int i;

	for (i = 0; i < copy->patch_count && !error; i++)
		memcpy(copy->patches[i].to, copy->patches[i].from,
		       copy->patches[i].bytes);
	if (!error)
		error = write_batch(job);
	return error ? error : verify_batch(job);
}

static bool must_end(const struct offline_job *job)
{
	return signals_interrupted() || offline_is_late(job);
}

static int why_end(void)
{
	return signals_interrupted() ? -EINTR : -ETIME;
}

static void keep_to_speed(struct offline_job *job)
{
	u64 delay;

	cowstack_throttle_spend(&job->throttle, job->copy->bytes, offline_now());
	while ((delay = cowstack_throttle_delay(&job->throttle,
						offline_now())) &&
	       !must_end(job)) {
		sleep_milliseconds(min(delay / 1000000 + 1, (u64)200));
		offline_show_progress(job);
	}
}

/* Up to *@end, which becomes where it had to end before. */
static int copy_group(struct offline_job *job, vchunk_t first, vchunk_t *end)
{
	vchunk_t next = first;
	int error = 0;
	u64 found;

	job->pending = 0;
	while (!error && (found = gather(job, &next, *end))) {
		error = copy_batch(job);
		if (error)
			break;
		job->pending += found;
		job->moved += job->copy->bytes;
		offline_show_progress(job);
		keep_to_speed(job);
		if (must_end(job)) {
			*end = next;
			break;
		}
	}
	/* A step flushes the store itself. */
	return error || job->destination ? error : base_file_flush(&job->base);
}

/* --- letting go --- */

/*
 * In a layer all that is known of the chunk; of the base what was kept before and
 * is still the newest, and what is retained.
 */
static bool find_replacement(struct offline_job *job, vchunk_t chunk,
			     struct cowstack_replacement *r)
{
	struct cowstack_merge merge;

	r->chunk = chunk;
	if (job->destination) {
		cowstack_range_merge(offline_geometry(job), &job->merged, chunk,
				     &merge);
		r->layer = job->destination;
		r->word = merge.word;
		return r->word != MAP_WORD_NONE;
	}
	r->word = cowstack_range_newest(&job->range, chunk, &r->layer);
	if (!map_word_mask(r->word) ||
	    (!(job->record.flags & COWSTACK_JOB_RETAIN) &&
	     !map_word_is_clean(r->word)))
		return false;
	r->word = map_word_as_clean(r->word);
	return true;
}

/* What was copied is durable: the words go, those of all layers in one step. */
static int let_go(struct offline_job *job, vchunk_t first, vchunk_t end)
{
	struct cowstack_let_go what = {
		.bottom = job->bottom, .top = job->top, .first = first,
		.count = from_vchunk(end) - from_vchunk(first),
		.replacements = job->copy->replacements,
	};
	vchunk_t chunk = first;
	struct cowstack_change change;
	int error;

	while (next_chunk(job, &chunk, end)) {
		if (find_replacement(job, chunk,
				     &job->copy->replacements[what.replacement_count]))
			what.replacement_count++;
		chunk = behind(chunk);
	}
	job->record.done += job->pending;
	job->pending = 0;
	job->record.cursor = from_vchunk(end);
	memset(&change, 0, sizeof(change));
	error = cowstack_change_let_go(&change, &job->store.md, job->volume,
				       &what, offline_update_record,
				       &job->record);
	return error ? error : offline_store_change(&job->store, &change);
}

/* --- the sweep --- */

static bool goes_on_after_errors(const struct offline_job *job)
{
	return job->record.on_error != COWSTACK_ON_ERROR_STOP;
}

static void note_error(struct offline_job *job, vchunk_t chunk, int error)
{
	struct cowstack_job *record = &job->record;

	if (!record->errors)
		record->first_error = from_vchunk(chunk)
				      << offline_geometry(job)->chunk_shift;
	record->errors++;
	if (record->on_error != COWSTACK_ON_ERROR_IGNORE && !record->error)
		record->error = -error;
}

/* Where the second half of the chunks begins that are found; @first: there is one. */
static vchunk_t find_middle(const struct offline_job *job, vchunk_t first,
			    vchunk_t end)
{
	vchunk_t chunk = first, middle = first;
	u64 found = 0;

	while (next_chunk(job, &chunk, end)) {
		chunk = behind(chunk);
		/* One step to every two of @chunk's. */
		if (found++ % 2 && cowstack_range_next(&job->range, &middle))
			middle = behind(middle);
	}
	return middle;
}

static int settle(struct offline_job *job, vchunk_t first, vchunk_t end);

/*
 * Writes to a base are told to have failed when it is flushed, and which it was
 * nobody knows: halves, until it is one chunk.  That one stays in its layers.
 */
static int salvage(struct offline_job *job, vchunk_t first, vchunk_t end,
		   int error)
{
	vchunk_t middle = find_middle(job, first, end);

	job->pending = 0;
	if (error == -ENOMEM)
		return error;
	if (must_end(job))
		return why_end();
	if (from_vchunk(middle) == from_vchunk(first)) {
		cowstack_range_next(&job->range, &first);
		note_error(job, first, error);
		return goes_on_after_errors(job) ? 0 : error;
	}
	error = settle(job, first, middle);
	return error ? error : settle(job, middle, end);
}

/* Copies chunks and lets go of them, in one step if all goes well. */
static int settle(struct offline_job *job, vchunk_t first, vchunk_t end)
{
	int error = copy_group(job, first, &end);

	if (error)
		return salvage(job, first, end, error);
	error = let_go(job, first, end);
	return error || !must_end(job) ? error : why_end();
}

/* Behind the last chunk of the group that begins with @first, which is known. */
static vchunk_t find_group_end(const struct offline_job *job, vchunk_t first)
{
	u64 chunk_bytes = (u64)offline_geometry(job)->chunk_sectors
			  << COWSTACK_SECTOR_SHIFT;
	const vchunk_t limit = to_vchunk(from_vchunk(first) + GROUP_CHUNKS);
	vchunk_t chunk = first, end = first;
	struct cowstack_layer *layer;
	u64 found, bytes = 0;

	for (found = 0; found < GROUP_FOUND && bytes < GROUP_BYTES; found++) {
		if (!next_chunk(job, &chunk, limit))
			break;
		if (map_word_mask(cowstack_range_newest(&job->range, chunk,
							&layer)))
			bytes += chunk_bytes;
		chunk = behind(chunk);
		end = chunk;
	}
	return end;
}

int offline_sweep(struct offline_job *job)
{
	vchunk_t first = to_vchunk(0), end;
	int error = 0;

	while (!error && cowstack_range_next(&job->range, &first)) {
		end = find_group_end(job, first);
		error = must_end(job) ? why_end() : settle(job, first, end);
		first = end;
	}
	return error;
}

/* --- memory --- */

int offline_copy_init(struct offline_job *job)
{
	struct offline_copy *copy = calloc(1, sizeof(*copy));

	job->copy = copy;
	if (!copy ||
	    posix_memalign((void **)&copy->buffer, COWSTACK_BLOCK_SIZE,
			   BATCH_BYTES) ||
	    posix_memalign((void **)&copy->scratch, COWSTACK_BLOCK_SIZE,
			   BATCH_BYTES))
		return -ENOMEM;
	return 0;
}

void offline_copy_exit(struct offline_job *job)
{
	if (!job->copy)
		return;
	free(job->copy->buffer);
	free(job->copy->scratch);
	free(job->copy);
}
