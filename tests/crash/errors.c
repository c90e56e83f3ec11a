// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "aim.h"
#include "errors.h"
#include "mapper.h"
#include "offline.h"
#include "spent.h"
#include "stacks.h"
#include "workload.h"

enum {
	MILLISECOND = 1000,
	WAIT_SECONDS = 60,
	ROUNDS_OF_A_STORE = 12,
	PLACE_REQUESTS = 40,		/* the n-th one fails, n up to that */
};

enum place { PLACE_LOAD, PLACE_WORK, PLACE_COMMIT, PLACES };

static struct {
	struct random *random;
	unsigned int volume;
	unsigned int next[PLACES][2];	/* of the SSD's requests, of an HDD's */
	unsigned int at[PLACES][2];	/* errors there */
	unsigned int read_only;		/* stores that turned so */
	unsigned int stopped;		/* jobs */
	unsigned int refused;		/* loads */
	unsigned int cuts;		/* of the power, behind an error */
} errors;

static bool wait_until(bool (*is_so)(void), const char *what)
{
	double end = spent_now() + WAIT_SECONDS;

	while (spent_now() < end && !oracle_finding()) {
		if (is_so())
			return true;
		usleep(2 * MILLISECOND);
	}
	oracle_report("errors: waited in vain", "%s", what);
	return false;
}

static bool some_is_flushed(void)
{
	return oracle_all_are_at_stake() || disk_has_erred();
}

static bool commit_stands(void)
{
	struct stack_view view;

	return stacks_view(errors.volume, &view) || !view.running;
}

static bool has_completed(void)
{
	struct stack_view view;

	return !stacks_view(errors.volume, &view) && view.completed &&
	       view.valid;
}

static bool erred_or_commit_stands(void)
{
	return disk_has_erred() || commit_stands();
}

static void count_modes(void)
{
	struct store_view store;
	struct stack_view stack;

	if (!stacks_view_store(&store))
		errors.read_only += !store.writable;
	if (!stacks_view(errors.volume, &stack))
		errors.stopped += stack.stopped;
}

/* In work it is the n-th of all requests, in a commit of all from its start on. */
static void wait_for_error(enum place place)
{
	double end = spent_now() + 2;

	if (place == PLACE_COMMIT) {
		workload_rest(5 * MILLISECOND);
		stacks_commit(errors.volume, false, "");
		wait_until(erred_or_commit_stands, "a commit does not end");
		return;
	}
	while (!disk_has_erred() && spent_now() < end)
		usleep(2 * MILLISECOND);
}

static void aim_at(enum place place, bool of_base)
{
	unsigned int *next = &errors.next[place][of_base];

	*next = *next % PLACE_REQUESTS + 1;
	aim_error(of_base ? &base_disks[errors.volume] : &store_disk,
		  place == PLACE_LOAD,
		  /* Users read it too; only a commit writes to it. */
		  place == PLACE_COMMIT && of_base, *next);
}

static void come_up_again(void)
{
	struct stack_view view;

	if (stacks_bring_up() || stacks_check() ||
	    stacks_view(errors.volume, &view))
		return;
	if (!view.running)
		stacks_commit(errors.volume, false, "");
	if (wait_until(has_completed, "a commit does not end when the error is gone"))
		stacks_check_now();
	stacks_take_down();
	if (!oracle_finding())
		offline_check();
}

/* All is as it was written, whatever the mode. */
static void look_at_live(void)
{
	wait_until(commit_stands, "a commit does not end");
	count_modes();
	stacks_check_now();
}

/* Looked at live all is flushed again, which would heal a wrong answer: half of them are cut. */
static void look_or_cut(void)
{
	if (!disk_has_erred() || random_percent(errors.random, 50)) {
		look_at_live();
		return;
	}
	power_fail();
	errors.cuts++;
}

static void run_round(enum place place, bool of_base)
{
	struct workload_options work = {
		.seed = random_next(errors.random), .fua_percent = 10,
		.flush_percent = 20, .discard_percent = 5, .most_sectors = 64,
		.chunk_sectors = 16,
	};
	int error;

	errors.volume = random_below(errors.random, VOLUMES);
	if (place == PLACE_LOAD)
		aim_at(place, of_base);
	error = stacks_bring_up();
	errors.refused += !!error;
	if (!error && !stacks_check_now()) {
		workload_start(stack_paths, &work);
		wait_until(some_is_flushed, "nothing is flushed");
		if (place != PLACE_LOAD) {
			aim_at(place, of_base);
			wait_for_error(place);
		}
		aim.countdown = 0;
		usleep(30 * MILLISECOND);
		workload_stop();
		look_or_cut();
	}
	aim.countdown = 0;
	errors.at[place][of_base] += disk_has_erred();
	/* There were fewer than that: again from the first. */
	if (!disk_has_erred())
		errors.next[place][of_base] = 0;
	stacks_take_down();
	power_on();
	disk_forget_error();
	if (!oracle_finding())
		come_up_again();
}

void errors_run(unsigned int wanted, struct random *random)
{
	unsigned int round;

	errors.random = random;
	for (round = 0; round < 3 * wanted; round++) {
		if (errors_count() == wanted || oracle_finding())
			break;
		if (!(round % ROUNDS_OF_A_STORE))
			stacks_format(16, 6144, "2 on_full error");
		alarm(4 * WAIT_SECONDS);
		run_round(round / 2 % PLACES, round % 2);
	}
	alarm(0);
}

unsigned int errors_count(void)
{
	unsigned int place, sum = 0;

	for (place = 0; place < PLACES; place++)
		sum += errors.at[place][0] + errors.at[place][1];
	return sum;
}

void errors_print(void)
{
	printf("# errors of the SSD/an HDD: at load %u/%u, in work %u/%u, in a commit %u/%u\n",
	       errors.at[PLACE_LOAD][0], errors.at[PLACE_LOAD][1],
	       errors.at[PLACE_WORK][0], errors.at[PLACE_WORK][1],
	       errors.at[PLACE_COMMIT][0], errors.at[PLACE_COMMIT][1]);
	printf("# %u loads were refused, %u stores turned ro, %u jobs stopped\n",
	       errors.refused, errors.read_only, errors.stopped);
	printf("# behind %u errors the power went\n", errors.cuts);
}
