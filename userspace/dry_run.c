// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "dry_run.h"
#include "json.h"
#include "message.h"
#include "size.h"

static enum exit_code ask(struct dry_run *run, const struct volume *volume,
			  const char *range)
{
	const char *name = volume->stack->name;
	char message[128], *reply;
	enum exit_code code;
	int error;

	snprintf(message, sizeof(message), "commit plan%s", range);
	code = stack_ask(volume, message, &reply);
	if (code)
		return code;
	error = plan_line_parse(reply, &run->plan);
	free(reply);
	if (error)
		return fail_errno(error, NULL, "%s: commit plan", name);
	return EXIT_DONE;
}

/* What the kernel has measured of this volume's job, as far as it still tells. */
static void choose_rate(struct dry_run *run, const struct volume *volume,
			u64 given)
{
	struct stack_status status;

	run->rate = given;
	if (given || stack_status(volume->stack->name, &status))
		return;
	run->rate = statistic_find(&status.stats, "rate_bytes", 0);
	run->measured = true;
}

/* Zeroes cost something only where the base has to be sent them. */
static bool has_to_send_zeroes(const struct dry_run *run,
			       const struct volume *volume)
{
	unsigned int major, minor;

	return !run->plan.base && volume_base_number(volume, &major, &minor) &&
	       !device_has_write_zeroes(major, minor);
}

static u64 count_bytes_sent(const struct dry_run *run)
{
	return run->plan.data_bytes +
	       (run->zeroes_are_sent ? run->plan.zero_bytes : 0);
}

static u64 estimate_seconds(const struct dry_run *run)
{
	return DIV_ROUND_UP(count_bytes_sent(run), run->rate);
}

static void print_json(const struct dry_run *run)
{
	const struct commit_plan *plan = &run->plan;
	struct json json = { .file = stdout };

	json_begin_object(&json, NULL);
	json_number(&json, "top", plan->top);
	json_number(&json, "base", plan->base);
	json_number(&json, "chunks", plan->chunks);
	json_number(&json, "data_bytes", plan->data_bytes);
	json_number(&json, "zero_bytes", plan->zero_bytes);
	json_number(&json, "requests", plan->requests);
	json_number(&json, "freed_bytes",
		    plan->freed_chunks * run->chunk_bytes);
	if (run->rate) {
		json_number(&json, "rate", run->rate);
		json_number(&json, "seconds", estimate_seconds(run));
	} else {
		json_null(&json, "rate");
		json_null(&json, "seconds");
	}
	json_end_object(&json);
}

static void print_time(const struct dry_run *run)
{
	char time[SIZE_TEXT], rate[SIZE_TEXT];

	if (!run->rate)
		printf("  time  not known: no rate was measured; --speed RATE would tell\n");
	else
		printf("  time  %s at %s/s, %s\n",
		       duration_print(estimate_seconds(run), time),
		       size_print(run->rate, rate),
		       run->measured ? "as measured" :
				       "as given");
}

static void print_text(const struct dry_run *run)
{
	char data[SIZE_TEXT], zeroes[SIZE_TEXT], room[SIZE_TEXT];
	const struct commit_plan *plan = &run->plan;
	char base[32] = "the base";

	if (plan->base)
		snprintf(base, sizeof(base), "layer %u", plan->base);
	if (!plan->chunks && !plan->freed_chunks) {
		printf("%s: nothing to commit into %s\n", run->name,
		       base);
		return;
	}
	printf("%s: commit of layer %u and what lies below it into %s\n",
	       run->name, plan->top, base);
	printf("  data  %s, and %s of zeroes, in %llu chunks and %llu requests\n",
	       size_print(plan->data_bytes, data),
	       size_print(plan->zero_bytes, zeroes), llu(plan->chunks),
	       llu(plan->requests));
	printf("  room  %s of the store come back\n",
	       size_print(plan->freed_chunks * run->chunk_bytes, room));
	print_time(run);
}

void dry_run_print(const struct dry_run *run, bool json)
{
	if (json)
		print_json(run);
	else
		print_text(run);
}

enum exit_code dry_run(const struct volume *volume,
		       const struct job_request *request, bool json)
{
	struct dry_run run = {
		.name = volume->name,
		.chunk_bytes = volume_chunk_bytes(volume),
	};
	enum exit_code code = ask(&run, volume, request->range);

	if (code)
		return code;
	choose_rate(&run, volume, request->speed);
	run.zeroes_are_sent = has_to_send_zeroes(&run, volume);
	dry_run_print(&run, json);
	return EXIT_DONE;
}
