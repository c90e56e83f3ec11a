// SPDX-License-Identifier: GPL-2.0
/*
 * A commit into the base, a piece at a time: mark, (gather, write)…, flush, let
 * go, and at the end the layers leave the chain.
 */
#include "commit_plan.h"
#include "store_driver.h"

static struct cowstack_layer *range_top(struct store_driver *d,
					struct driver_volume *v)
{
	return cowstack_layer_find(&d->md, v->commit.top);
}

static struct cowstack_layer *range_bottom(struct store_driver *d,
					   struct driver_volume *v)
{
	struct cowstack_layer *layer = range_top(d, v);

	while (layer->parent)
		layer = layer->parent;
	return layer;
}

static bool change_is_waiting(const struct driver_commit *job)
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
static void submit(struct store_driver *d, struct driver_commit *job)
{
	job->has_change = true;
	driver_submit(d, &job->change);
	if (random_percent(&d->random, 50))
		driver_run_steps(d);
}

/* --- begin --- */

static void mark_mixed(struct cowstack_volume_info *info, const void *argument)
{
	const struct driver_commit *job = argument;

	if (from_layer_id(job->top) > from_layer_id(info->mixed_top))
		info->mixed_top = job->top;
	info->job.kind = COWSTACK_JOB_COMMIT;
	info->job.state = COWSTACK_JOB_RUNNING;
	info->job.top = job->top;
}

static void fill_range(struct store_driver *d, struct driver_volume *v,
		       struct cowstack_range *range)
{
	cowstack_range_fill(range, range_top(d, v), NULL);
}

static bool base_is_too_short(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_range range;

	fill_range(d, v, &range);
	return v->volume->info.base_sectors < v->volume->info.sectors &&
	       cowstack_range_held_behind(cowstack_geometry(&d->md), &range,
					  v->volume->info.base_sectors);
}

void commit_begin(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct volume_model *m = &v->model;

	if (job->state != COMMIT_IDLE || !m->point_count)
		return;
	job->top = to_layer_id(m->points[random_below(&d->random,
						      m->point_count)].layer);
	if (base_is_too_short(d, v))
		return;
	cowstack_change_info(&job->change, &d->md, v->volume, mark_mixed, job);
	job->state = COMMIT_MARKING;
	job->next = 0;
	driver_trace(d, "volume %u: commit up to layer %u", v->number,
		     from_layer_id(job->top));
	submit(d, job);
}

void commit_resume(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	const struct cowstack_job *recorded = &v->volume->info.job;

	if (job->ending && !range_top(d, v))
		model_commit_points(&v->model, from_layer_id(job->top));
	job->ending = false;
	job->state = COMMIT_IDLE;
	job->next = 0;
	if (recorded->kind != COWSTACK_JOB_COMMIT)
		return;
	job->top = recorded->top;
	job->state = COMMIT_GATHER;
	if (!range_top(d, v))
		driver_fail(d, "volume %u: its job has no layer", v->number);
}

void commit_drop(struct driver_volume *v)
{
	free_change(&v->commit);
	v->commit.state = COMMIT_IDLE;
}

/* --- gather and write --- */

static void gather_segment(struct store_driver *d, struct driver_volume *v,
			   const struct cowstack_segment *segment)
{
	struct driver_commit *job = &v->commit;
	u64 i;

	for (i = 0; i < segment->sectors; i++) {
		struct commit_sector *s = &job->sectors[job->sector_count];

		if (segment->sector + i >= v->volume->info.base_sectors)
			return;
		s->sector = segment->sector + i;
		s->version = segment->zero ? 0 :
			device_read_version(&d->store, segment->place + i);
		job->sector_count++;
	}
}

/* From the first chunk that is held, a few chunks on. */
static void gather(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	struct driver_commit *job = &v->commit;
	vchunk_t chunk = to_vchunk(job->next);
	struct cowstack_range range;
	u32 count, i;

	fill_range(d, v, &range);
	if (!cowstack_range_next(&range, &chunk)) {
		job->state = COMMIT_END;
		return;
	}
	job->first = from_vchunk(chunk);
	job->next = job->first + 1 + random_below(&d->random,
						  DRIVER_GROUP_CHUNKS);
	job->sector_count = 0;
	power_tick(&d->power);
	do {
		count = cowstack_range_plan(cowstack_geometry(&d->md), &range,
					    chunk, segments);
		for (i = 0; i < count; i++)
			gather_segment(d, v, &segments[i]);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	} while (cowstack_range_next(&range, &chunk) &&
		 from_vchunk(chunk) < job->next);
	job->state = COMMIT_WRITE;
}

static void let_go(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	struct cowstack_layer *bottom = range_bottom(d, v);
	struct cowstack_layer *top = range_top(d, v);
	struct cowstack_let_go what = {
		.bottom = bottom, .top = top,
		.first = to_vchunk(job->first),
		.count = job->next - job->first,
	};

	if (cowstack_fault(FAULT_DROP_IN_TWO_STEPS) && top != bottom) {
		what.bottom = top;
		cowstack_change_let_go(&job->change, &d->md, v->volume, &what,
				       NULL, NULL);
		driver_submit(d, &job->change);
		driver_run_steps(d);
		cowstack_change_free(&job->change);
	}
	what.bottom = bottom;
	cowstack_change_let_go(&job->change, &d->md, v->volume, &what, NULL,
			       NULL);
	submit(d, job);
}

static void write_base(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	u32 i;

	if (cowstack_fault(FAULT_DROP_BEFORE_COPY)) {
		let_go(d, v);
		driver_run_steps(d);
		free_change(job);
	}
	power_tick(&d->power);
	for (i = 0; i < job->sector_count; i++)
		device_write_version(&v->base, job->sectors[i].sector,
				     job->sectors[i].version, 0);
}

static void flush_base(struct store_driver *d, struct driver_volume *v)
{
	if (!cowstack_fault(FAULT_SKIP_DESTINATION_FLUSH))
		device_flush(&v->base);
}

/* --- end --- */

static void clear_mixed(struct cowstack_volume_info *info, const void *argument)
{
	const struct driver_commit *job = argument;

	if (from_layer_id(job->top) >= from_layer_id(info->mixed_top))
		info->mixed_top = COWSTACK_BASE_LAYER;
	memset(&info->job, 0, sizeof(info->job));
}

static void remove_layers(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	int error;

	error = cowstack_change_remove_layers(&job->change, &d->md, v->volume,
					      range_bottom(d, v),
					      range_top(d, v), clear_mixed,
					      job);
	if (error) {
		driver_fail(d, "layers are not removed: %d", error);
		return;
	}
	job->ending = true;
	submit(d, job);
}

static void finish(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	job->state = COMMIT_IDLE;
	if (d->power.dead)
		return;
	job->ending = false;
	model_commit_points(&v->model, from_layer_id(job->top));
	d->commits++;
	driver_trace(d, "volume %u: committed up to layer %u", v->number,
		     from_layer_id(job->top));
}

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
		break;
	case COMMIT_MARKING:
	case COMMIT_WAITING:
		job->state = COMMIT_GATHER;
		break;
	case COMMIT_GATHER:
		gather(d, v);
		break;
	case COMMIT_WRITE:
		write_base(d, v);
		job->state = COMMIT_FLUSH;
		break;
	case COMMIT_FLUSH:
		flush_base(d, v);
		job->state = COMMIT_LET_GO;
		break;
	case COMMIT_LET_GO:
		let_go(d, v);
		job->state = COMMIT_WAITING;
		break;
	case COMMIT_END:
		remove_layers(d, v);
		job->state = COMMIT_ENDING;
		break;
	case COMMIT_ENDING:
		finish(d, v);
		break;
	}
}

void commit_tick(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	enum crash_phase phase = d->power.phase;

	if (change_is_waiting(job))
		return;
	free_change(job);
	d->power.phase = phase_of(job->state);
	do_tick(d, v);
	d->power.phase = phase;
}
