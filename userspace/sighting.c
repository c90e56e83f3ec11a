// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "message.h"
#include "sighting.h"

/* --- looking --- */

static void look_at_store(struct sighted *thing, const struct store *store)
{
	const struct store_status *status = &store->status;

	memset(thing, 0, sizeof(*thing));
	thing->is_store = true;
	snprintf(thing->name, sizeof(thing->name), "%s", store->device.name);
	snprintf(thing->mode, sizeof(thing->mode), "%s",
		 store->error ? "fail" : status->mode);
	thing->out_of_space = status->out_of_space;
}

/* False: it has gone since it was listed. */
static bool look_at_stack(struct sighted *thing, const struct volume *volume)
{
	struct stack_status status;

	memset(thing, 0, sizeof(*thing));
	snprintf(thing->name, sizeof(thing->name), "%s", volume->stack->name);
	if (volume->store)
		snprintf(thing->store, sizeof(thing->store), "%s",
			 volume->store->device.name);
	if (stack_status(volume->stack->name, &status))
		return false;
	snprintf(thing->mode, sizeof(thing->mode), "%s", status.mode);
	thing->job = status.job;
	thing->errors = statistic_find(&status.stats, "errors", 0);
	thing->base_time = statistic_find(&status.stats, "base_time", 0);
	if (!thing->job.state[0])
		strcpy(thing->job.state, "idle");
	return true;
}

static void look_at_all(struct sighting *sighting,
			const struct inventory *inventory)
{
	struct sighted *thing = sighting->things;
	size_t i;

	for (i = 0; i < inventory->store_count; i++)
		look_at_store(thing++, &inventory->stores[i]);
	for (i = 0; i < inventory->volume_count; i++)
		if (inventory->volumes[i].stack &&
		    look_at_stack(thing, &inventory->volumes[i]))
			thing++;
	sighting->count = thing - sighting->things;
}

enum exit_code sighting_take(struct sighting *sighting)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	memset(sighting, 0, sizeof(*sighting));
	if (!code) {
		sighting->things = calloc(inventory.store_count +
					  inventory.volume_count + 1,
					  sizeof(*sighting->things));
		if (sighting->things)
			look_at_all(sighting, &inventory);
		else
			code = fail_errno(-ENOMEM, NULL, "monitor");
	}
	inventory_free(&inventory);
	return code;
}

void sighting_free(struct sighting *sighting)
{
	free(sighting->things);
	memset(sighting, 0, sizeof(*sighting));
}

/* --- comparing --- */

struct comparison {
	void (*report)(const struct change *change, void *data);
	void *data;
	bool first;			/* look */
};

static void report(const struct comparison *comparison,
		   const struct sighted *thing, const char *event,
		   const char *value, const char *before, bool urgent)
{
	struct change change = {
		.thing = thing, .event = event, .value = value,
		.before = before, .urgent = urgent,
	};

	if (!comparison->first || urgent)
		comparison->report(&change, comparison->data);
}

static const struct sighted *find(const struct sighting *sighting,
				  const struct sighted *thing)
{
	size_t i;

	for (i = 0; i < sighting->count; i++)
		if (sighting->things[i].is_store == thing->is_store &&
		    !strcmp(sighting->things[i].name, thing->name))
			return &sighting->things[i];
	return NULL;
}

static void compare_mode(const struct comparison *comparison,
			 const struct sighted *before,
			 const struct sighted *now)
{
	const char *mode = before ? before->mode : "rw";

	if (strcmp(mode, now->mode))
		report(comparison, now, "mode", now->mode,
		       before ? mode : NULL, strcmp(now->mode, "rw"));
}

static void compare_room(const struct comparison *comparison,
			 const struct sighted *before,
			 const struct sighted *now)
{
	bool was = before && before->out_of_space;

	if (was != now->out_of_space)
		report(comparison, now, "out_of_space",
		       now->out_of_space ? "1" : "0",
		       before ? (was ? "1" : "0") : NULL, now->out_of_space);
}

/* One that has ended may be followed by one that ends as well. */
static bool is_same_job(const struct sighted *before, const struct sighted *now)
{
	const struct job_status *a = &before->job, *b = &now->job;

	return !strcmp(a->state, b->state) && !strcmp(a->kind, b->kind) &&
	       a->top == b->top && a->base == b->base &&
	       before->base_time == now->base_time;
}

static void compare_job(const struct comparison *comparison,
			const struct sighted *before, const struct sighted *now)
{
	const char *state = now->job.state;
	bool stopped = !strcmp(state, "stopped");

	if (before ? is_same_job(before, now) : !strcmp(state, "idle"))
		return;
	report(comparison, now, "job", state,
	       before ? before->job.state : NULL,
	       stopped || (!comparison->first && !strcmp(state, "completed")));
}

static void compare_thing(const struct comparison *comparison,
			  const struct sighted *before,
			  const struct sighted *now)
{
	if (!before)
		report(comparison, now, "up", now->mode, NULL, false);
	compare_mode(comparison, before, now);
	if (now->is_store)
		compare_room(comparison, before, now);
	else
		compare_job(comparison, before, now);
}

void sighting_compare(const struct sighting *before,
		      const struct sighting *now,
		      void (*callback)(const struct change *change, void *data),
		      void *data)
{
	static const struct sighting nothing;
	struct comparison comparison = {
		.report = callback, .data = data, .first = !before,
	};
	size_t i;

	before = before ? before : &nothing;
	for (i = 0; i < before->count; i++)
		if (!find(now, &before->things[i]))
			report(&comparison, &before->things[i], "down", "-",
			       before->things[i].mode, false);
	for (i = 0; i < now->count; i++)
		compare_thing(&comparison, find(before, &now->things[i]),
			      &now->things[i]);
}
