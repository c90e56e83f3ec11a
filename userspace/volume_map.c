// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include "size.h"
#include "volume_map.h"

static const char *next_line(const char *text)
{
	text += strcspn(text, "\n");
	return text + strspn(text, "\n");
}

bool map_row_is_base(const struct map_row *row)
{
	return !row->layer.id;
}

u64 volume_map_part_size(const struct volume_map *map, unsigned int part)
{
	return min_t(u64, map->part_chunks,
		     map->chunks - part * map->part_chunks);
}

u64 volume_map_held(const struct volume_map *map, const struct map_row *row,
		    unsigned int part)
{
	const struct map_part *p = &row->parts[part];

	if (!map_row_is_base(row))
		return p->used;
	return volume_map_part_size(map, part) - p->hidden;
}

unsigned int volume_map_level(const struct volume_map *map,
			      const struct map_row *row, unsigned int part)
{
	u64 size = volume_map_part_size(map, part);

	return DIV_ROUND_UP(volume_map_held(map, row, part) * MAP_LEVELS, size);
}

/* A piece is a sixteenth of a chunk, and a sector at least. */
static u64 piece_bytes(const struct volume_map *map)
{
	return max_t(u64, map->chunk_bytes / COWSTACK_MAX_PIECES,
		     1 << COWSTACK_SECTOR_SHIFT);
}

u64 volume_map_data(const struct volume_map *map, u64 pieces)
{
	return pieces * piece_bytes(map);
}

/* --- what the kernel says --- */

static bool part_is_possible(const struct volume_map *map,
			     const struct map_row *row,
			     const struct map_part *part)
{
	u64 size;

	if (part->number >= map->parts)
		return false;
	size = volume_map_part_size(map, part->number);
	/* Of the base it counts what all layers together have. */
	return part->hidden <= size &&
	       (map_row_is_base(row) ||
		(part->used <= size && part->zero <= size)) &&
	       part->clean <= part->used &&
	       (!part->pieces ||
		(part->pieces - 1) / COWSTACK_MAX_PIECES < part->used);
}

static int take_header(const char *reply, struct volume_map *map)
{
	u64 chunks, part_chunks;
	int error = map_line_parse(reply, &chunks, &part_chunks);

	if (error)
		return error;
	if (!chunks || !part_chunks ||
	    chunks > U64_MAX / (MAP_LEVELS + 1) ||
	    DIV_ROUND_UP(chunks, part_chunks) > MAP_MAX_PARTS)
		return -EPROTO;
	/* The volume grew between two questions. */
	if (map->chunks && map->chunks != chunks)
		return -EAGAIN;
	map->chunks = chunks;
	map->part_chunks = part_chunks;
	map->parts = DIV_ROUND_UP(chunks, part_chunks);
	return 0;
}

int volume_map_parse(const char *reply, struct volume_map *map,
		     struct map_row *row)
{
	struct map_part part;
	unsigned int i;
	int error = take_header(reply, map);

	if (error)
		return error;
	row->parts = calloc(map->parts, sizeof(*row->parts));
	if (!row->parts)
		return -ENOMEM;
	for (reply = next_line(reply); *reply; reply = next_line(reply)) {
		error = part_line_parse(reply, &part);
		if (!error && !part_is_possible(map, row, &part))
			error = -EPROTO;
		if (error)
			return error;
		map->tells_pieces &= part.tells_pieces;
		row->parts[part.number] = part;
	}
	for (i = 0; i < map->parts; i++) {
		row->used += row->parts[i].used;
		row->clean += row->parts[i].clean;
		row->pieces += row->parts[i].pieces;
		row->shown += map_row_is_base(row) ?
			      volume_map_held(map, row, i) : 0;
	}
	return 0;
}

static int load_row(struct volume_map *map, const struct volume *volume,
		    struct map_row *row, unsigned int parts)
{
	char text[64];
	char *reply;
	int error;

	snprintf(text, sizeof(text), "map %u %u %u", volume->line.id,
		 row->layer.id, parts);
	error = mapper_message(volume->store->device.name, 0, text, &reply);
	if (error)
		return error;
	error = volume_map_parse(reply ? reply : "", map, row);
	free(reply);
	return error;
}

static int load_rows(struct volume_map *map, const struct volume *volume,
		     const struct layer_line *layers, size_t count,
		     unsigned int parts)
{
	const struct layer_line base = { .role = "base" };
	struct map_row *row;
	size_t i;
	int error;

	map->rows = calloc(count + 1, sizeof(*map->rows));
	if (!map->rows)
		return -ENOMEM;
	for (i = 0; i <= count; i++) {
		row = &map->rows[map->count];
		row->layer = i < count ? layers[i] : base;
		error = load_row(map, volume, row, parts);
		/* It was committed away meanwhile. */
		if (error == -ENOENT && i < count)
			continue;
		/* What it has is freed, also after an error. */
		map->count++;
		if (error)
			return error;
	}
	return 0;
}

static enum exit_code say_error(const struct volume *volume, int error)
{
	if (error == -EAGAIN)
		return fail(EXIT_REFUSED,
			    "%s: it was resized meanwhile; try again",
			    volume->name);
	if (error == -EINVAL && mapper_reason() &&
	    strstr(mapper_reason(), "unknown message"))
		error = -EOPNOTSUPP;
	return fail_errno(error, error == -EOPNOTSUPP ? NULL : mapper_reason(),
			  "%s: map", volume->name);
}

enum exit_code volume_map_load(struct volume_map *map,
			       const struct volume *volume, unsigned int parts)
{
	struct layer_line *layers;
	enum exit_code code;
	size_t count;
	int error;

	memset(map, 0, sizeof(*map));
	map->tells_pieces = true;
	if (!volume->store)
		return fail(EXIT_MISSING,
			    "%s: its store is not attached; dmcommit attach brings it up",
			    volume->name);
	snprintf(map->name, sizeof(map->name), "%s", volume->name);
	map->bytes = volume->line.sectors << COWSTACK_SECTOR_SHIFT;
	map->chunk_bytes = volume_chunk_bytes(volume);
	code = volume_layers(volume, &layers, &count);
	if (code)
		return code;
	error = load_rows(map, volume, layers, count, parts);
	free(layers);
	return error ? say_error(volume, error) : EXIT_DONE;
}

void volume_map_free(struct volume_map *map)
{
	size_t i;

	for (i = 0; i < map->count; i++)
		free(map->rows[i].parts);
	free(map->rows);
	map->rows = NULL;
	map->count = 0;
}
