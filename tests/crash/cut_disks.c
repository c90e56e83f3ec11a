// SPDX-License-Identifier: GPL-2.0
/*
 * cut_disks SEED MB[,nofua] [MB[,nofua]]…: disks with volatile caches, /dev/nbd0 and on, for
 * scripts that cut their power.  A line on stdin is a command, and is answered by one on
 * stdout:
 *
 *	cut LOSERS	"cut", and for each disk how many writes its cache held; bit n of
 *			LOSERS: the n-th loses any of them, others none
 *	on		"on"
 *	cached		"cached", and for each disk how many writes its cache holds
 *	hold N		"hold"; after N others, the next flush of the first disk waits
 *	held		"held 1" while one waits, "held 0" else
 *	lose		"lose"; it goes on, fails, and with it the cache is lost
 *	release		"release"; it goes on
 *
 * It ends with its input.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

static struct disk disks[MAX_DISKS];
static unsigned int disk_count;

static void cut(u32 losers)
{
	unsigned int i;

	power_set_losers(losers);
	power_fail();
	printf("cut");
	for (i = 0; i < disk_count; i++)
		printf(" %u", power_last_cut()->cached[i]);
	printf("\n");
}

static void switch_on(void)
{
	unsigned int i;

	power_on();
	for (i = 0; i < disk_count; i++)
		disk_forget_pages(&disks[i]);
	printf("on\n");
}

static void show_cached(void)
{
	unsigned int i;

	printf("cached");
	for (i = 0; i < disk_count; i++)
		printf(" %u", disk_cached(&disks[i]));
	printf("\n");
}

static void hold_flush(unsigned int passing)
{
	/* One that is late already would be in its way. */
	disk_set_late_percent(0);
	disk_hold(&disks[0], DISK_FLUSH, passing);
	printf("hold\n");
}

static void release_flush(bool loses)
{
	if (loses)
		disk_lose_flush(&disks[0]);
	disk_release(&disks[0]);
	printf(loses ? "lose\n" : "release\n");
}

static void obey(const char *line)
{
	unsigned int passing;
	u32 losers;

	if (sscanf(line, "cut %u", &losers) == 1)
		cut(losers);
	else if (!strcmp(line, "on\n"))
		switch_on();
	else if (!strcmp(line, "cached\n"))
		show_cached();
	else if (sscanf(line, "hold %u", &passing) == 1)
		hold_flush(passing);
	else if (!strcmp(line, "held\n"))
		printf("held %d\n", disk_holds(&disks[0]));
	else if (!strcmp(line, "lose\n") || !strcmp(line, "release\n"))
		release_flush(!strcmp(line, "lose\n"));
	else
		printf("what?\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[64];
	unsigned int i;

	if (argc < 3 || argc > 2 + MAX_DISKS)
		errx(2, "usage: cut_disks SEED MB[,nofua] [MB[,nofua]]...");
	disk_count = argc - 2;
	power_init(strtoull(argv[1], NULL, 0), NULL);
	for (i = 0; i < disk_count; i++) {
		disk_set_fua(!strstr(argv[2 + i], ",nofua"));
		if (disk_open(&disks[i], argv[2 + i], i,
			      strtoull(argv[2 + i], NULL, 0) << 11, 512))
			errx(1, "disk %u cannot be made", i);
	}
	obey("on\n");
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	for (i = 0; i < disk_count; i++)
		disk_close(&disks[i]);
	return 0;
}
