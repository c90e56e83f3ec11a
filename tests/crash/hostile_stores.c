// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged stores: of inputs of the fuzzers, changed as the fuzzers do it, and of golden
 * stores, changed as unit/test_hostile does it.  Each lies at the beginning of /dev/ssd,
 * behind a linear device of its own size; /dev/base is the base of its volumes.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "hostile.h"
#include "hostile_use.h"
#include "mapper.h"
#include "mutation.h"
#include "store_damage.h"
#include "store_mutator.h"
#include "store_parts.h"
#include "surely.h"

enum {
	DISK_SECTORS = 24 << 11,
	MAX_PAGES = 4096,		/* of a map, here; the module takes more */
	MAX_VOLUMES = 3,		/* that are brought up, of a store */
	LEAK_KILOBYTES = 32 << 10,
};

static const char disk_path[] = "/dev/ssd";
static const char store_path[] = "/dev/mapper/hostile-disk";

static struct store_image image;
static struct store_damage damage;
static struct random choices;		/* of the store that is offered */
static struct hostile_file *inputs, *golden;
static u32 input_count, golden_count;
static int disk;

static struct {
	u64 offered, checked, refused, used;
	u64 longest_ms, most_kilobytes;
} totals;

/* --- what the mutator has of libFuzzer otherwise --- */

size_t fuzzer_mutate(uint8_t *data, size_t size, size_t room)
{
	if (size)
		mutate_bytes(&choices, data, size);
	return size;
}

void fuzz_fail(const char *what)
{
	fprintf(stderr, "hostile_test: %s\n", what);
	exit(2);
}

/* --- making one --- */

static void make_of_parts(void)
{
	const struct hostile_file *file = &inputs[random_below(&choices, input_count)];
	static u8 data[FUZZ_MAX_INPUT];
	size_t size = min(file->size, sizeof(data));
	u32 times = 1 + random_below(&choices, 3);
	static struct parts parts;

	memcpy(data, file->bytes, size);
	while (times--)
		size = store_mutate(data, size, sizeof(data),
				    random_next(&choices),
				    (1u << PART_EDIT) - 1);
	image_resize(&image, FUZZ_STORE_SECTORS);
	parts_parse(&parts, data, size);
	parts_build(&parts, &image);
}

static void make_of_golden(void)
{
	const struct hostile_file *file = &golden[random_below(&choices, golden_count)];

	image_resize(&image, file->size >> 9);
	memcpy(image.bytes, file->bytes, file->size);
	if (store_damage_begin(&damage, &image, file->size))
		fuzz_fail("a golden store does not load");
	store_damage_do(&damage, &choices);
}

static void write_disk(void)
{
	size_t size = image.sectors * 512, at = 0;

	while (at < size) {
		ssize_t n = pwrite(disk, image.bytes + at, size - at, at);

		if (n <= 0)
			fuzz_fail("the disk cannot be written");
		at += n;
	}
}

/* --- what is to come of it --- */

struct expected {
	int error;			/* of a load that writes later */
	bool readable;
	struct hostile_volume volumes[MAX_VOLUMES];
	u32 volume_count;
};

static void choose_volumes(struct expected *e, struct cowstack_metadata *md)
{
	const struct cowstack_volume *volume;
	u32 n = 0;

	/* Any of them, where they are many. */
	list_for_each_entry(volume, &md->volumes, list) {
		u32 i = n < MAX_VOLUMES ? n : random_below(&choices, n + 1);

		n++;
		if (i >= MAX_VOLUMES)
			continue;
		e->volumes[i].id = from_volume_id(volume->info.id);
		e->volumes[i].sectors = volume->info.sectors;
		e->volumes[i].layer = from_layer_id(volume->top->id);
	}
	e->volume_count = min(n, (u32)MAX_VOLUMES);
}

static void expect(struct expected *e)
{
	struct cowstack_metadata md;

	memset(e, 0, sizeof(*e));
	e->error = image_load(&image, &md);
	e->readable = !e->error;
	if (e->error)
		return;
	choose_volumes(e, &md);
	if (md.superblock.ro_compat & ~COWSTACK_FEATURES_RO_COMPAT)
		e->error = -EOPNOTSUPP;
	cowstack_metadata_exit(&md);
}

/* --- dmcommit check --- */

static int run_check(void)
{
	char *argv[4] = { "dmcommit", "check", (char *)store_path, NULL };
	posix_spawn_file_actions_t actions;
	int status = 0;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/tmp/check-says",
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) ||
	    waitpid(child, &status, 0) != child)
		fuzz_fail("dmcommit cannot be run");
	posix_spawn_file_actions_destroy(&actions);
	totals.checked++;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* It has exit statuses for what it says: done, failed, no store there, damaged. */
static void check_says(const struct expected *e, const char *when)
{
	int status = run_check();

	if (status > 5 || status == 2 || status == 4)
		hostile_found("dmcommit check, %s: exit status %d", when, status);
	else if (e->error != -EFBIG && e->readable != !status)
		hostile_found("dmcommit check, %s: exit status %d, but a load gives %d",
			      when, status, e->error);
}

/* --- offering one --- */

static void note_memory(u64 before)
{
	u64 now = hostile_memory();

	if (before > now && before - now > totals.most_kilobytes)
		totals.most_kilobytes = before - now;
}

static void use_store(struct expected *e)
{
	u64 memory = hostile_memory();
	u32 i;

	totals.used++;
	for (i = 0; i < e->volume_count && !hostile_has_found(); i++)
		hostile_use_volume(&e->volumes[i], &choices);
	if (!hostile_has_found())
		hostile_use_store(e->volumes, e->volume_count, &choices);
	note_memory(memory);
}

static void offer(const struct hostile_options *o, u64 number, struct expected *e)
{
	bool looks = number % o->check_every == 0;
	int error;

	if (looks)
		check_says(e, "before");
	if (hostile_has_found())
		return;
	error = hostile_open_store(store_path, image.sectors);
	if (error != e->error && e->error != -EFBIG) {
		hostile_found("the module says %d, a load in userspace %d (%s)",
			      error, e->error,
			      image.report.why ? image.report.why : "all is well");
		return;
	}
	if (error) {
		totals.refused++;
		return;
	}
	use_store(e);
	if (hostile_has_found())
		return;
	error = hostile_close_store();
	if (error)
		hostile_found("it cannot be taken down: %d", error);
	else if (looks && run_check())
		hostile_found("what is left is damaged");
}

static u64 milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static void offer_number(const struct hostile_options *o, u64 number)
{
	u64 began = milliseconds(), took;
	struct expected e;
	char table[64];

	hostile_begin(number, number % 2 ? "golden store" : "fuzzer's store");
	hostile_seed(&choices, o, number);
	if (number % 2)
		make_of_golden();
	else
		make_of_parts();
	expect(&e);
	write_disk();
	snprintf(table, sizeof(table), "%s 0", disk_path);
	if (mapper_create("hostile-disk", image.sectors, "linear", table))
		fuzz_fail("no linear device can be made");
	offer(o, number, &e);
	totals.offered++;
	if (hostile_has_found())
		return;
	if (mapper_remove("hostile-disk"))
		hostile_found("the disk is held");
	hostile_end();
	took = milliseconds() - began;
	totals.longest_ms = max(totals.longest_ms, took);
}

static void say(u64 memory, bool only_one)
{
	u64 now = hostile_memory();

	if (memory > now + LEAK_KILOBYTES)
		hostile_found("%llu KiB of memory are gone",
			      (unsigned long long)(memory - now));
	printf("# longest %llu ms, most memory while one was up %llu KiB\n",
	       (unsigned long long)totals.longest_ms,
	       (unsigned long long)totals.most_kilobytes);
	hostile_use_print();
	printf("# %llu damaged stores: %llu are refused, %llu are used and left whole\n",
	       (unsigned long long)totals.offered,
	       (unsigned long long)totals.refused,
	       (unsigned long long)totals.used);
	/* Both kinds, or nothing was shown. */
	if (!only_one && !(totals.refused && totals.used))
		hostile_found("none was refused, or none was used");
	printf("# totals: damaged-stores=%llu refused=%llu used=%llu checks=%llu\n",
	       (unsigned long long)totals.offered,
	       (unsigned long long)totals.refused,
	       (unsigned long long)totals.used,
	       (unsigned long long)totals.checked);
}

/* What is written to later has its memory now: none of it is leaked. */
static void take_memory(void)
{
	size_t bytes = DISK_SECTORS * 512ULL;

	image_init(&image, 8, (DISK_SECTORS - 2048) / 8);
	memset(image.bytes, 0, bytes);
	damage.good = surely(calloc(1, bytes));
	memset(damage.good, 0xff, bytes);
	image.reader.max_pages = MAX_PAGES;
	disk = open(disk_path, O_RDWR | O_DIRECT);
	if (disk < 0)
		fuzz_fail("there is no disk");
	write_disk();
}

void hostile_stores(const struct hostile_options *o)
{
	u64 memory, i;

	inputs = hostile_files(o, "store", &input_count);
	golden = hostile_files(o, "golden", &golden_count);
	take_memory();
	memory = hostile_memory();
	for (i = o->only ? o->count : 1; i <= o->count && !hostile_has_found(); i++)
		offer_number(o, i);
	say(memory, o->only);
}
