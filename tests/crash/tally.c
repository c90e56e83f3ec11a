// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "aim.h"
#include "history.h"
#include "job_aim.h"
#include "options.h"
#include "spent.h"
#include "stacks.h"
#include "tally.h"

struct tally tally;

static unsigned int tests, failures;

/* --- one cut --- */

static const char *describe_losers(u32 losers)
{
	static char text[32];

	snprintf(text, sizeof(text), "%s%s%s%s%s", losers & 1 ? " ssd" : "",
		 losers & 2 ? " " : "", losers & 2 ? base_disks[0].name : "",
		 losers & 4 ? " " : "", losers & 4 ? base_disks[1].name : "");
	return text + 1;
}

static void print_aim(void)
{
	switch (aim.kind) {
	case AIM_PHASE:
		fputs(phase_name(aim.phase), stdout);
		break;
	case AIM_JOB:
		printf("%s/%s", job_kind_name(aim.job.kind),
		       job_stage_name(aim.job.stage));
		break;
	case AIM_METADATA:
		fputs("metadata", stdout);
		break;
	default:
		fputs("anything", stdout);
	}
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
	printf("# %s %u: ", cut->stop ? "stop" : "cut",
	       cut->stop ? tally.stops : tally.total);
	print_aim();
	printf(": %s; lost: %s; ", request, describe_losers(cut->losers));
	printf("cached writes %u/%u/%u; flushed sectors at stake %llu/%llu; %.0f ms\n",
	       cut->cached[0], cut->cached[1], cut->cached[2],
	       (unsigned long long)oracle_sectors_at_stake(0),
	       (unsigned long long)oracle_sectors_at_stake(1),
	       spent_lap() * 1000);
}

/* Only where there was something to lose in each volume. */
static void count_job_cut(bool both_staked)
{
	if (aim.last_job.kind != JOB_KINDS && both_staked)
		job_aim_count(aim.last_job);
}

static void note_in_history(const char *what, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < VOLUMES; i++)
		history_note(i, "%s %u", what, number);
	fflush(stdout);
}

static void tally_stop(void)
{
	tally.stops++;
	describe_cut();
	note_in_history("stop", tally.stops);
}

void tally_cut(bool churning)
{
	const struct power_cut *cut = power_last_cut();
	u64 first = oracle_sectors_at_stake(0);
	u64 second = oracle_sectors_at_stake(1);
	unsigned int i;

	if (!aim.fell)
		aim.fell_on = aim.last;
	if (cut->stop) {
		tally_stop();
		return;
	}
	tally.cuts[aim.fell_on]++;
	tally.total++;
	tally.torn += aim.fell && aim.metadata && cut->torn;
	tally.again += aim.behind_stop && aim.fell_on == PHASE_RECOVERY;
	tally.soon += aim.behind_stop && aim.fell_on != PHASE_RECOVERY;
	tally.wrapping += churning;
	tally.at_stake[0] += first;
	tally.at_stake[1] += second;
	tally.staked[aim.fell_on][0] += !!first;
	tally.staked[aim.fell_on][1] += !!second;
	tally.both_staked[aim.fell_on] += first && second;
	for (i = 0; i < MAX_DISKS; i++) {
		tally.alone[i] += cut->losers == 1u << i;
		tally.alone_held[i] += cut->losers == 1u << i && cut->cached[i];
	}
	count_job_cut(first && second);
	tally.base_alone += !(cut->losers & 1);
	describe_cut();
	note_in_history("cut", tally.total);
}

/* --- are there enough? --- */

static unsigned int least_wanted(void)
{
	return min(LEAST_PER_PHASE, options.cuts * 2 / (phase_count() * 3));
}

static unsigned int least_in_place(void)
{
	return min(LEAST_PER_PLACE, options.cuts / 50);
}

static unsigned int least_alone(void)
{
	return options.losers ? 0 : min(LEAST_ALONE, options.cuts / 20);
}

static unsigned int count_alone(unsigned int disk)
{
	if (disk && !options.tiers)
		return tally.alone_held[1] + tally.alone_held[2];
	return tally.alone_held[disk];
}

unsigned int tally_seldom_alone(void)
{
	unsigned int disk = 0;

	while (disk < MAX_DISKS && count_alone(disk) >= least_alone())
		disk++;
	return disk;
}

static bool each_phase_was_hit(void)
{
	enum phase phase;

	for (phase = 0; phase < phase_count(); phase++)
		if (tally.both_staked[phase] < least_wanted())
			return false;
	return true;
}

bool tally_each_place_was_hit(void)
{
	return each_phase_was_hit() &&
	       (!options.jobs ||
		job_aim_has_hit(least_wanted(), least_in_place()));
}

static bool aims_at_all(void)
{
	return options.only == PHASES && options.only_job.kind == JOB_KINDS;
}

static bool has_reached_numbers(void)
{
	return tally_each_place_was_hit() &&
	       tally_seldom_alone() == MAX_DISKS &&
	       tally.torn >= options.torn &&
	       tally.again >= options.recoveries;
}

/* Some cuts fall elsewhere than they should, and are made up for. */
bool tally_is_enough(void)
{
	return tally.total >= options.cuts &&
	       (!aims_at_all() || has_reached_numbers() ||
		tally.total >= 3 * options.cuts);
}

u64 tally_wraps(void)
{
	return (tally.journal_blocks + tally.episode_position) / RING_BLOCKS;
}

bool tally_has_wrapped_enough(void)
{
	return !options.wraps || (tally_wraps() >= options.wraps &&
				  tally.wrapping >= LEAST_WRAPPING);
}

/* --- what is said --- */

void tally_ok(bool good, const char *format, ...)
{
	va_list arguments;

	printf("%s %u - ", good ? "ok" : "not ok", ++tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	failures += !good;
}

unsigned int tally_plan(void)
{
	printf("1..%u\n", tests);
	return failures;
}

static void judge_places(void)
{
	tally_ok(each_phase_was_hit(),
		 "each phase was hit %u times with flushed data of both volumes at stake",
		 least_wanted());
	if (options.jobs)
		tally_ok(job_aim_has_hit(least_wanted(), least_in_place()),
			 "each kind of job and each stage was hit %u times, each of each %u times",
			 least_wanted(), least_in_place());
	if (least_alone())
		tally_ok(tally_seldom_alone() == MAX_DISKS,
			 "each disk lost what its cache held, and no other did, %u times",
			 least_alone());
	if (options.torn)
		tally_ok(tally.torn >= options.torn,
			 "%u writes of metadata were torn, %u wanted",
			 tally.torn, options.torn);
	if (options.recoveries)
		tally_ok(tally.again >= options.recoveries,
			 "%u cuts fell in a recovery from a stop that had left the caches, %u wanted",
			 tally.again, options.recoveries);
	if (options.wraps)
		tally_ok(tally_has_wrapped_enough(),
			 "the journal's smallest ring was wrapped %u times, with %u cuts",
			 options.wraps, LEAST_WRAPPING);
}

void tally_judge(void)
{
	const char *finding = oracle_finding();

	tally_ok(!finding, "nothing is lost in %u power cuts", tally.total);
	if (finding)
		printf("# FOUND after %u cuts: %s\n", tally.total, finding);
	else if (aims_at_all() && !options.drain)
		judge_places();
}

void tally_print(void)
{
	enum phase phase;

	printf("# %llu + %llu flushed sectors at stake, %llu checkpoints\n",
	       (unsigned long long)tally.at_stake[0],
	       (unsigned long long)tally.at_stake[1],
	       (unsigned long long)tally.checkpoints);
	printf("# a ring of %u blocks was wrapped %llu times, with %u cuts meanwhile\n",
	       RING_BLOCKS, (unsigned long long)tally_wraps(), tally.wrapping);
	printf("# phase        cuts  with flushed data at stake in the first, second, both\n");
	for (phase = 0; phase < phase_count(); phase++)
		printf("# %-12s %4u  %4u %4u %4u\n", phase_name(phase),
		       tally.cuts[phase], tally.staked[phase][0],
		       tally.staked[phase][1], tally.both_staked[phase]);
	printf("# all          %4u; not the ssd's cache lost in %u\n",
	       tally.total, tally.base_alone);
	printf("# one cache alone lost (that held something): %s %u (%u), %s %u (%u), %s %u (%u)\n",
	       store_disk.name, tally.alone[0], tally.alone_held[0],
	       base_disks[0].name, tally.alone[1], tally.alone_held[1],
	       base_disks[1].name, tally.alone[2], tally.alone_held[2]);
	printf("# %u torn writes of metadata\n", tally.torn);
	printf("# the machine alone stopped %u times: %u cuts in the recovery, %u soon after it\n",
	       tally.stops, tally.again, tally.soon);
}
