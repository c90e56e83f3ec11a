// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include <libsmartcols.h>

#include "output.h"
#include "size.h"
#include "terminal.h"

struct output {
	struct libscols_table *table;
	const struct column *columns;
	bool json;
	bool failed;
};

static int json_type(enum column_kind kind)
{
	switch (kind) {
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		return SCOLS_JSON_NUMBER;
	case COLUMN_FLAG:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

static int column_flags(enum column_kind kind)
{
	switch (kind) {
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		return SCOLS_FL_RIGHT;
	case COLUMN_TREE:
		return SCOLS_FL_TREE;
	default:
		return 0;
	}
}

static void add_column(struct output *output, const struct column *column)
{
	struct libscols_column *c;

	c = scols_table_new_column(output->table, output->json ? column->key :
							  column->title,
				   0, column_flags(column->kind));
	if (!c || scols_column_set_json_type(c, json_type(column->kind)))
		output->failed = true;
}

struct output *output_begin(const char *name, const struct column *columns,
			    size_t count, bool json)
{
	struct output *output = calloc(1, sizeof(*output));
	size_t i;

	if (!output)
		return NULL;
	output->columns = columns;
	output->json = json;
	output->table = scols_new_table();
	if (!output->table) {
		output->failed = true;
		return output;
	}
	if (scols_table_set_name(output->table, name) ||
	    scols_table_enable_json(output->table, json) ||
	    scols_table_enable_colors(output->table,
				      !json && terminal_has_colours()))
		output->failed = true;
	for (i = 0; i < count; i++)
		add_column(output, &columns[i]);
	return output;
}

struct row *output_add_row(struct output *output, struct row *parent)
{
	struct libscols_line *line = NULL;

	if (output && output->table)
		line = scols_table_new_line(output->table, (void *)parent);
	if (output && !line)
		output->failed = true;
	return (void *)line;
}

static void set_colour(struct output *output, struct row *row, size_t column,
		       const char *word)
{
	struct libscols_cell *cell = scols_line_get_cell((void *)row, column);
	const char *colour = colour_name(word);

	if (colour && (!cell || scols_cell_set_color(cell, colour)))
		output->failed = true;
}

void output_set_text(struct output *output, struct row *row, size_t column,
		     const char *text)
{
	if (!output || !row)
		return;
	if (!output->json && (!text || !*text))
		text = "-";
	if (scols_line_set_data((void *)row, column, text))
		output->failed = true;
	if (text && output->columns[column].kind == COLUMN_STATE)
		set_colour(output, row, column, text);
}

void output_set_number(struct output *output, struct row *row, size_t column,
		       u64 number)
{
	char text[SIZE_TEXT];

	if (!output)
		return;
	if (output->columns[column].kind == COLUMN_SIZE && !output->json)
		size_print(number, text);
	else if (output->columns[column].kind == COLUMN_FLAG && !output->json)
		snprintf(text, sizeof(text), "%s", number ? "yes" : "-");
	else
		snprintf(text, sizeof(text), "%llu", llu(number));
	output_set_text(output, row, column, text);
}

bool output_is_json(const struct output *output)
{
	return output && output->json;
}

void output_discard(struct output *output)
{
	if (output)
		scols_unref_table(output->table);
	free(output);
}

enum exit_code output_end(struct output *output)
{
	bool failed = !output || output->failed;

	if (!failed)
		failed = scols_print_table(output->table);
	output_discard(output);
	return failed ? fail_errno(-ENOMEM, NULL, "output") : EXIT_DONE;
}
