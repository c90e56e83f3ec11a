// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "status_view.h"

/* What its store knows of a volume that is down. */
static enum exit_code fill_from_store(struct status_view *view)
{
	enum exit_code code = volume_record(view->volume, &view->status);

	if (code || !strcmp(view->status.mode, "fail"))
		return code;
	snprintf(view->status.mode, sizeof(view->status.mode), "%s",
		 STATUS_DOWN);
	return volume_layers(view->volume, &view->layers, &view->layer_count);
}

static enum exit_code fill_from_stack(struct status_view *view)
{
	const char *name = view->volume->stack->name;
	int error = stack_status(name, &view->status);

	if (error)
		return fail_errno(error, NULL, "%s: status", name);
	if (!strcmp(view->status.mode, "fail"))
		return EXIT_DONE;
	return volume_layers(view->volume, &view->layers, &view->layer_count);
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
	return volume->stack ? fill_from_stack(view) : fill_from_store(view);
}

void status_view_free(struct status_view *view)
{
	free(view->layers);
	view->layers = NULL;
}
