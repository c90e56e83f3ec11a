// SPDX-License-Identifier: GPL-2.0
/* The map as a picture: a row per layer, each part as dense as the layer is there. */
#include "size.h"
#include "volume_map.h"

enum {
	WIDTH = 1000,
	LEFT = 170,			/* of the rows, behind their names */
	RIGHT = 80,
	TOP = 50,
	ROW = 26,			/* from one to the next */
	BAR = 20,
	LEGEND = 60,
};

#define COLOUR_DATA "#2166ac"
#define COLOUR_CLEAN "#1b9e77"
#define COLOUR_ZERO "#b0b0b0"
#define COLOUR_BASE "#8c6d31"

static void print_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else if (*text == '"')
			fputs("&quot;", file);
		else if ((unsigned char)*text >= ' ')
			fputc(*text, file);
	}
}

static void begin_rectangle(FILE *file, double x, unsigned int y, double width,
			    unsigned int height, const char *colour)
{
	fprintf(file, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\" fill=\"%s\"",
		x, y, width, height, colour);
}

/* Over clean copies, which are told apart without colours, too. */
static void print_hatching(FILE *file, double x, unsigned int y, double width,
			   unsigned int height)
{
	begin_rectangle(file, x, y, width, height, "url(#clean)");
	fputs(" pointer-events=\"none\"/>\n", file);
}

static void print_hatching_pattern(FILE *file)
{
	fputs("<defs><pattern id=\"clean\" width=\"6\" height=\"6\"", file);
	fputs(" patternUnits=\"userSpaceOnUse\">", file);
	fputs("<path d=\"M0,6 L6,0\" stroke=\"white\" stroke-width=\"1.5\"/>",
	      file);
	fputs("</pattern></defs>\n", file);
}

static void begin_text(FILE *file, unsigned int x, unsigned int y,
		       const char *anchor)
{
	fprintf(file, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\">", x, y,
		anchor);
}

static unsigned int total_height(const struct volume_map *map)
{
	return TOP + map->count * ROW + LEGEND;
}

/* --- rows --- */

static double part_left(const struct volume_map *map, unsigned int part)
{
	const double width = WIDTH - LEFT - RIGHT;

	if (part == map->parts)
		return LEFT + width;
	return LEFT + width * part * map->part_chunks / map->chunks;
}

static bool is_mostly_clean(const struct map_row *row, unsigned int part)
{
	const struct map_part *p = &row->parts[part];

	return !map_row_is_base(row) && p->clean * 2 > p->used;
}

static const char *part_colour(const struct map_row *row, unsigned int part)
{
	if (map_row_is_base(row))
		return COLOUR_BASE;
	if (!row->parts[part].used)
		return COLOUR_ZERO;
	return is_mostly_clean(row, part) ? COLOUR_CLEAN : COLOUR_DATA;
}

static void print_part(FILE *file, const struct volume_map *map,
		       const struct map_row *row, unsigned int part,
		       unsigned int y)
{
	u64 size = volume_map_part_size(map, part);
	u64 held = volume_map_held(map, row, part);
	u64 zero = map_row_is_base(row) ? 0 : row->parts[part].zero;
	double share = (double)(held ? held : zero) / size;
	double left = part_left(map, part);
	double width = part_left(map, part + 1) - left;
	char from[SIZE_TEXT], has[SIZE_TEXT];

	if (!held && !zero)
		return;
	/* Never so pale that it cannot be seen. */
	begin_rectangle(file, left, y, width, BAR, part_colour(row, part));
	fprintf(file, " fill-opacity=\"%.2f\">", 0.15 + 0.85 * min(share, 1.0));
	fprintf(file, "<title>from %s: %s%s</title></rect>\n",
		size_print(part * map->part_chunks * map->chunk_bytes, from),
		size_print((held ? held : zero) * map->chunk_bytes, has),
		held ? "" : " of zeroes");
	if (is_mostly_clean(row, part))
		print_hatching(file, left, y, width, BAR);
}

static void print_row(FILE *file, const struct volume_map *map,
		      const struct map_row *row, unsigned int y)
{
	u64 chunks = map_row_is_base(row) ? row->shown : row->used;
	char size[SIZE_TEXT];
	unsigned int i;

	begin_text(file, LEFT - 10, y + 15, "end");
	if (map_row_is_base(row))
		fputs("base", file);
	else
		fprintf(file, "%u ", row->layer.id);
	print_text(file, row->layer.name[0] ? row->layer.name :
		   map_row_is_base(row) ? "" : row->layer.role);
	fputs("</text>\n", file);
	begin_rectangle(file, LEFT, y, WIDTH - LEFT - RIGHT, BAR, "#f4f4f4");
	fputs("/>\n", file);
	for (i = 0; i < map->parts; i++)
		print_part(file, map, row, i, y);
	begin_text(file, WIDTH - 10, y + 15, "end");
	fprintf(file, "%s</text>\n",
		size_print(min(chunks * map->chunk_bytes, map->bytes), size));
}

/* --- around them --- */

static void print_legend(FILE *file, unsigned int y)
{
	static const struct { const char *colour, *text; } entries[] = {
		{ COLOUR_DATA, "data of a layer" },
		{ COLOUR_CLEAN, "clean copies" },
		{ COLOUR_ZERO, "zeroes alone" },
		{ COLOUR_BASE, "what the base shows" },
	};
	unsigned int i, x = LEFT;

	for (i = 0; i < ARRAY_SIZE(entries); i++, x += 190) {
		begin_rectangle(file, x, y, 14, 14, entries[i].colour);
		fputs("/>\n", file);
		if (!strcmp(entries[i].colour, COLOUR_CLEAN))
			print_hatching(file, x, y, 14, 14);
		begin_text(file, x + 20, y + 12, "start");
		fprintf(file, "%s</text>\n", entries[i].text);
	}
}

void map_svg_print(FILE *file, const struct volume_map *map)
{
	unsigned int height = total_height(map);
	char size[SIZE_TEXT], part[SIZE_TEXT];
	size_t i;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", file);
	fputs("<svg xmlns=\"http://www.w3.org/2000/svg\"", file);
	fprintf(file, " width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\"",
		WIDTH, height, WIDTH, height);
	fputs(" font-family=\"sans-serif\" font-size=\"13\">\n", file);
	print_hatching_pattern(file);
	begin_rectangle(file, 0, 0, WIDTH, height, "white");
	fputs("/>\n", file);
	begin_text(file, LEFT, 28, "start");
	print_text(file, map->name);
	fprintf(file, ": volume of %s, in parts of %s; the darker, the more is there</text>\n",
		size_print(map->bytes, size),
		size_print(map->part_chunks * map->chunk_bytes, part));
	for (i = 0; i < map->count; i++)
		print_row(file, map, &map->rows[i], TOP + i * ROW);
	print_legend(file, TOP + map->count * ROW + 20);
	fputs("</svg>\n", file);
}
