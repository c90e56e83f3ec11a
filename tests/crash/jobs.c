// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history.h"
#include "job_view.h"
#include "jobs.h"
#include "layer_content.h"
#include "mapper.h"
#include "stacks.h"
#include "workload.h"

enum { MOST_LAYERS = 8, MILLISECOND = 1000, TRIES = 10, PATIENT_TRIES = 400 };

/* What has been asked of a volume's job, and answered. */
enum asked {
	ASKED_NOTHING,			/* or it has ended, as was seen */
	ASKED_START,			/* no answer came */
	ASKED_TO_RUN,
	ASKED_TO_CHANGE,		/* pause or resume: no answer came */
	ASKED_TO_PAUSE,
	ASKED_TO_CANCEL,		/* no answer came */
	CANCELLED,
};

struct asked_job {
	enum asked asked;
	enum job_kind kind;
	u32 top;			/* 0: as the module chose */
	u32 base;
	u32 asked_top, asked_base;	/* of a commit, before it shows */
	bool by_itself;			/* resume_commit of the last bring-up */
	bool may_wait;			/* that was 0 since it was last seen */
};

static struct {
	struct random *random;
	struct asked_job jobs[VOLUMES];
	u64 started[JOB_KINDS];
	u64 completed[JOB_KINDS];
	u64 fell_back;
	u64 pauses, resumes, cancels, empties;
	u64 stood_paused, went_on;	/* after cuts */
	u64 room_checks;
} jobs;

static bool chance(unsigned int percent)
{
	return random_percent(jobs.random, percent);
}

static u64 below(u64 n)
{
	return random_below(jobs.random, n);
}

void jobs_init(struct random *random)
{
	jobs.random = random;
}

void jobs_reset(void)
{
	memset(jobs.jobs, 0, sizeof(jobs.jobs));
	layer_content_reset();
}

/* --- messages --- */

static const char *name_of(unsigned int volume)
{
	return strrchr(stack_paths[volume], '/') + 1;
}

/*
 * What has just ended may count as running for a moment more, which is long where a
 * guest is slow.
 */
static int send(unsigned int volume, const char *message, int most_tries)
{
	int tries, error = -EBUSY;

	for (tries = 0; tries < most_tries && error == -EBUSY; tries++) {
		if (tries)
			usleep(5 * MILLISECOND);
		error = mapper_message(name_of(volume), message);
	}
	return error;
}

/* @refused: what it may be refused with for good reason. */
static int send_or_report(unsigned int volume, const char *message, int refused)
{
	int error = send(volume, message,
			 refused == -EBUSY ? TRIES : PATIENT_TRIES);

	history_note(volume, "%s: %s", message,
		     error ? strerror(-error) : "answered");
	if (error && error != refused && error != -ENOSPC && power_is_on())
		oracle_report("a message failed without a cut",
			      "volume %u: %s: %s", volume + 1, message,
			      strerror(-error));
	return error;
}

/* --- what has become of a job --- */

static bool writes_base(enum job_kind kind)
{
	return kind == JOB_COMMIT || kind == JOB_RETAIN;
}

static bool is_stream(enum job_kind kind)
{
	return kind == JOB_STREAM || kind == JOB_STREAM_TOP ||
	       kind == JOB_STREAM_BASE;
}

/* What stays of a range, for the sake of clean copies, shows what its top did. */
static void note_range_content(unsigned int volume, const struct asked_job *job)
{
	struct layer_list list;
	unsigned int i;

	if (layers_view(volume, &list))
		return;
	for (i = 1; i < list.count; i++)
		if (list.layer[i].id >= job->base &&
		    list.layer[i].id < job->top)
			layer_content_moved(volume, job->top, list.layer[i].id);
}

static void note_completed(unsigned int volume, const struct job_view *view)
{
	struct asked_job *job = &jobs.jobs[volume];

	history_note(volume, "%s of %u into %u has completed, base %s",
		     job_kind_name(job->kind), job->top, job->base,
		     view->valid ? "valid" : "not valid");
	jobs.completed[job->kind]++;
	job->asked = ASKED_NOTHING;
	if (writes_base(job->kind))
		layer_content_now_in_base(volume, job->top);
	if (!is_stream(job->kind))
		note_range_content(volume, job);
	if (writes_base(job->kind) && !view->valid &&
	    job->top >= layer_content_highest_begun(volume))
		oracle_report("base not valid after a commit",
			      "volume %u, layer %u", volume + 1, job->top);
}

/*
 * Are the layers as a job leaves them?  What it has committed is gone from the
 * chain, or holds nothing but copies, now or from before; and what a stream has
 * pulled up is gone.
 */
static bool layers_are_done(unsigned int volume, const struct asked_job *job)
{
	struct layer_list list;
	unsigned int i;

	if (!job->top || layers_view(volume, &list))
		return true;
	for (i = 0; i < list.count; i++) {
		const struct layer_view *layer = &list.layer[i];

		if (layer->id == job->top)
			return is_stream(job->kind) ?
				       layer->parent == job->base :
				       layer->used == layer->clean;
	}
	return !is_stream(job->kind);
}

static bool is_at_work(const struct job_view *view)
{
	return view->state == JOB_RUNNING || view->state == JOB_QUEUED;
}

static bool may_be_idle(const struct asked_job *job)
{
	return job->asked != ASKED_TO_PAUSE;
}

static bool may_stand_paused(const struct asked_job *job)
{
	return job->asked == ASKED_TO_PAUSE || job->asked == ASKED_TO_CHANGE ||
	       job->asked == ASKED_TO_CANCEL || job->may_wait;
}

static bool may_be_at_work(const struct asked_job *job)
{
	return job->by_itself && job->asked != ASKED_TO_PAUSE;
}

static bool is_where_it_must_be(const struct asked_job *job,
				const struct job_view *view)
{
	if (view->state == JOB_IDLE)
		return may_be_idle(job);
	if (job->asked == ASKED_NOTHING || job->asked == CANCELLED)
		return false;
	if (view->state == JOB_PAUSED)
		return may_stand_paused(job);
	/* For want of room, which is said where it is seen. */
	if (view->state == JOB_STOPPED)
		return true;
	return may_be_at_work(job);
}

/* An ended job is no news after a load: it shows as idle. */
static void resolve_idle(unsigned int volume, const struct job_view *view)
{
	struct asked_job *job = &jobs.jobs[volume];

	if (job->asked == ASKED_TO_RUN && !layers_are_done(volume, job))
		oracle_report("a job is lost", "volume %u: %s of %u into %u",
			      volume + 1, job_kind_name(job->kind), job->top,
			      job->base);
	switch (job->asked) {
	case ASKED_TO_RUN:
	case ASKED_TO_CHANGE:
		note_completed(volume, view);
		break;
	case ASKED_TO_CANCEL:
		/* It has ended one way or the other. */
		layer_content_base_is_unknown(volume);
		if (job->kind == JOB_LAYER)
			layer_content_forget(volume, job->base);
		break;
	case ASKED_START:
		/*
		 * The message was cut, yet its step may have become durable; then the
		 * job may have ended in a load that was cut as well.
		 */
		if (!is_stream(job->kind))
			layer_content_in_doubt(volume, job->asked_top,
					       job->asked_base);
		break;
	default:
		break;
	}
	job->asked = ASKED_NOTHING;
}

static void resolve(unsigned int volume, const struct job_view *view)
{
	struct asked_job *job = &jobs.jobs[volume];

	history_note(volume, "up: %s of %u into %u: asked %u, is %s, base %s",
		     job_kind_name(job->kind), job->top, job->base, job->asked,
		     job_state_name(view->state),
		     view->valid ? "valid" : "not valid");
	if (!is_where_it_must_be(job, view)) {
		oracle_report("a job is not where it must be after a cut",
			      "volume %u: asked %u, %s, is %s", volume + 1,
			      job->asked, job->by_itself ? "goes on" : "waits",
			      job_state_name(view->state));
		return;
	}
	job->may_wait = false;
	if (view->state == JOB_IDLE) {
		resolve_idle(volume, view);
		job_place_set_running(volume, JOB_KINDS);
		return;
	}
	jobs.stood_paused += view->state == JOB_PAUSED;
	jobs.went_on += view->state != JOB_PAUSED;
	job->asked = view->state == JOB_PAUSED ? ASKED_TO_PAUSE : ASKED_TO_RUN;
	job_place_set_running(volume, job->kind);
}

/* What runs or has run says its range. */
static void note_range(unsigned int volume, const struct job_view *view)
{
	struct asked_job *job = &jobs.jobs[volume];

	if (job->asked == ASKED_NOTHING || job->asked == CANCELLED ||
	    view->state == JOB_IDLE)
		return;
	job->top = view->top;
	job->base = view->base;
	if (writes_base(job->kind))
		layer_content_begun(volume, job->top);
}

static void look_at_end(unsigned int volume, const struct job_view *view)
{
	struct asked_job *job = &jobs.jobs[volume];

	if (job->asked != ASKED_TO_RUN && job->asked != ASKED_TO_CHANGE)
		return;
	if (view->state == JOB_COMPLETED) {
		note_completed(volume, view);
		layer_content_check_base(volume, view->valid);
	} else if (view->state == JOB_STOPPED && power_is_on() &&
		   (view->error != ENOSPC || writes_base(job->kind))) {
		oracle_report("a job stopped without a cut",
			      "volume %u: %s: %s", volume + 1,
			      job_kind_name(job->kind), strerror(view->error));
	}
}

/* --- room --- */

/* Does the store hold what its layers name, and nothing else? */
static bool room_adds_up(u64 *used, u64 *named)
{
	struct room_view room;
	struct layer_list list;
	unsigned int v, i;

	if (room_view(&room))
		return true;
	*used = room.used;
	*named = room.metadata + room.freeing;
	for (v = 0; v < VOLUMES; v++) {
		if (layers_view(v, &list))
			return true;
		for (i = 0; i < list.count; i++)
			*named += list.layer[i].used;
	}
	return *used == *named;
}

/* No user and no job is at work; a step or a discard may be. */
static void check_room(void)
{
	u64 used = 0, named = 0;
	unsigned int tries;

	for (tries = 0; tries < 3000 && power_is_on(); tries++) {
		if (room_adds_up(&used, &named)) {
			jobs.room_checks++;
			return;
		}
		usleep(10 * MILLISECOND);
	}
	if (power_is_on())
		oracle_report("chunks leaked", "%llu used, layers name %llu",
			      (unsigned long long)used,
			      (unsigned long long)named);
}

static bool nothing_is_at_work(void)
{
	struct job_view view;
	unsigned int v;

	for (v = 0; v < VOLUMES; v++)
		if (job_view(v, &view) || is_at_work(&view))
			return false;
	return true;
}

/* --- round a cut --- */

void jobs_before_bring_up(void)
{
	unsigned int v;

	for (v = 0; v < VOLUMES; v++) {
		struct asked_job *job = &jobs.jobs[v];

		job->by_itself = chance(75);
		job->may_wait |= !job->by_itself;
		stacks_set_features(v, job->by_itself ?
					       "" : " 2 resume_commit 0");
	}
}

void jobs_after_bring_up(void)
{
	struct job_view view;
	unsigned int v;

	for (v = 0; v < VOLUMES; v++) {
		if (job_view(v, &view))
			return;
		note_range(v, &view);
		if (view.state == JOB_COMPLETED) {
			jobs.jobs[v].asked = ASKED_TO_RUN;
			jobs.jobs[v].may_wait = false;
			look_at_end(v, &view);
			continue;
		}
		resolve(v, &view);
		/* One that is at work may mark or write it by now. */
		if (!is_at_work(&view))
			layer_content_check_base(v, view.valid);
	}
	if (nothing_is_at_work())
		check_room();
}

/* --- starting --- */

static int take_snapshot(unsigned int volume)
{
	struct layer_list list;
	bool quiet = workload_is_over() || chance(70);
	int error;

	if (quiet)
		workload_pause();
	error = layers_view(volume, &list);
	if (!error && quiet)
		layer_content_note(volume, list.layer[0].id);
	else if (!error)
		layer_content_forget(volume, list.layer[0].id);
	if (!error)
		error = stacks_snapshot(volume);
	history_note(volume, "snapshot of %u%s: %s",
		     error ? 0 : list.layer[0].id, quiet ? ", quiet" : "",
		     error ? strerror(-error) : "answered");
	if (quiet)
		workload_resume();
	return error;
}

/* Adds " WORD ID" of one of the frozen layers from @first on; its place. */
static unsigned int add_layer(const struct layer_list *list, char *message,
			      const char *word, unsigned int first)
{
	unsigned int i = first + below(list->count - first);

	sprintf(message + strlen(message), " %s %u", word, list->layer[i].id);
	return i;
}

/* The top is the first in the list.  False: there are too few layers. */
static bool describe_job(enum job_kind kind, const struct layer_list *list,
			 char *message)
{
	unsigned int last = list->count - 1, top;

	strcpy(message, is_stream(kind) ? "stream start" : "commit start");
	switch (kind) {
	case JOB_COMMIT:
	case JOB_RETAIN:
		if (last && chance(50))
			add_layer(list, message, "top", 1);
		if (kind == JOB_RETAIN)
			strcat(message, " retain 1");
		return true;
	case JOB_LAYER:
		if (last < 2)
			return false;
		top = 1 + below(last - 1);
		sprintf(message + strlen(message), " top %u",
			list->layer[top].id);
		add_layer(list, message, "base", top + 1);
		return true;
	case JOB_STREAM:
		if (last < 2)
			return false;
		top = 1 + below(last - 1);
		sprintf(message + strlen(message), " top %u",
			list->layer[top].id);
		if (top + 2 <= last && chance(40))
			add_layer(list, message, "base", top + 2);
		return true;
	case JOB_STREAM_TOP:
		if (last < 1)
			return false;
		if (last >= 2 && chance(40))
			add_layer(list, message, "base", 2);
		return true;
	default:
		if (last && chance(40))
			add_layer(list, message, "top", 1);
		strcat(message, " base none");
		return true;
	}
}

/* Slow enough to be steered, or fast enough to come to an end. */
static const char *choose_speed(enum job_stage stage)
{
	static const char *const speeds[] = { "", "", " speed 16M", " speed 4M" };

	if (stage == STAGE_CONTROL)
		return " speed 2M";
	if (stage == STAGE_END || stage == STAGE_EMPTY)
		return "";
	return speeds[below(ARRAY_SIZE(speeds))];
}

/* The range that the module chose is known when it shows. */
static void note_started(unsigned int volume, enum job_kind kind)
{
	struct job_view view;

	jobs.started[kind]++;
	jobs.jobs[volume].asked = ASKED_TO_RUN;
	if (job_view(volume, &view))
		return;
	note_range(volume, &view);
	if (view.state == JOB_COMPLETED)
		look_at_end(volume, &view);
}

/* The layer that @message names with @word, or @otherwise. */
static u32 named_layer(const char *message, const char *word, u32 otherwise)
{
	const char *found = strstr(message, word);

	return found ? strtoul(found + strlen(word), NULL, 10) : otherwise;
}

/*
 * Sends @message.  Nothing is written in the meantime, mostly, so what the range's
 * top will show is known; else what a snapshot shows is not.
 */
static int start(unsigned int volume, enum job_kind kind, const char *message,
		 int refused)
{
	struct asked_job *job = &jobs.jobs[volume];
	struct layer_list list = { };
	bool quiet = workload_is_over() || chance(70);
	int error;

	workload_allow_reads(false);
	if (quiet)
		workload_pause();
	error = layers_view(volume, &list);
	if (!error && quiet)
		layer_content_note(volume, list.layer[0].id);
	else if (!error)
		layer_content_forget(volume, list.layer[0].id);
	if (!error) {
		job->asked = ASKED_START;
		job->kind = kind;
		job->top = 0;
		job->base = 0;
		job->asked_top = named_layer(message, " top ",
					     list.layer[0].id);
		job->asked_base = named_layer(message, " base ", 0);
		error = send_or_report(volume, message, refused);
	}
	if (!error)
		note_started(volume, kind);
	else if (power_is_on())
		job->asked = ASKED_NOTHING;
	history_note(volume, "… %s of %u into %u, the top was %u%s",
		     job_kind_name(kind), job->top, job->base,
		     list.layer[0].id, quiet ? ", quiet" : "");
	if (quiet)
		workload_resume();
	return error;
}

/* All that can be committed, whatever was before. */
static void commit_all(unsigned int volume)
{
	start(volume, JOB_COMMIT, "commit start", 0);
}

static void start_kind(unsigned int volume, struct job_place aim)
{
	struct layer_list list;
	char message[128];

	if (layers_view(volume, &list))
		return;
	if (!describe_job(aim.kind, &list, message)) {
		take_snapshot(volume);
		return;
	}
	strcat(message, choose_speed(aim.stage));
	/* Of layers that a cancelled job has taken from, or for want of room. */
	if (start(volume, aim.kind, message, -EBUSY) && power_is_on()) {
		jobs.fell_back++;
		commit_all(volume);
	}
}

/* --- steering --- */

static void steer(unsigned int volume, const char *message, enum asked then)
{
	struct asked_job *job = &jobs.jobs[volume];
	enum asked before = job->asked;
	int error;

	job->asked = then == CANCELLED ? ASKED_TO_CANCEL : ASKED_TO_CHANGE;
	/* It may just have ended. */
	error = send_or_report(volume, message, -ENOENT);
	if (!error)
		job->asked = then;
	else if (power_is_on())
		job->asked = before;
}

static void cancel_job(unsigned int volume)
{
	struct asked_job *job = &jobs.jobs[volume];

	steer(volume, "commit cancel", CANCELLED);
	if (job->asked != CANCELLED)
		return;
	jobs.cancels++;
	if (job->kind == JOB_LAYER)
		layer_content_forget(volume, job->base);
}

static void tend_running(unsigned int volume, const struct job_view *view,
			 struct job_place aim)
{
	/* In a thousand looks. */
	unsigned int pause = aim.stage == STAGE_CONTROL ? 200 : 10;
	unsigned int choice = below(1000);

	if (choice < pause) {
		steer(volume, "commit pause", ASKED_TO_PAUSE);
		jobs.pauses++;
	} else if (choice < pause + pause / 3) {
		cancel_job(volume);
	} else if (view->layers < MOST_LAYERS && chance(5)) {
		take_snapshot(volume);
	} else if (jobs.jobs[volume].kind != aim.kind && chance(20)) {
		/* One from before the last cut is in the way. */
		mapper_message(name_of(volume), "commit speed 0");
	}
}

static void resume_job(unsigned int volume)
{
	bool anew = chance(30);
	const char *start = is_stream(jobs.jobs[volume].kind) ?
				    "stream start" : "commit start";

	steer(volume, anew ? start : "commit resume", ASKED_TO_RUN);
	jobs.resumes++;
}

/*
 * A job that is cancelled while it is paused shows as paused until its thread stands
 * still.  To start then would be to begin another.
 */
static bool is_cancelled(unsigned int volume)
{
	return jobs.jobs[volume].asked == CANCELLED;
}

static void tend_paused(unsigned int volume)
{
	if (is_cancelled(volume))
		return;
	if (chance(25))
		resume_job(volume);
	else if (chance(2))
		cancel_job(volume);
}

/* Into a layer, for want of room: a commit into the base makes some. */
static void tend_stopped(unsigned int volume)
{
	jobs.jobs[volume].asked = ASKED_TO_RUN;
	cancel_job(volume);
	/* Where a cut has come between, what stands there is still the old one. */
	if (is_cancelled(volume))
		commit_all(volume);
}

/* Lets go of what a commit has left; true: there was some. */
static bool empty_clean_layer(unsigned int volume)
{
	struct layer_list list;
	char message[64];
	unsigned int i;

	if (layers_view(volume, &list))
		return false;
	for (i = 1; i < list.count; i++) {
		const struct layer_view *layer = &list.layer[i];

		if (!layer->clean || layer->clean != layer->used)
			continue;
		snprintf(message, sizeof(message), "make_empty %u", layer->id);
		/* It may hold zeroes too, which are not counted. */
		if (!send_or_report(volume, message, -EBUSY))
			jobs.empties++;
		return true;
	}
	return false;
}

static void tend_idle(unsigned int volume, const struct job_view *view,
		      struct job_place aim, bool eager)
{
	bool full = workload_was_full();

	/* Copies that stay are no room. */
	if (chance(full || aim.stage == STAGE_EMPTY ? 40 : 10) &&
	    empty_clean_layer(volume))
		return;
	if (full && chance(40))
		commit_all(volume);
	else if (view->layers >= MOST_LAYERS)
		start_kind(volume, (struct job_place){ JOB_COMMIT, aim.stage });
	else if (chance(eager ? 40 : 3))
		start_kind(volume, aim);
	else if (chance(eager ? 25 : 3))
		take_snapshot(volume);
	else if (chance(5))
		stacks_drop_empty(volume);
}

bool jobs_tend(unsigned int volume, struct job_place aim, bool eager)
{
	struct job_view view;

	if (job_view(volume, &view))
		return false;
	note_range(volume, &view);
	look_at_end(volume, &view);
	if (aim.kind == JOB_KINDS)
		aim.kind = below(JOB_KINDS);
	if (is_at_work(&view))
		tend_running(volume, &view, aim);
	else if (view.state == JOB_PAUSED)
		tend_paused(volume);
	else if (view.state == JOB_STOPPED)
		tend_stopped(volume);
	else
		tend_idle(volume, &view, aim, eager);
	return is_at_work(&view);
}

/* --- the end --- */

static void wait_for_end(unsigned int volume)
{
	struct job_view view;
	unsigned int tries;

	for (tries = 0; tries < 6000 && !oracle_finding(); tries++) {
		if (job_view(volume, &view))
			return;
		note_range(volume, &view);
		look_at_end(volume, &view);
		if (view.state == JOB_STOPPED)
			cancel_job(volume);
		else if (view.state != JOB_PAUSED && !is_at_work(&view))
			return;
		else if (view.state == JOB_PAUSED && !is_cancelled(volume))
			resume_job(volume);
		mapper_message(name_of(volume), "commit speed 0");
		usleep(5 * MILLISECOND);
	}
	if (!oracle_finding())
		oracle_report("a job does not end", "volume %u", volume + 1);
}

void jobs_end(void)
{
	unsigned int v, layers;
	struct job_view view;

	for (v = 0; v < VOLUMES && !oracle_finding(); v++) {
		wait_for_end(v);
		commit_all(v);
		wait_for_end(v);
		if (!job_view(v, &view))
			layer_content_check_base(v, view.valid);
		for (layers = 0; layers < MOST_LAYERS + 4; layers++)
			if (!empty_clean_layer(v))
				break;
	}
	if (!oracle_finding())
		check_room();
}

void jobs_print_figures(void)
{
	unsigned int kind;

	printf("# jobs begun/completed:");
	for (kind = 0; kind < JOB_KINDS; kind++)
		printf(" %s %llu/%llu", job_kind_name(kind),
		       (unsigned long long)jobs.started[kind],
		       (unsigned long long)jobs.completed[kind]);
	printf("; %llu fell back\n", (unsigned long long)jobs.fell_back);
	printf("# %llu pauses, %llu resumes, %llu cancels, %llu layers made empty\n",
	       (unsigned long long)jobs.pauses,
	       (unsigned long long)jobs.resumes,
	       (unsigned long long)jobs.cancels,
	       (unsigned long long)jobs.empties);
	printf("# after cuts %llu jobs went on, %llu stood paused\n",
	       (unsigned long long)jobs.went_on,
	       (unsigned long long)jobs.stood_paused);
	printf("# room added up %llu times, %llu bases alone, %llu commits ended unseen\n",
	       (unsigned long long)jobs.room_checks,
	       (unsigned long long)layer_content_bases_checked(),
	       (unsigned long long)layer_content_ended_unseen());
}
