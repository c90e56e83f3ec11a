// SPDX-License-Identifier: GPL-2.0
/*
 * Random work, cut off; and of each cut many of the states that it may leave, or
 * all of them (cut_explorer.h).
 *
 *   COWSTACK_CUT_STATES=N      how many states, at least
 *   COWSTACK_CUT_RECOVERIES=N  and how many cuts in the recovery after a cut
 *   COWSTACK_CUT_ALL=N         of how many percent of the cuts all subsets are tried
 *   COWSTACK_SEED=N            seed of the first sequence; the next has the next
 */
#include "cut_explorer.h"
#include "workload.h"

#include "harness.h"

enum {
	DEFAULT_STATES = 200000,
	DEFAULT_RECOVERIES = 20000,
	DEFAULT_ALL = 4,		/* percent */
};

/* All subsets take up to 4096 states, all mixes of a block 256. */
static void choose_exploration(struct store_driver *d, struct exploration *how)
{
	how->random = 6;
	how->recoveries = 5;
	how->torn_blocks = random_percent(&d->random, 10);
	how->all = random_percent(&d->random,
				  number_from_environment("COWSTACK_CUT_ALL",
							  DEFAULT_ALL));
}

static bool run_sequence(struct cut_explorer *x, struct store_driver *d,
			 u64 seed)
{
	struct exploration how;
	u64 rounds;

	driver_format(d, seed);
	rounds = 1 + random_below(&d->random, 3);
	while (rounds-- && !d->failed) {
		d->power.keeps_caches = true;
		workload_until_cut(d);
		choose_exploration(d, &how);
		if (!d->failed)
			explorer_run(x, &how);
	}
	driver_close(d);
	return !d->failed;
}

static void print_counts(const struct explorer_counts *c, u64 first, u64 next)
{
	u64 torn = 0;
	int i;

	printf("# seeds %llu to %llu: %llu cuts, %llu states\n",
	       (unsigned long long)first, (unsigned long long)next - 1,
	       (unsigned long long)c->cuts, (unsigned long long)c->states);
	printf("# %llu with one device alone, %llu random, %llu with the recovery cut too\n",
	       (unsigned long long)c->alone, (unsigned long long)c->random,
	       (unsigned long long)c->recovered);
	printf("# %llu of all subsets of up to %d writes, at %llu cuts; most undurable: %llu\n",
	       (unsigned long long)c->of_all, EXPLORER_MOST_WRITES,
	       (unsigned long long)c->all_subsets,
	       (unsigned long long)c->most_undurable);
	printf("# %llu with a superblock lost; %llu torn, every mix of a",
	       (unsigned long long)c->destroyed,
	       (unsigned long long)c->torn);
	for (i = 0; i < METADATA_KINDS; i++) {
		torn += c->torn_blocks[i];
		printf(" %s %llu times%s", metadata_kind_name[i],
		       (unsigned long long)c->torn_blocks[i],
		       i + 1 < METADATA_KINDS ? "," : "\n");
	}
	printf("# totals: states=%llu all-subsets-of-cuts=%llu torn-blocks=%llu",
	       (unsigned long long)c->states,
	       (unsigned long long)c->all_subsets, (unsigned long long)torn);
	printf(" recoveries-cut=%llu seed=%llu\n",
	       (unsigned long long)c->recovered, (unsigned long long)first);
	fflush(stdout);
}

TEST(every_state_is_recovered)
{
	u64 states = number_from_environment("COWSTACK_CUT_STATES",
					     DEFAULT_STATES);
	u64 recoveries = number_from_environment("COWSTACK_CUT_RECOVERIES",
						 DEFAULT_RECOVERIES);
	u64 first = number_from_environment("COWSTACK_SEED", 1);
	static struct store_driver d;
	struct explorer_counts *c;
	struct cut_explorer *x;
	u64 seed = first;
	int i;

	driver_init(&d);
	x = explorer_new(&d);
	c = explorer_counts(x);
	while (c->states < states || c->recovered < recoveries)
		if (!run_sequence(x, &d, seed++))
			break;
	if (d.failed)
		printf("# seed %llu: %s\n", (unsigned long long)(seed - 1),
		       d.failure);
	print_counts(c, first, seed);
	EXPECT_FALSE(d.failed);
	/* A short run need not come to all of it. */
	for (i = 0; i < METADATA_KINDS && states >= DEFAULT_STATES; i++)
		EXPECT_LT(0, c->torn_blocks[i]);
	if (states >= DEFAULT_STATES) {
		EXPECT_LT(0, c->all_subsets);
		EXPECT_LT(0, c->destroyed);
	}
	explorer_delete(x);
	driver_exit(&d);
}

TEST_HARNESS_MAIN
