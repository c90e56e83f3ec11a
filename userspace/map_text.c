// SPDX-License-Identifier: GPL-2.0
/* The map as rows of blocks, or of letters where the terminal has none. */
#include "size.h"
#include "terminal.h"
#include "volume_map.h"

enum { LABEL = 22, FIGURE = 8, LEAST_COLUMNS = 16 };

/* By level; then what is zeroes alone. */
static const char *const blocks[] = {
	" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█", "·",
};

static const char *const letters[] = {
	" ", ".", ":", "-", "=", "+", "*", "%", "#", "0",
};

enum { ZEROES = MAP_LEVELS + 1 };

/* Told apart without colours, too. */
#define LITTLE_CLEAN "c"
#define MUCH_CLEAN "C"

unsigned int map_text_columns(unsigned int width)
{
	if (width < LABEL + FIGURE + LEAST_COLUMNS)
		return LEAST_COLUMNS;
	return min_t(unsigned int, width - LABEL - FIGURE, MAP_MAX_PARTS);
}

static const char *format_label(const struct map_row *row, char *text,
				size_t size)
{
	const struct layer_line *layer = &row->layer;
	char name[16] = "";

	if (layer->name[0])
		snprintf(name, sizeof(name), " %.*s",
			 (int)sizeof(name) - 2, layer->name);
	else if (strcmp(layer->role, "frozen"))
		snprintf(name, sizeof(name), " %.*s",
			 (int)sizeof(name) - 2, layer->role);
	snprintf(text, size, "%u%s", layer->id, name);
	return text;
}

/* Is all that the row has here clean? */
static bool is_clean(const struct map_row *row, unsigned int part)
{
	const struct map_part *p = &row->parts[part];

	return !map_row_is_base(row) && p->used && p->clean == p->used;
}

static void print_part(const struct volume_map *map, const struct map_row *row,
		       unsigned int part, const char *const *signs)
{
	unsigned int level = volume_map_level(map, row, part);
	bool clean = is_clean(row, part);
	bool colour = clean && terminal_has_colours();
	const char *sign = signs[level];

	if (clean)
		sign = level > MAP_LEVELS / 2 ? MUCH_CLEAN : LITTLE_CLEAN;
	else if (!level && row->parts[part].zero && !map_row_is_base(row))
		sign = signs[ZEROES];
	printf("%s%s%s", colour ? "\033[36m" : "", sign,
	       colour ? "\033[0m" : "");
}

static void print_row(const struct volume_map *map, const struct map_row *row,
		      const char *const *signs)
{
	u64 chunks = map_row_is_base(row) ? row->shown : row->used;
	u64 bytes = chunks * map->chunk_bytes;
	char label[LABEL + 1], size[SIZE_TEXT];
	unsigned int i;

	/* The last chunk may be cut by the volume's end. */
	if (map_row_is_base(row))
		bytes = min(bytes, map->bytes);
	printf("%-*s|", LABEL - 2, format_label(row, label, sizeof(label)));
	for (i = 0; i < map->parts; i++)
		print_part(map, row, i, signs);
	printf("| %*s\n", FIGURE - 2, size_print(bytes, size));
}

/* What of the room that the layers take is data: the rest was never written. */
static void print_room(const struct volume_map *map)
{
	char data[SIZE_TEXT], room[SIZE_TEXT];
	u64 pieces = 0, used = 0;
	size_t i;

	for (i = 0; i < map->count; i++) {
		if (map_row_is_base(&map->rows[i]))
			continue;
		pieces += map->rows[i].pieces;
		used += map->rows[i].used;
	}
	printf("%-*s%s of data, in chunks of %s.\n", LABEL - 1, "the layers",
	       size_print(volume_map_data(map, pieces), data),
	       size_print(used * map->chunk_bytes, room));
}

void map_text_print(const struct volume_map *map)
{
	const char *const *signs = terminal_has_blocks() ? blocks : letters;
	char size[SIZE_TEXT], part[SIZE_TEXT];
	size_t i;

	printf("%s: volume of %s, each column %s\n\n", map->name,
	       size_print(map->bytes, size),
	       size_print(map->part_chunks * map->chunk_bytes, part));
	for (i = 0; i < map->count; i++)
		print_row(map, &map->rows[i], signs);
	printf("\n%-*s\"%s\" holds little, \"%s\" all of it; \"%s\" zeroes alone;\n",
	       LABEL - 1, "a layer", signs[1], signs[MAP_LEVELS],
	       signs[ZEROES]);
	printf("%-*s\"%s\" few clean copies and nothing else, \"%s\" many.\n",
	       LABEL - 1, "", LITTLE_CLEAN, MUCH_CLEAN);
	printf("%-*swhat it shows, as no layer hides it.\n", LABEL - 1,
	       "the base");
	if (map->tells_pieces)
		print_room(map);
}
