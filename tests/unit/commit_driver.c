// SPDX-License-Identifier: GPL-2.0
/*
 * A commit, a piece at a time and in the module's order: record, mark, (gather,
 * write, flush, let go)…, end; then emptied layers leave the chain.
 */
#include "store_driver.h"

static struct cowstack_layer *find_layer(struct store_driver *d, layer_id_t id)
{
	return id == COWSTACK_BASE_LAYER ? NULL :
					   cowstack_layer_find(&d->md, id);
}

static struct cowstack_layer *range_top(struct store_driver *d,
					const struct driver_volume *v)
{
	return find_layer(d, v->commit.top);
}

/* NULL: the base. */
static struct cowstack_layer *destination(struct store_driver *d,
					  const struct driver_volume *v)
{
	return find_layer(d, v->commit.base);
}

static struct cowstack_layer *range_bottom(struct store_driver *d,
					   const struct driver_volume *v)
{
	struct cowstack_layer *layer = range_top(d, v);

	while (layer->parent != destination(d, v))
		layer = layer->parent;
	return layer;
}

bool job_change_is_waiting(const struct driver_commit *job)
{
	return job->has_change && !list_empty(&job->change.transaction.list);
}

static void free_change(struct driver_commit *job)
{
	if (job->has_change)
		cowstack_change_free(&job->change);
	job->has_change = false;
}

/* Into the next step, which may come at once or with someone's flush. */
void job_submit(struct store_driver *d, struct driver_commit *job)
{
	job->has_change = true;
	driver_submit(d, &job->change);
	if (random_percent(&d->random, 50))
		driver_run_steps(d);
}

static void fill_range(struct store_driver *d, struct driver_volume *v,
		       struct cowstack_range *range)
{
	cowstack_range_fill(range, range_top(d, v), destination(d, v));
}

/* --- records: each changes what it means and no more --- */

static void update_start(struct cowstack_volume_info *info,
			 const void *argument)
{
	const struct driver_commit *job = argument;

	memset(&info->job, 0, sizeof(info->job));
	info->job.kind = COWSTACK_JOB_COMMIT;
	info->job.state = COWSTACK_JOB_RUNNING;
	info->job.top = job->top;
	info->job.base = job->base;
	info->job.flags = job->retain ? COWSTACK_JOB_RETAIN : 0;
	info->job.on_error = job->reports ? COWSTACK_ON_ERROR_REPORT :
					    COWSTACK_ON_ERROR_STOP;
}

static void update_mark(struct cowstack_volume_info *info, const void *argument)
{
	const struct driver_commit *job = argument;

	if (job->base == COWSTACK_BASE_LAYER &&
	    from_layer_id(job->top) > from_layer_id(info->mixed_top))
		info->mixed_top = job->top;
}

void job_update_progress(struct cowstack_volume_info *info,
			 const void *argument)
{
	const struct driver_commit *job = argument;

	info->job.cursor = job->next;
	info->job.errors = job->errors;
}

static void update_state(struct cowstack_volume_info *info,
			 const void *argument)
{
	info->job.state = *(const enum cowstack_job_state *)argument;
}

static void update_finish(struct cowstack_volume_info *info,
			  const void *argument)
{
	const struct driver_commit *job = argument;
	u32 mixed = from_layer_id(info->mixed_top);

	info->job.state = COWSTACK_JOB_COMPLETED;
	info->job.errors = job->errors;
	if (job->errors || !mixed || mixed > from_layer_id(job->top))
		return;
	if (job->base == COWSTACK_BASE_LAYER)
		info->mixed_top = COWSTACK_BASE_LAYER;
	else if (mixed > from_layer_id(job->base))
		info->mixed_top = job->base;
}

void job_change_record(struct store_driver *d, struct driver_volume *v,
		       cowstack_update_fn update, const void *argument)
{
	struct cowstack_change change;

	cowstack_change_info(&change, &d->md, v->volume, update, argument);
	driver_submit(d, &change);
	driver_run_steps(d);
	cowstack_change_free(&change);
}

static void set_state(struct store_driver *d, struct driver_volume *v,
		      enum cowstack_job_state state)
{
	job_change_record(d, v, update_state, &state);
	driver_trace(d, "volume %u: commit has state %d", v->number, state);
}

static void cancel(struct store_driver *d, struct driver_volume *v)
{
	set_state(d, v, COWSTACK_JOB_CANCELLED);
	v->commit.state = COMMIT_IDLE;
}

/* --- begin --- */

/* May a commit take from @layer, or put into it? */
static bool is_spared(const struct driver_volume *v,
		      const struct cowstack_layer *layer)
{
	return layer->flags & COWSTACK_LAYER_PINNED ||
	       cowstack_layer_is_shared(v->volume, layer);
}

/* From @from down to @to, which is right above the base where it is NULL. */
static bool any_is_spared(const struct driver_volume *v,
			  const struct cowstack_layer *from,
			  const struct cowstack_layer *to)
{
	for (; from && from != to; from = from->parent)
		if (is_spared(v, from))
			return true;
	return to && is_spared(v, to);
}

static struct cowstack_layer *choose_destination(struct store_driver *d,
						 struct driver_volume *v,
						 const struct cowstack_layer *top)
{
	struct cowstack_layer *layer = layer_random(d, v);

	while (layer && from_layer_id(layer->id) >= from_layer_id(top->id))
		layer = layer->parent;
	return layer;
}

/* Nothing is in flight if @snapshot: the top is taken, to be frozen first. */
static bool choose_range(struct store_driver *d, struct driver_volume *v,
			 bool snapshot)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *top = snapshot ? volume_top(v) :
						layer_random(d, v);
	struct cowstack_layer *to;

	if (!top || (!snapshot && !cowstack_layer_is_whole(v->volume, top)))
		return false;
	to = random_percent(&d->random, 35) || base_users(d, v->base) > 1 ?
		     choose_destination(d, v, top) : NULL;
	/* Another's base is not written to. */
	if ((!to && base_users(d, v->base) > 1) || any_is_spared(v, top, to))
		return false;
	job->top = top->id;
	job->base = to ? to->id : COWSTACK_BASE_LAYER;
	job->retain = !to && random_percent(&d->random, 40);
	job->reports = random_percent(&d->random, 30);
	job->errors = 0;
	return true;
}

static bool base_is_too_short(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_range range;

	if (v->commit.base != COWSTACK_BASE_LAYER)
		return false;
	fill_range(d, v, &range);
	return v->volume->info.base_sectors < v->volume->info.sectors &&
	       cowstack_range_held_behind(cowstack_geometry(&d->md), &range,
					  v->volume->info.base_sectors);
}

void commit_begin(struct store_driver *d, struct driver_volume *v)
{
	bool snapshot = v->model.point_count < MODEL_MAX_POINTS &&
			random_percent(&d->random, 25);
	struct driver_commit *job = &v->commit;

	if (job->state != COMMIT_IDLE)
		return;
	job->stream = false;
	if (snapshot)
		volume_drain(d, v);
	if (driver_is_over(d) || !choose_range(d, v, snapshot) ||
	    base_is_too_short(d, v))
		return;
	driver_trace(d, "volume %u: commit up to layer %u into %u%s", v->number,
		     from_layer_id(job->top), from_layer_id(job->base),
		     job->retain ? ", retained" : "");
	job->state = COMMIT_MARK;
	/* Recorded when the message returns, either way. */
	if (snapshot)
		volume_freeze_top(d, v, update_start, job);
	else
		job_change_record(d, v, update_start, job);
}

static void mark(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	job->next = 0;
	job->errors = 0;
	if (destination(d, v))
		cowstack_change_mix(&job->change, &d->md, v->volume,
				    destination(d, v), range_top(d, v),
				    update_mark, job);
	else
		cowstack_change_info(&job->change, &d->md, v->volume,
				     update_mark, job);
	job_submit(d, job);
}

/* --- gather and write --- */

static void add_sector(struct driver_commit *job, u64 sector, u64 version)
{
	struct commit_sector *s = &job->sectors[job->sector_count++];

	s->sector = sector;
	s->version = version;
}

static void gather_segment(struct store_driver *d, struct driver_volume *v,
			   const struct cowstack_segment *segment)
{
	u64 i;

	for (i = 0; i < segment->sectors; i++) {
		u64 sector = segment->sector + i;

		if (v->commit.base == COWSTACK_BASE_LAYER &&
		    sector >= v->volume->info.base_sectors)
			return;
		add_sector(&v->commit, sector, segment->zero ? 0 :
			   device_read_version(&d->store, segment->place + i));
	}
}

static void gather_chunk(struct store_driver *d, struct driver_volume *v,
			 const struct cowstack_range *range, vchunk_t chunk)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	struct cowstack_range merged;
	struct cowstack_merge merge;
	u32 count, i;

	if (destination(d, v)) {
		cowstack_range_fill(&merged, range_top(d, v),
				    destination(d, v)->parent);
		cowstack_range_merge(g, &merged, chunk, &merge);
		for (i = 0; i < merge.count; i++)
			gather_segment(d, v, &merge.copies[i]);
		return;
	}
	count = cowstack_range_plan(g, range, chunk, segments);
	for (i = 0; i < count; i++)
		gather_segment(d, v, &segments[i]);
}

/* From the first chunk that is held, a few chunks on. */
static void gather(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	vchunk_t chunk = to_vchunk(job->next);
	struct cowstack_range range;

	fill_range(d, v, &range);
	if (!cowstack_range_next(&range, &chunk)) {
		job->state = COMMIT_END;
		return;
	}
	job->first = from_vchunk(chunk);
	job->sector_count = 0;
	if (job->reports && random_percent(&d->random, 25)) {
		/* It stays where it is, and the next group begins behind it. */
		job->errors++;
		job->next = job->first + 1;
		return;
	}
	job->next = job->first + 1 + random_below(&d->random,
						  DRIVER_GROUP_CHUNKS);
	power_tick(&d->power);
	do {
		gather_chunk(d, v, &range, chunk);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	} while (cowstack_range_next(&range, &chunk) &&
		 from_vchunk(chunk) < job->next);
	job->state = COMMIT_WRITE;
}

/* The word that stays of @chunk, and where; false: none does. */
static bool find_replacement(struct store_driver *d, struct driver_volume *v,
			     const struct cowstack_range *range,
			     vchunk_t chunk, struct cowstack_replacement *r)
{
	struct cowstack_layer *to = destination(d, v);
	struct cowstack_range merged;
	struct cowstack_merge merge;

	r->chunk = chunk;
	if (to) {
		cowstack_range_fill(&merged, range_top(d, v), to->parent);
		cowstack_range_merge(cowstack_geometry(&d->md), &merged, chunk,
				     &merge);
		r->layer = to;
		r->word = merge.word;
		return merge.word != MAP_WORD_NONE;
	}
	r->word = cowstack_range_newest(range, chunk, &r->layer);
	if (!map_word_mask(r->word) ||
	    (!v->commit.retain && !map_word_is_clean(r->word)))
		return false;
	r->word = map_word_as_clean(r->word);
	return true;
}

static void find_replacements(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	vchunk_t chunk = to_vchunk(job->first);
	struct cowstack_range range;

	fill_range(d, v, &range);
	job->replacement_count = 0;
	while (cowstack_range_next(&range, &chunk) &&
	       from_vchunk(chunk) < job->next) {
		if (find_replacement(d, v, &range, chunk,
				     &job->replacements[job->replacement_count]))
			job->replacement_count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
}

void job_stop(struct store_driver *d, struct driver_volume *v)
{
	set_state(d, v, COWSTACK_JOB_STOPPED);
	v->commit.state = COMMIT_STANDING;
	d->stops++;
}

/* False: no room for a page of words; it stopped. */
static bool let_go(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_let_go what = {
		.bottom = range_bottom(d, v), .top = range_top(d, v),
		.first = to_vchunk(job->first),
		.count = job->next - job->first,
	};
	struct cowstack_let_go newest = what;
	int error;

	find_replacements(d, v);
	if (driver_breaks(d, FAULT_DROP_IN_TWO_STEPS, false) && what.top != what.bottom) {
		newest.bottom = what.top;
		cowstack_change_let_go(&job->change, &d->md, v->volume,
				       &newest, NULL, NULL);
		driver_submit(d, &job->change);
		driver_run_steps(d);
		cowstack_change_free(&job->change);
	}
	what.replacements = job->replacements;
	what.replacement_count = job->replacement_count;
	error = cowstack_change_let_go(&job->change, &d->md, v->volume, &what,
				       job_update_progress, job);
	if (error) {
		if (error != -ENOSPC)
			driver_fail(d, "volume %u: no letting go: %d",
				    v->number, error);
		job_stop(d, v);
		return false;
	}
	job_submit(d, job);
	return true;
}

static void write_sectors(struct store_driver *d, struct driver_volume *v)
{
	struct simulated_device *to = destination(d, v) ? &d->store :
							  &v->base->device;
	struct driver_commit *job = &v->commit;
	u32 i;

	if (driver_breaks(d, FAULT_DROP_BEFORE_COPY, false)) {
		if (!let_go(d, v))
			return;
		driver_run_steps(d);
		free_change(job);
	}
	power_tick(&d->power);
	for (i = 0; i < job->sector_count; i++)
		device_write_version(to, job->sectors[i].sector,
				     job->sectors[i].version, 0);
	job->state = COMMIT_FLUSH;
}

/* The journal's step flushes the store itself. */
static void flush_destination(struct store_driver *d, struct driver_volume *v)
{
	if (!destination(d, v) && !driver_breaks(d, FAULT_SKIP_DESTINATION_FLUSH, false))
		device_flush(&v->base->device);
}

/* --- end --- */

static bool range_is_empty(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_layer *layer = range_top(d, v);

	for (; layer != destination(d, v); layer = layer->parent)
		if (!cowstack_layer_is_empty(layer))
			return false;
	return true;
}

/* The layers from @top down to @bottom are about to leave. */
void job_note_leaving(struct driver_volume *v,
		      const struct cowstack_layer *bottom,
		      const struct cowstack_layer *top, bool upward)
{
	const struct cowstack_layer *layer;

	for (layer = top; layer != bottom->parent; layer = layer->parent) {
		struct model_point *point =
			model_find_point(&v->model, from_layer_id(layer->id));

		point->leaving = true;
		point->upward = upward;
	}
}

static void end_sweep(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *bottom = range_bottom(d, v);
	struct cowstack_layer *top = range_top(d, v);
	int error;

	job->kept = !range_is_empty(d, v);
	if (job->kept)
		error = cowstack_change_info(&job->change, &d->md, v->volume,
					     update_finish, job);
	else
		error = cowstack_change_remove_layers(&job->change, &d->md,
						      v->volume, bottom, top,
						      update_finish, job);
	if (error) {
		driver_fail(d, "volume %u: commit cannot finish: %d", v->number,
			    error);
		return;
	}
	if (!job->kept)
		job_note_leaving(v, bottom, top, false);
	job->ending = true;
	job_submit(d, job);
}

/* The step that ends it is durable. */
static void note_end(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	job->ending = false;
	if (job->base == COWSTACK_BASE_LAYER && !job->errors) {
		if (v->volume->info.mixed_top != COWSTACK_BASE_LAYER)
			driver_fail(d, "volume %u: base stays mixed",
				    v->number);
		model_commit_base(&v->model, from_layer_id(job->top),
				  v->base->content);
	}
	layers_settle(d, v);
	d->commits++;
	d->layer_commits += job->base != COWSTACK_BASE_LAYER;
	d->retained += job->retain;
	d->with_errors += !!job->errors;
	driver_trace(d, "volume %u: committed up to layer %u into %u, %llu errors",
		     v->number, from_layer_id(job->top),
		     from_layer_id(job->base), (unsigned long long)job->errors);
}

static void job_note_end(struct store_driver *d, struct driver_volume *v)
{
	if (v->commit.stream)
		stream_note_end(d, v);
	else
		note_end(d, v);
}

/* Only a stream's own sources may leave. */
static void find_sources_left(struct store_driver *d, struct driver_commit *job)
{
	const struct cowstack_layer *taker = find_layer(d, job->top);
	const struct cowstack_layer *bottom = find_layer(d, job->bottom);

	job->emptied_end = job->emptied;
	if (!bottom)
		return;
	job->emptied = taker->parent->id;
	job->emptied_end = bottom->parent ? bottom->parent->id :
					    COWSTACK_BASE_LAYER;
}

static void finish(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	job->state = COMMIT_IDLE;
	if (d->power.dead)
		return;
	job_note_end(d, v);
	if (!job->kept)
		return;
	job->emptied_end = job->base;
	job->emptied = job->top;
	if (job->stream)
		find_sources_left(d, job);
	job->state = job->emptied == job->emptied_end ? COMMIT_IDLE :
							COMMIT_EMPTIED;
}

/* One layer of a range that keeps something; each that keeps nothing leaves. */
static void look_at_emptied(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *layer = find_layer(d, job->emptied);

	job->emptied = layer->parent ? layer->parent->id : COWSTACK_BASE_LAYER;
	if (job->emptied == job->emptied_end)
		job->state = COMMIT_IDLE;
	if (!cowstack_layer_is_empty(layer))
		return;
	if (cowstack_change_remove_layers(&job->change, &d->md, v->volume,
					  layer, layer, NULL, NULL)) {
		driver_fail(d, "volume %u: an emptied layer stays", v->number);
		return;
	}
	/* One that shows no point in time leaves none to what is below it. */
	job_note_leaving(v, layer, layer,
			 layer->flags & COWSTACK_LAYER_MIXED);
	job->state = COMMIT_LEAVING;
	job_submit(d, job);
}

static void leave(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	job->state = job->emptied == job->emptied_end ? COMMIT_IDLE :
							COMMIT_EMPTIED;
	if (!d->power.dead)
		layers_settle(d, v);
}

/* --- a piece at a time --- */

static enum crash_phase phase_of(enum commit_state state)
{
	switch (state) {
	case COMMIT_GATHER:
		return PHASE_GATHER;
	case COMMIT_WRITE:
		return PHASE_WRITE;
	case COMMIT_FLUSH:
		return PHASE_FLUSH;
	default:
		return PHASE_LET_GO;
	}
}

static void do_tick(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	switch (job->state) {
	case COMMIT_IDLE:
	case COMMIT_STANDING:
		break;
	case COMMIT_MARK:
		if (job->stream)
			stream_mark(d, v);
		else
			mark(d, v);
		job->state = COMMIT_MARKING;
		break;
	case COMMIT_MARKING:
	case COMMIT_WAITING:
		job->state = COMMIT_GATHER;
		break;
	case COMMIT_GATHER:
		if (job->stream)
			stream_gather(d, v);
		else
			gather(d, v);
		break;
	case COMMIT_WRITE:
		if (job->stream)
			stream_write(d, v);
		else
			write_sectors(d, v);
		break;
	case COMMIT_FLUSH:
		flush_destination(d, v);
		job->state = COMMIT_LET_GO;
		break;
	case COMMIT_LET_GO:
		if (job->stream ? stream_let_go(d, v) : let_go(d, v))
			job->state = COMMIT_WAITING;
		break;
	case COMMIT_END:
		if (job->stream && random_percent(&d->random, 10)) {
			/* When all has gone up, and no layer has left. */
			cancel(d, v);
			break;
		}
		job->state = COMMIT_ENDING;
		if (job->stream)
			stream_end(d, v);
		else
			end_sweep(d, v);
		break;
	case COMMIT_ENDING:
		finish(d, v);
		break;
	case COMMIT_EMPTIED:
		look_at_emptied(d, v);
		break;
	case COMMIT_LEAVING:
		leave(d, v);
		break;
	}
}

void commit_tick(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	enum crash_phase phase = d->power.phase;

	if (job_change_is_waiting(job))
		return;
	free_change(job);
	d->power.phase = phase_of(job->state);
	do_tick(d, v);
	d->power.phase = phase;
}

/* --- steering --- */

bool commit_is_ending(const struct driver_volume *v)
{
	return v->commit.state == COMMIT_ENDING ||
	       v->commit.state == COMMIT_EMPTIED ||
	       v->commit.state == COMMIT_LEAVING;
}

void commit_settle(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if ((job->state == COMMIT_ENDING || job->state == COMMIT_LEAVING) &&
	    !driver_is_over(d))
		commit_tick(d, v);
}

void commit_steer(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if (job->state == COMMIT_IDLE || commit_is_ending(v))
		return;
	stream_finish_batch(d, v);
	if (job->state == COMMIT_IDLE || driver_is_over(d) ||
	    job_change_is_waiting(job))
		return;
	free_change(job);
	if (random_percent(&d->random, 40)) {
		cancel(d, v);
	} else if (job->state == COMMIT_STANDING) {
		set_state(d, v, COWSTACK_JOB_RUNNING);
		job->state = COMMIT_MARK;
	} else {
		set_state(d, v, COWSTACK_JOB_PAUSED);
		job->state = COMMIT_STANDING;
	}
}

void commit_run(struct store_driver *d, struct driver_volume *v)
{
	while (v->commit.state != COMMIT_IDLE &&
	       v->commit.state != COMMIT_STANDING && !driver_is_over(d)) {
		driver_run_steps(d);
		commit_tick(d, v);
	}
}

bool commit_uses_layer(const struct driver_volume *v,
		       const struct cowstack_layer *layer)
{
	const struct cowstack_job *job = &v->volume->info.job;

	return job->state >= COWSTACK_JOB_QUEUED &&
	       job->state <= COWSTACK_JOB_STOPPED &&
	       from_layer_id(layer->id) <= from_layer_id(job->top) &&
	       from_layer_id(layer->id) >= from_layer_id(job->base);
}

void commit_resume(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_job *recorded = &v->volume->info.job;
	struct driver_commit *job = &v->commit;

	job->state = COMMIT_IDLE;
	if (job->ending && recorded->state == COWSTACK_JOB_COMPLETED)
		job_note_end(d, v);
	job->ending = false;
	if (recorded->state != COWSTACK_JOB_RUNNING &&
	    recorded->state != COWSTACK_JOB_PAUSED &&
	    recorded->state != COWSTACK_JOB_STOPPED)
		return;
	job->top = recorded->top;
	job->base = recorded->base;
	job->retain = recorded->flags & COWSTACK_JOB_RETAIN;
	job->reports = recorded->on_error == COWSTACK_ON_ERROR_REPORT;
	job->stream = recorded->kind == COWSTACK_JOB_STREAM;
	job->with_base = recorded->flags & COWSTACK_JOB_WITH_BASE;
	job->state = recorded->state == COWSTACK_JOB_RUNNING ?
			     COMMIT_MARK : COMMIT_STANDING;
	if (job->stream)
		stream_resume(d, v);
	else if (!range_top(d, v) ||
		 (from_layer_id(job->base) && !destination(d, v)))
		driver_fail(d, "volume %u: its job has no layer", v->number);
}

void commit_drop(struct driver_volume *v)
{
	free_change(&v->commit);
	v->commit.state = COMMIT_IDLE;
}
