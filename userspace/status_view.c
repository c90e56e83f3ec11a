// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "status_view.h"

/* What its store knows of a volume that is down. */
static void fill_from_store(struct status_view *view)
{
	const struct volume_line *line = &view->volume->line;
	struct stack_status *status = &view->status;

	memset(status, 0, sizeof(*status));
	strcpy(status->mode, "down");
	status->layers = line->layers;
	status->used = line->used;
	status->clean = line->clean;
	strcpy(status->base_alone, line->base_alone);
	strcpy(status->job.state, "idle");
	strcpy(status->job.kind, "-");
}

static enum exit_code fill_from_stack(struct status_view *view)
{
	const char *name = view->volume->stack->name;
	int error = stack_status(name, &view->status);

	if (error)
		return fail_errno(error, NULL, "%s: status", name);
	if (!strcmp(view->status.mode, "fail"))
		return EXIT_DONE;
	return stack_layers(view->volume, &view->layers, &view->layer_count);
}

enum exit_code status_view_load(struct status_view *view,
				const struct volume *volume)
{
	unsigned int major, minor;
	char path[DEVICE_PATH];

	memset(view, 0, sizeof(*view));
	view->volume = volume;
	view->store = volume->store;
	view->chunk_bytes = volume_chunk_bytes(volume);
	snprintf(view->base, sizeof(view->base), "%s",
		 volume_base_path(volume, path));
	if (volume_base_number(volume, &major, &minor))
		device_backing_file(major, minor, view->base_file);
	if (view->store)
		device_path(view->store->major, view->store->minor,
			    view->store_device);
	if (volume->stack)
		return fill_from_stack(view);
	fill_from_store(view);
	return EXIT_DONE;
}

void status_view_free(struct status_view *view)
{
	free(view->layers);
	view->layers = NULL;
}
