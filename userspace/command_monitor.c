// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "commands.h"
#include "hook.h"
#include "json.h"
#include "mapper_events.h"
#include "signals.h"
#include "size.h"

/* --- saying what has changed --- */

static void print_json(const struct change *change)
{
	const struct sighted *thing = change->thing;
	struct json json = { .file = stdout, .compact = true };

	json_begin_object(&json, NULL);
	json_number(&json, "time", time(NULL));
	json_string(&json, "kind", thing->is_store ? "store" : "stack");
	json_string(&json, "name", thing->name);
	json_string(&json, "event", change->event);
	json_string(&json, "value", change->value);
	json_string(&json, "before", change->before);
	json_string(&json, "mode", thing->mode);
	if (!thing->is_store) {
		json_string(&json, "store", thing->store);
		json_string(&json, "job", thing->job.kind);
		json_number(&json, "top", thing->job.top);
		json_number(&json, "base", thing->job.base);
		json_number(&json, "errno", thing->job.error);
		json_number(&json, "errors", thing->errors);
	}
	json_end_object(&json);
}

static void print_line(const struct change *change)
{
	const struct sighted *thing = change->thing;
	char now[SIZE_TEXT];

	time_print(time(NULL), now);
	printf("%s %s %s: %s", now, thing->is_store ? "store" : "stack",
	       thing->name, change->event);
	if (strcmp(change->event, "down"))
		printf(" %s", change->value);
	if (change->before && strcmp(change->event, "down"))
		printf(", was %s", change->before);
	if (!strcmp(change->event, "job") && thing->job.error)
		printf(": %s", strerror(thing->job.error));
	printf("\n");
}

static void handle_change(const struct change *change, void *data)
{
	const struct options *options = data;

	if (options->json)
		print_json(change);
	else
		print_line(change);
	if (change->urgent && options->exec) {
		/* A child has a copy of what was not written yet. */
		fflush(stdout);
		hook_start(options->exec, change);
	}
}

/* --- waiting --- */

/*
 * Arms, looks, waits: what happens while it looks makes the wait return at once.
 */
static enum exit_code look(int events, struct sighting *last, bool first,
			   const struct options *options)
{
	struct sighting now;
	enum exit_code code;
	int error = mapper_events_arm(events);

	if (error)
		return fail_errno(error, NULL, "waiting for events");
	code = sighting_take(&now);
	if (!code)
		sighting_compare(first ? NULL : last, &now, handle_change,
				 (void *)options);
	if (!code && fflush(stdout))
		code = fail_output(-errno, "standard output");
	sighting_free(last);
	*last = now;
	return code;
}

static void note_child(int number)
{
	/* Only so that the wait ends. */
}

/* It is let through by the wait alone, so that none is overlooked before it. */
static void watch_children(void)
{
	struct sigaction action = { .sa_handler = note_child };
	sigset_t set;

	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static enum exit_code monitor(int events, const struct options *options)
{
	struct sighting last = { };
	enum exit_code code = look(events, &last, true, options);

	while (!code && !signals_interrupted()) {
		if (signals_wait_for(events))
			code = look(events, &last, false, options);
		hook_reap(options->exec);
	}
	sighting_free(&last);
	return code;
}

enum exit_code command_monitor(const struct options *options)
{
	enum exit_code code = EXIT_DONE;
	int events;

	if (options->exec)
		code = hook_check(options->exec);
	if (code)
		return code;
	events = mapper_events_open();
	if (events < 0)
		return fail_errno(events, NULL, "/dev/mapper/control");
	watch_children();
	signals_watch();
	signals_hold();
	code = monitor(events, options);
	signals_release();
	return code;
}
