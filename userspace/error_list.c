// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "error_list.h"
#include "message.h"
#include "output.h"
#include "size.h"

enum { SECTOR, SECTORS, SIZE };

static const struct column columns[] = {
	[SECTOR] = { "SECTOR", "sector", COLUMN_NUMBER },
	[SECTORS] = { "SECTORS", "sectors", COLUMN_NUMBER },
	[SIZE] = { "SIZE", "bytes", COLUMN_SIZE },
};

static void print_run(struct output *output, const struct sector_run *run)
{
	struct row *row;

	if (!run->sectors)
		return;
	row = output_add_row(output, NULL);
	output_set_number(output, row, SECTOR, run->sector);
	output_set_number(output, row, SECTORS, run->sectors);
	output_set_number(output, row, SIZE,
			  run->sectors << COWSTACK_SECTOR_SHIFT);
}

/* What goes on where the last one ended, on another page perhaps, is one. */
static void add_run(struct output *output, struct sector_run *last,
		    const struct sector_run *run)
{
	if (last->sectors && run->sector == last->sector + last->sectors) {
		last->sectors += run->sectors;
		return;
	}
	print_run(output, last);
	*last = *run;
}

/*
 * One page.  @from: behind the last sector told of, is moved on; a kernel that
 * went back would have us ask for ever.
 */
static int add_page(struct output *output, const char *reply,
		    struct sector_run *last, u64 *from)
{
	struct sector_run run;
	int error;

	while (*reply) {
		error = run_line_parse(reply, &run);
		if (!error && run.sector < *from)
			error = -EPROTO;
		if (error)
			return error;
		add_run(output, last, &run);
		*from = run.sector + run.sectors;
		reply += strcspn(reply, "\n");
		reply += strspn(reply, "\n");
	}
	return 0;
}

static enum exit_code add_all(struct output *output,
			      const struct volume *volume)
{
	struct sector_run last = { };
	char message[48], *reply;
	bool more = true;
	u64 from = 0;
	enum exit_code code;
	int error;

	while (more) {
		snprintf(message, sizeof(message), "errors %llu", llu(from));
		code = stack_ask(volume, message, &reply);
		if (code)
			return code;
		more = *reply;
		error = add_page(output, reply, &last, &from);
		free(reply);
		if (error)
			return fail_errno(error, NULL, "%s: errors",
					  volume->stack->name);
	}
	print_run(output, &last);
	return EXIT_DONE;
}

enum exit_code error_list_print(const struct volume *volume, bool json)
{
	struct output *output = output_begin("errors", columns,
					     ARRAY_SIZE(columns), json);
	enum exit_code code = EXIT_DONE;

	if (output)
		code = add_all(output, volume);
	if (!code)
		return output_end(output);
	output_discard(output);
	return code;
}
