// SPDX-License-Identifier: GPL-2.0
/*
 * Cuts the power under two stacks on one store, again and again, and looks what
 * is left.  Runs in a guest; see disk.h for the disks, oracle.h for what counts
 * as lost, phase.h for where a cut falls.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "aim.h"
#include "drain.h"
#include "errors.h"
#include "full.h"
#include "job_aim.h"
#include "jobs.h"
#include "layer_content.h"
#include "mapper.h"
#include "offline.h"
#include "options.h"
#include "phase.h"
#include "pull.h"
#include "replay.h"
#include "ring.h"
#include "spent.h"
#include "stacks.h"
#include "tally.h"
#include "workload.h"

enum {
	CUTS_PER_EPISODE = 20,
	REST_US = 6000,			/* users', while a job is waited for */
	CHURN_SECONDS = 30,
	WAIT_SECONDS = 90,		/* for a commit */
	HANG_SECONDS = 240,
};

static struct random choices;

static struct workload_options work;

/* Small writes and flushes, and a volume that grows, for the ring's sake. */
static bool churning;

/* --- what runs until the cut --- */

static void start_commit(unsigned int volume)
{
	static const char * const speeds[] = { "", "", " speed 4M", " speed 1M" };
	bool quiet = random_percent(&choices, 70);
	const char *speed =
		speeds[random_below(&choices, ARRAY_SIZE(speeds))];

	workload_allow_reads(false);
	if (quiet)
		workload_pause();
	stacks_commit(volume, quiet, speed);
	if (quiet)
		workload_resume();
}

static bool aims_at_master(void)
{
	return aim.phase == PHASE_MASTER_WRITE ||
	       aim.phase == PHASE_MASTER_FLUSH;
}

static bool wants_commit(void)
{
	bool aims = (aim.phase >= PHASE_GATHER && aim.phase <= PHASE_FINISH) ||
		    aims_at_master();
	unsigned int percent = aims ? 30 : 3;

	if (churning)
		percent = 1;
	return random_percent(&choices, workload_was_full() ? 60 : percent);
}

/* With nothing written in between, the layer between the two is empty. */
static void snapshot_twice_and_drop(unsigned int volume)
{
	workload_pause();
	if (!stacks_snapshot(volume) && !stacks_snapshot(volume))
		stacks_drop_empty(volume);
	workload_resume();
}

/* The stack below, while no commit from above writes to it. */
static void tend_lower(unsigned int volume)
{
	if (!stacks_check_lower(volume) &&
	    random_percent(&choices, aims_at_master() ? 50 : 5))
		stacks_commit_lower(volume);
}

/* One look at one volume, and perhaps something done to it. */
static bool tend(unsigned int volume)
{
	struct stack_view view;

	if (stacks_view(volume, &view))
		return false;
	stacks_check_commit(volume, &view, false);
	if (view.running) {
		if (random_percent(&choices, 1))
			stacks_cancel(volume);
		else if (view.layers < 12 && random_percent(&choices, 5))
			stacks_snapshot(volume);
		return true;
	}
	if (options.tiers)
		tend_lower(volume);
	if (wants_commit()) {
		start_commit(volume);
		return true;
	}
	if (view.layers < 12 &&
	    random_percent(&choices,
			   aim.phase == PHASE_SNAPSHOT ? 30 :
			   churning ? 1 : 5))
		stacks_snapshot(volume);
	else if (random_percent(&choices, 5))
		snapshot_twice_and_drop(volume);
	return false;
}

static void tend_until_cut(void)
{
	double end = spent_now() + (churning ? CHURN_SECONDS : options.work_seconds);
	unsigned int v;

	while (power_is_on() && !oracle_finding() && spent_now() < end) {
		bool running = false;

		/* With something to lose, what matters is how soon a job gets there. */
		if (!churning && aim.kind == AIM_JOB && oracle_all_are_at_stake())
			workload_rest(REST_US);
		for (v = 0; v < VOLUMES && power_is_on(); v++)
			running |= options.jobs ?
				jobs_tend(v, aim.job, !churning) : tend(v);
		workload_allow_reads(!running);
		usleep((churning ? 50000 : 2000) +
		       random_below(&choices, 8000));
	}
}

/* Words of whole chunks move between layers, and nothing is copied. */
static bool wants_parts(void)
{
	return (aim.job.kind == JOB_LAYER || aim.job.kind == JOB_STREAM ||
		aim.job.kind == JOB_STREAM_TOP) &&
	       (aim.job.stage == STAGE_GATHER || aim.job.stage == STAGE_WRITE);
}

static void work_until_cut(void)
{
	work.seed = random_next(&choices);
	work.flush_percent = aim.phase == PHASE_CHECKPOINT ? 50 :
			     10 + random_below(&choices, 30);
	if (options.flush_percent)
		work.flush_percent = options.flush_percent;
	work.fua_percent = options.fua_percent;
	work.discard_percent = options.discard_percent ?:
			       random_below(&choices, 25);
	work.most_sectors = 16u << random_below(&choices,
						wants_parts() ? 2 : 5);
	if (churning) {
		work.flush_percent = 50;
		work.discard_percent = 1;
		work.most_sectors = 2;
		work.rest_us = 20000;
		disk_set_late_percent(0);
		ring_start();
	}
	workload_start(stack_paths, &work);
	tend_until_cut();
	power_fail();
	spent_begin(SPENT_STOP);
	workload_stop();
	if (churning)
		ring_stop();
}

/* --- the loop --- */

static void note_journal(void)
{
	struct store_view view;

	if (stacks_view_store(&view))
		return;
	tally.episode_position = max(tally.episode_position, view.position);
	tally.checkpoints += view.checkpoints;
}

static void end_episode_figures(void)
{
	tally.journal_blocks += tally.episode_position;
	tally.episode_position = 0;
}

static void begin_episode(void)
{
	static const u32 chunk_sizes[] = { 8, 16, 32, 64 };
	static const char * const on_full[] = {
		"2 on_full error", "2 on_full error",
		"2 no_space_timeout 1",
	};
	u32 chunk = chunk_sizes[random_below(&choices,
					     ARRAY_SIZE(chunk_sizes))];
	u64 data = 512 + random_below(&choices, 9) * 128;

	data = max_t(u64, data, COWSTACK_MIN_CHUNKS * chunk);
	/* Streams take room: for all of both bases. */
	if (options.jobs)
		data += VOLUMES * VOLUME_SECTORS;
	end_episode_figures();
	work.chunk_sectors = chunk;
	if (options.tiers)
		stacks_format_lower(chunk_sizes[random_below(&choices,
							     ARRAY_SIZE(chunk_sizes))]);
	stacks_format(chunk, data,
		      on_full[random_below(&choices, ARRAY_SIZE(on_full))]);
	jobs_reset();
	printf("# a new store: chunks of %u sectors, %llu sectors of data\n",
	       chunk, (unsigned long long)data);
}

static void check_bases(void)
{
	struct stack_view view;
	unsigned int v;

	if (options.jobs) {
		jobs_after_bring_up();
		return;
	}
	for (v = 0; v < VOLUMES; v++)
		if (!stacks_view(v, &view))
			stacks_check_commit(v, &view, true);
}

static int bring_up_and_check(void)
{
	int error = stacks_bring_up();

	spent_begin(SPENT_CHECK);
	return error ?: stacks_check();
}

/* From one cut, or stop, to the next. */
static void run_to_cut(void)
{
	spent_begin(SPENT_BRING_UP);
	power_on();
	if (options.jobs)
		jobs_before_bring_up();
	if (!bring_up_and_check() && !oracle_finding()) {
		spent_begin(SPENT_JOBS);
		check_bases();
		aim_behind_recovery();
		spent_begin(SPENT_WORK);
		work_until_cut();
		note_journal();
	}
	spent_begin(SPENT_TAKE_DOWN);
	power_fail();
	if (!oracle_finding())
		tally_cut(churning);
	stacks_take_down();
	spent_begin(SPENT_OFFLINE);
	aim.countdown = 0;
	power_on();
	offline_check();
	spent_begin(SPENT_OTHER);
}

static bool wait_for_commit(unsigned int volume)
{
	struct stack_view view = { .running = true };
	double end = spent_now() + WAIT_SECONDS;

	while (view.running && spent_now() < end && !oracle_finding()) {
		usleep(5000);
		if (stacks_view(volume, &view))
			return false;
	}
	stacks_check_commit(volume, &view, false);
	return view.completed;
}

/* What has gone down goes on into the master. */
static void commit_lower(void)
{
	double end = spent_now() + WAIT_SECONDS;
	unsigned int v;

	for (v = 0; v < VOLUMES && !oracle_finding(); v++) {
		while (stacks_check_lower(v) && spent_now() < end)
			usleep(5000);
		stacks_commit_lower(v);
		while (stacks_check_lower(v) && spent_now() < end)
			usleep(5000);
		if (spent_now() >= end)
			oracle_report("a lower commit does not end",
				      "volume %u", v + 1);
	}
}

/* Everything goes down: the bases alone are the volumes. */
static void end_episode(void)
{
	unsigned int v, round;

	alarm(HANG_SECONDS);
	aim.countdown = 0;
	power_on();
	if (options.jobs)
		jobs_before_bring_up();
	if (stacks_bring_up() || stacks_check())
		return;
	if (options.jobs) {
		jobs_after_bring_up();
		jobs_end();
	}
	/* First what still runs or was cancelled, then what the top holds. */
	for (round = 0; round < 2 && !options.jobs; round++)
		for (v = 0; v < VOLUMES && !oracle_finding(); v++) {
			if (round)
				stacks_commit(v, true, "");
			if (!wait_for_commit(v) && round)
				oracle_report("a commit does not end",
					      "volume %u", v + 1);
		}
	if (options.tiers)
		commit_lower();
	stacks_check();
	note_journal();
	stacks_take_down();
}

static bool is_done(void)
{
	churning |= tally_is_enough();
	if (churning)
		aim_at_ring_from_now_on();
	return oracle_finding() || (churning && tally_has_wrapped_enough());
}

static void run_all(void)
{
	unsigned int cuts = 0;		/* of this episode */

	while (!is_done()) {
		if (!cuts)
			begin_episode();
		aim_take(&choices, cuts > 0);
		alarm(HANG_SECONDS);
		run_to_cut();
		if (++cuts == CUTS_PER_EPISODE) {
			cuts = 0;
			if (!oracle_finding())
				end_episode();
		}
	}
	if (cuts && !oracle_finding())
		end_episode();
	alarm(0);
}

/* --- what is said --- */

static void on_alarm(int signal)
{
	static const char text[] =
		"not ok 1 - a hang: the cut did not come, or devices do not go\n1..1\n";

	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void print_figures(double seconds)
{
	printf("# %llu operations, %llu discards did nothing for want of room\n",
	       (unsigned long long)oracle_operations(),
	       (unsigned long long)oracle_doubts());
	if (!options.jobs)
		printf("# %llu commits begun, %llu bases looked at alone\n",
		       (unsigned long long)stacks_commits(),
		       (unsigned long long)stacks_bases_checked());
	if (options.tiers)
		printf("# %llu halves of the master looked at alone\n",
		       (unsigned long long)stacks_masters_checked());
	printf("# %llu layers dropped, a volume grew %llu times\n",
	       (unsigned long long)stacks_drops(),
	       (unsigned long long)ring_grown());
	tally_print();
	offline_print_figures();
	if (options.jobs) {
		jobs_print_figures();
		job_aim_print();
	}
	printf("# %.1f s, %.2f s a cut\n", seconds,
	       tally.total ? seconds / tally.total : 0);
	spent_print(tally.total);
}

static bool leaves_power_on(void)
{
	return options.pulls || options.fulls || options.replays ||
	       options.errors;
}

/* What else may befall the disks; the power stays on. */
static void run_without_cuts(void)
{
	pull_run(options.pulls, &choices);
	full_run(options.fulls, &choices);
	replay_run(options.replays, &choices);
	errors_run(options.errors, &choices);
}

/* For who adds up those of several runs. */
static void print_totals(void)
{
	printf("# totals: %s=%u torn=%u recoveries=%u replayed=%u",
	       options.tiers ? "tiers" : "cuts", tally.total, tally.torn,
	       tally.again, replay_states());
	printf(" pulled=%u errors=%u full=%u full_in_commit=%u\n", pull_count(),
	       errors_count(), full_in_work(), full_in_commit());
}

static void judge_without_cuts(void)
{
	const char *finding = oracle_finding();

	tally_ok(!finding, "nothing acknowledged is lost%s%s",
		 finding ? ": " : "", finding ?: "");
	if (options.pulls) {
		tally_ok(pull_count() >= options.pulls,
			 "%u disks pulled in mid-commit, %u wanted: status and event said so, a retry ended",
			 pull_count(), options.pulls);
		pull_print();
	}
	if (options.fulls)
		tally_ok(full_in_work() >= options.fulls &&
			 full_in_commit() >= options.fulls,
			 "the store was full %u times in work, %u times in mid-commit, %u wanted; writers went on",
			 full_in_work(), full_in_commit(), options.fulls);
	if (options.errors) {
		tally_ok(errors_count() >= options.errors,
			 "%u requests failed, %u wanted: nobody lost what he was told, a commit ended",
			 errors_count(), options.errors);
		errors_print();
	}
	if (options.replays) {
		tally_ok(replay_states() >= options.replays,
			 "%u states at flushes of recorded runs were recovered from, %u wanted",
			 replay_states(), options.replays);
		tally_ok(replay_each_was_alone(),
			 "the store's disk, and a base's, lost what it held, and no other did");
		if (options.replays >= REPLAY_MANY)
			tally_ok(replay_all_was_begun(),
				 "the runs had commits, streams and make_empty");
		replay_print();
	}
}

static void judge(void)
{
	if (leaves_power_on()) {
		judge_without_cuts();
		return;
	}
	tally_judge();
	if (oracle_finding() || options.drain || options.only != PHASES ||
	    options.only_job.kind != JOB_KINDS)
		return;
	tally_ok(stacks_bases_checked() + layer_content_bases_checked() > 0,
		 "bases alone were the volumes as of their snapshots");
	if (options.tiers)
		tally_ok(stacks_masters_checked() > 0,
			 "the master alone was what lay over it");
}

int main(int argc, char **argv)
{
	double start = spent_now();
	unsigned int failures;

	options_parse(argc, argv);
	printf("# seed %llu\n", (unsigned long long)options.seed);
	choices.state = options.seed;
	signal(SIGALRM, on_alarm);
	mapper_init();
	jobs_init(&choices);
	workload_init();
	power_init(options.seed + 1, aim_watch);
	stacks_open_disks(options.tiers, options.blocks);
	if (options.drain)
		drain_run(&choices);
	else if (leaves_power_on())
		run_without_cuts();
	else
		run_all();
	judge();
	failures = tally_plan();
	print_figures(spent_now() - start);
	print_totals();
	fflush(stdout);
	/* After a finding devices may still be up: the guest ends with us. */
	if (!oracle_finding())
		stacks_close_disks();
	return failures ? 1 : 0;
}
