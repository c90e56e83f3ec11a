// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "job.h"
#include "message.h"
#include "progress_bar.h"
#include "signals.h"
#include "size.h"

enum {
	FIRST_INTERVAL = 20,		/* milliseconds between two looks */
	BAR_INTERVAL = 200,
	PIPE_INTERVAL = 500,
};

struct wait {
	const struct volume *volume;
	u64 chunk_bytes;
	bool bar;
	bool json;
	bool drawn;
	bool seen_active;		/* there was a job to wait for */
	unsigned int interval;
	struct stack_status status;
	struct timespec begun;
};

void job_view_fill(struct job_view *view, const struct stack_status *status,
		   u64 chunk_bytes)
{
	const struct job_status *job = &status->job;

	view->done = job->done * chunk_bytes;
	view->total = job->total * chunk_bytes;
	view->rate = statistic_find(&status->stats, "rate_bytes", 0);
	view->errors = statistic_find(&status->stats, "errors", 0);
	view->seconds_left = U64_MAX;
	if (!strcmp(job->state, "running") && view->rate &&
	    view->total >= view->done)
		view->seconds_left = DIV_ROUND_UP(view->total - view->done,
						  view->rate);
}

unsigned int job_percent(const struct job_view *view)
{
	if (!view->total)
		return 0;
	return min((unsigned int)(100.0 * view->done / view->total), 100u);
}

void job_print_json(struct json *json, const char *key,
		    const struct stack_status *status, u64 chunk_bytes)
{
	const struct job_status *job = &status->job;
	struct job_view view;

	job_view_fill(&view, status, chunk_bytes);
	json_begin_object(json, key);
	json_string(json, "kind", strcmp(job->kind, "-") ? job->kind : NULL);
	json_string(json, "state", job->state);
	json_number(json, "top", job->top);
	json_number(json, "base", job->base);
	json_number(json, "done_bytes", view.done);
	json_number(json, "total_bytes", view.total);
	json_number(json, "rate", view.rate);
	json_number(json, "limit", job->limit);
	if (view.seconds_left == U64_MAX)
		json_null(json, "eta_seconds");
	else
		json_number(json, "eta_seconds", view.seconds_left);
	json_number(json, "error", job->error);
	json_number(json, "errors", view.errors);
	json_end_object(json);
}

static void clear_line(const struct wait *wait)
{
	if (wait->drawn)
		progress_bar_end();
}

static enum exit_code look(struct wait *wait)
{
	const char *name = wait->volume->stack->name;
	int error = stack_status(name, &wait->status);

	if (!error && strcmp(wait->status.mode, "fail"))
		return EXIT_DONE;
	clear_line(wait);
	if (!error)
		return fail(EXIT_FAILED,
			    "%s: the store has failed; the kernel's log has the reason",
			    name);
	if (error == -ENXIO)
		return fail(EXIT_FAILED,
			    "%s was taken down; its job goes on when it is up again",
			    name);
	return fail_errno(error, NULL, "%s: status", name);
}

/* First often, as a small job ends soon; then as often as eyes can follow. */
static void pause_a_little(struct wait *wait)
{
	unsigned int most = wait->bar ? BAR_INTERVAL : PIPE_INTERVAL;

	sleep_milliseconds(wait->interval);
	wait->interval = min(wait->interval + wait->interval / 2, most);
}

static void draw(struct wait *wait)
{
	struct job_view view;

	if (!wait->bar)
		return;
	wait->drawn = true;
	job_view_fill(&view, &wait->status, wait->chunk_bytes);
	progress_bar_draw(wait->volume->name, wait->status.job.state, &view);
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return max(now.tv_sec - then->tv_sec +
		   (now.tv_nsec - then->tv_nsec) / 1e9, 0.001);
}

static void print_end(struct wait *wait)
{
	const struct job_status *job = &wait->status.job;
	char done[SIZE_TEXT], time[SIZE_TEXT], rate[SIZE_TEXT];
	struct json json = { .file = stdout };
	struct job_view view;
	double seconds;

	if (wait->json) {
		job_print_json(&json, NULL, &wait->status, wait->chunk_bytes);
		return;
	}
	if (strcmp(job->state, "completed") || !wait->seen_active)
		return;
	job_view_fill(&view, &wait->status, wait->chunk_bytes);
	seconds = seconds_since(&wait->begun);
	if (seconds < 60)
		snprintf(time, sizeof(time), "%.1f s", seconds);
	else
		duration_print(seconds, time);
	printf("%s: %s completed: %s in %s, %s/s\n", wait->volume->name,
	       job->kind, size_print(view.done, done), time,
	       size_print(view.done / seconds, rate));
}

static enum exit_code judge_stopped(const struct wait *wait)
{
	const struct job_status *job = &wait->status.job;
	char done[SIZE_TEXT], total[SIZE_TEXT];
	struct job_view view;

	job_view_fill(&view, &wait->status, wait->chunk_bytes);
	return fail(EXIT_JOB_ERRORS,
		    "%s: %s stopped after %s of %s: %s; nothing is lost, dmcommit start goes on with it",
		    wait->volume->name, job->kind, size_print(view.done, done),
		    size_print(view.total, total), strerror(job->error));
}

static enum exit_code judge_completed(const struct wait *wait)
{
	const char *name = wait->volume->name;
	u64 errors = statistic_find(&wait->status.stats, "errors", 0);

	if (!errors)
		return EXIT_DONE;
	return fail(EXIT_JOB_ERRORS,
		    "%s: %s ended with errors in %llu places, which stay in their layers; dmcommit status %s --errors lists them, dmcommit start tries again",
		    name, wait->status.job.kind, llu(errors), name);
}

static enum exit_code judge(const struct wait *wait)
{
	const struct job_status *job = &wait->status.job;
	const char *name = wait->volume->name;

	if (!strcmp(job->state, "stopped"))
		return judge_stopped(wait);
	/* It may have ended before anybody could wait for it. */
	if (!strcmp(job->state, "completed"))
		return judge_completed(wait);
	if (!strcmp(job->state, "paused"))
		return fail(EXIT_JOB_AWAY,
			    "%s: %s is paused; dmcommit resume %s goes on with it",
			    name, job->kind, name);
	if (!strcmp(job->state, "cancelled") && wait->seen_active)
		return fail(EXIT_JOB_AWAY,
			    "%s: %s was cancelled; its layers are all there, dmcommit start begins another",
			    name, job->kind);
	return EXIT_DONE;
}

static enum exit_code wait_for_end(struct wait *wait)
{
	enum exit_code code;

	for (;;) {
		code = look(wait);
		if (code)
			return code;
		if (!job_is_active(&wait->status.job))
			break;
		wait->seen_active = true;
		draw(wait);
		pause_a_little(wait);
		if (!signals_interrupted())
			continue;
		clear_line(wait);
		return fail(EXIT_INTERRUPTED,
			    "interrupted; the %s of %s goes on, and dmcommit wait waits for it",
			    wait->status.job.kind, wait->volume->name);
	}
	clear_line(wait);
	print_end(wait);
	return judge(wait);
}

/*
 * @started: it was started just now, so that a job that has ended already is the
 * one that is meant.
 */
static enum exit_code wait_for_job(const struct volume *volume, bool started,
				   bool json)
{
	struct wait wait = {
		.volume = volume,
		.chunk_bytes = volume_chunk_bytes(volume),
		.bar = progress_bar_possible(),
		.json = json,
		.seen_active = started,
		.interval = FIRST_INTERVAL,
	};

	clock_gettime(CLOCK_MONOTONIC, &wait.begun);
	signals_watch();
	return wait_for_end(&wait);
}

static enum exit_code show_job(const struct volume *volume)
{
	struct json json = { .file = stdout };
	struct stack_status status;
	int error = stack_status(volume->stack->name, &status);

	if (error)
		return fail_errno(error, NULL, "%s: status", volume->name);
	job_print_json(&json, NULL, &status, volume_chunk_bytes(volume));
	return EXIT_DONE;
}

enum exit_code job_wait(const struct volume *volume, bool json)
{
	return wait_for_job(volume, false, json);
}

enum exit_code job_follow(const struct volume *volume,
			  const struct options *options)
{
	if (options->wait)
		return wait_for_job(volume, true, options->json);
	return options->json ? show_job(volume) : EXIT_DONE;
}

enum exit_code job_command(const char *name, const char *message)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, name, &volume);
	if (!code)
		code = stack_job_message(volume, message);
	inventory_free(&inventory);
	return code;
}
