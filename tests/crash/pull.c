// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "aim.h"
#include "mapper.h"
#include "offline.h"
#include "pull.h"
#include "spent.h"
#include "stacks.h"
#include "workload.h"

enum {
	MILLISECOND = 1000,
	WAIT_SECONDS = 60,
	ROUNDS_OF_A_STORE = 10,
};

static struct {
	struct random *random;
	unsigned int volume;		/* that is committed */
	u32 event;			/* the last one before the pull */
	unsigned int of_store, of_base;
	unsigned int at[PHASES];
	int start_error;
	u64 written_meanwhile;
} pull;

static bool wait_until(bool (*is_so)(void), const char *what)
{
	double end = spent_now() + WAIT_SECONDS;

	while (spent_now() < end && !oracle_finding()) {
		if (is_so())
			return true;
		usleep(2 * MILLISECOND);
	}
	oracle_report("pull: waited in vain", "%s", what);
	return false;
}

static bool some_is_flushed(void)
{
	return oracle_all_are_at_stake();
}

static bool is_pulled(void)
{
	return disk_has_erred();
}

static bool commit_stands(void)
{
	struct stack_view view;

	return stacks_view(pull.volume, &view) || !view.running;
}

/* Either it is gone in mid-commit, or the commit was at its end too soon. */
static bool is_pulled_or_over(void)
{
	return is_pulled() || commit_stands();
}

static bool has_completed(void)
{
	struct stack_view view;

	return !stacks_view(pull.volume, &view) && view.completed && view.valid;
}

static bool store_is_read_only(void)
{
	struct store_view view;

	return stacks_view_store(&view) || !view.writable;
}

static const char *volume_name(void)
{
	return pull.volume ? "v2" : "v1";
}

/* Until the disk has gone; a commit that ends before is followed by the next. */
static bool commit_until_pulled(void)
{
	unsigned int tries;

	for (tries = 0; tries < 20 && !is_pulled(); tries++) {
		if (!wait_until(some_is_flushed, "nothing is flushed"))
			return false;
		workload_pause();
		pull.event = mapper_events(volume_name());
		pull.start_error = stacks_commit(pull.volume, true, "");
		workload_resume();
		if (!wait_until(is_pulled_or_over, "a commit does not end"))
			return false;
	}
	if (is_pulled())
		return true;
	oracle_report("pull: waited in vain", "no commit comes to that phase");
	return false;
}

/* It comes behind what it tells of. */
static bool event_was_raised(void)
{
	return mapper_events(volume_name()) != pull.event;
}

/* Status and event say that the job has stopped, and with which error. */
static bool is_told(bool of_store)
{
	struct stack_view view;
	char text[1024] = "";

	if (!wait_until(commit_stands, "a commit goes on without its disk"))
		return false;
	if (of_store &&
	    !wait_until(store_is_read_only, "a store without its disk is rw"))
		return false;
	if (stacks_view(pull.volume, &view))
		return false;
	/* With its last data flushed a commit needs the HDD no more. */
	if (!of_store && view.completed &&
	    (aim.fell_on == PHASE_LET_GO || aim.fell_on == PHASE_FINISH))
		return true;
	if (!view.stopped || !view.error) {
		mapper_status(volume_name(), text, sizeof(text));
		oracle_report("pull: the status is silent", "volume %u: %s; commit start: %s",
			      pull.volume + 1, text, strerror(-pull.start_error));
	}
	return wait_until(event_was_raised, "no event was raised");
}

/* The store and the other base are there: users go on, and are answered. */
static void write_without_base(void)
{
	u64 before = oracle_operations();

	usleep(100 * MILLISECOND);
	pull.written_meanwhile += oracle_operations() - before;
}

static void plug_in(struct disk *disk)
{
	int error = disk_plug(disk);

	if (error)
		oracle_report("pull: the disk does not come back", "%s: %s",
			      disk->path, strerror(-error));
}

static bool base_comes_back(struct disk *disk)
{
	int error;

	write_without_base();
	workload_stop();
	plug_in(disk);
	error = stacks_reload(pull.volume);
	if (error)
		oracle_report("a base that comes back is refused", "%s",
			      strerror(-error));
	return !oracle_finding() && !stacks_check_now();
}

static bool store_comes_back(struct disk *disk)
{
	workload_stop();
	stacks_take_down();
	plug_in(disk);
	if (!oracle_finding())
		offline_check();
	return !oracle_finding() && !stacks_bring_up() && !stacks_check();
}

static void finish_commit(void)
{
	struct stack_view view;

	if (stacks_view(pull.volume, &view) ||
	    (!view.running && !view.completed &&
	     stacks_commit_again(pull.volume)))
		return;
	if (!wait_until(has_completed, "a retry does not finish") ||
	    stacks_view(pull.volume, &view))
		return;
	stacks_check_commit(pull.volume, &view, false);
	stacks_check_now();
}

static void run_round(bool of_store)
{
	static const enum phase phases[] = {
		PHASE_GATHER, PHASE_WRITE, PHASE_FLUSH, PHASE_LET_GO,
		PHASE_FINISH,
	};
	struct workload_options work = {
		.seed = random_next(pull.random), .fua_percent = 10,
		.flush_percent = 20,
		.discard_percent = 5, .most_sectors = 128, .chunk_sectors = 16,
	};
	struct disk *disk;

	pull.volume = random_below(pull.random, VOLUMES);
	disk = of_store ? &store_disk : &base_disks[pull.volume];
	if (stacks_bring_up() || stacks_check() || oracle_finding())
		return;
	workload_start(stack_paths, &work);
	workload_allow_reads(false);
	aim_pull(disk, phases[random_below(pull.random, ARRAY_SIZE(phases))],
		 pull.random);
	if (!commit_until_pulled() || !is_told(of_store)) {
		workload_stop();
		return;
	}
	pull.at[aim.fell_on]++;
	pull.of_store += of_store;
	pull.of_base += !of_store;
	printf("# pull %u: %s, at %s\n", pull_count(), disk->name,
	       phase_name(aim.fell_on));
	if (of_store ? store_comes_back(disk) : base_comes_back(disk))
		finish_commit();
	if (!oracle_finding())
		stacks_take_down();
}

void pull_run(unsigned int rounds, struct random *random)
{
	unsigned int round;

	pull.random = random;
	for (round = 0; round < rounds && !oracle_finding(); round++) {
		if (!(round % ROUNDS_OF_A_STORE))
			stacks_format(16, 6144, "2 on_full error");
		alarm(4 * WAIT_SECONDS);
		run_round(round % 2);
	}
	alarm(0);
	aim.pull = NULL;
}

unsigned int pull_count(void)
{
	return pull.of_store + pull.of_base;
}

void pull_print(void)
{
	enum phase phase;

	printf("# the SSD was pulled %u times, an HDD %u times; at",
	       pull.of_store, pull.of_base);
	for (phase = 0; phase < phase_count(); phase++)
		if (pull.at[phase])
			printf(" %s %u", phase_name(phase), pull.at[phase]);
	printf("; %llu operations while an HDD was gone\n",
	       (unsigned long long)pull.written_meanwhile);
}
