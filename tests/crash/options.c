// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

struct crash_options options = {
	.cuts = 80, .seed = 1, .only = PHASES,
	.only_job = { JOB_KINDS, STAGES },
};

static void refuse_options(void)
{
	fputs("usage: crash_test [--cuts N] [--seed N] [--wraps N] [--only PHASE]\n"
	      "                  [--discards PERCENT] [--flushes PERCENT]\n"
	      "                  [--jobs] [--job KIND/STAGE] [--drain]\n"
	      "                  [--tiers] [--losers BITS]\n",
	      stderr);
	exit(2);
}

void options_parse(int argc, char **argv)
{
	static const struct option list[] = {
		{ "cuts", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "wraps", required_argument, NULL, 'w' },
		{ "flushes", required_argument, NULL, 'f' },
		{ "discards", required_argument, NULL, 'd' },
		{ "tiers", no_argument, NULL, 't' },
		{ "losers", required_argument, NULL, 'l' },
		{ "drain", no_argument, NULL, 'D' },
		{ "jobs", no_argument, NULL, 'j' },
		{ "job", required_argument, NULL, 'J' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.cuts = strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			options.wraps = strtoul(optarg, NULL, 10);
			break;
		case 'f':
			options.flush_percent = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			options.discard_percent = strtoul(optarg, NULL, 10);
			break;
		case 'l':
			options.losers = strtoul(optarg, NULL, 10);
			break;
		case 't':
			options.tiers = true;
			break;
		case 'D':
			options.drain = true;
			break;
		case 'J':
			if (!job_place_find(optarg, &options.only_job))
				refuse_options();
			options.jobs = true;
			break;
		case 'j':
			options.jobs = true;
			break;
		case 'o':
			options.only = phase_find(optarg);
			if (options.only == PHASES)
				refuse_options();
			break;
		default:
			refuse_options();
		}
	}
	if (optind != argc)
		refuse_options();
}
