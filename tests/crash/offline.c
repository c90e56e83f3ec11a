// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "core/load.h"
#include "offline.h"
#include "stacks.h"

enum { OFFLINE_TOOL = 10, MAX_PAGES = 4096 };

static unsigned int loads, tool_checks;

static int read_blocks(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	u64 end = reader->device_sectors / COWSTACK_BLOCK_SECTORS;

	if (first > end || blocks > end - first)
		return -EIO;
	memcpy(buffer, disk_peek(&store_disk, first * COWSTACK_BLOCK_SECTORS),
	       blocks * COWSTACK_BLOCK_SIZE);
	return 0;
}

static void load_store(void)
{
	struct cowstack_reader reader = {
		.read = read_blocks, .device_sectors = store_disk.sectors,
		.max_pages = MAX_PAGES,
	};
	struct cowstack_load_report report = { };
	struct cowstack_metadata md;
	int error = cowstack_load(&md, &reader, &report);

	loads++;
	if (error)
		oracle_report("a store does not load", "%s (block %llu): %s",
			      report.why ?: "no reason is given",
			      (unsigned long long)report.where,
			      strerror(-error));
	else
		cowstack_metadata_exit(&md);
}

static void ask_tool(void)
{
	char command[128];
	int status;

	disk_forget_pages(&store_disk);
	snprintf(command, sizeof(command), "dmcommit check %s >/tmp/check 2>&1",
		 store_disk.path);
	status = system(command);
	tool_checks++;
	if (!status)
		return;
	oracle_report("dmcommit check found damage", "status %#x", status);
	snprintf(command, sizeof(command), "sed 's/^/# /' /tmp/check");
	if (system(command))
		puts("# its words are lost");
}

void offline_check(void)
{
	load_store();
	if (loads % OFFLINE_TOOL == 1)
		ask_tool();
}

void offline_print_figures(void)
{
	printf("# %u stores loaded offline, %u of them looked at by dmcommit check\n",
	       loads, tool_checks);
}
