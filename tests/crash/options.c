// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

struct crash_options options = {
	.cuts = 80, .work_seconds = 5, .fua_percent = 10, .seed = 1, .only = PHASES,
	.only_job = { JOB_KINDS, STAGES },
	.blocks = { 512, 512, 512 },
};

static void refuse_options(void)
{
	fputs("usage: crash_test [--cuts N] [--seed N] [--wraps N] [--only PHASE]\n"
	      "                  [--discards PERCENT] [--flushes PERCENT] [--fua PERCENT]\n"
	      "                  [--jobs] [--job KIND/STAGE] [--drain]\n"
	      "                  [--tiers] [--losers BITS] [--blocks BYTES,BYTES,BYTES]\n"
	      "                  [--torn N] [--recoveries N] [--pull N] [--full N]\n"
	      "                  [--replay N] [--errors N] [--work-seconds N]\n",
	      stderr);
	exit(2);
}

static bool is_block(unsigned int bytes)
{
	return bytes == 512 || bytes == 4096;
}

/* Of the store, and of either base; with two levels of hdd and master. */
static bool parse_blocks(const char *text)
{
	unsigned int *blocks = options.blocks;

	return sscanf(text, "%u,%u,%u", &blocks[0], &blocks[1], &blocks[2]) == 3 &&
	       is_block(blocks[0]) && is_block(blocks[1]) && is_block(blocks[2]);
}

void options_parse(int argc, char **argv)
{
	static const struct option list[] = {
		{ "cuts", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "wraps", required_argument, NULL, 'w' },
		{ "flushes", required_argument, NULL, 'f' },
		{ "fua", required_argument, NULL, 'a' },
		{ "discards", required_argument, NULL, 'd' },
		{ "tiers", no_argument, NULL, 't' },
		{ "losers", required_argument, NULL, 'l' },
		{ "drain", no_argument, NULL, 'D' },
		{ "jobs", no_argument, NULL, 'j' },
		{ "job", required_argument, NULL, 'J' },
		{ "blocks", required_argument, NULL, 'b' },
		{ "pull", required_argument, NULL, 'p' },
		{ "replay", required_argument, NULL, 'R' },
		{ "errors", required_argument, NULL, 'e' },
		{ "full", required_argument, NULL, 'u' },
		{ "torn", required_argument, NULL, 'T' },
		{ "recoveries", required_argument, NULL, 'r' },
		{ "work-seconds", required_argument, NULL, 'W' },
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
		case 'p':
			options.pulls = strtoul(optarg, NULL, 10);
			break;
		case 'u':
			options.fulls = strtoul(optarg, NULL, 10);
			break;
		case 'a':
			options.fua_percent = strtoul(optarg, NULL, 10);
			break;
		case 'R':
			options.replays = strtoul(optarg, NULL, 10);
			break;
		case 'e':
			options.errors = strtoul(optarg, NULL, 10);
			break;
		case 'T':
			options.torn = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			options.recoveries = strtoul(optarg, NULL, 10);
			break;
		case 'W':
			options.work_seconds = strtoul(optarg, NULL, 10);
			break;
		case 'b':
			if (!parse_blocks(optarg))
				refuse_options();
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
