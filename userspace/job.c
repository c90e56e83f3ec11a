// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "job.h"
#include "message.h"
#include "pace.h"
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
	double begun;			/* seconds, by the clock that only runs */
};

/*
 * What was seen of each volume's job by this process, so that the time left can
 * be told from how the count of chunks moves.  The rate is in bytes of data, of
 * which a chunk may have few.
 */
struct known_job {
	struct known_job *next;
	char volume[LINE_NAME];
	struct pace pace;
};

static struct pace *find_pace(const char *volume)
{
	static struct known_job *known;
	struct known_job *job;

	for (job = known; job; job = job->next)
		if (!strcmp(job->volume, volume))
			return &job->pace;
	job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	snprintf(job->volume, sizeof(job->volume), "%s", volume);
	job->next = known;
	known = job;
	return &job->pace;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void estimate(struct job_view *view, const char *volume,
		     const struct stack_status *status)
{
	const struct job_status *job = &status->job;
	struct pace *pace = find_pace(volume);

	view->seconds_left = U64_MAX;
	if (!pace)
		return;
	if (strcmp(job->state, "running") || !job->total ||
	    !strcmp(status->mode, STATUS_DOWN)) {
		pace->count = 0;
		return;
	}
	pace_note(pace, seconds_now(), job->done);
	view->seconds_left = pace_seconds_left(pace, job->total);
	view->at_most = view->seconds_left == U64_MAX;
	/* At the first look: as if all of each chunk had to be moved. */
	if (view->at_most && view->rate && view->total >= view->done)
		view->seconds_left = DIV_ROUND_UP(view->total - view->done,
						  view->rate);
}

void job_view_fill(struct job_view *view, const char *volume,
		   const struct stack_status *status, u64 chunk_bytes)
{
	const struct job_status *job = &status->job;

	memset(view, 0, sizeof(*view));
	view->done = job->done * chunk_bytes;
	view->total = job->total * chunk_bytes;
	view->rate = statistic_find(&status->stats, "rate_bytes", 0);
	view->errors = statistic_find(&status->stats, "errors", 0);
	estimate(view, volume, status);
}

void job_print_json(struct json *json, const char *key, const char *volume,
		    const struct stack_status *status, u64 chunk_bytes)
{
	const struct job_status *job = &status->job;
	struct job_view view;

	job_view_fill(&view, volume, status, chunk_bytes);
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
	job_view_fill(&view, wait->volume->name, &wait->status,
		      wait->chunk_bytes);
	progress_bar_draw(wait->volume->name, wait->status.job.state, &view);
}

static void print_time(char text[SIZE_TEXT], double seconds)
{
	if (seconds < 60)
		snprintf(text, SIZE_TEXT, "%.1f s", seconds);
	else
		duration_print(seconds, text);
}

void job_print_completed(const char *volume, const struct stack_status *status,
			 u64 chunk_bytes, double seconds)
{
	const struct job_status *job = &status->job;
	char done[SIZE_TEXT], time[SIZE_TEXT], rate[SIZE_TEXT];
	u64 bytes = statistic_find(&status->stats, "rate_bytes", 0);

	print_time(time, seconds);
	printf("%s: %s completed: %llu chunks, %s, in %s", volume, job->kind,
	       llu(job->done), size_print(job->done * chunk_bytes, done), time);
	if (bytes && job->done)
		printf(", data at %s/s", size_print(bytes, rate));
	printf("\n");
}

static void print_end(struct wait *wait)
{
	const struct job_status *job = &wait->status.job;
	struct json json = { .file = stdout };

	if (wait->json)
		job_print_json(&json, NULL, wait->volume->name, &wait->status,
			       wait->chunk_bytes);
	else if (!strcmp(job->state, "completed") && wait->seen_active)
		job_print_completed(wait->volume->name, &wait->status,
				    wait->chunk_bytes,
				    seconds_now() - wait->begun);
}

static enum exit_code judge_stopped(const struct wait *wait)
{
	const struct job_status *job = &wait->status.job;
	char done[SIZE_TEXT], total[SIZE_TEXT];
	struct job_view view;

	job_view_fill(&view, wait->volume->name, &wait->status,
		      wait->chunk_bytes);
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
	/* A load forgets the last job; it ended between two looks. */
	if (!strcmp(job->state, "idle") && wait->seen_active)
		return fail(EXIT_FAILED,
			    "%s: the job ended unseen, as the table was loaded anew; see dmcommit status %s",
			    name, name);
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
		.begun = seconds_now(),
	};

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
	job_print_json(&json, NULL, volume->name, &status,
		       volume_chunk_bytes(volume));
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
