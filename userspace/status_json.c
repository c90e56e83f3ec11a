// SPDX-License-Identifier: GPL-2.0
#include "status_view.h"

static void print_statistics(struct json *json, const struct statistics *stats)
{
	unsigned int i;

	json_begin_object(json, "stats");
	for (i = 0; i < stats->count; i++)
		json_number(json, stats->items[i].key, stats->items[i].value);
	json_end_object(json);
}

static void print_store_figures(struct json *json, const struct store *store)
{
	const struct store_status *status = &store->status;
	u64 chunk_bytes = store_chunk_bytes(store);
	char path[DEVICE_PATH];
	bool is_file;

	json_string(json, "name", store->device.name);
	json_string(json, "device",
		    device_path(store->major, store->minor, path));
	is_file = device_backing_file(store->major, store->minor, path);
	json_string(json, "file", is_file ? path : NULL);
	json_string(json, "mode", store->error ? "fail" : status->mode);
	json_number(json, "used_bytes", status->used * chunk_bytes);
	json_number(json, "total_bytes", status->total * chunk_bytes);
	json_number(json, "clean_bytes", status->clean * chunk_bytes);
	json_bool(json, "out_of_space", status->out_of_space);
}

void status_print_store_json(struct json *json, const char *key,
			     const struct store *store)
{
	json_begin_object(json, key);
	print_store_figures(json, store);
	json_string(json, "uuid", store->uuid);
	json_number(json, "chunk_bytes", store_chunk_bytes(store));
	json_number(json, "volumes", store->status.volumes);
	print_statistics(json, &store->status.stats);
	json_end_object(json);
}

static void print_layers(struct json *json, const struct status_view *view)
{
	size_t i;

	json_begin_array(json, "layers");
	for (i = 0; i < view->layer_count; i++) {
		const struct layer_line *layer = &view->layers[i];

		json_begin_object(json, NULL);
		json_number(json, "id", layer->id);
		json_string(json, "name", layer->name);
		json_string(json, "role", layer->role);
		json_number(json, "parent", layer->parent);
		json_bool(json, "pinned", layer->pinned);
		json_number(json, "used_bytes",
			    layer->used * view->chunk_bytes);
		json_number(json, "clean_bytes",
			    layer->clean * view->chunk_bytes);
		json_end_object(json);
	}
	json_end_array(json);
}

static void print_base(struct json *json, const struct status_view *view)
{
	u64 time = statistic_find(&view->status.stats, "base_time", 0);

	json_string(json, "base", view->base);
	json_string(json, "base_file", view->base_file);
	json_string(json, "base_alone", view->status.base_alone);
	if (time)
		json_number(json, "base_time", time);
	else
		json_null(json, "base_time");
}

void status_print_volume_json(struct json *json, const char *key,
			      const struct status_view *view)
{
	const struct stack_status *status = &view->status;

	json_begin_object(json, key);
	json_string(json, "name", view->volume->name);
	json_string(json, "mode", status->mode);
	json_number(json, "id", view->volume->line.id);
	json_number(json, "size_bytes",
		    view->volume->line.sectors << COWSTACK_SECTOR_SHIFT);
	print_base(json, view);
	if (view->store) {
		json_begin_object(json, "store");
		print_store_figures(json, view->store);
		json_end_object(json);
	} else {
		json_null(json, "store");
	}
	json_number(json, "used_bytes", status->used * view->chunk_bytes);
	json_number(json, "clean_bytes", status->clean * view->chunk_bytes);
	print_layers(json, view);
	job_print_json(json, "job", view->volume->name, status,
		       view->chunk_bytes);
	print_statistics(json, &status->stats);
	json_end_object(json);
}
