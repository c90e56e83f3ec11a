/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which layer of a volume holds what: counts for parts of the volume, asked of the
 * kernel, and three ways to show them.
 */
#ifndef DMCOMMIT_VOLUME_MAP_H
#define DMCOMMIT_VOLUME_MAP_H

#include <stdio.h>

#include "json.h"
#include "message.h"

enum { MAP_MAX_PARTS = 512, MAP_LEVELS = 8 };

struct map_row {
	struct layer_line layer;	/* of the base id 0, role "base" */
	struct map_part *parts;
	u64 used;			/* sums of all parts, chunks */
	u64 clean;
	u64 pieces;
	u64 shown;			/* of the base: chunks that it shows */
};

struct volume_map {
	char name[LINE_NAME];
	u64 bytes;			/* of the volume */
	u64 chunk_bytes;
	u64 chunks;
	u64 part_chunks;
	unsigned int parts;
	struct map_row *rows;		/* the top first, the base last */
	size_t count;
	bool tells_pieces;		/* all rows do, of all that they have */
};

/* Asks the kernel; to be freed, also after a failure.  @parts: at most so many. */
enum exit_code volume_map_load(struct volume_map *map,
			       const struct volume *volume, unsigned int parts);
void volume_map_free(struct volume_map *map);

/* A row's parts, as "map" of the store answers; -EPROTO: it is no such answer. */
int volume_map_parse(const char *reply, struct volume_map *map,
		     struct map_row *row);

/* Chunks of part @part; the last may have fewer than the others. */
u64 volume_map_part_size(const struct volume_map *map, unsigned int part);

/* Chunks that @row has or, if it is the base, shows in a part. */
u64 volume_map_held(const struct volume_map *map, const struct map_row *row,
		    unsigned int part);

/* The same as 0 (nothing) to MAP_LEVELS (all); something is never 0. */
unsigned int volume_map_level(const struct volume_map *map,
			      const struct map_row *row, unsigned int part);

/* Bytes of data that @pieces of a part or row are. */
u64 volume_map_data(const struct volume_map *map, u64 pieces);

bool map_row_is_base(const struct map_row *row);

/* Columns that are left for the picture on lines of @width. */
unsigned int map_text_columns(unsigned int width);
void map_text_print(const struct volume_map *map);
void map_json_print(struct json *json, const struct volume_map *map);
void map_svg_print(FILE *file, const struct volume_map *map);

#endif /* DMCOMMIT_VOLUME_MAP_H */
