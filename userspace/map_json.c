// SPDX-License-Identifier: GPL-2.0
#include "volume_map.h"

static void print_part(struct json *json, const struct volume_map *map,
		       const struct map_row *row, unsigned int part)
{
	const struct map_part *p = &row->parts[part];

	json_begin_object(json, NULL);
	json_number(json, "part", part);
	if (map_row_is_base(row)) {
		json_number(json, "shown_bytes",
			    volume_map_held(map, row, part) * map->chunk_bytes);
	} else {
		json_number(json, "used_bytes", p->used * map->chunk_bytes);
		if (p->tells_pieces)
			json_number(json, "data_bytes",
				    volume_map_data(map, p->pieces));
		else
			json_null(json, "data_bytes");
		json_number(json, "clean_bytes", p->clean * map->chunk_bytes);
		json_number(json, "zero_bytes", p->zero * map->chunk_bytes);
		json_number(json, "hiding_bytes", p->hidden * map->chunk_bytes);
	}
	json_end_object(json);
}

static bool is_empty(const struct volume_map *map, const struct map_row *row,
		     unsigned int part)
{
	return !volume_map_held(map, row, part) &&
	       (map_row_is_base(row) || !row->parts[part].zero);
}

static void print_row(struct json *json, const struct volume_map *map,
		      const struct map_row *row)
{
	unsigned int i;

	json_begin_object(json, NULL);
	json_number(json, "id", row->layer.id);
	json_string(json, "name", row->layer.name);
	json_string(json, "role", row->layer.role);
	json_begin_array(json, "parts");
	for (i = 0; i < map->parts; i++)
		if (!is_empty(map, row, i))
			print_part(json, map, row, i);
	json_end_array(json);
	json_end_object(json);
}

void map_json_print(struct json *json, const struct volume_map *map)
{
	size_t i;

	json_begin_object(json, NULL);
	json_string(json, "name", map->name);
	json_number(json, "size_bytes", map->bytes);
	json_number(json, "chunk_bytes", map->chunk_bytes);
	json_number(json, "part_bytes", map->part_chunks * map->chunk_bytes);
	json_number(json, "parts", map->parts);
	json_begin_array(json, "layers");
	for (i = 0; i < map->count; i++)
		print_row(json, map, &map->rows[i]);
	json_end_array(json);
	json_end_object(json);
}
