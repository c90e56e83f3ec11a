// SPDX-License-Identifier: GPL-2.0
/*
 * A commit, a piece at a time and in the module's order: record, mark, (gather,
 * write, flush, let go)…, end; then emptied layers leave the chain.
 */
#include "commit_choice.h"
#include "store_driver.h"

static struct cowstack_layer *range_top(struct store_driver *d,
					const struct driver_volume *v)
{
	return job_layer(d, v->commit.top);
}

/* NULL: the base. */
static struct cowstack_layer *destination(struct store_driver *d,
					  const struct driver_volume *v)
{
	return job_layer(d, v->commit.base);
}

static struct cowstack_layer *range_bottom(struct store_driver *d,
					   const struct driver_volume *v)
{
	struct cowstack_layer *layer = range_top(d, v);

	while (layer->parent != destination(d, v))
		layer = layer->parent;
	return layer;
}

static void fill_range(struct store_driver *d, struct driver_volume *v,
		       struct cowstack_range *range)
{
	cowstack_range_fill(range, range_top(d, v), destination(d, v));
}

/* --- records: each changes what it means and no more --- */

static void update_mark(struct cowstack_volume_info *info, const void *argument)
{
	const struct driver_commit *job = argument;

	if (job->base == COWSTACK_BASE_LAYER &&
	    from_layer_id(job->top) > from_layer_id(info->mixed_top))
		info->mixed_top = job->top;
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

/* --- begin --- */

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
	bool is_shared = base_users(d, v->base) > 1;
	struct cowstack_commit_request request = { };
	struct cowstack_commit_choice choice;

	if (!top)
		return false;
	if (random_percent(&d->random, 35) || is_shared)
		request.destination = choose_destination(d, v, top);
	if (!snapshot)
		request.top = top;
	/* Another's base is not written to. */
	if ((!request.destination && is_shared) ||
	    cowstack_commit_choose(v->volume, &request, &choice) ||
	    choice.snapshot != snapshot)
		return false;
	job->top = choice.top->id;
	job->base = request.destination ? request.destination->id :
					  COWSTACK_BASE_LAYER;
	job->retain = !request.destination && random_percent(&d->random, 40);
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
	bool recorded;

	if (job->state != COMMIT_IDLE)
		return;
	job->stream = false;
	job->with_base = false;
	if (snapshot)
		volume_drain(d, v);
	if (driver_is_stuck(d) || !choose_range(d, v, snapshot) ||
	    base_is_too_short(d, v))
		return;
	driver_trace(d, "volume %u: commit up to layer %u into %u%s", v->number,
		     from_layer_id(job->top), from_layer_id(job->base),
		     job->retain ? ", retained" : "");
	job->state = COMMIT_MARK;
	/* Recorded when the message returns, either way. */
	recorded = snapshot ? volume_freeze_top(d, v, job_update_start, job) :
			      job_change_record(d, v, job_update_start, job);
	if (!recorded)
		job->state = COMMIT_IDLE;
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
		    (sector >= v->volume->info.base_sectors ||
		     sector >= v->volume->info.sectors))
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

/* An I/O of the group has failed. */
static void fail_group(struct store_driver *d, struct driver_volume *v)
{
	if (v->commit.reports)
		job_note_error(&v->commit);
	else
		job_stop(d, v);
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
		job_note_error(job);
		return;
	}
	job->next = job->first + 1 + random_below(&d->random,
						  DRIVER_GROUP_CHUNKS);
	if (device_send(&d->store)) {
		fail_group(d, v);
		return;
	}
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

	find_replacements(d, v);
	newest.bottom = what.top;
	if (driver_breaks(d, FAULT_DROP_IN_TWO_STEPS, false) &&
	    what.top != what.bottom)
		job_let_go_first(d, v, &newest);
	return job_let_go(d, v, &what);
}

static void write_sectors(struct store_driver *d, struct driver_volume *v)
{
	struct simulated_device *to = destination(d, v) ? &d->store :
							  &v->base->device;
	struct driver_commit *job = &v->commit;
	int error;
	u32 i;

	if (driver_breaks(d, FAULT_DROP_BEFORE_COPY, false)) {
		if (!let_go(d, v))
			return;
		driver_run_steps(d);
		job_free_change(job);
	}
	error = job->sector_count ?
			device_send_write(to, job->sectors[0].sector, 1) : 0;
	for (i = 0; i < job->sector_count; i++)
		device_write_version(to, job->sectors[i].sector,
				     job->sectors[i].version, 0);
	if (error)
		fail_group(d, v);
	else
		job->state = COMMIT_FLUSH;
}

/* The journal's step flushes the store itself. */
static void flush_destination(struct store_driver *d, struct driver_volume *v)
{
	int error = 0;

	if (!destination(d, v) &&
	    !driver_breaks(d, FAULT_SKIP_DESTINATION_FLUSH, false))
		error = device_flush(&v->base->device);
	if (error)
		fail_group(d, v);
	else
		v->commit.state = COMMIT_LET_GO;
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
		if (error != -ENOMEM)
			driver_fail(d, "volume %u: commit cannot finish: %d",
				    v->number, error);
		job_stop(d, v);
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
	d->counts.commits++;
	d->counts.layer_commits += job->base != COWSTACK_BASE_LAYER;
	d->counts.retained += job->retain;
	d->counts.with_errors += !!job->errors;
	driver_trace(d, "volume %u: committed up to layer %u into %u, %llu errors",
		     v->number, from_layer_id(job->top),
		     from_layer_id(job->base), (unsigned long long)job->errors);
}

static bool has_layers(struct store_driver *d, struct driver_volume *v)
{
	return range_top(d, v) && (v->commit.base == COWSTACK_BASE_LAYER ||
				   destination(d, v));
}

const struct job_kind commit_kind = {
	.mark = mark,
	.gather = gather,
	.write = write_sectors,
	.flush = flush_destination,
	.let_go = let_go,
	.end = end_sweep,
	.note_end = note_end,
	.has_layers = has_layers,
};
