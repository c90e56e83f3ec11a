// SPDX-License-Identifier: GPL-2.0
/*
 * A stream, a piece at a time and in the module's order: record, mark, (gather,
 * write, let go)…, end.  What a batch takes is planned when it is gathered, and
 * again when it is written: guests write to the top in between.
 */
#include "store_driver.h"

/* The layer that takes. */
static struct cowstack_layer *find_taker(struct store_driver *d,
					 const struct driver_volume *v)
{
	return job_layer(d, v->commit.top);
}

/* The lowest below @layer that this volume alone uses; NULL: there is none. */
static struct cowstack_layer *lowest_own(const struct driver_volume *v,
					 struct cowstack_layer *layer,
					 const struct cowstack_layer *below)
{
	struct cowstack_layer *lowest = NULL;

	for (; layer != below; layer = layer->parent) {
		if (cowstack_layer_is_shared(v->volume, layer))
			break;
		lowest = layer;
	}
	return lowest;
}

/* What is this volume's alone was decided when it was marked. */
static void fill_stream(struct store_driver *d, const struct driver_volume *v,
			struct cowstack_stream *stream)
{
	const struct driver_commit *job = &v->commit;
	struct cowstack_layer *taker = find_taker(d, v);
	u32 i;

	cowstack_range_fill(&stream->range, taker, job_layer(d, job->base));
	stream->own = 1;
	for (i = 1; i < stream->range.count; i++)
		if (stream->range.layer[i]->id == job->bottom)
			stream->own = i + 1;
	stream->base_sectors = job->pulled;
}

/* --- begin --- */

static struct cowstack_layer *choose_taker(struct store_driver *d,
					   struct driver_volume *v)
{
	struct cowstack_layer *layer = volume_top(v);

	if (random_percent(&d->random, 50))
		layer = layer_random(d, v);
	if (!layer || cowstack_layer_is_shared(v->volume, layer) ||
	    (layer != volume_top(v) &&
	     !cowstack_layer_is_whole(v->volume, layer)))
		return NULL;
	return layer;
}

static bool any_is_pinned(const struct cowstack_layer *layer,
			  const struct cowstack_layer *below)
{
	for (; layer != below; layer = layer->parent)
		if (layer->flags & COWSTACK_LAYER_PINNED)
			return true;
	return false;
}

/* Sectors that are pulled up from the base; how the volume grows is not looked at. */
static u64 base_sectors_to_pull(const struct driver_volume *v)
{
	const struct cowstack_volume_info *info = &v->volume->info;

	return v->commit.with_base ? min(info->base_sectors, info->sectors) : 0;
}

static bool choose_stream(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_layer *taker = choose_taker(d, v), *below = NULL;
	struct driver_commit *job = &v->commit;

	if (!taker)
		return false;
	if (random_percent(&d->random, 30)) {
		below = layer_random(d, v);
		while (below && from_layer_id(below->id) >=
				from_layer_id(taker->id))
			below = below->parent;
	}
	job->with_base = !below && random_percent(&d->random, 40);
	if ((taker->parent == below && !job->with_base) ||
	    any_is_pinned(taker->parent, below))
		return false;
	job->top = taker->id;
	job->base = below ? below->id : COWSTACK_BASE_LAYER;
	below = lowest_own(v, taker->parent, below);
	job->bottom = below ? below->id : COWSTACK_BASE_LAYER;
	job->pulled = base_sectors_to_pull(v);
	job->retain = false;
	job->reports = random_percent(&d->random, 30);
	job->errors = 0;
	return true;
}

static bool has_room(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_stream stream;

	fill_stream(d, v, &stream);
	return cowstack_stream_room(cowstack_geometry(&d->md), &stream) <=
	       cowstack_allocator_room(&d->md.allocator);
}

void stream_begin(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if (job->state != COMMIT_IDLE || !choose_stream(d, v) || !has_room(d, v))
		return;
	driver_trace(d, "volume %u: stream into layer %u down to %u%s",
		     v->number, from_layer_id(job->top),
		     from_layer_id(job->base),
		     job->with_base ? ", with the base" : "");
	job->stream = true;
	if (job_change_record(d, v, job_update_start, job))
		job->state = COMMIT_MARK;
}

static void update_mark(struct cowstack_volume_info *info, const void *argument)
{
	info->job.error = 0;
}

static void stream_mark(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *taker = find_taker(d, v);
	struct cowstack_layer *bottom = lowest_own(v, taker->parent,
						   job_layer(d, job->base));

	job->next = 0;
	job->errors = 0;
	job->one_by_one = false;
	job->pulled = base_sectors_to_pull(v);
	job->bottom = bottom ? bottom->id : COWSTACK_BASE_LAYER;
	if (taker == volume_top(v))
		v->streamed_into = from_layer_id(taker->id);
	if (bottom)
		cowstack_change_mix(&job->change, &d->md, v->volume, bottom,
				    taker, update_mark, job);
	else
		cowstack_change_info(&job->change, &d->md, v->volume,
				     update_mark, job);
	job_submit(d, job);
}

/* --- gather --- */

static bool is_new(struct store_driver *d, const struct driver_volume *v,
		   vchunk_t chunk, const struct cowstack_pull *pull)
{
	return pull->word != MAP_WORD_NONE &&
	       (pull->copied ||
		pull->word != chunk_map_get(&find_taker(d, v)->map, chunk));
}

static u64 read_base(const struct driver_volume *v, u64 sector)
{
	return sector < v->volume->info.base_sectors ?
		       device_read_version(&v->base->device, sector) : 0;
}

static void gather_copy(struct store_driver *d, struct driver_volume *v,
			struct driver_pull *p,
			const struct cowstack_pull_copy *copy)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 start = from_vchunk(p->chunk) << g->chunk_shift;
	u32 first = copy->first << g->piece_shift;
	u32 count = copy->count << g->piece_shift;
	u32 i;

	for (i = 0; i < count; i++)
		p->data[first + i] = copy->from_base ?
			read_base(v, start + first + i) :
			device_read_version(&d->store, copy->place + i);
}

static void gather_chunk(struct store_driver *d, struct driver_volume *v,
			 const struct cowstack_stream *stream, vchunk_t chunk)
{
	struct driver_commit *job = &v->commit;
	struct driver_pull *p = &job->pulls[job->pull_count];
	struct cowstack_pull pull;
	u32 i;

	cowstack_stream_plan(cowstack_geometry(&d->md), stream, chunk, &pull);
	if (!is_new(d, v, chunk, &pull))
		return;
	p->chunk = chunk;
	p->gathered = pull.copied;
	p->took = false;
	for (i = 0; i < pull.count; i++)
		gather_copy(d, v, p, &pull.copies[i]);
	job->pull_count++;
}

/* No step has been made: nothing names what was taken. */
static void give_back_room(struct store_driver *d, struct driver_commit *job)
{
	struct driver_pull *p;

	for (p = job->pulls; p < job->pulls + job->pull_count; p++) {
		if (p->took)
			cowstack_allocator_untake(&d->md.allocator,
						  map_word_chunk(p->word), 1);
		p->took = false;
	}
}

static void stop(struct store_driver *d, struct driver_volume *v)
{
	give_back_room(d, &v->commit);
	job_stop(d, v);
}

/*
 * An I/O has failed.  As the module does: chunk by chunk again, and what fails then
 * is noted.
 */
static void fail_batch(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if (!job->reports) {
		stop(d, v);
		return;
	}
	give_back_room(d, job);
	if (job->one_by_one) {
		job_note_error(job);
		return;
	}
	job->one_by_one = true;
	job->next = job->first;
	job->state = COMMIT_GATHER;
}

/* The store, and the base where that goes up too. */
static int send_reads(struct store_driver *d, struct driver_volume *v)
{
	int error = device_send(&d->store);

	return error || !v->commit.with_base ?
		       error : device_send(&v->base->device);
}

static void stream_gather(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	struct driver_commit *job = &v->commit;
	u64 passed = job->one_by_one ? 1 : 1 + random_below(&d->random, 64);
	vchunk_t chunk = to_vchunk(job->next);
	struct cowstack_stream stream;

	fill_stream(d, v, &stream);
	if (!cowstack_stream_next(g, &stream, &chunk)) {
		job->state = COMMIT_END;
		return;
	}
	job->first = from_vchunk(chunk);
	if (job->reports && random_percent(&d->random, 15)) {
		job_note_error(job);
		return;
	}
	job->pull_count = 0;
	if (send_reads(d, v)) {
		fail_batch(d, v);
		return;
	}
	do {
		gather_chunk(d, v, &stream, chunk);
		job->next = from_vchunk(chunk) + 1;
		chunk = to_vchunk(job->next);
	} while (--passed && job->pull_count < DRIVER_GROUP_CHUNKS &&
		 cowstack_stream_next(g, &stream, &chunk));
	job->state = COMMIT_WRITE;
}

/* --- write --- */

static bool takes_into_top(struct store_driver *d, const struct driver_volume *v)
{
	return find_taker(d, v) == volume_top(v);
}

/* First writes that are under way to the chunks of the batch come before it. */
static void lock_chunks(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	u32 i;

	if (!takes_into_top(d, v))
		return;
	for (i = 0; i < job->pull_count && !driver_is_over(d); i++) {
		struct driver_write *w = volume_find_write(v,
							   job->pulls[i].chunk);

		if (w && w->publishes)
			volume_end_write(d, v, w);
	}
}

bool stream_locks(const struct driver_volume *v, vchunk_t chunk)
{
	const struct driver_commit *job = &v->commit;
	u32 i;

	if (!job->stream || job->top != volume_top(v)->id)
		return false;
	if (job->state != COMMIT_LET_GO &&
	    !(job->state == COMMIT_WAITING && job_change_is_waiting(job)))
		return false;
	for (i = 0; i < job->pull_count; i++)
		if (job->pulls[i].chunk == chunk)
			return true;
	return false;
}

/* What goes to sector @within of the chunk, which @copy is about. */
static u64 version_to_write(struct store_driver *d, const struct driver_pull *p,
			    const struct cowstack_pull_copy *copy, u32 within)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	bool gathered = p->gathered >> (within >> g->piece_shift) & 1;
	u64 place = copy->place + within - (copy->first << g->piece_shift);
	u64 version;

	if (copy->from_base) {
		if (!gathered)
			driver_fail(d, "the base is read under locks");
		return p->data[within];
	}
	version = device_read_version(&d->store, place);
	if (gathered && version != p->data[within])
		driver_fail(d, "what is pulled up has changed");
	return version;
}

static int write_copies(struct store_driver *d, const struct driver_pull *p,
			const struct cowstack_pull *pull)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 home = cowstack_chunk_sector(g, map_word_chunk(p->word));
	int error = device_send_write(&d->store, home, g->chunk_sectors);
	u32 i, within, end;

	for (i = 0; i < pull->count; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];

		end = (c->first + c->count) << g->piece_shift;
		for (within = c->first << g->piece_shift; within < end; within++)
			device_write_version(&d->store, home + within,
					     version_to_write(d, p, c, within),
					     0);
	}
	return error;
}

static int place_chunk(struct store_driver *d, struct driver_volume *v,
		       const struct cowstack_stream *stream,
		       struct driver_pull *p, bool copies)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_replacement *r;
	struct cowstack_pull pull;
	dchunk_t room;
	u64 got;

	cowstack_stream_plan(cowstack_geometry(&d->md), stream, p->chunk, &pull);
	d->counts.changed_plans += copies && pull.copied != p->gathered;
	if (!is_new(d, v, p->chunk, &pull))
		return 0;
	p->word = pull.word;
	if (pull.needs_chunk) {
		if (cowstack_allocator_take(&d->md.allocator, 1, &room, &got))
			return -ENOSPC;
		p->took = true;
		p->word = map_word_at(pull.word, room);
	}
	r = &job->replacements[job->replacement_count++];
	r->chunk = p->chunk;
	r->layer = find_taker(d, v);
	r->word = p->word;
	return copies ? write_copies(d, p, &pull) : 0;
}

static int place_chunks(struct store_driver *d, struct driver_volume *v,
			bool copies)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_stream stream;
	int error = 0;
	u32 i;

	fill_stream(d, v, &stream);
	job->replacement_count = 0;
	for (i = 0; i < job->pull_count && !error; i++)
		error = place_chunk(d, v, &stream, &job->pulls[i], copies);
	return error;
}

static bool stream_let_go(struct store_driver *d, struct driver_volume *v);

/* The step first, its data after it. */
static void let_go_before_copy(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_stream stream;
	struct cowstack_pull plan[DRIVER_GROUP_CHUNKS];
	u32 i;

	fill_stream(d, v, &stream);
	for (i = 0; i < job->pull_count; i++)
		cowstack_stream_plan(cowstack_geometry(&d->md), &stream,
				     job->pulls[i].chunk, &plan[i]);
	if (place_chunks(d, v, false) || !stream_let_go(d, v))
		return;
	driver_run_steps(d);
	for (i = 0; i < job->pull_count; i++)
		if (map_word_has_chunk(job->pulls[i].word))
			write_copies(d, &job->pulls[i], &plan[i]);
	job->state = COMMIT_WAITING;
}

static void stream_write(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	int error;

	lock_chunks(d, v);
	if (driver_is_stuck(d))
		return;
	if (driver_breaks(d, FAULT_DROP_BEFORE_COPY, true)) {
		let_go_before_copy(d, v);
		return;
	}
	/* Not to be found out by what guests wrote. */
	if (d->stream_faults && driver_breaks(d, FAULT_SKIP_STORE_FLUSH, true)) {
		driver_run_steps(d);
		device_flush(&d->store);
	}
	error = place_chunks(d, v, true);
	if (error == -ENOSPC)
		stop(d, v);
	else if (error || random_percent(&d->random, 3))
		fail_batch(d, v);
	else
		job->state = COMMIT_LET_GO;
}

/* --- let go --- */

static bool stream_let_go(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *bottom = job_layer(d, job->bottom);
	struct cowstack_let_go what = {
		.bottom = bottom,
		.top = bottom ? find_taker(d, v)->parent : NULL,
		.upward = true,
		.first = to_vchunk(job->first),
		.count = job->next - job->first,
	};

	if (driver_breaks(d, FAULT_DROP_IN_TWO_STEPS, true))
		job_let_go_first(d, v, &what);
	if (job_let_go(d, v, &what))
		return true;
	give_back_room(d, job);
	return false;
}

void stream_finish_batch(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if (!job->stream || driver_is_over(d))
		return;
	if (job->state == COMMIT_LET_GO)
		job_tick(d, v);
	if (job->state == COMMIT_WAITING)
		driver_run_steps(d);
}

/* --- end --- */

static void update_finish(struct cowstack_volume_info *info,
			  const void *argument)
{
	const struct driver_commit *job = argument;

	info->job.state = COWSTACK_JOB_COMPLETED;
	info->job.errors = job->errors;
}

static void stream_end(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *taker = find_taker(d, v);
	struct cowstack_layer *below = job_layer(d, job->base);
	const struct cowstack_layer *layer;
	int error;

	job->kept = job->errors;
	if (job->kept)
		error = cowstack_change_info(&job->change, &d->md, v->volume,
					     update_finish, job);
	else
		error = cowstack_change_pull(&job->change, &d->md, v->volume,
					     taker, below, update_finish, job);
	if (error) {
		if (error != -ENOMEM)
			driver_fail(d, "volume %u: stream cannot finish: %d",
				    v->number, error);
		job_stop(d, v);
		return;
	}
	for (layer = taker; !job->kept && layer->parent != below;
	     layer = layer->parent)
		job_note_leaving(v, layer->parent, layer->parent, true);
	job->past_shared = taker->parent != below &&
		cowstack_layer_above(below, taker)->id != job->bottom;
	job->ending = true;
	job_submit(d, job);
}

static void stream_note_end(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	const struct cowstack_layer *taker = find_taker(d, v);

	job->ending = false;
	layers_settle(d, v);
	if (!job->errors && taker->parent != job_layer(d, job->base))
		driver_fail(d, "volume %u: a layer is still below %u",
			    v->number, from_layer_id(job->top));
	if (!job->errors && job->with_base)
		layer_check_needs_no_base(d, v, taker, job->pulled);
	d->counts.streams++;
	d->counts.top_streams += taker == v->volume->top;
	d->counts.base_streams += job->with_base;
	d->counts.shared_streams += job->past_shared;
	d->counts.with_errors += !!job->errors;
	driver_trace(d, "volume %u: streamed into layer %u, %llu errors",
		     v->number, from_layer_id(job->top),
		     (unsigned long long)job->errors);
}

static bool stream_has_layers(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_layer *layer = find_taker(d, v);
	layer_id_t below = v->commit.base;

	if (!layer)
		return false;
	while (layer && layer->id != below)
		layer = layer->parent;
	return layer || below == COWSTACK_BASE_LAYER;
}

const struct job_kind stream_kind = {
	.mark = stream_mark,
	.gather = stream_gather,
	.write = stream_write,
	.let_go = stream_let_go,
	.end = stream_end,
	.note_end = stream_note_end,
	.has_layers = stream_has_layers,
};
