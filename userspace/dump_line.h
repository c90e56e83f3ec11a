/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lines of a dump (Documentation/dump-format.rst): what fields each has, how
 * they are printed and read.  One table serves both, and a line counts only if it
 * would be printed just so.  Pure: no I/O.
 */
#ifndef DMCOMMIT_DUMP_LINE_H
#define DMCOMMIT_DUMP_LINE_H

#include "core/format.h"
#include "core/map_word.h"

enum { DUMP_LINE = 1024 };	/* bytes of any line, with its end */

struct dump_store {
	u8 uuid[COWSTACK_UUID_SIZE];
	char name[COWSTACK_NAME_SIZE];
	u64 created;
	u64 compat;
	u64 ro_compat;
	u64 chunk_sectors;
	u64 ring_blocks;
	u64 data_start;
	u64 chunks;
	u64 next_layer;
};

struct dump_layer {
	u64 id;
	u64 parent;
	u64 flags;
	u64 created;
	char name[COWSTACK_NAME_SIZE];
};

struct dump_volume {
	u64 id;
	u64 top;
	u64 sectors;
	char name[COWSTACK_NAME_SIZE];
};

struct dump_base {
	u64 flags;
	u64 sectors;
	u64 seed;
	u64 crc;
	u64 mixed_top;
	u64 time;
	char name[COWSTACK_NAME_SIZE];
};

struct dump_job {
	u64 kind;
	u64 state;
	u64 on_error;
	u64 flags;
	u64 top;
	u64 base;
	u64 error;
	u64 speed;
	u64 until;
	u64 cursor;
	u64 done;
	u64 total;
	u64 errors;
	u64 first_error;
};

struct dump_map {
	u64 layer;
};

/* Words of successive chunks that differ at most in the store's chunk. */
struct dump_run {
	u64 first;
	u64 count;
	u64 chunk;			/* of the store, plus one; 0: none */
	u64 mask;
	u64 flags;			/* 1 zero, 2 clean */
};

struct dump_end {
	u64 layers;
	u64 volumes;
	u64 runs;
	u64 chunks;			/* that have a word */
};

enum dump_line_kind {
	DUMP_LINE_STORE,
	DUMP_LINE_LAYER,
	DUMP_LINE_VOLUME,
	DUMP_LINE_BASE,
	DUMP_LINE_JOB,
	DUMP_LINE_MAP,
	DUMP_LINE_RUN,
	DUMP_LINE_END,
	DUMP_LINE_KINDS,
};

union dump_fields {
	struct dump_store store;
	struct dump_layer layer;
	struct dump_volume volume;
	struct dump_base base;
	struct dump_job job;
	struct dump_map map;
	struct dump_run run;
	struct dump_end end;
};

/* The line without its end. */
void dump_line_print(enum dump_line_kind kind, const void *fields,
		     char line[DUMP_LINE]);

/* What kind of line it begins as; DUMP_LINE_KINDS: none. */
enum dump_line_kind dump_line_kind(const char *line);
const char *dump_line_word(enum dump_line_kind kind);

/* Return: NULL, or the key of the first field that is not as it should be. */
const char *dump_line_parse(enum dump_line_kind kind, const char *line,
			    union dump_fields *fields);

#endif /* DMCOMMIT_DUMP_LINE_H */
