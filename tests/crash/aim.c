// SPDX-License-Identifier: GPL-2.0
#include "aim.h"
#include "job_aim.h"
#include "options.h"
#include "oracle.h"
#include "tally.h"

enum { TORN_PERCENT = 75 };

struct aim aim = { .job = { JOB_KINDS, STAGES } };

static bool churning;

/* --- the watch --- */

/* A cut before anything was flushed in one of the volumes shows less. */
static bool is_worth_a_cut(void)
{
	if (aim.wants_stake && !aim.has_stake)
		aim.has_stake = oracle_all_are_at_stake();
	return !aim.wants_stake || aim.has_stake;
}

static bool is_aimed_at(const struct disk_request *request)
{
	switch (aim.kind) {
	case AIM_PHASE:
		return aim.last == aim.phase;
	case AIM_JOB:
		return aim.last_job.kind == aim.job.kind &&
		       aim.last_job.stage == aim.job.stage;
	case AIM_METADATA:
		return aim.last != PHASE_RECOVERY && phase_is_metadata(request);
	case AIM_ERROR:
		return request->disk == aim.fails &&
		       !(aim.spares_reads && request->op == DISK_READ) &&
		       (aim.last == PHASE_RECOVERY) == aim.at_load;
	default:
		return aim.last != PHASE_RECOVERY;
	}
}

enum disk_cut aim_watch(const struct disk_request *request)
{
	aim.last = phase_of(request);
	aim.last_job = job_place_of(request, aim.job.kind);
	if (!aim.countdown || !is_aimed_at(request) || !is_worth_a_cut() ||
	    --aim.countdown)
		return CUT_NOT;
	aim.fell = true;
	aim.fell_on = aim.last;
	aim.request = *request;
	aim.metadata = phase_is_metadata(request);
	if (aim.alone)
		power_set_loser_in_watch(request->disk);
	if (aim.kind == AIM_ERROR)
		return CUT_ERROR;
	if (aim.pull) {
		disk_pull_in_watch(aim.pull);
		return CUT_NOT;
	}
	return aim.metadata ? CUT_TEARING : CUT_HERE;
}

/* --- taking aim --- */

void aim_at_ring_from_now_on(void)
{
	churning = true;
}

static enum phase choose_phase(struct random *random)
{
	unsigned int least = ~0u, ties = 0;
	enum phase phase, chosen = PHASE_WORK;

	if (options.only != PHASES)
		return options.only;
	for (phase = 0; phase < phase_count(); phase++)
		least = min(least, tally.both_staked[phase]);
	for (phase = 0; phase < phase_count(); phase++)
		if (tally.both_staked[phase] == least &&
		    !random_below(random, ++ties))
			chosen = phase;
	return chosen;
}

static void aim_at_phase(enum phase phase, struct random *random)
{
	static const unsigned int most[PHASES] = {
		[PHASE_WORK] = 200, [PHASE_SNAPSHOT] = 4, [PHASE_GATHER] = 30,
		[PHASE_WRITE] = 40, [PHASE_FLUSH] = 3, [PHASE_LET_GO] = 3,
		[PHASE_FINISH] = 3, [PHASE_GIVE_BACK] = 20,
		[PHASE_CHECKPOINT] = 12,
		[PHASE_RECOVERY] = 24,
		[PHASE_MASTER_WRITE] = 20, [PHASE_MASTER_FLUSH] = 3,
	};

	aim.kind = AIM_PHASE;
	aim.phase = phase;
	aim.countdown = 1 + random_below(random, most[phase]);
}

static void aim_at_job(struct job_place job, struct random *random)
{
	aim.kind = AIM_JOB;
	aim.job = job;
	aim.countdown = 1 + random_below(random, job_aim_most(job.stage));
}

/* Of a ring that goes round: anywhere in it, or in what moves its tail. */
static void aim_at_ring(struct random *random)
{
	bool checkpoint = random_percent(random, 40);

	aim.kind = AIM_PHASE;
	aim.phase = checkpoint ? PHASE_CHECKPOINT : PHASE_WORK;
	aim.countdown = checkpoint ? 30 + random_below(random, 70) :
				     1500 + random_below(random, 4000);
}

/* The phases of jobs are hit at their places. */
static bool is_of_no_job(enum phase phase)
{
	return phase == PHASE_WORK || phase == PHASE_SNAPSHOT ||
	       phase == PHASE_GIVE_BACK || phase == PHASE_CHECKPOINT;
}

static enum phase least_hit_of_no_job(void)
{
	enum phase phase, least = PHASE_WORK;

	for (phase = 0; phase < PHASES; phase++)
		if (is_of_no_job(phase) &&
		    tally.both_staked[phase] < tally.both_staked[least])
			least = phase;
	return least;
}

static void aim_at_jobs(struct random *random)
{
	enum phase phase = least_hit_of_no_job();

	if (options.only_job.kind != JOB_KINDS)
		aim_at_job(options.only_job, random);
	else if (tally.both_staked[phase] < LEAST_PER_PHASE &&
		 random_percent(random, 30))
		aim_at_phase(phase, random);
	else
		aim_at_job(job_aim_choose(random), random);
}

/* A commit's destination holds something for moments only, so one writes to it. */
static void aim_at_disk(unsigned int disk, struct random *random)
{
	static const enum phase writes[MAX_DISKS] = {
		PHASE_WORK, PHASE_WRITE, PHASE_MASTER_WRITE,
	};

	if (disk && options.jobs)
		aim_at_job((struct job_place){ JOB_COMMIT, STAGE_WRITE },
			   random);
	else
		aim_at_phase(writes[disk], random);
	aim.alone = true;
}

static bool is_behind(unsigned int cuts, unsigned int wanted)
{
	return cuts < (u64)wanted * (tally.total + 1) / options.cuts;
}

/*
 * Every place is aimed at first, until each was hit often enough; these are the
 * dearest.  Then what there are numbers to reach of; then disks that lose their caches
 * alone; then anything.
 */
static void aim_where_wanted(struct random *random)
{
	/* Beyond the number that is asked for they are there to make up. */
	unsigned int at_places = tally.total < options.cuts ? 60 : 85;
	unsigned int seldom = tally_seldom_alone();

	if (!tally_each_place_was_hit() && random_percent(random, at_places)) {
		if (options.jobs)
			aim_at_jobs(random);
		else
			aim_at_phase(choose_phase(random), random);
		aim.alone = seldom < MAX_DISKS && random_percent(random, 50);
	} else if (is_behind(tally.torn, options.torn)) {
		aim.kind = AIM_METADATA;
		aim.countdown = 1 + random_below(random, 12);
	} else if (seldom < MAX_DISKS) {
		aim_at_disk(seldom, random);
	} else {
		/* The phase says what is done meanwhile. */
		aim.phase = options.jobs ? PHASE_WORK : choose_phase(random);
		aim.kind = AIM_ANY;
		aim.countdown = 1 + random_below(random, 100);
	}
}

/*
 * A recovery has something to lose only if the disks had their power meanwhile: the
 * machine stops first, and the cut comes behind that.
 */
static bool wants_stop(struct random *random)
{
	if (churning || options.losers)
		return false;
	if (options.only == PHASE_RECOVERY)
		return true;
	return options.only == PHASES && options.only_job.kind == JOB_KINDS &&
	       is_behind(tally.again, options.recoveries) &&
	       random_percent(random, 60);
}

/* What has FUA is in a cache only while it is under way. */
static void aim_at_stop(struct random *random)
{
	bool metadata = random_percent(random, 70);

	aim.stop = true;
	aim.kind = metadata ? AIM_METADATA : AIM_ANY;
	aim.countdown = 1 + random_below(random, metadata ? 12 : 200);
}

/*
 * In the recovery itself, or in what is done first over what it found: the first step
 * flushes what is before it.
 */
static void aim_behind_stop(struct random *random)
{
	aim_at_phase(PHASE_RECOVERY, random);
	if (random_percent(random, 60))
		return;
	aim.phase = PHASE_WORK;
	aim.kind = AIM_ANY;
	aim.countdown = 1 + random_below(random, 8);
}

static void choose_losers(struct random *random)
{
	/* Which caches are lost: all, the store's alone, the bases', one … */
	static const u32 losers[] = { 7, 7, 7, 1, 6, 2, 4, 3 };

	if (options.losers)
		power_set_losers(options.losers);
	/* Room that is given back too early shows if the store keeps its cache. */
	else if (aim.phase == PHASE_GIVE_BACK && random_percent(random, 60))
		power_set_losers(6);
	else
		power_set_losers(losers[random_below(random,
						     ARRAY_SIZE(losers))]);
}

static bool falls_in_recovery(void)
{
	return aim.kind == AIM_JOB ? aim.job.stage == STAGE_RECOVERY :
				     aim.kind == AIM_PHASE &&
				     aim.phase == PHASE_RECOVERY;
}

void aim_take(struct random *random, bool after_cut)
{
	aim.phase = PHASE_WORK;
	aim.job.kind = JOB_KINDS;
	aim.alone = false;
	aim.behind_stop = after_cut && aim.stop;
	if (!aim.behind_stop)
		power_forget_stop();
	aim.stop = false;
	if (aim.behind_stop)
		aim_behind_stop(random);
	else if (wants_stop(random))
		aim_at_stop(random);
	else if (churning)
		aim_at_ring(random);
	else if (options.only != PHASES)
		aim_at_phase(options.only, random);
	else if (options.only_job.kind != JOB_KINDS)
		aim_at_jobs(random);
	else
		aim_where_wanted(random);
	/* In a recovery it is what was flushed before the cut it is from. */
	aim.has_stake = false;
	aim.wants_stake = options.only == PHASES && !falls_in_recovery() &&
			  !aim.behind_stop && random_percent(random, 90);
	aim.fell = false;
	aim.metadata = false;
	power_set_tearing(TORN_PERCENT);
	power_set_stop(aim.stop);
	choose_losers(random);
}

void aim_pull(struct disk *pull, enum phase phase, struct random *random)
{
	aim.pull = pull;
	aim.alone = false;
	aim.job.kind = JOB_KINDS;
	aim.wants_stake = false;
	aim.fell = false;
	aim_at_phase(phase, random);
}

void aim_error(struct disk *disk, bool at_load, bool spares_reads, int n)
{
	aim.kind = AIM_ERROR;
	aim.alone = false;
	aim.job.kind = JOB_KINDS;
	aim.wants_stake = false;
	aim.fell = false;
	aim.fails = disk;
	aim.at_load = at_load;
	aim.spares_reads = spares_reads;
	aim.countdown = n;
}

void aim_behind_recovery(void)
{
	if (!aim.countdown || !falls_in_recovery())
		return;
	aim.countdown = 0;
	aim.job.kind = JOB_KINDS;
	aim.phase = PHASE_WORK;
	aim.kind = AIM_ANY;
	aim.countdown = 10;
}
