// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "dry_run.h"
#include "offline_commit.h"
#include "offline_job.h"
#include "progress_bar.h"
#include "signals.h"
#include "size.h"
#include "core/commit_estimate.h"
#include "core/job_end.h"

u64 offline_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

bool offline_is_late(const struct offline_job *job)
{
	return job->record.until && (u64)time(NULL) >= job->record.until;
}

static u64 chunk_bytes(const struct offline_job *job)
{
	return (u64)offline_geometry(job)->chunk_sectors << COWSTACK_SECTOR_SHIFT;
}

/* --- what is shown --- */

static double seconds_run(const struct offline_job *job)
{
	return (offline_now() - job->began) / 1e9;
}

static u64 rate(const struct offline_job *job)
{
	double seconds = seconds_run(job);

	return seconds > 0 ? job->moved / seconds : 0;
}

void offline_show_progress(struct offline_job *job)
{
	u64 done = job->record.done + job->pending;
	struct job_view view = {
		.done = done * chunk_bytes(job),
		.total = job->record.total * chunk_bytes(job),
		.rate = rate(job),
		.errors = job->record.errors,
	};

	if (!job->bar)
		return;
	pace_note(&job->pace, seconds_run(job), done);
	view.seconds_left = pace_seconds_left(&job->pace, job->record.total);
	progress_bar_draw(job->name, "running", &view);
}

static const char *state_word(enum cowstack_job_state state)
{
	static const char *const words[] = {
		[COWSTACK_JOB_IDLE] = "idle", [COWSTACK_JOB_QUEUED] = "queued",
		[COWSTACK_JOB_RUNNING] = "running",
		[COWSTACK_JOB_PAUSED] = "paused",
		[COWSTACK_JOB_STOPPED] = "stopped",
		[COWSTACK_JOB_COMPLETED] = "completed",
		[COWSTACK_JOB_CANCELLED] = "cancelled",
	};

	return words[state];
}

static void add_statistic(struct statistics *stats, const char *key, u64 value)
{
	struct statistic *s = &stats->items[stats->count++];

	snprintf(s->key, sizeof(s->key), "%s", key);
	s->value = value;
}

/* The record, as a volume that is up would tell of it. */
static void fill_status(const struct offline_job *job,
			struct stack_status *status)
{
	const struct cowstack_job *record = &job->record;
	struct job_status *s = &status->job;

	memset(status, 0, sizeof(*status));
	snprintf(s->state, sizeof(s->state), "%s", state_word(record->state));
	snprintf(s->kind, sizeof(s->kind), "%s",
		 record->kind == COWSTACK_JOB_NONE ? "-" : "commit");
	s->top = from_layer_id(record->top);
	s->base = from_layer_id(record->base);
	s->done = record->done;
	s->total = record->total;
	s->limit = record->speed;
	s->error = record->error;
	add_statistic(&status->stats, "errors", record->errors);
	add_statistic(&status->stats, "rate_bytes", rate(job));
}

static void print_end(const struct offline_job *job)
{
	struct json json = { .file = stdout };
	struct stack_status status;

	fill_status(job, &status);
	if (job->options->json)
		job_print_json(&json, NULL, job->name, &status,
			       chunk_bytes(job));
	else if (job->record.state == COWSTACK_JOB_COMPLETED)
		job_print_completed(job->name, &status, chunk_bytes(job),
				    seconds_run(job));
}

static enum exit_code show_plan(struct offline_job *job)
{
	struct cowstack_estimator *e = calloc(1, sizeof(*e));
	struct dry_run run = {
		.name = job->name, .chunk_bytes = chunk_bytes(job),
		.rate = job->options->speed ? job->record.speed : 0,
	};
	vchunk_t chunk = to_vchunk(0);

	if (!e)
		return fail_errno(-ENOMEM, NULL, "%s", job->name);
	e->range = job->range;
	e->merged = job->merged;
	cowstack_estimate_begin(e, offline_geometry(job), job->destination);
	for (; job->top && cowstack_range_next(&e->range, &chunk);
	     chunk = to_vchunk(from_vchunk(chunk) + 1))
		cowstack_estimate_add(e, chunk);
	run.plan.top = job->top ? from_layer_id(job->top->id) : 0;
	run.plan.base = job->destination ? from_layer_id(job->destination->id) : 0;
	run.plan.chunks = e->estimate.chunks;
	run.plan.data_bytes = e->estimate.data_bytes;
	run.plan.zero_bytes = e->estimate.zero_bytes;
	run.plan.requests = e->estimate.requests;
	run.plan.freed_chunks = e->estimate.freed;
	run.zeroes_are_sent = job->base_open && job->base.device.block &&
			      !device_has_write_zeroes(job->base.device.major,
						       job->base.device.minor);
	dry_run_print(&run, job->options->json);
	free(e);
	return EXIT_DONE;
}

/* --- records --- */

void offline_update_record(struct cowstack_volume_info *info,
			   const void *argument)
{
	info->job = *(const struct cowstack_job *)argument;
}

int offline_change_info(struct offline_job *job, cowstack_update_fn update,
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
					 NULL, time(NULL), offline_update_record,
					 &job->record);
	return error ? error : offline_store_change(&job->store, &change);
}

/* Snapshot and record are one step, durable before anything is written. */
static int begin(struct offline_job *job)
{
	struct cowstack_job *record = &job->record;
	int error;

	record->kind = COWSTACK_JOB_COMMIT;
	record->state = COWSTACK_JOB_RUNNING;
	record->top = job->top->id;
	record->base = job->destination ? job->destination->id :
					  COWSTACK_BASE_LAYER;
	record->error = 0;
	record->errors = 0;
	record->first_error = 0;
	record->total = record->done + cowstack_range_chunks(&job->range);
	error = offline_store_begin(&job->store);
	if (error)
		return error;
	return job->snapshot ? take_snapshot(job) :
			       offline_change_info(job, offline_update_record,
						   record);
}

/* What is about to be written to is no point in time meanwhile. */
static int mark(struct offline_job *job)
{
	struct cowstack_job_begin begin = { .total = job->record.total };
	struct cowstack_change change;
	int error;

	if (!job->destination) {
		begin.mixed_top = job->record.top;
		return offline_change_info(job, cowstack_job_update_begin,
					   &begin);
	}
	memset(&change, 0, sizeof(change));
	error = cowstack_change_mix(&change, &job->store.md, job->volume,
				    job->destination, job->top,
				    cowstack_job_update_begin, &begin);
	return error ? error : offline_store_change(&job->store, &change);
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

/* Of a range that keeps something, the layers that keep nothing leave. */
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
	struct cowstack_job_end end = {
		.record = job->record,
		.base_sectors = job->base.sectors,
		.now = time(NULL),
	};
	int error = 0;

	end.base_valid = !job->destination && !job->record.errors &&
			 cowstack_job_makes_base_valid(job->volume, job->top);
	if (end.base_valid)
		error = base_file_sample(&job->base,
					 job->volume->info.base_seed,
					 &end.base_crc);
	if (error)
		return error;
	end.record.state = COWSTACK_JOB_COMPLETED;
	if (!end.record.errors)
		end.record.done = end.record.total;
	job->record = end.record;
	if (range_is_empty(job))
		return remove_layers(job, job->bottom, job->top,
				     cowstack_job_update_end, &end);
	error = offline_change_info(job, cowstack_job_update_end, &end);
	return error ? error : remove_emptied(job);
}

/* Where a step has failed there is no other: it stays as it was then. */
static bool record_end(struct offline_job *job, enum cowstack_job_state state,
		       int error)
{
	job->record.state = state;
	job->record.error = -error;
	return !offline_change_info(job, offline_update_record, &job->record);
}

static enum exit_code say_stopped(struct offline_job *job, int error)
{
	bool recorded = record_end(job, COWSTACK_JOB_STOPPED, error);

	print_end(job);
	fail_errno(error, recorded ? NULL : "it could not be recorded either",
		   "the commit of %s stopped", job->name);
	return EXIT_JOB_ERRORS;
}

static enum exit_code say_paused(struct offline_job *job)
{
	if (!record_end(job, COWSTACK_JOB_PAUSED, 0))
		return say_stopped(job, -EIO);
	print_end(job);
	return fail(EXIT_JOB_AWAY, "%s: commit is paused; start goes on with it",
		    job->name);
}

static enum exit_code say_end(struct offline_job *job, int error)
{
	if (job->bar)
		progress_bar_end();
	if (error == -ETIME)
		return say_paused(job);
	if (error && error != -EINTR)
		return say_stopped(job, error);
	print_end(job);
	if (error)
		return fail(EXIT_INTERRUPTED,
			    "the commit of %s was interrupted; it goes on with the next start, or when the volume is up",
			    job->name);
	if (!job->record.errors)
		return EXIT_DONE;
	return fail(EXIT_JOB_ERRORS,
		    "%s: commit ended with errors in %llu places, the first at sector %llu, which stay in their layers; start tries again",
		    job->name, llu(job->record.errors),
		    llu(job->record.first_error));
}

static enum exit_code run(struct offline_job *job)
{
	int error = begin(job);

	if (error)
		return fail_errno(error, NULL, "the commit of %s cannot begin",
				  job->name);
	job->bar = progress_bar_possible();
	job->began = offline_now();
	cowstack_throttle_set(&job->throttle, job->record.speed, job->began);
	signals_watch();
	if (offline_is_late(job))
		error = -ETIME;
	if (!error)
		error = mark(job);
	if (!error)
		error = offline_sweep(job);
	if (!error)
		error = finish(job);
	return say_end(job, error);
}

/* --- from the command line --- */

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

static enum exit_code prepare(struct offline_job *job)
{
	job->volume = find_volume(&job->store.md, job->name);
	if (!job->volume)
		return fail(EXIT_MISSING,
			    "%s has no volume %s; dmcommit check %s lists those it has",
			    job->options->store, job->name, job->options->store);
	if (offline_copy_init(job) ||
	    cowstack_volume_bring_up(&job->store.md, job->volume))
		return fail_errno(-ENOMEM, NULL, "%s", job->name);
	return EXIT_DONE;
}

static enum exit_code commit(struct offline_job *job,
			     const struct job_request *request)
{
	enum exit_code code = prepare(job);

	if (!code)
		code = offline_choose(job, request);
	if (code)
		return code;
	if (job->options->dry_run)
		return show_plan(job);
	if (job->top)
		return run(job);
	/* Nothing to do: as the last job left it. */
	job->record = job->volume->info.job;
	if (job->options->json)
		print_end(job);
	return EXIT_DONE;
}

enum exit_code offline_commit(const struct options *options,
			      const struct job_request *request)
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
	code = commit(job, request);
	if (job->base_open)
		base_file_close(&job->base);
	if (job->volume)
		cowstack_volume_take_down(job->volume);
	offline_store_close(&job->store);
	offline_copy_exit(job);
	free(job);
	return code;
}
