// SPDX-License-Identifier: GPL-2.0
/*
 * Cuts the power under two stacks on one store, again and again, and looks what
 * is left.  Runs in a guest; see disk.h for the disks, oracle.h for what counts
 * as lost, phase.h for where a cut falls.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "drain.h"
#include "job_aim.h"
#include "jobs.h"
#include "layer_content.h"
#include "mapper.h"
#include "options.h"
#include "phase.h"
#include "ring.h"
#include "stacks.h"
#include "workload.h"

enum {
	CUTS_PER_EPISODE = 12,
	LEAST_PER_PHASE = 5,		/* of the cuts that there are by default */
	LEAST_PER_PLACE = 2,		/* of jobs: a stage of a kind */
	LEAST_WRAPPING = 10,		/* cuts while the ring goes round */
	WORK_SECONDS = 8,		/* at most, then the cut falls anywhere */
	CHURN_SECONDS = 30,
	HANG_SECONDS = 120,
	RING_BLOCKS = COWSTACK_MIN_METADATA_BLOCKS - COWSTACK_RING_START,
};

static struct random choices;

/* Where the next cut is to fall; the watch looks at it under the power's lock. */
static struct {
	enum phase phase;
	struct job_place job;		/* if of a kind, then there instead */
	int countdown;			/* requests of that phase; 0: no cut */
	bool wants_stake;		/* not before there is some … */
	bool has_stake;			/* … of both volumes */
	bool fell;
	enum phase fell_on;
	struct disk_request request;
	enum phase last;
	struct job_place last_job;
} aim = { .job = { JOB_KINDS, STAGES } };

static struct {
	unsigned int cuts[PHASES];
	unsigned int staked[PHASES][VOLUMES];	/* cuts with flushed data … */
	unsigned int both_staked[PHASES];	/* … in each volume */
	unsigned int total;
	unsigned int wrapping;		/* of these, while the ring goes round */
	u64 at_stake[VOLUMES];		/* flushed sectors */
	unsigned int alone[MAX_DISKS];	/* this disk's cache alone was lost */
	unsigned int base_alone;
	u64 journal_blocks;
	u64 episode_position;
	u64 checkpoints;
} totals;

static struct workload_options work;

/* Small writes and flushes, and a volume that grows, for the ring's sake. */
static bool churning;

/* --- aiming --- */

/* A cut before anything was flushed in one of the volumes shows less. */
static bool is_worth_a_cut(void)
{
	if (aim.wants_stake && !aim.has_stake)
		aim.has_stake = oracle_all_are_at_stake();
	return !aim.wants_stake || aim.has_stake;
}

static bool is_aimed_at(void)
{
	if (aim.job.kind == JOB_KINDS)
		return aim.last == aim.phase;
	return aim.last_job.kind == aim.job.kind &&
	       aim.last_job.stage == aim.job.stage;
}

static bool watch(const struct disk_request *request)
{
	aim.last = phase_of(request);
	aim.last_job = job_place_of(request, aim.job.kind);
	if (!aim.countdown || !is_aimed_at() || !is_worth_a_cut() ||
	    --aim.countdown)
		return false;
	aim.fell = true;
	aim.fell_on = aim.last;
	aim.request = *request;
	return true;
}

static enum phase choose_phase(void)
{
	unsigned int least = ~0u, ties = 0;
	enum phase phase, chosen = PHASE_WORK;

	if (options.only != PHASES)
		return options.only;
	for (phase = 0; phase < phase_count(); phase++)
		least = min(least, totals.both_staked[phase]);
	for (phase = 0; phase < phase_count(); phase++)
		if (totals.both_staked[phase] == least &&
		    !random_below(&choices, ++ties))
			chosen = phase;
	return chosen;
}

/* --- aiming at jobs --- */

/* The phases of jobs are hit at their places. */
static bool is_of_no_job(enum phase phase)
{
	return phase == PHASE_WORK || phase == PHASE_SNAPSHOT ||
	       phase == PHASE_GIVE_BACK || phase == PHASE_CHECKPOINT;
}

static unsigned int least_wanted(void)
{
	return min(LEAST_PER_PHASE, options.cuts * 2 / (phase_count() * 3));
}

static unsigned int least_in_place(void)
{
	return min(LEAST_PER_PLACE, options.cuts / 50);
}

static enum phase least_hit_of_no_job(void)
{
	enum phase phase, least = PHASE_WORK;

	for (phase = 0; phase < PHASES; phase++)
		if (is_of_no_job(phase) &&
		    totals.both_staked[phase] < totals.both_staked[least])
			least = phase;
	return least;
}

static void aim_at_jobs(void)
{
	enum phase phase = least_hit_of_no_job();

	aim.job = options.only_job;
	if (aim.job.kind == JOB_KINDS)
		aim.job = job_aim_choose(&choices);
	if (totals.both_staked[phase] < LEAST_PER_PHASE &&
	    options.only_job.kind == JOB_KINDS && random_percent(&choices, 30)) {
		aim.job.kind = JOB_KINDS;
		aim.phase = phase;
		return;
	}
	aim.countdown = 1 + random_below(&choices, job_aim_most(aim.job.stage));
}

/* Of a ring that goes round: anywhere in it, or in what moves its tail. */
static void aim_at_ring(void)
{
	bool checkpoint = random_percent(&choices, 40);

	aim.phase = checkpoint ? PHASE_CHECKPOINT : PHASE_WORK;
	aim.countdown = checkpoint ? 30 + random_below(&choices, 70) :
				     1500 + random_below(&choices, 4000);
}

/* The power is off, or nothing is up: nobody watches. */
static void take_aim(void)
{
	static const unsigned int most[PHASES] = {
		[PHASE_WORK] = 200, [PHASE_SNAPSHOT] = 4, [PHASE_GATHER] = 30,
		[PHASE_WRITE] = 40, [PHASE_FLUSH] = 3, [PHASE_LET_GO] = 3,
		[PHASE_FINISH] = 3, [PHASE_GIVE_BACK] = 20,
		[PHASE_CHECKPOINT] = 12,
		[PHASE_RECOVERY] = 24,
		[PHASE_MASTER_WRITE] = 20, [PHASE_MASTER_FLUSH] = 3,
	};
	/* Which caches are lost: all, the store's alone, the bases', one … */
	static const u32 losers[] = { 7, 7, 7, 1, 6, 2, 4, 3 };

	aim.phase = choose_phase();
	aim.countdown = 1 + random_below(&choices, most[aim.phase]);
	aim.job.kind = JOB_KINDS;
	if (churning)
		aim_at_ring();
	else if (options.jobs && options.only == PHASES)
		aim_at_jobs();
	/* In a recovery it is what was flushed before the cut it is from. */
	aim.has_stake = false;
	aim.wants_stake = options.only == PHASES &&
			  (aim.job.kind == JOB_KINDS ||
			   aim.job.stage != STAGE_RECOVERY) &&
			  random_percent(&choices, 90);
	aim.fell = false;
	if (options.losers) {
		power_set_losers(options.losers);
		return;
	}
	/* Room that is given back too early shows if the store keeps its cache. */
	if (aim.phase == PHASE_GIVE_BACK && random_percent(&choices, 60))
		power_set_losers(6);
	else
		power_set_losers(losers[random_below(&choices,
						     ARRAY_SIZE(losers))]);
}

static const char *describe_losers(u32 losers)
{
	static char text[32];

	snprintf(text, sizeof(text), "%s%s%s%s%s", losers & 1 ? " ssd" : "",
		 losers & 2 ? " " : "", losers & 2 ? base_disks[0].name : "",
		 losers & 4 ? " " : "", losers & 4 ? base_disks[1].name : "");
	return text + 1;
}

/* A place of a job, or else a phase. */
static void print_place(struct job_place place, enum phase phase)
{
	if (place.kind == JOB_KINDS)
		fputs(phase_name(phase), stdout);
	else
		printf("%s/%s", job_kind_name(place.kind),
		       job_stage_name(place.stage));
}

static void describe_cut(void)
{
	static const char * const ops[] = {
		[DISK_READ] = "read", [DISK_WRITE] = "write",
		[DISK_FLUSH] = "flush", [DISK_DISCARD] = "discard",
	};
	const struct power_cut *cut = power_last_cut();
	const struct disk_request *r = &aim.request;
	char request[96] = "no request there";

	if (aim.fell)
		snprintf(request, sizeof(request), "%s %s of %llu at %llu (%s)",
			 r->disk->name, ops[r->op],
			 (unsigned long long)r->sectors,
			 (unsigned long long)r->sector, cut->applied);
	printf("# cut %u: ", totals.total);
	print_place(aim.job, aim.phase);
	printf(": %s; lost: %s; ", request, describe_losers(cut->losers));
	printf("cached writes %u/%u/%u; flushed sectors at stake %llu/%llu\n",
	       cut->cached[0], cut->cached[1], cut->cached[2],
	       (unsigned long long)oracle_sectors_at_stake(0),
	       (unsigned long long)oracle_sectors_at_stake(1));
}

/* Only where there was something to lose in each volume. */
static void count_job_cut(bool both_staked)
{
	if (aim.last_job.kind != JOB_KINDS && both_staked)
		job_aim_count(aim.last_job);
}

static void count_cut(void)
{
	const struct power_cut *cut = power_last_cut();
	u64 first = oracle_sectors_at_stake(0);
	u64 second = oracle_sectors_at_stake(1);
	unsigned int i;

	if (!aim.fell)
		aim.fell_on = aim.last;
	totals.cuts[aim.fell_on]++;
	totals.total++;
	totals.wrapping += churning;
	totals.at_stake[0] += first;
	totals.at_stake[1] += second;
	totals.staked[aim.fell_on][0] += !!first;
	totals.staked[aim.fell_on][1] += !!second;
	totals.both_staked[aim.fell_on] += first && second;
	for (i = 0; i < MAX_DISKS; i++)
		totals.alone[i] += cut->losers == 1u << i;
	count_job_cut(first && second);
	totals.base_alone += !(cut->losers & 1);
	describe_cut();
	fflush(stdout);
}

/* --- what runs until the cut --- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

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
	double end = now() + (churning ? CHURN_SECONDS : WORK_SECONDS);
	unsigned int v;

	while (power_is_on() && !oracle_finding() && now() < end) {
		bool running = false;

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
	work.discard_percent = options.discard_percent ?:
			       random_below(&choices, 25);
	work.most_sectors = 16u << random_below(&choices,
						wants_parts() ? 2 : 6);
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
	totals.episode_position = max(totals.episode_position, view.position);
	totals.checkpoints += view.checkpoints;
}

static void end_episode_figures(void)
{
	totals.journal_blocks += totals.episode_position;
	totals.episode_position = 0;
}

static void begin_episode(void)
{
	static const u32 chunk_sizes[] = { 8, 16, 32, 128 };
	static const char * const on_full[] = {
		"2 on_full error", "2 on_full error",
		"2 no_space_timeout 1",
	};
	u32 chunk = chunk_sizes[random_below(&choices,
					     ARRAY_SIZE(chunk_sizes))];
	u64 data = 2048 + random_below(&choices, 9) * 512;

	/* Streams take room: for all of both bases. */
	if (options.jobs)
		data += 8192;
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

/* What was to fall in a recovery and has not falls soon after it. */
static void aim_behind_recovery(void)
{
	if (aim.job.kind == JOB_KINDS || aim.job.stage != STAGE_RECOVERY)
		return;
	aim.countdown = 0;
	aim.job.kind = JOB_KINDS;
	aim.phase = PHASE_WORK;
	aim.countdown = 10;
}

/* From one cut to the next. */
static void run_to_cut(void)
{
	power_on();
	if (options.jobs)
		jobs_before_bring_up();
	if (!stacks_bring_up() && !stacks_check() && !oracle_finding()) {
		check_bases();
		aim_behind_recovery();
		work_until_cut();
		note_journal();
	}
	power_fail();
	if (!oracle_finding())
		count_cut();
	stacks_take_down();
	if (!options.jobs)
		return;
	aim.countdown = 0;
	power_on();
	jobs_check_offline();
}

static bool wait_for_commit(unsigned int volume)
{
	struct stack_view view = { .running = true };
	double end = now() + 30;

	while (view.running && now() < end && !oracle_finding()) {
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
	double end = now() + 30;
	unsigned int v;

	for (v = 0; v < VOLUMES && !oracle_finding(); v++) {
		while (stacks_check_lower(v) && now() < end)
			usleep(5000);
		stacks_commit_lower(v);
		while (stacks_check_lower(v) && now() < end)
			usleep(5000);
		if (now() >= end)
			oracle_report("a lower commit does not end",
				      "volume %u", v + 1);
	}
}

/* Everything goes down: the bases alone are the volumes. */
static void end_episode(void)
{
	unsigned int v, round;

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

static u64 count_wraps(void)
{
	return (totals.journal_blocks + totals.episode_position) /
	       RING_BLOCKS;
}

static bool each_phase_was_hit(void)
{
	enum phase phase;

	for (phase = 0; phase < phase_count(); phase++)
		if (totals.both_staked[phase] < least_wanted())
			return false;
	return !options.jobs || job_aim_has_hit(least_wanted(), least_in_place());
}

/* Some cuts fall elsewhere than they should, and are made up for. */
static bool has_cut_enough(void)
{
	return totals.total >= options.cuts &&
	       (options.only != PHASES || options.only_job.kind != JOB_KINDS ||
		each_phase_was_hit() || totals.total >= 3 * options.cuts);
}

static bool has_wrapped_enough(void)
{
	return !options.wraps || (count_wraps() >= options.wraps &&
				  totals.wrapping >= LEAST_WRAPPING);
}

static bool is_done(void)
{
	churning |= has_cut_enough();
	return oracle_finding() || (churning && has_wrapped_enough());
}

static void run_all(void)
{
	unsigned int cuts = 0;		/* of this episode */

	while (!is_done()) {
		if (!cuts)
			begin_episode();
		take_aim();
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

static unsigned int tests, failures;

static void ok(bool good, const char *what)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests, what);
	failures += !good;
}

static void on_alarm(int signal)
{
	static const char text[] =
		"not ok 1 - a hang: the cut did not come, or devices do not go\n1..1\n";

	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void print_table(void)
{
	enum phase phase;

	printf("# phase        cuts  with flushed data at stake in the first, second, both\n");
	for (phase = 0; phase < phase_count(); phase++)
		printf("# %-12s %4u  %4u %4u %4u\n", phase_name(phase),
		       totals.cuts[phase], totals.staked[phase][0],
		       totals.staked[phase][1], totals.both_staked[phase]);
	printf("# all          %4u; not the ssd's cache lost in %u\n",
	       totals.total, totals.base_alone);
	printf("# one cache alone lost: %s %u, %s %u, %s %u\n",
	       store_disk.name, totals.alone[0], base_disks[0].name,
	       totals.alone[1], base_disks[1].name, totals.alone[2]);
}

static void print_figures(double seconds)
{
	printf("# %llu operations\n",
	       (unsigned long long)oracle_operations());
	printf("# %llu + %llu flushed sectors at stake\n",
	       (unsigned long long)totals.at_stake[0],
	       (unsigned long long)totals.at_stake[1]);
	printf("# %llu discards did nothing for want of room\n",
	       (unsigned long long)oracle_doubts());
	printf("# %llu commits begun, %llu bases looked at alone\n",
	       (unsigned long long)stacks_commits(),
	       (unsigned long long)stacks_bases_checked());
	if (options.tiers)
		printf("# %llu halves of the master looked at alone\n",
		       (unsigned long long)stacks_masters_checked());
	printf("# %llu layers dropped, %llu checkpoints\n",
	       (unsigned long long)stacks_drops(),
	       (unsigned long long)totals.checkpoints);
	printf("# a ring of %u blocks was wrapped %llu times, with %u cuts meanwhile\n",
	       RING_BLOCKS, (unsigned long long)count_wraps(),
	       totals.wrapping);
	printf("# a volume grew %llu times\n",
	       (unsigned long long)ring_grown());
	printf("# %.1f s, %.2f s a cut\n", seconds,
	       totals.total ? seconds / totals.total : 0);
}

static void print_results(double seconds)
{
	const char *finding = oracle_finding();
	char text[160];

	snprintf(text, sizeof(text), "nothing is lost in %u power cuts",
		 totals.total);
	ok(!finding, text);
	if (finding) {
		printf("# FOUND after %u cuts: %s\n", totals.total, finding);
	} else if (options.only == PHASES && !options.drain &&
		   options.only_job.kind == JOB_KINDS) {
		snprintf(text, sizeof(text),
			 "each phase was hit %u times with flushed data of both volumes at stake",
			 least_wanted());
		ok(each_phase_was_hit(), text);
		if (options.jobs) {
			snprintf(text, sizeof(text),
				 "each kind of job and each stage was hit %u times, each of each %u times",
				 least_wanted(), least_in_place());
			ok(job_aim_has_hit(least_wanted(), least_in_place()), text);
		}
		if (options.wraps) {
			snprintf(text, sizeof(text),
				 "the journal's smallest ring was wrapped %u times, with %u cuts",
				 options.wraps, LEAST_WRAPPING);
			ok(has_wrapped_enough(), text);
		}
		ok(stacks_bases_checked() + layer_content_bases_checked() > 0,
		   "bases alone were the volumes as of their snapshots");
		if (options.tiers)
			ok(stacks_masters_checked() > 0,
			   "the master alone was what lay over it");
	}
	printf("1..%u\n", tests);
	print_figures(seconds);
	print_table();
	if (options.jobs) {
		jobs_print_figures();
		job_aim_print();
	}
}

int main(int argc, char **argv)
{
	double start = now();

	options_parse(argc, argv);
	printf("# seed %llu\n", (unsigned long long)options.seed);
	choices.state = options.seed;
	signal(SIGALRM, on_alarm);
	mapper_init();
	jobs_init(&choices);
	workload_init();
	power_init(options.seed + 1, watch);
	stacks_open_disks(options.tiers);
	if (options.drain)
		drain_run(&choices);
	else
		run_all();
	print_results(now() - start);
	fflush(stdout);
	/* After a finding devices may still be up: the guest ends with us. */
	if (!oracle_finding())
		stacks_close_disks();
	return failures ? 1 : 0;
}
