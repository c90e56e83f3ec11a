/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libsmartcols, and nothing but it: tables and trees, as text or as JSON.  Its JSON
 * is rows and rows under them; what is nested otherwise (a volume's store, its job)
 * is written by json.c.
 */
#ifndef DMCOMMIT_OUTPUT_H
#define DMCOMMIT_OUTPUT_H

#include "exit_code.h"
#include "core/environment.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_TREE,			/* text, with the branches of the tree */
	COLUMN_NUMBER,
	COLUMN_SIZE,			/* bytes; "1.5G" for people */
	COLUMN_FLAG,			/* "yes" or nothing for people */
	COLUMN_STATE,			/* text; in colour on a terminal */
};

struct column {
	const char *title;		/* for people */
	const char *key;		/* for JSON */
	enum column_kind kind;
};

struct output;
struct row;

/* @name: of the array, in JSON.  NULL: no memory; so are rows then. */
struct output *output_begin(const char *name, const struct column *columns,
			    size_t count, bool json);

/* @parent: NULL outside of trees. */
struct row *output_add_row(struct output *output, struct row *parent);

/* NULL or "": there is none. */
void output_set_text(struct output *output, struct row *row, size_t column,
		     const char *text);
void output_set_number(struct output *output, struct row *row, size_t column,
		       u64 number);

bool output_is_json(const struct output *output);

/* Frees it without a word. */
void output_discard(struct output *output);

/* Prints it and frees it.  Fails where memory was short at any time. */
enum exit_code output_end(struct output *output);

#endif /* DMCOMMIT_OUTPUT_H */
