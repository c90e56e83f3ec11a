// SPDX-License-Identifier: GPL-2.0
/*
 * usage: work write SEED FILE   does what SEED says to a new store, and writes it
 *        work read SEED FILE    does the same, then goes on with the FILE in its place
 *        work compare SEED…     a checksum of what each SEED comes to
 *
 * The work is that of the property test: volumes, snapshots, commits, streams,
 * clones, checkpoints, over disks in memory.  What is written must be the same on
 * every machine, byte by byte, and who reads it must find what was promised to the
 * users of the one who wrote it.
 */
#include <stdio.h>

#include "store_bytes.h"
#include "workload.h"

enum { LENGTH = 600 };

static struct store_driver driver;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "work: %s: %s\n", what, why);
	exit(1);
}

static void stop_if_found_out(const char *when)
{
	if (driver.failed)
		die(when, driver.failure);
}

static void do_some(u32 length)
{
	while (length--)
		workload_do_something(&driver);
	driver_flush(&driver);
	stop_if_found_out("work");
}

/* To be left as a power cut leaves it. */
static void do_work(const char *seed)
{
	driver_format(&driver, strtoull(seed, NULL, 0));
	driver.commit_percent = 10;
	driver_open(&driver);
	do_some(LENGTH);
	driver_close(&driver);
	device_flush(&driver.store);
}

static u64 store_length(void)
{
	return driver.store.sectors * 512;
}

static void write_store(const char *path)
{
	struct store_bytes s = { .bytes = driver.store.medium,
				 .sectors = driver.store.sectors };

	bytes_write(&s, path);
}

static void exchange_store(const char *path)
{
	struct store_bytes s;
	u64 i;

	bytes_read(&s, path);
	if (s.sectors != driver.store.sectors)
		die(path, "is of another size");
	for (i = 0; i < s.sectors / COWSTACK_BLOCK_SECTORS; i++)
		device_write_block(&driver.store, i,
				   s.bytes + i * COWSTACK_BLOCK_SIZE);
	device_flush(&driver.store);
	bytes_free(&s);
}

/* Loaded, looked at, worked with, and left in good order. */
static void go_on(void)
{
	driver_open(&driver);
	stop_if_found_out("load");
	do_some(LENGTH / 2);
	workload_quiesce(&driver);
	stop_if_found_out("end");
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 3)
		die("usage", "work write|read SEED FILE, work compare SEED…");
	driver_init(&driver);
	if (!strcmp(argv[1], "compare")) {
		for (i = 2; i < argc; i++) {
			do_work(argv[i]);
			printf("%s %08x\n", argv[i],
			       environment_crc32(0, driver.store.medium,
						 store_length()));
		}
		return 0;
	}
	do_work(argv[2]);
	if (!strcmp(argv[1], "write")) {
		write_store(argv[3]);
	} else {
		exchange_store(argv[3]);
		go_on();
	}
	driver_exit(&driver);
	return 0;
}
