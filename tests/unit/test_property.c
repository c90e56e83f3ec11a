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
enum { DEFAULT_SEQUENCES = 100000 };
#endif

static bool verbose;

static u64 random_length(struct store_driver *d)
{
	u64 dice = random_below(&d->random, 1000);

	if (dice < 2)
		return 4000;
	if (dice < 30)
		return 100 + random_below(&d->random, 400);
	return 1 + random_below(&d->random, 250);
}

/*
 * The cut comes at any I/O; or in a phase that has few of them.  Some fall into
 * the recovery, which reads first.
 */
static void plan_cut(struct store_driver *d, u64 length)
{
	if (random_percent(&d->random, 10))
		return;
	if (random_percent(&d->random, 50)) {
		d->power.target = random_below(&d->random, PHASE_COUNT);
		d->power.countdown = 1 + random_below(&d->random, 6);
		d->commit_percent = 50;
	} else {
		d->power.countdown = 1 + random_below(&d->random,
						      20 + 2 * length);
	}
}

/* Opens the store, works until the power is cut, sometimes to a clean end. */
static void run_round(struct store_driver *d)
{
	u64 length = random_length(d);
	u64 i;

	d->commit_percent = random_below(&d->random, 3) * 20;
	plan_cut(d, length);
	d->power.phase = PHASE_RECOVERY;
	driver_open(d);
	for (i = 0; i < length && !driver_is_over(d); i++)
		workload_do_something(d);
	if (!driver_is_over(d) && random_percent(&d->random, 20))
		workload_quiesce(d);
	d->power.phase = PHASE_WORK;
	if (!d->failed)
		power_cut(&d->power);
	driver_close(d);
	power_restore(&d->power);
}

static bool run_sequence(struct store_driver *d, u64 seed)
{
	u64 rounds, i;

	driver_format(d, seed);
	rounds = 1 + random_below(&d->random, 3);
	for (i = 0; i < rounds && !d->failed; i++)
		run_round(d);
	if (!d->failed) {
		d->power.phase = PHASE_RECOVERY;
		driver_open(d);
		if (!d->failed && random_percent(&d->random, 50))
			workload_quiesce(d);
	}
	driver_close(d);
	return !d->failed;
}

static u64 number_from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void print_totals(const struct store_driver *d, u64 sequences)
{
	int i;

	printf("# %llu sequences, %llu steps (%llu partial), %llu checkpoints\n",
	       (unsigned long long)sequences, (unsigned long long)d->steps,
	       (unsigned long long)d->partial_steps,
	       (unsigned long long)d->checkpoints);
	printf("# %llu commits: %llu into layers, %llu retained, %llu with errors; %llu stops\n",
	       (unsigned long long)d->commits,
	       (unsigned long long)d->layer_commits,
	       (unsigned long long)d->retained,
	       (unsigned long long)d->with_errors,
	       (unsigned long long)d->stops);
	printf("# %llu streams: %llu into the top, %llu with the base, %llu past shared layers\n",
	       (unsigned long long)d->streams,
	       (unsigned long long)d->top_streams,
	       (unsigned long long)d->base_streams,
	       (unsigned long long)d->shared_streams);
	printf("# %llu plans changed by what guests wrote\n",
	       (unsigned long long)d->changed_plans);
	printf("# %llu bases exchanged, %llu clean words dropped for that\n",
	       (unsigned long long)d->exchanges,
	       (unsigned long long)d->clean_dropped);
	printf("# %llu clones, %llu layers dropped, %llu clean words looked at\n",
	       (unsigned long long)d->clones, (unsigned long long)d->drops,
	       (unsigned long long)d->clean_words);
	printf("# %llu times full\n# power cuts:", (unsigned long long)d->full);
	for (i = 0; i < PHASE_COUNT; i++)
		printf(" %s %llu%s", crash_phase_name[i],
		       (unsigned long long)d->power.cuts[i],
		       i + 1 < PHASE_COUNT ? "," : "\n");
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
