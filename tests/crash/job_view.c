// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "job_view.h"
#include "mapper.h"
#include "stacks.h"

static const char *const state_names[JOB_STATES] = {
	[JOB_IDLE] = "idle", [JOB_QUEUED] = "queued",
	[JOB_RUNNING] = "running", [JOB_PAUSED] = "paused",
	[JOB_STOPPED] = "stopped", [JOB_COMPLETED] = "completed",
	[JOB_CANCELLED] = "cancelled",
};

const char *job_state_name(enum job_state state)
{
	return state_names[state];
}

static const char *name_of(unsigned int volume)
{
	return strrchr(stack_paths[volume], '/') + 1;
}

int job_view(unsigned int volume, struct job_view *view)
{
	char text[1024], base_alone[16], state[16];
	unsigned int i;
	int error = mapper_status(name_of(volume), text, sizeof(text));

	if (error)
		return error;
	if (sscanf(text, "%*s %u %*u %*u %*u %15s %15s %*s %u %u %*u/%*u %*u %d",
		   &view->layers, base_alone, state, &view->top, &view->base,
		   &view->error) != 6)
		return -EPROTO;
	view->valid = !strcmp(base_alone, "valid");
	for (i = 0; i < JOB_STATES; i++)
		if (!strcmp(state, state_names[i])) {
			view->state = i;
			return 0;
		}
	return -EPROTO;
}

int layers_view(unsigned int volume, struct layer_list *list)
{
	char text[8192], *line;
	int error = mapper_ask(name_of(volume), "layers", text, sizeof(text));

	if (error)
		return error;
	list->count = 0;
	for (line = strtok(text, "\n"); line && list->count < MAX_LISTED;
	     line = strtok(NULL, "\n")) {
		struct layer_view *layer = &list->layer[list->count++];
		unsigned long long used, clean;

		if (sscanf(line, "%u %*s %u %llu %llu", &layer->id,
			   &layer->parent, &used, &clean) != 4)
			return -EPROTO;
		layer->used = used;
		layer->clean = clean;
	}
	return list->count ? 0 : -EPROTO;
}

static u64 find_value(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

int room_view(struct room_view *view)
{
	unsigned long long used;
	char text[1024];
	int error = mapper_status("store", text, sizeof(text));

	if (error)
		return error;
	if (sscanf(text, "%*s %*u %llu", &used) != 1)
		return -EPROTO;
	view->used = used;
	view->metadata = find_value(text, " metadata_chunks ");
	view->freeing = find_value(text, " freeing ");
	return 0;
}
