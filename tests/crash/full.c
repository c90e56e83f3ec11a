// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "full.h"
#include "mapper.h"
#include "offline.h"
#include "spent.h"
#include "stacks.h"
#include "workload.h"

enum { MILLISECOND = 1000, WAIT_SECONDS = 60 };

static struct {
	struct random *random;
	unsigned int volume;		/* that is committed first */
	bool waits;			/* writes do, for a second; or fail */
	u64 operations;			/* when room came back */
	unsigned int in_work, in_commit;
} full;

static bool wait_until(bool (*is_so)(void), const char *what)
{
	double end = spent_now() + WAIT_SECONDS;

	while (spent_now() < end && !oracle_finding()) {
		if (is_so())
			return true;
		usleep(2 * MILLISECOND);
	}
	oracle_report("full: waited in vain", "%s", what);
	return false;
}

/* A write has failed for want of room, or one waits for it. */
static bool is_full(void)
{
	struct store_view view;

	return workload_was_full() ||
	       (full.waits && !stacks_view_store(&view) && view.parked);
}

static bool commit_runs(void)
{
	struct stack_view view;

	return !stacks_view(full.volume, &view) && view.running;
}

static bool is_full_or_over(void)
{
	return is_full() || !commit_runs();
}

static bool has_ended(void)
{
	return !commit_runs();
}

static bool writers_go_on(void)
{
	return oracle_operations() > full.operations + 20;
}

static const char *volume_name(void)
{
	return full.volume ? "v2" : "v1";
}

static void check_commit(void)
{
	struct stack_view view;

	if (stacks_view(full.volume, &view))
		return;
	if (!view.completed)
		oracle_report("full: a commit has not completed", "errno %d",
			      view.error);
	stacks_check_commit(full.volume, &view, false);
}

/* So slow that writers take again what it gives back. */
static void commit_under_writers(void)
{
	if (stacks_commit(full.volume, false, " speed 256K yield 0"))
		return;
	/* A write that had found no room before may still be to answer. */
	usleep(50 * MILLISECOND);
	workload_forget_full();
	if (!wait_until(is_full_or_over, "a commit does not end"))
		return;
	full.in_commit += commit_runs();
	mapper_message(volume_name(), "commit speed 0");
	if (wait_until(has_ended, "a commit in a full store does not end"))
		check_commit();
}

static void make_room(unsigned int volume)
{
	full.volume = volume;
	if (!stacks_commit(volume, false, "") &&
	    wait_until(has_ended, "a commit in a full store does not end"))
		check_commit();
}

static void run_round(bool waits)
{
	struct workload_options work = {
		.seed = random_next(full.random), .fua_percent = 10,
		.flush_percent = 15,
		.discard_percent = 3, .most_sectors = 256, .chunk_sectors = 16,
	};

	full.volume = random_below(full.random, VOLUMES);
	full.waits = waits;
	stacks_format(16, 768, waits ? "2 no_space_timeout 1" :
				       "2 on_full error");
	if (stacks_bring_up() || stacks_check())
		return;
	workload_start(stack_paths, &work);
	workload_allow_reads(false);
	if (wait_until(is_full, "a small store does not become full")) {
		full.in_work++;
		commit_under_writers();
	}
	/* Room comes back: of both, until nobody is left who waits. */
	if (!oracle_finding())
		make_room(0);
	if (!oracle_finding())
		make_room(1);
	full.operations = oracle_operations();
	if (!oracle_finding())
		wait_until(writers_go_on, "with room nobody goes on");
	workload_stop();
	if (!oracle_finding())
		stacks_check_now();
	stacks_take_down();
	if (!oracle_finding())
		offline_check();
}

void full_run(unsigned int rounds, struct random *random)
{
	unsigned int tries;

	full.random = random;
	for (tries = 0; tries < 3 * rounds; tries++) {
		if (full.in_commit == rounds || oracle_finding())
			break;
		alarm(4 * WAIT_SECONDS);
		run_round(tries % 2);
	}
	alarm(0);
}

unsigned int full_in_work(void)
{
	return full.in_work;
}

unsigned int full_in_commit(void)
{
	return full.in_commit;
}
