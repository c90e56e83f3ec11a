// SPDX-License-Identifier: GPL-2.0
/*
 * What commits and streams have in common: their records, their states a piece at
 * a time, how they are steered, and what comes of them at a load.
 */
#include "store_driver.h"

struct cowstack_layer *job_layer(struct store_driver *d, layer_id_t id)
{
	return id == COWSTACK_BASE_LAYER ? NULL :
					   cowstack_layer_find(&d->md, id);
}

bool job_change_is_waiting(const struct driver_commit *job)
{
	return job->has_change && !list_empty(&job->change.transaction.list);
}

void job_free_change(struct driver_commit *job)
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

/* --- records: each changes what it means and no more --- */

void job_update_start(struct cowstack_volume_info *info, const void *argument)
{
	const struct driver_commit *job = argument;

	memset(&info->job, 0, sizeof(info->job));
	info->job.kind = job->stream ? COWSTACK_JOB_STREAM :
				       COWSTACK_JOB_COMMIT;
	info->job.state = COWSTACK_JOB_RUNNING;
	info->job.top = job->top;
	info->job.base = job->base;
	info->job.flags = (job->retain ? COWSTACK_JOB_RETAIN : 0) |
			  (job->with_base ? COWSTACK_JOB_WITH_BASE : 0);
	info->job.on_error = job->reports ? COWSTACK_ON_ERROR_REPORT :
					    COWSTACK_ON_ERROR_STOP;
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

bool job_change_record(struct store_driver *d, struct driver_volume *v,
		       cowstack_update_fn update, const void *argument)
{
	struct cowstack_change change;

	cowstack_change_info(&change, &d->md, v->volume, update, argument);
	return driver_carry_out(d, &change);
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

void job_note_error(struct driver_commit *job)
{
	job->errors++;
	job->next = job->first + 1;
	job->one_by_one = false;
	job->state = COMMIT_GATHER;
}

void job_stop(struct store_driver *d, struct driver_volume *v)
{
	set_state(d, v, COWSTACK_JOB_STOPPED);
	v->commit.state = COMMIT_STANDING;
	d->counts.stops++;
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

/* --- letting go --- */

void job_let_go_first(struct store_driver *d, struct driver_volume *v,
		      const struct cowstack_let_go *what)
{
	struct driver_commit *job = &v->commit;

	if (!cowstack_change_let_go(&job->change, &d->md, v->volume, what, NULL,
				    NULL))
		driver_carry_out(d, &job->change);
}

bool job_let_go(struct store_driver *d, struct driver_volume *v,
		struct cowstack_let_go *what)
{
	struct driver_commit *job = &v->commit;
	int error;

	what->replacements = job->replacements;
	what->replacement_count = job->replacement_count;
	error = cowstack_change_let_go(&job->change, &d->md, v->volume, what,
				       job_update_progress, job);
	if (!error) {
		job_submit(d, job);
		return true;
	}
	if (error != -ENOSPC && error != -ENOMEM)
		driver_fail(d, "volume %u: no letting go: %d", v->number, error);
	job_stop(d, v);
	return false;
}

/* --- ends --- */

static const struct job_kind *kind_of(const struct driver_commit *job)
{
	return job->stream ? &stream_kind : &commit_kind;
}

/* Only a stream's own sources may leave. */
static void find_sources_left(struct store_driver *d, struct driver_commit *job)
{
	const struct cowstack_layer *taker = job_layer(d, job->top);
	const struct cowstack_layer *bottom = job_layer(d, job->bottom);

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
	kind_of(job)->note_end(d, v);
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
	struct cowstack_layer *layer = job_layer(d, job->emptied);
	int error;

	job->emptied = layer->parent ? layer->parent->id : COWSTACK_BASE_LAYER;
	if (job->emptied == job->emptied_end)
		job->state = COMMIT_IDLE;
	if (!cowstack_layer_is_empty(layer))
		return;
	error = cowstack_change_remove_layers(&job->change, &d->md, v->volume,
					      layer, layer, NULL, NULL);
	if (error) {
		if (error != -ENOMEM)
			driver_fail(d, "volume %u: an emptied layer stays",
				    v->number);
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
	const struct job_kind *kind = kind_of(job);

	switch (job->state) {
	case COMMIT_IDLE:
	case COMMIT_STANDING:
		break;
	case COMMIT_MARK:
		kind->mark(d, v);
		job->state = COMMIT_MARKING;
		break;
	case COMMIT_MARKING:
	case COMMIT_WAITING:
		job->state = COMMIT_GATHER;
		break;
	case COMMIT_GATHER:
		kind->gather(d, v);
		break;
	case COMMIT_WRITE:
		kind->write(d, v);
		break;
	case COMMIT_FLUSH:
		kind->flush(d, v);
		break;
	case COMMIT_LET_GO:
		if (kind->let_go(d, v))
			job->state = COMMIT_WAITING;
		break;
	case COMMIT_END:
		if (job->stream && random_percent(&d->random, 10)) {
			/* When all has gone up, and no layer has left. */
			cancel(d, v);
			break;
		}
		job->state = COMMIT_ENDING;
		kind->end(d, v);
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

void job_tick(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;
	enum crash_phase phase = d->power.phase;

	if (job_change_is_waiting(job))
		return;
	job_free_change(job);
	d->power.phase = phase_of(job->state);
	do_tick(d, v);
	d->power.phase = phase;
}

/* --- steering --- */

bool job_is_ending(const struct driver_volume *v)
{
	return v->commit.state == COMMIT_ENDING ||
	       v->commit.state == COMMIT_EMPTIED ||
	       v->commit.state == COMMIT_LEAVING;
}

void job_settle(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if ((job->state == COMMIT_ENDING || job->state == COMMIT_LEAVING) &&
	    !driver_is_over(d))
		job_tick(d, v);
}

void job_restart(struct store_driver *d, struct driver_volume *v)
{
	if (v->commit.state != COMMIT_STANDING)
		return;
	set_state(d, v, COWSTACK_JOB_RUNNING);
	v->commit.state = COMMIT_MARK;
}

void job_steer(struct store_driver *d, struct driver_volume *v)
{
	struct driver_commit *job = &v->commit;

	if (job->state == COMMIT_IDLE || job_is_ending(v))
		return;
	stream_finish_batch(d, v);
	if (job->state == COMMIT_IDLE || driver_is_stuck(d) ||
	    job_change_is_waiting(job))
		return;
	job_free_change(job);
	if (random_percent(&d->random, 40)) {
		cancel(d, v);
	} else if (job->state == COMMIT_STANDING) {
		job_restart(d, v);
	} else {
		set_state(d, v, COWSTACK_JOB_PAUSED);
		job->state = COMMIT_STANDING;
	}
}

void job_run(struct store_driver *d, struct driver_volume *v)
{
	while (v->commit.state != COMMIT_IDLE &&
	       v->commit.state != COMMIT_STANDING && !driver_is_stuck(d)) {
		driver_run_steps(d);
		job_tick(d, v);
	}
}

bool job_uses_layer(const struct driver_volume *v,
		    const struct cowstack_layer *layer)
{
	const struct cowstack_job *job = &v->volume->info.job;

	return job->state >= COWSTACK_JOB_QUEUED &&
	       job->state <= COWSTACK_JOB_STOPPED &&
	       from_layer_id(layer->id) <= from_layer_id(job->top) &&
	       from_layer_id(layer->id) >= from_layer_id(job->base);
}

void job_resume(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_job *recorded = &v->volume->info.job;
	struct driver_commit *job = &v->commit;

	job->state = COMMIT_IDLE;
	if (job->ending && recorded->state == COWSTACK_JOB_COMPLETED)
		kind_of(job)->note_end(d, v);
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
	if (!kind_of(job)->has_layers(d, v))
		driver_fail(d, "volume %u: its job has no layer", v->number);
}

void job_drop(struct driver_volume *v)
{
	job_free_change(&v->commit);
	v->commit.state = COMMIT_IDLE;
}
