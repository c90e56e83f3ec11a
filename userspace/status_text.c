// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "base_alone.h"
#include "size.h"
#include "status_view.h"
#include "terminal.h"

/* Of how things stand. */
static void print_word(const char *word)
{
	printf("%s%s%s", colour_begin(word), word, colour_end(word));
}

static bool is_down(const struct stack_status *status)
{
	return !strcmp(status->mode, STATUS_DOWN);
}

static enum base_job find_base_job(const struct stack_status *status)
{
	const struct job_status *job = &status->job;

	if (strcmp(job->kind, "commit") || job->base)
		return BASE_JOB_NONE;
	if (job_is_active(job))
		return is_down(status) ? BASE_JOB_CUT_OFF : BASE_JOB_ACTIVE;
	return job_is_waiting(job) ? BASE_JOB_WAITING : BASE_JOB_NONE;
}

static void print_base(const struct status_view *view)
{
	const struct stack_status *status = &view->status;
	u64 time = statistic_find(&status->stats, "base_time", 0);
	const char *alone = status->base_alone;
	char words[BASE_ALONE_TEXT];

	printf("  base    %s", view->base[0] ? view->base : "-");
	if (view->base_file[0])
		printf(", file %s", view->base_file);
	printf("\n");
	if (!alone[0])
		return;
	printf("          ");
	print_word(alone);
	printf(": %s\n", base_alone_words(alone, time, find_base_job(status),
					  words));
}

static void print_room(const struct store *store)
{
	const struct store_status *status = &store->status;
	u64 chunk_bytes = store_chunk_bytes(store);
	char used[SIZE_TEXT], total[SIZE_TEXT], clean[SIZE_TEXT];

	printf("%s of %s used", size_print(status->used * chunk_bytes, used),
	       size_print(status->total * chunk_bytes, total));
	if (status->clean)
		printf(", %s clean", size_print(status->clean * chunk_bytes,
						clean));
	if (status->out_of_space) {
		printf(", ");
		print_word("OUT OF SPACE");
	}
	printf("\n");
}

static void print_range(const struct job_status *job)
{
	bool stream = !strcmp(job->kind, "stream");
	u64 to = stream ? job->top : job->base;

	printf("  job     %s of ", job->kind);
	if (stream)
		printf("what lies below");
	else
		printf("layer %llu", llu(job->top));
	if (to)
		printf(" into layer %llu", llu(to));
	else
		printf(" into the base");
}

/* How far it is; before the kernel has counted there is nothing to tell. */
static void print_progress(const struct job_view *figures)
{
	char done[SIZE_TEXT], total[SIZE_TEXT];

	if (figures->total)
		printf(", %s of %s", size_print(figures->done, done),
		       size_print(figures->total, total));
}

/* What it waits for, and what has it go on. */
static void print_way_on(const struct status_view *view)
{
	const struct job_status *job = &view->status.job;
	const char *name = view->volume->name;
	const char *when = is_down(&view->status) ? " once it is up" : "";

	if (job_is_active(job) && is_down(&view->status))
		printf("; it goes on when %s is up", name);
	else if (!strcmp(job->state, "queued"))
		printf(", until another job on the same disk has ended");
	else if (!strcmp(job->state, "paused"))
		printf("; dmcommit resume %s goes on with it%s", name, when);
	else if (!strcmp(job->state, "stopped"))
		printf(", %s; dmcommit start %s goes on with it%s",
		       strerror(job->error), name, when);
	else if (!strcmp(job->state, "running") && job->error == ENOSPC)
		printf(", the store below has no room: waits for it");
}

static void print_state(const struct status_view *view,
			const struct job_view *figures)
{
	const struct job_status *job = &view->status.job;
	char text[SIZE_TEXT];

	printf(": ");
	print_word(job_state_shown(job, !is_down(&view->status)));
	print_progress(figures);
	print_way_on(view);
	if (figures->seconds_left != U64_MAX)
		printf(", %s/s", size_print(figures->rate, text));
	if (figures->seconds_left != U64_MAX)
		printf(", %s%s left", figures->at_most ? "at most " : "",
		       duration_print(figures->seconds_left, text));
	if (job->limit && (job_is_active(job) || job_is_waiting(job)))
		printf(", limit %s/s", size_print(job->limit, text));
	printf("\n");
}

static void print_job(const struct status_view *view)
{
	const struct job_status *job = &view->status.job;
	const char *name = view->volume->name;
	struct job_view figures;

	if (!strcmp(job->kind, "-")) {
		printf("  job     none\n");
		return;
	}
	job_view_fill(&figures, name, &view->status, view->chunk_bytes);
	print_range(job);
	print_state(view, &figures);
	if (figures.errors)
		printf("          errors in %llu places; dmcommit status %s --errors lists them\n",
		       llu(figures.errors), name);
}

static void print_layers(const struct status_view *view)
{
	const struct stack_status *status = &view->status;
	char used[SIZE_TEXT], clean[SIZE_TEXT];

	printf("  layers  %llu", llu(status->layers));
	if (status->top)
		printf(", top %llu", llu(status->top));
	printf(", %s used",
	       size_print(status->used * view->chunk_bytes, used));
	if (status->clean)
		printf(", %s clean",
		       size_print(status->clean * view->chunk_bytes, clean));
	printf("\n");
}

void status_print_volume_text(const struct status_view *view)
{
	char size[SIZE_TEXT];

	printf("%s: volume of %s, ", view->volume->name,
	       size_print(view->volume->line.sectors << COWSTACK_SECTOR_SHIFT,
			  size));
	print_word(view->status.mode);
	printf("\n");
	if (!strcmp(view->status.mode, "fail"))
		return;
	print_base(view);
	if (view->store) {
		printf("  store   %s on %s, ", view->store->device.name,
		       view->store_device);
		print_room(view->store);
	}
	print_layers(view);
	print_job(view);
}

void status_print_store_text(const struct store *store)
{
	char path[DEVICE_PATH], file[DEVICE_PATH], chunk[SIZE_TEXT];

	printf("%s: store on %s, ", store->device.name,
	       device_path(store->major, store->minor, path));
	print_word(store->error ? "fail" : store->status.mode);
	printf("\n");
	if (store->error || !strcmp(store->status.mode, "fail"))
		return;
	if (device_backing_file(store->major, store->minor, file))
		printf("  file    %s\n", file);
	printf("  uuid    %s\n", store->uuid);
	printf("  chunks  of %s\n",
	       size_print(store_chunk_bytes(store), chunk));
	printf("  room    ");
	print_room(store);
	printf("  volumes %llu\n", llu(store->status.volumes));
}
