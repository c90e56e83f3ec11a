// SPDX-License-Identifier: GPL-2.0
/*
 * Random work on a store over simulated devices, against the naive model, with
 * the power cut anywhere, and again in or after the recovery.
 *
 *   COWSTACK_SEQUENCES=N  how many sequences (default: see below)
 *   COWSTACK_SEED=N       seed of the first; the next has the next number
 *   COWSTACK_STREAM_FAULTS=1  in a build with a fault only streams break the rule
 *   test_property --seed N  one sequence, told in full
 */
#include "workload.h"

#include "harness.h"

#ifdef __SANITIZE_ADDRESS__
enum { DEFAULT_SEQUENCES = 3000 };
#else
enum { DEFAULT_SEQUENCES = 50000 };
#endif

static bool verbose;
static u64 crashes;			/* of the cuts, those of the machine alone */

static bool run_sequence(struct store_driver *d, u64 seed)
{
	u64 rounds, i;

	driver_format(d, seed);
	rounds = 1 + random_below(&d->random, 3);
	for (i = 0; i < rounds && !d->failed; i++) {
		/* The machine stops alone, or its disks lose power with it. */
		d->power.keeps_caches = random_percent(&d->random, 25);
		workload_until_cut(d);
		if (d->power.keeps_caches) {
			power_settle(&d->power);
			crashes++;
		}
		power_restore(&d->power);
	}
	if (!d->failed) {
		d->power.phase = PHASE_RECOVERY;
		driver_open(d);
		if (!d->failed && random_percent(&d->random, 50))
			workload_quiesce(d);
	}
	driver_close(d);
	return !d->failed;
}

static void print_totals(const struct store_driver *d, u64 sequences)
{
	u64 cuts = 0;
	int i;

	printf("# %llu sequences, %llu steps (%llu partial), %llu checkpoints\n",
	       (unsigned long long)sequences, (unsigned long long)d->counts.steps,
	       (unsigned long long)d->counts.partial_steps,
	       (unsigned long long)d->counts.checkpoints);
	printf("# %llu commits: %llu into layers, %llu retained, %llu with errors; %llu stops\n",
	       (unsigned long long)d->counts.commits,
	       (unsigned long long)d->counts.layer_commits,
	       (unsigned long long)d->counts.retained,
	       (unsigned long long)d->counts.with_errors,
	       (unsigned long long)d->counts.stops);
	printf("# %llu streams: %llu into the top, %llu with the base, %llu past shared layers\n",
	       (unsigned long long)d->counts.streams,
	       (unsigned long long)d->counts.top_streams,
	       (unsigned long long)d->counts.base_streams,
	       (unsigned long long)d->counts.shared_streams);
	printf("# %llu plans changed by what guests wrote\n",
	       (unsigned long long)d->counts.changed_plans);
	printf("# %llu bases exchanged, %llu clean words dropped for that\n",
	       (unsigned long long)d->counts.exchanges,
	       (unsigned long long)d->counts.clean_dropped);
	printf("# %llu clones, %llu layers dropped, %llu clean words looked at\n",
	       (unsigned long long)d->counts.clones, (unsigned long long)d->counts.drops,
	       (unsigned long long)d->counts.clean_words);
	printf("# %llu times full, %llu of them with a job at work; %llu times room again\n",
	       (unsigned long long)d->counts.full,
	       (unsigned long long)d->counts.full_at_work,
	       (unsigned long long)d->counts.room_again);
	printf("# %llu changes by messages, %llu reloads\n# power cuts:",
	       (unsigned long long)d->counts.changes,
	       (unsigned long long)d->counts.reloads);
	for (i = 0; i < PHASE_COUNT; i++) {
		cuts += d->power.cuts[i];
		printf(" %s %llu%s", crash_phase_name[i],
		       (unsigned long long)d->power.cuts[i],
		       i + 1 < PHASE_COUNT ? "," : "\n");
	}
	printf("# totals: sequences=%llu changes=%llu reloads=%llu power-cuts=%llu",
	       (unsigned long long)sequences,
	       (unsigned long long)d->counts.changes,
	       (unsigned long long)d->counts.reloads,
	       (unsigned long long)cuts);
	printf(" machine-alone=%llu", (unsigned long long)crashes);
	printf(" store-full=%llu full-at-work=%llu room-again=%llu\n",
	       (unsigned long long)d->counts.full,
	       (unsigned long long)d->counts.full_at_work,
	       (unsigned long long)d->counts.room_again);
	fflush(stdout);
}

TEST(content_survives_power_cuts)
{
	u64 seed = number_from_environment("COWSTACK_SEED", 1);
	u64 count = number_from_environment("COWSTACK_SEQUENCES",
					    DEFAULT_SEQUENCES);
	static struct store_driver d;
	u64 i;

	printf("# seeds %llu to %llu\n", (unsigned long long)seed,
	       (unsigned long long)(seed + count - 1));
	driver_init(&d);
	d.verbose = verbose;
	d.stream_faults = number_from_environment("COWSTACK_STREAM_FAULTS", 0);
	for (i = 0; i < count; i++)
		if (!run_sequence(&d, seed + i))
			break;
	if (d.failed)
		printf("# seed %llu: %s\n", (unsigned long long)(seed + i),
		       d.failure);
	print_totals(&d, i);
	EXPECT_FALSE(d.failed);
	driver_exit(&d);
}

#define main harness_main
TEST_HARNESS_MAIN
#undef main

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--seed")) {
		setenv("COWSTACK_SEED", argv[2], 1);
		setenv("COWSTACK_SEQUENCES", "1", 1);
		verbose = true;
		argc = 1;
	}
	return harness_main(argc, argv);
}
