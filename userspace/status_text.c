// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "size.h"
#include "status_view.h"

static void print_base(const struct status_view *view)
{
	u64 time = statistic_find(&view->status.stats, "base_time", 0);
	const char *alone = view->status.base_alone;
	char text[SIZE_TEXT];

	printf("  base    %s, alone: %s", view->base[0] ? view->base : "-",
	       alone[0] ? alone : "-");
	if (!strcmp(alone, "valid") && time)
		printf(", as of %s", time_print(time, text));
	else if (!strcmp(alone, "mixed"))
		printf(", a commit into it has to be finished first");
	printf("\n");
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
	if (status->out_of_space)
		printf(", OUT OF SPACE");
	printf("\n");
}

static void print_job(const struct status_view *view)
{
	const struct job_status *job = &view->status.job;
	char done[SIZE_TEXT], total[SIZE_TEXT], text[SIZE_TEXT];
	struct job_view figures;

	if (!strcmp(job->kind, "-")) {
		printf("  job     none\n");
		return;
	}
	job_view_fill(&figures, &view->status, view->chunk_bytes);
	printf("  job     %s %s, layer %llu into ", job->kind, job->state,
	       llu(job->top));
	if (job->base)
		printf("layer %llu", llu(job->base));
	else
		printf("the base");
	printf(", %s of %s", size_print(figures.done, done),
	       size_print(figures.total, total));
	if (figures.seconds_left != U64_MAX)
		printf(", %s/s, %s left", size_print(figures.rate, done),
		       duration_print(figures.seconds_left, text));
	if (job->limit)
		printf(", limit %s/s", size_print(job->limit, text));
	if (job->error)
		printf(", %s", strerror(job->error));
	if (figures.errors)
		printf(", errors in %llu places", llu(figures.errors));
	printf("\n");
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

	printf("%s: volume of %s, %s\n", view->volume->name,
	       size_print(view->volume->line.sectors << COWSTACK_SECTOR_SHIFT,
			  size),
	       view->status.mode);
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
	char path[DEVICE_PATH], chunk[SIZE_TEXT];

	printf("%s: store on %s, %s\n", store->device.name,
	       device_path(store->major, store->minor, path),
	       store->error ? "fail" : store->status.mode);
	if (store->error || !strcmp(store->status.mode, "fail"))
		return;
	printf("  uuid    %s\n", store->uuid);
	printf("  chunks  of %s\n",
	       size_print(store_chunk_bytes(store), chunk));
	printf("  room    ");
	print_room(store);
	printf("  volumes %llu\n", llu(store->status.volumes));
}
