// SPDX-License-Identifier: GPL-2.0
/*
 * usage: fault_test [--points N] [--seed N] [--from SOURCE,…] [--only SCENE]
 *                   [--place N [--cut]] [--stops N]
 *
 * One thing fails, the n-th, in every scene (fault_scenes.c), of every source
 * (fault_source.h); nothing is lost, the error shows, and what was asked for ends when it
 * is asked for again.  After every other one, by chance, the power goes.
 *
 * N points in all, spread over scenes, sources and places: so many faults at least, where
 * one is not come to or a scene has too few another takes its place; 0: every request, and
 * of bytes and pages so many, and each with the power going and without.  --place: that
 * one alone; --cut: with the power going.  --stops: then no fault, but a machine that stops
 * while its disks do not, so often.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fault_scenes.h"
#include "mapper.h"
#include "oracle.h"
#include "random.h"
#include "stacks.h"
#include "surely.h"

enum {
	HANG_SECONDS = 240,
	MOST_BYTES_POINTS = 40,		/* of a scene, where all are to fail */
	TRIES_TO_MAKE_UP = 3,		/* for each of the points */
};

static struct {
	u64 points;
	u64 seed;
	bool from[SOURCES];
	const char *only;
	u64 place;
	bool cut;
	u64 stops;
} options = { .points = 50, .seed = 1 };

static struct random choices;
static unsigned int tests, failures;
static u64 fired_in_all, fired_and_cut, stopped;
static u64 (*places)[SOURCES];		/* of each scene */

static void refuse_options(void)
{
	fputs("usage: fault_test [--points N] [--seed N] [--from SOURCE,…]\n"
	      "                  [--only SCENE] [--place N [--cut]] [--stops N]\n",
	      stderr);
	exit(2);
}

static void parse_sources(char *list)
{
	char *name;

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		enum fault_source source = fault_source_find(name);

		if (source == SOURCES)
			refuse_options();
		options.from[source] = true;
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option list[] = {
		{ "points", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "from", required_argument, NULL, 'f' },
		{ "only", required_argument, NULL, 'o' },
		{ "place", required_argument, NULL, 'n' },
		{ "cut", no_argument, NULL, 'c' },
		{ "stops", required_argument, NULL, 't' },
		{ }
	};
	bool told = false;
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (option) {
		case 'p':
			options.points = strtoull(optarg, NULL, 10);
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			/* The last one counts. */
			memset(options.from, 0, sizeof(options.from));
			parse_sources(optarg);
			told = true;
			break;
		case 'o':
			options.only = optarg;
			break;
		case 'n':
			options.place = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			options.cut = true;
			break;
		case 't':
			options.stops = strtoull(optarg, NULL, 10);
			break;
		default:
			refuse_options();
		}
	}
	if (optind != argc)
		refuse_options();
	if (!told)
		parse_sources(strdup("store,store-stays,base,base-stays"));
}

/* A bio that nobody ends cannot be waited for any other way. */
static void on_alarm(int signal)
{
	static const char text[] = "not ok - something hangs\n1..1\n";

	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void say_found(const struct fault_scene *scene, const char *source, u64 n,
		      bool cut)
{
	if (oracle_finding())
		printf("# FOUND: --from %s --only %s --place %llu%s\n", source,
		       scene->name, (unsigned long long)n, cut ? " --cut" : "");
}

static void play(const struct fault_scene *scene, enum fault_source source, u64 n,
		 bool cut)
{
	bool fired;

	alarm(HANG_SECONDS);
	fired = scene_play(scene, source, n, cut);
	alarm(0);
	fired_in_all += fired;
	fired_and_cut += fired && cut;
	say_found(scene, fault_source_name(source), n, cut);
}

static void play_place(const struct fault_scene *scene, enum fault_source source,
		       u64 n)
{
	bool cut = random_percent(&choices, 50);

	play(scene, source, n, cut);
	if (!options.points && !oracle_finding())
		play(scene, source, n, !cut);
}

/* The @i-th of @points places, of @count: anywhere in its share of them. */
static u64 choose_place(u64 i, u64 points, u64 count)
{
	u64 first = i * count / points, end = (i + 1) * count / points;

	return 1 + first + random_below(&choices, end > first ? end - first : 1);
}

static u64 points_of(enum fault_source source, u64 count, u64 share)
{
	if (options.points)
		return share < count ? share : count;
	if (fault_source_is_of_kernel(source) && count > MOST_BYTES_POINTS)
		return MOST_BYTES_POINTS;
	return count;
}

static void test_source(const struct fault_scene *scene, enum fault_source source,
			u64 count, u64 share)
{
	u64 points = points_of(source, count, share), before = fired_in_all, i;

	if (!points) {
		printf("# %s: none of the %llu %s of %s\n", scene->name,
		       (unsigned long long)count, fault_source_unit(source),
		       fault_source_name(source));
		return;
	}
	for (i = 0; i < points && !oracle_finding(); i++)
		play_place(scene, source, choose_place(i, points, count));
	if (oracle_finding())
		failures++;
	printf("%sok %u - %s: %llu of the %llu %s of %s, one at a time\n",
	       oracle_finding() ? "not " : "", ++tests, scene->name,
	       (unsigned long long)(fired_in_all - before),
	       (unsigned long long)count, fault_source_unit(source),
	       fault_source_name(source));
	fflush(stdout);
}

static unsigned int count_sources(void)
{
	unsigned int source, count = 0;

	for (source = 0; source < SOURCES; source++)
		count += options.from[source];
	return count;
}

/* Without a fault nothing is to be found either. */
static void count_places(const struct fault_scene *scene, u64 counts[SOURCES])
{
	alarm(HANG_SECONDS);
	scene_count(scene, options.from, counts);
	alarm(0);
	if (!oracle_finding())
		return;
	failures++;
	printf("not ok %u - %s: with no fault\n", ++tests, scene->name);
}

/* The @i-th of those that were chosen, round and round. */
static enum fault_source chosen_source(unsigned int i)
{
	unsigned int source;

	i %= count_sources();
	for (source = 0; !options.from[source] || i; source++)
		i -= options.from[source];
	return source;
}

/* Scenes begin with another source each, where points are few. */
static void test_scene(unsigned int number, u64 *pair, u64 pairs)
{
	const struct fault_scene *scene = &fault_scenes[number];
	u64 *counts = places[number];
	unsigned int i;

	count_places(scene, counts);
	for (i = 0; i < count_sources() && !oracle_finding(); i++) {
		enum fault_source source = chosen_source(number + i);

		/* So that they are the points in all. */
		test_source(scene, source, counts[source],
			    options.points * (*pair + 1) / pairs -
				    options.points * *pair / pairs);
		++*pair;
	}
}

static void test_place(const struct fault_scene *scene)
{
	unsigned int source;

	for (source = 0; source < SOURCES; source++) {
		if (!options.from[source] || oracle_finding())
			continue;
		play(scene, source, options.place, options.cut);
		failures += !!oracle_finding();
		printf("%sok %u - %s: place %llu of %s\n",
		       oracle_finding() ? "not " : "", ++tests, scene->name,
		       (unsigned long long)options.place,
		       fault_source_name(source));
	}
}

static void test_all(void)
{
	u64 pairs = count_sources() * (options.only ? 1 : fault_scene_count);
	unsigned int i;
	u64 pair = 0;

	for (i = 0; i < fault_scene_count && !oracle_finding(); i++) {
		if (options.only && strcmp(options.only, fault_scenes[i].name))
			continue;
		if (options.place)
			test_place(&fault_scenes[i]);
		else
			test_scene(i, &pair, pairs);
	}
}

/* Any place, of any scene that has been played. */
static void play_anywhere(void)
{
	unsigned int number = random_below(&choices, fault_scene_count);
	enum fault_source source =
		chosen_source(random_below(&choices, count_sources()));
	u64 count = places[number][source];

	if (count)
		play_place(&fault_scenes[number], source,
			   1 + random_below(&choices, count));
}

/* A fault that the kernel makes, where it has not been told of whom, never comes. */
static void check_kernel_sources(void)
{
	enum fault_source source;
	unsigned int i;

	for (source = 0; source < SOURCES; source++) {
		u64 count = 0;

		if (!options.from[source] || !fault_source_is_of_kernel(source))
			continue;
		for (i = 0; i < fault_scene_count; i++)
			count += places[i][source];
		failures += !count;
		printf("%sok %u - there are %s of %s that may fail\n",
		       count ? "" : "not ", ++tests, fault_source_unit(source),
		       fault_source_name(source));
	}
}

/* Some scenes have fewer places than their share, and some faults do not come. */
static void make_up_for_missing(void)
{
	u64 tries = options.points * TRIES_TO_MAKE_UP;
	bool good;

	while (fired_in_all < options.points && tries-- && !oracle_finding())
		play_anywhere();
	good = !oracle_finding() && fired_in_all >= options.points;
	failures += !good;
	printf("%sok %u - %llu faults in all, %llu wanted\n", good ? "" : "not ",
	       ++tests, (unsigned long long)fired_in_all,
	       (unsigned long long)options.points);
}

static void test_stops(void)
{
	while (stopped < options.stops && !oracle_finding()) {
		alarm(HANG_SECONDS);
		scene_play_stop(&choices);
		alarm(0);
		stopped++;
	}
	failures += !!oracle_finding();
	printf("%sok %u - the machine alone stops in a step, and then the power goes: %llu times\n",
	       oracle_finding() ? "not " : "", ++tests, (unsigned long long)stopped);
}

int main(int argc, char **argv)
{
	static const unsigned int blocks[] = { 512, 512, 512 };
	time_t start = time(NULL);

	parse_options(argc, argv);
	printf("# seed %llu\n", (unsigned long long)options.seed);
	choices.state = options.seed;
	signal(SIGALRM, on_alarm);
	mapper_init();
	power_init(options.seed + 1, scenes_watch);
	stacks_open_disks(false, blocks);
	scenes_init();
	places = surely(calloc(fault_scene_count, sizeof(*places)));
	test_all();
	if (!tests)
		refuse_options();
	if (!options.place && !oracle_finding())
		check_kernel_sources();
	if (options.points && !options.place)
		make_up_for_missing();
	if (options.stops && !oracle_finding())
		test_stops();
	printf("1..%u\n# %llu faults, then a power cut after %llu of them; %ld s\n",
	       tests, (unsigned long long)fired_in_all,
	       (unsigned long long)fired_and_cut, (long)(time(NULL) - start));
	printf("# totals: faults=%llu cut=%llu stops=%llu\n",
	       (unsigned long long)fired_in_all,
	       (unsigned long long)fired_and_cut,
	       (unsigned long long)stopped);
	fflush(stdout);
	/* After a finding devices may still be up: the guest ends with us. */
	if (!oracle_finding())
		stacks_close_disks();
	return failures ? 1 : 0;
}
