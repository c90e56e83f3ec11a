/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lines that the module and the tool exchange: tables, status, replies to
 * messages, uuids of mapped devices.  Pure: text in, structs out, and back.
 *
 * All parsers return 0 or -EPROTO, for a line that is not as it should be.  More
 * than is known behind what is known is no error: later modules say more.
 */
#ifndef DMCOMMIT_TARGET_LINE_H
#define DMCOMMIT_TARGET_LINE_H

#include "core/types.h"

enum {
	LINE_MAX_STATS = 64,
	LINE_WORD = 32,
	LINE_NAME = 128,		/* as long as dm lets a name be */
	LINE_UUID = 37,			/* of a store, as text */
	LINE_DM_UUID = 129,
};

struct statistic {
	char key[LINE_WORD];
	u64 value;
};

struct statistics {
	unsigned int count;
	struct statistic items[LINE_MAX_STATS];
};

struct store_status {
	char mode[LINE_WORD];		/* "fail": nothing below is set */
	u64 chunk_sectors;
	u64 used;			/* chunks, all below too */
	u64 total;
	u64 clean;
	u64 volumes;
	bool out_of_space;
	struct statistics stats;
};

struct job_status {
	char state[LINE_WORD];
	char kind[LINE_WORD];
	u64 top;
	u64 base;
	u64 done;			/* chunks */
	u64 total;
	u64 limit;			/* bytes per second */
	u64 error;			/* errno */
};

/* The mode that a volume has while no stack tells of it. */
#define STATUS_DOWN "down"

struct stack_status {
	char mode[LINE_WORD];		/* "fail": nothing below is set */
	u64 layers;
	u64 top;
	u64 used;			/* chunks */
	u64 clean;
	char base_alone[LINE_WORD];
	struct job_status job;
	struct statistics stats;
};

/* Devices are major:minor, as the kernel prints them. */
struct stack_table {
	unsigned int base_major, base_minor;
	unsigned int store_major, store_minor;
	u32 volume;
};

struct store_table {
	unsigned int major, minor;
};

/* A line of the reply to "volumes". */
struct volume_line {
	u32 id;
	char name[COWSTACK_NAME_SIZE];		/* "": none */
	u64 sectors;
	u64 layers;
	u64 used;
	u64 clean;
	char base_alone[LINE_WORD];
	bool up;
	char base_name[COWSTACK_NAME_SIZE];	/* "": none */
};

/* A line of the reply to "layers". */
struct layer_line {
	u32 id;
	char name[COWSTACK_NAME_SIZE];		/* "": none */
	u32 parent;
	u64 used;
	u64 clean;
	bool pinned;
	char role[LINE_WORD];
};

/* The reply to "commit plan". */
struct commit_plan {
	u32 top;
	u32 base;
	u64 chunks;			/* of the destination */
	u64 data_bytes;
	u64 zero_bytes;
	u64 requests;
	u64 freed_chunks;		/* of the store */
};

/* A line of the reply to "map", but the first. */
struct map_part {
	u64 number;
	u64 used;			/* chunks, all below too */
	u64 clean;
	u64 zero;
	u64 hidden;
	u64 pieces;			/* that lie in the used ones */
	bool tells_pieces;		/* or the module knows nothing of them */
};

/* A line of the reply to "errors". */
struct sector_run {
	u64 sector;
	u64 sectors;			/* not 0, and the end is no overflow */
};

int store_status_parse(const char *line, struct store_status *status);
int stack_status_parse(const char *line, struct stack_status *status);
int store_table_parse(const char *line, struct store_table *table);
int stack_table_parse(const char *line, struct stack_table *table);
int volume_line_parse(const char *line, struct volume_line *volume);
int layer_line_parse(const char *line, struct layer_line *layer);
int plan_line_parse(const char *line, struct commit_plan *plan);
int part_line_parse(const char *line, struct map_part *part);
/* The first line of the reply to "map". */
int map_line_parse(const char *line, u64 *chunks, u64 *part_chunks);
int run_line_parse(const char *line, struct sector_run *run);

/* The statistic of this name, or @missing. */
u64 statistic_find(const struct statistics *stats, const char *key,
		   u64 missing);

/* Will it end without anybody doing anything? */
bool job_is_active(const struct job_status *job);

/* For people: one whose volume is not up runs nowhere, and waits for nobody. */
const char *job_state_shown(const struct job_status *job, bool up);

/* Paused or stopped: does it wait to be gone on with? */
bool job_is_waiting(const struct job_status *job);

void store_uuid_print(const u8 uuid[COWSTACK_UUID_SIZE], char text[LINE_UUID]);
void store_dm_uuid_print(const char *store, char text[LINE_DM_UUID]);
void stack_dm_uuid_print(const char *store, u32 volume,
			 char text[LINE_DM_UUID]);

/* The store's own uuid, out of its mapped device's; false: it has none. */
bool store_dm_uuid_parse(const char *uuid, char store[LINE_UUID]);

#endif /* DMCOMMIT_TARGET_LINE_H */
