// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "base_file.h"
#include "offline_commit.h"
#include "offline_store.h"
#include "pace.h"
#include "progress_bar.h"
#include "signals.h"
#include "size.h"
#include "core/commit_plan.h"
#include "core/throttle.h"

enum {
	BATCH_BYTES = 4 << 20,
	GROUP_BYTES = 32 << 20,		/* written between two let-gos */
	GROUP_CHUNKS = 8192,		/* passed over: bounds the step */
	GROUP_FOUND = COWSTACK_MAX_REPLACEMENTS / 2,
	BATCH_PARTS = 1024,
};

struct offline_job {
	const struct options *options;
	const char *name;
	struct offline_store store;
	struct base_file base;
	bool base_open;
	struct cowstack_volume *volume;
	struct cowstack_job record;
	struct cowstack_layer *top;
	struct cowstack_layer *bottom;
	struct cowstack_range range;
	/* The group that is not let go of yet. */
	vchunk_t group_first;
	u64 group_found;
	u64 group_bytes;
	struct cowstack_replacement *replacements;
	/* A batch: what is read goes to the buffer, aligned, and on from there. */
	char *buffer;
	char *scratch;			/* to read back into */
	u64 buffered;
	struct io_ring_part reads[BATCH_PARTS];
	struct io_ring_part writes[BATCH_PARTS];
	struct cowstack_segment zeroes[BATCH_PARTS];
	unsigned int read_count;
	unsigned int zero_count;
	u64 batch_bytes;
	struct cowstack_throttle throttle;
	struct pace pace;
	bool bar;
};

static const struct cowstack_geometry *geometry(const struct offline_job *job)
{
	return cowstack_geometry(&job->store.md);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* --- may it be? --- */

static struct cowstack_volume *find_volume(struct cowstack_metadata *md,
					   const char *name)
{
	u64 id;

	if (cowstack_volume_find_name(md, name))
		return cowstack_volume_find_name(md, name);
	if (number_parse(name, (1 << COWSTACK_VOLUME_ID_BITS) - 1, &id))
		return NULL;
	return cowstack_volume_find(md, to_volume_id(id));
}

static enum exit_code check_identity(struct offline_job *job)
{
	const struct cowstack_volume_info *info = &job->volume->info;
	u32 crc;
	int error;

	if (!(info->flags & COWSTACK_VOLUME_BASE_RECORDED))
		return fail(EXIT_REFUSED,
			    "no base is recorded for volume %s; bring it up once",
			    job->name);
	if (job->base.sectors != info->base_sectors)
		return fail(EXIT_REFUSED,
			    "%s is not the recorded base %s: %llu sectors, not %llu",
			    job->base.device.path, info->base_name,
			    llu(job->base.sectors), llu(info->base_sectors));
	/* Between two states its content is neither's. */
	if (info->mixed_top != COWSTACK_BASE_LAYER)
		return EXIT_DONE;
	error = base_file_sample(&job->base, info->base_seed, &crc);
	if (error)
		return fail_errno(error, NULL, "%s", job->base.device.path);
	if (crc == info->base_crc)
		return EXIT_DONE;
	return fail(EXIT_REFUSED,
		    "%s is not the recorded base %s: its content differs",
		    job->base.device.path, info->base_name);
}

/* What another volume of the store shows must not change with its base. */
static enum exit_code check_others(struct offline_job *job)
{
	const struct cowstack_volume_info *info = &job->volume->info;
	const struct cowstack_volume *other;

	list_for_each_entry(other, &job->store.md.volumes, list)
		if (other != job->volume &&
		    other->info.flags & COWSTACK_VOLUME_BASE_RECORDED &&
		    other->info.base_sectors == info->base_sectors &&
		    (other->info.base_crc == info->base_crc ||
		     !strcmp(other->info.base_name, info->base_name)) &&
		    cowstack_volume_used(other))
			return fail(EXIT_REFUSED,
				    "volume %u, %s, lies on the same base and holds data; commit with both up, and allow_shared_base",
				    from_volume_id(other->info.id),
				    other->info.name);
	return EXIT_DONE;
}

/* --- the range --- */

static bool is_unfinished(const struct cowstack_job *record)
{
	return record->kind != COWSTACK_JOB_NONE &&
	       record->state >= COWSTACK_JOB_QUEUED &&
	       record->state <= COWSTACK_JOB_STOPPED;
}

static bool is_spared(const struct offline_job *job,
		      const struct cowstack_layer *layer)
{
	return layer->flags & COWSTACK_LAYER_PINNED ||
	       cowstack_layer_is_shared(job->volume, layer);
}

/* The lowest layer up to @top that no commit may take from; NULL: there is none. */
static struct cowstack_layer *find_spared(const struct offline_job *job,
					  struct cowstack_layer *top)
{
	struct cowstack_layer *layer, *spared = NULL;

	for (layer = top; layer; layer = layer->parent)
		if (is_spared(job, layer))
			spared = layer;
	return spared;
}

static struct cowstack_layer *find_in_chain(struct offline_job *job,
					    layer_id_t id)
{
	struct cowstack_layer *layer = job->volume->top;

	while (layer && layer->id != id)
		layer = layer->parent;
	return layer;
}

static enum exit_code choose_recorded(struct offline_job *job)
{
	const struct cowstack_job *record = &job->volume->info.job;

	if (record->kind == COWSTACK_JOB_STREAM ||
	    record->base != COWSTACK_BASE_LAYER)
		return fail(EXIT_REFUSED,
			    "volume %s has a %s that is not finished; bring it up, and that goes on",
			    job->name,
			    record->kind == COWSTACK_JOB_STREAM ? "stream" :
			    "commit into a layer");
	job->top = find_in_chain(job, record->top);
	if (!job->top || job->top == job->volume->top ||
	    find_spared(job, job->top))
		return fail(EXIT_FAILED,
			    "volume %s: the layers of its commit are not there any more; bring it up and cancel it",
			    job->name);
	return EXIT_DONE;
}

/* Its range ends below what is pinned or shared; NULL as the top: a snapshot. */
static enum exit_code choose_range(struct offline_job *job, bool *snapshot)
{
	struct cowstack_layer *top = job->volume->top;
	struct cowstack_layer *spared = find_spared(job, top->parent);

	*snapshot = false;
	if (spared && !spared->parent)
		return fail(EXIT_REFUSED,
			    "nothing may be committed: layer %u is pinned, or belongs to another volume too",
			    from_layer_id(spared->id));
	*snapshot = !spared && !cowstack_layer_is_empty(top) &&
		    cowstack_volume_depth(job->volume) < COWSTACK_MAX_LAYERS;
	job->top = spared ? spared->parent : *snapshot ? top : top->parent;
	if (job->top && !*snapshot &&
	    !cowstack_layer_is_whole(job->volume, job->top))
		return fail(EXIT_REFUSED, "layer %u shows no point in time",
			    from_layer_id(job->top->id));
	return EXIT_DONE;
}

/* Clean copies are committed already. */
static bool has_nothing_to_do(const struct offline_job *job, bool snapshot)
{
	const struct cowstack_layer *layer;

	if (snapshot ||
	    job->volume->info.mixed_top != COWSTACK_BASE_LAYER)
		return false;
	for (layer = job->top; layer; layer = layer->parent)
		if (!cowstack_layer_is_clean(layer))
			return false;
	return true;
}

static enum exit_code check_base_end(struct offline_job *job)
{
	struct cowstack_range range;
	u64 held;

	if (job->base.sectors >= job->volume->info.sectors)
		return EXIT_DONE;
	cowstack_range_fill(&range, job->top, NULL);
	held = cowstack_range_held_behind(geometry(job), &range,
					  job->base.sectors);
	if (!held)
		return EXIT_DONE;
	return fail(EXIT_FAILED,
		    "the base ends at sector %llu, and the layers hold %llu sectors behind it",
		    llu(job->base.sectors), llu(held));
}

/* --- records --- */

static void update_job(struct cowstack_volume_info *info, const void *argument)
{
	info->job = *(const struct cowstack_job *)argument;
}

static void update_begin(struct cowstack_volume_info *info, const void *argument)
{
	const struct cowstack_job *record = argument;

	info->job = *record;
	/* Of several that were begun the highest top counts. */
	if (from_layer_id(record->top) > from_layer_id(info->mixed_top))
		info->mixed_top = record->top;
}

struct finish {
	struct cowstack_job record;
	bool base_valid;
	u64 base_sectors;
	u32 base_crc;
	u64 now;
};

static void update_finish(struct cowstack_volume_info *info,
			  const void *argument)
{
	const struct finish *f = argument;

	info->job = f->record;
	if (!f->base_valid)
		return;
	info->base_sectors = f->base_sectors;
	info->base_crc = f->base_crc;
	info->mixed_top = COWSTACK_BASE_LAYER;
	info->base_time = f->now;
}

static int change_info(struct offline_job *job, cowstack_update_fn update,
		       const void *argument)
{
	struct cowstack_change change;
	int error;

	memset(&change, 0, sizeof(change));
	error = cowstack_change_info(&change, &job->store.md, job->volume,
				     update, argument);
	return error ? error : offline_store_change(&job->store, &change);
}

static int take_snapshot(struct offline_job *job)
{
	struct cowstack_change change;
	int error;

	memset(&change, 0, sizeof(change));
	error = cowstack_change_snapshot(&change, &job->store.md, job->volume,
					 NULL, time(NULL), update_job,
					 &job->record);
	return error ? error : offline_store_change(&job->store, &change);
}

/* Snapshot and record are one step, durable before anything is written. */
static int begin(struct offline_job *job, bool snapshot, bool resumed)
{
	struct cowstack_job *record = &job->record;
	u64 speed = record->speed;
	int error;

	if (resumed)
		*record = job->volume->info.job;
	else
		record->flags = COWSTACK_JOB_YIELD;
	record->speed = speed;
	record->until = 0;
	if (job->options->retain)
		record->flags |= COWSTACK_JOB_RETAIN;
	if (job->options->verify)
		record->flags |= COWSTACK_JOB_VERIFY;
	record->kind = COWSTACK_JOB_COMMIT;
	record->state = COWSTACK_JOB_RUNNING;
	record->top = job->top->id;
	record->error = 0;
	record->errors = 0;
	record->first_error = 0;
	error = offline_store_begin(&job->store);
	if (!error && snapshot)
		error = take_snapshot(job);
	if (error)
		return error;
	for (job->bottom = job->top; job->bottom->parent;
	     job->bottom = job->bottom->parent)
		;
	cowstack_range_fill(&job->range, job->top, NULL);
	record->total = record->done + cowstack_range_chunks(&job->range);
	return change_info(job, update_begin, record);
}

/* --- a batch --- */

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

/* Read by whole blocks, as direct I/O wants it. */
static void add_data(struct offline_job *job,
		     const struct cowstack_segment *segment)
{
	u64 first = segment->place / COWSTACK_BLOCK_SECTORS;
	u64 end = (segment->place + segment->sectors +
		   COWSTACK_BLOCK_SECTORS - 1) / COWSTACK_BLOCK_SECTORS;
	unsigned int n = job->read_count++;
	char *to = job->buffer + job->buffered;

	job->reads[n].buffer = to;
	job->reads[n].bytes = (end - first) * COWSTACK_BLOCK_SIZE;
	job->reads[n].offset = first * COWSTACK_BLOCK_SIZE;
	job->writes[n].buffer = to + ((segment->place % COWSTACK_BLOCK_SECTORS)
				      << COWSTACK_SECTOR_SHIFT);
	job->writes[n].bytes = segment->sectors << COWSTACK_SECTOR_SHIFT;
	job->writes[n].offset = segment->sector << COWSTACK_SECTOR_SHIFT;
	job->buffered += job->reads[n].bytes;
}

static void gather_chunk(struct offline_job *job, vchunk_t chunk)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	u32 count = cowstack_range_plan(geometry(job), &job->range, chunk,
					segments);
	u32 i;

	for (i = 0; i < count; i++) {
		if (!clip_segment(job, &segments[i]))
			continue;
		job->batch_bytes += segments[i].sectors << COWSTACK_SECTOR_SHIFT;
		if (segments[i].zero)
			job->zeroes[job->zero_count++] = segments[i];
		else
			add_data(job, &segments[i]);
	}
}

static bool batch_has_room(const struct offline_job *job)
{
	u64 most = ((u64)geometry(job)->chunk_sectors << COWSTACK_SECTOR_SHIFT) +
		   2 * COWSTACK_MAX_PIECES * COWSTACK_BLOCK_SIZE;

	return job->buffered + most <= BATCH_BYTES &&
	       job->read_count + COWSTACK_MAX_PIECES <= BATCH_PARTS &&
	       job->zero_count + COWSTACK_MAX_PIECES <= BATCH_PARTS;
}

static bool group_is_full(const struct offline_job *job, vchunk_t next)
{
	return job->group_found >= GROUP_FOUND ||
	       job->group_bytes >= GROUP_BYTES ||
	       from_vchunk(next) - from_vchunk(job->group_first) >= GROUP_CHUNKS;
}

/* From *@next on; returns the chunks that were found. */
static u64 gather(struct offline_job *job, vchunk_t *next)
{
	u64 found = 0;

	job->buffered = 0;
	job->read_count = 0;
	job->zero_count = 0;
	job->batch_bytes = 0;
	while (batch_has_room(job) && job->group_found + found < GROUP_FOUND &&
	       cowstack_range_next(&job->range, next)) {
		gather_chunk(job, *next);
		*next = to_vchunk(from_vchunk(*next) + 1);
		found++;
	}
	return found;
}

static int copy_batch(struct offline_job *job)
{
	int error = store_file_read_parts(job->store.file, job->reads,
					  job->read_count);
	unsigned int i;

	if (!error)
		error = base_file_write(&job->base, job->writes,
					job->read_count);
	for (i = 0; i < job->zero_count && !error; i++)
		error = base_file_zero(&job->base,
				       job->zeroes[i].sector <<
					       COWSTACK_SECTOR_SHIFT,
				       job->zeroes[i].sectors <<
					       COWSTACK_SECTOR_SHIFT);
	if (!error && job->record.flags & COWSTACK_JOB_VERIFY)
		error = base_file_verify(&job->base, job->writes,
					 job->read_count, job->scratch);
	return error;
}

/* --- letting go --- */

/* What was kept before, and is still the newest, stays; so does what is retained. */
static bool find_replacement(struct offline_job *job, vchunk_t chunk,
			     struct cowstack_replacement *r)
{
	r->chunk = chunk;
	r->word = cowstack_range_newest(&job->range, chunk, &r->layer);
	if (!map_word_mask(r->word) ||
	    (!(job->record.flags & COWSTACK_JOB_RETAIN) &&
	     !map_word_is_clean(r->word)))
		return false;
	r->word = map_word_as_clean(r->word);
	return true;
}

/* The base is flushed: the words go, those of all layers in one step. */
static int let_go(struct offline_job *job, vchunk_t end)
{
	struct cowstack_let_go what = {
		.bottom = job->bottom, .top = job->top,
		.first = job->group_first,
		.count = from_vchunk(end) - from_vchunk(job->group_first),
		.replacements = job->replacements,
	};
	vchunk_t chunk = job->group_first;
	struct cowstack_change change;
	int error;

	while (cowstack_range_next(&job->range, &chunk) &&
	       from_vchunk(chunk) < from_vchunk(end)) {
		if (find_replacement(job, chunk,
				     &job->replacements[what.replacement_count]))
			what.replacement_count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	job->record.cursor = from_vchunk(end);
	memset(&change, 0, sizeof(change));
	error = cowstack_change_let_go(&change, &job->store.md, job->volume,
				       &what, update_job, &job->record);
	return error ? error : offline_store_change(&job->store, &change);
}

static int settle_group(struct offline_job *job, vchunk_t end)
{
	int error;

	if (from_vchunk(end) == from_vchunk(job->group_first))
		return 0;
	/* A crash before this has ended: the words still lead to the store. */
	error = base_file_flush(&job->base);
	if (!error)
		error = let_go(job, end);
	job->group_first = end;
	job->group_found = 0;
	job->group_bytes = 0;
	return error;
}

/* --- the sweep --- */

static void show_progress(struct offline_job *job)
{
	u64 bytes = (u64)geometry(job)->chunk_sectors << COWSTACK_SECTOR_SHIFT;
	struct job_view view = {
		.done = job->record.done * bytes,
		.total = job->record.total * bytes,
		.seconds_left = U64_MAX,
	};

	if (!job->bar)
		return;
	pace_note(&job->pace, now_ns() / 1e9, view.done);
	view.seconds_left = pace_seconds_left(&job->pace, view.total);
	if (view.seconds_left && view.seconds_left != U64_MAX)
		view.rate = (view.total - view.done) / view.seconds_left;
	progress_bar_draw(job->name, "running", &view);
}

static void keep_to_speed(struct offline_job *job)
{
	u64 delay;

	cowstack_throttle_spend(&job->throttle, job->batch_bytes, now_ns());
	while ((delay = cowstack_throttle_delay(&job->throttle, now_ns())) &&
	       !signals_interrupted()) {
		sleep_milliseconds(min(delay / 1000000 + 1, (u64)200));
		show_progress(job);
	}
}

static int sweep(struct offline_job *job)
{
	vchunk_t next = to_vchunk(0);
	int error = 0;
	u64 found;

	job->group_first = next;
	while (!error && !signals_interrupted()) {
		found = gather(job, &next);
		if (!found)
			break;
		error = copy_batch(job);
		job->group_found += found;
		job->group_bytes += job->batch_bytes;
		job->record.done += found;
		if (!error && group_is_full(job, next))
			error = settle_group(job, next);
		show_progress(job);
		keep_to_speed(job);
	}
	if (!error)
		error = settle_group(job, next);
	return error ? error : signals_interrupted() ? -EINTR : 0;
}

/* --- the end --- */

static bool range_is_empty(const struct offline_job *job)
{
	u32 i;

	for (i = 0; i < job->range.count; i++)
		if (!cowstack_layer_is_empty(job->range.layer[i]))
			return false;
	return true;
}

static int remove_layers(struct offline_job *job, struct cowstack_layer *bottom,
			 struct cowstack_layer *top, cowstack_update_fn update,
			 const void *argument)
{
	struct cowstack_change change;
	int error;

	memset(&change, 0, sizeof(change));
	error = cowstack_change_remove_layers(&change, &job->store.md,
					      job->volume, bottom, top, update,
					      argument);
	return error ? error : offline_store_change(&job->store, &change);
}

/* Of a range that keeps clean copies, the layers that keep nothing leave. */
static int remove_emptied(struct offline_job *job)
{
	int error = 0;
	u32 i;

	for (i = 0; i < job->range.count && !error; i++)
		if (cowstack_layer_is_empty(job->range.layer[i]))
			error = remove_layers(job, job->range.layer[i],
					      job->range.layer[i], NULL, NULL);
	return error;
}

static int finish(struct offline_job *job)
{
	const struct cowstack_layer *above =
		cowstack_layer_above(job->top, job->volume->top);
	struct finish f = {
		.record = job->record,
		.base_sectors = job->base.sectors,
		.now = time(NULL),
	};
	int error = 0;

	/* A commit of less than was begun before leaves the mark. */
	f.base_valid = from_layer_id(above->id) >
		       from_layer_id(job->volume->info.mixed_top);
	if (f.base_valid)
		error = base_file_sample(&job->base,
					 job->volume->info.base_seed,
					 &f.base_crc);
	if (error)
		return error;
	f.record.state = COWSTACK_JOB_COMPLETED;
	f.record.done = f.record.total;
	if (range_is_empty(job))
		return remove_layers(job, job->bottom, job->top, update_finish,
				     &f);
	error = change_info(job, update_finish, &f);
	return error ? error : remove_emptied(job);
}

static enum exit_code say_end(struct offline_job *job, int error)
{
	if (job->bar)
		progress_bar_end();
	if (!error)
		return EXIT_DONE;
	if (error == -EINTR)
		return fail(EXIT_INTERRUPTED,
			    "the commit of %s was interrupted; it goes on with the next start, or when the volume is up",
			    job->name);
	job->record.state = COWSTACK_JOB_STOPPED;
	job->record.error = -error;
	change_info(job, update_job, &job->record);
	fail_errno(error, NULL, "the commit of %s stopped", job->name);
	return EXIT_JOB_ERRORS;
}

static enum exit_code run(struct offline_job *job, bool snapshot, bool resumed)
{
	int error = begin(job, snapshot, resumed);

	if (error)
		return fail_errno(error, NULL, "the commit of %s cannot begin",
				  job->name);
	job->bar = progress_bar_possible();
	signals_watch();
	error = sweep(job);
	if (!error)
		error = finish(job);
	return say_end(job, error);
}

/* --- from the command line --- */

static enum exit_code prepare(struct offline_job *job)
{
	u64 speed = 0;

	if (job->options->speed && size_parse(job->options->speed, &speed))
		return fail(EXIT_USAGE, "\"%s\" is no rate", job->options->speed);
	job->record.speed = speed;
	cowstack_throttle_set(&job->throttle, speed, now_ns());
	job->volume = find_volume(&job->store.md, job->name);
	if (!job->volume)
		return fail(EXIT_MISSING, "%s has no volume %s",
			    job->options->store, job->name);
	job->replacements = calloc(COWSTACK_MAX_REPLACEMENTS,
				   sizeof(*job->replacements));
	job->scratch = malloc(BATCH_BYTES);
	if (!job->replacements || !job->scratch ||
	    posix_memalign((void **)&job->buffer, COWSTACK_BLOCK_SIZE,
			   BATCH_BYTES) ||
	    cowstack_volume_bring_up(&job->store.md, job->volume))
		return fail_errno(-ENOMEM, NULL, "%s", job->name);
	return EXIT_DONE;
}

static enum exit_code commit(struct offline_job *job)
{
	bool resumed = is_unfinished(&job->volume->info.job);
	bool snapshot = false;
	enum exit_code code = resumed ? choose_recorded(job) :
					choose_range(job, &snapshot);

	if (!code && !resumed && has_nothing_to_do(job, snapshot))
		return EXIT_DONE;
	if (!code)
		code = check_base_end(job);
	return code ? code : run(job, snapshot, resumed);
}

enum exit_code offline_commit(const struct options *options)
{
	struct offline_job *job = calloc(1, sizeof(*job));
	enum exit_code code;

	if (!job)
		return fail_errno(-ENOMEM, NULL, "%s", options->arguments[0]);
	job->options = options;
	job->name = options->arguments[0];
	code = offline_store_open(&job->store, options->store);
	if (code) {
		free(job);
		return code;
	}
	code = prepare(job);
	if (!code)
		code = base_file_open(&job->base, options->base);
	job->base_open = !code;
	if (!code)
		code = check_identity(job);
	if (!code)
		code = check_others(job);
	if (!code)
		code = commit(job);
	if (job->base_open)
		base_file_close(&job->base);
	if (job->volume)
		cowstack_volume_take_down(job->volume);
	offline_store_close(&job->store);
	free(job->replacements);
	free(job->buffer);
	free(job->scratch);
	free(job);
	return code;
}
