// SPDX-License-Identifier: GPL-2.0
/*
 * Files with stores that an enemy wrote, as "dmcommit check" reads them: it says of
 * each what the module would find, in text and in JSON.  What --repair writes is sound,
 * and has nothing that a second run would repair.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "signature.h"
#include "fuzz.h"
#include "store_mutator.h"
#include "store_parts.h"

enum { MAX_PAGES = 4096 };

static struct store_image image;
static char path[64];
static char backup[64];
static int file;

static void init(void)
{
	if (image.bytes)
		return;
	image_init(&image, 8, (FUZZ_STORE_SECTORS - 2048) / 8);
	image.reader.max_pages = MAX_PAGES;
	file = memfd_create("store", MFD_CLOEXEC);
	if (file < 0)
		fuzz_fail("no file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	snprintf(backup, sizeof(backup), "/dev/shm/fuzz-check.%d", getpid());
}

static enum exit_code expected(void)
{
	struct cowstack_metadata md;
	int error = image_load(&image, &md);

	if (!error)
		cowstack_metadata_exit(&md);
	switch (error) {
	case 0:
		return EXIT_DONE;
	case -EUCLEAN:
		return EXIT_DAMAGED;
	case -EINVAL:
		return EXIT_MISSING;
	default:
		return exit_code_of_errno(error);
	}
}

static void check(bool json)
{
	struct options options = {
		.arguments = { path }, .argument_count = 1, .json = json,
	};

	if (command_check(&options) != expected())
		fuzz_fail("the tool says something else than a load");
}

/* libblkid's part: nothing else is recognised, and so a store is looked for. */
int signature_find(int fd, char *text, size_t size)
{
	return 0;
}

static bool is_changed(const char *before)
{
	static char now[FUZZ_STORE_SECTORS * 512];

	if (pread(file, now, sizeof(now), 0) != sizeof(now))
		fuzz_fail("file cannot be read");
	memcpy(image.bytes, now, sizeof(now));
	return memcmp(before, now, sizeof(now));
}

static enum exit_code repair(bool json)
{
	struct options options = {
		.arguments = { path }, .argument_count = 1, .json = json,
		.repair = true, .yes = true, .backup = backup,
	};
	enum exit_code code;

	code = command_check(&options);
	unlink(backup);
	return code;
}

/* With a feature that whoever writes has to know, and we do not. */
static bool is_of_later_version(void)
{
	struct cowstack_metadata md;
	bool is_later;

	if (image_load(&image, &md))
		return false;
	is_later = md.superblock.ro_compat & ~COWSTACK_FEATURES_RO_COMPAT;
	cowstack_metadata_exit(&md);
	return is_later;
}

static void test_repair(bool json)
{
	static char before[FUZZ_STORE_SECTORS * 512];
	bool is_later = is_of_later_version();
	enum exit_code code;

	memcpy(before, image.bytes, sizeof(before));
	code = repair(json);
	if (!is_changed(before)) {
		/* It may be sound with a superblock that would be written anew. */
		if (!code != !expected() && !(code && is_later))
			fuzz_fail("nothing was repaired, and the tool does not say so");
		return;
	}
	if (is_later)
		fuzz_fail("a store of a later version was written");
	if (code != EXIT_DONE && code != EXIT_DAMAGED)
		fuzz_fail("something was written, and the tool failed");
	if (expected() != EXIT_DONE)
		fuzz_fail("what was repaired is damaged");
	memcpy(before, image.bytes, sizeof(before));
	if (repair(json) != EXIT_DONE || is_changed(before))
		fuzz_fail("a second run repairs something");
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static struct parts parts;

	init();
	parts_parse(&parts, data, size);
	parts_build(&parts, &image);
	if (pwrite(file, image.bytes, FUZZ_STORE_SECTORS * 512, 0) !=
	    FUZZ_STORE_SECTORS * 512)
		fuzz_fail("file cannot be written");
	check(size % 2);
	if (size % 3)
		test_repair(size % 2);
	return 0;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned int seed)
{
	return store_mutate(data, size, room, seed, (1u << PART_EDIT) - 1);
}

size_t fuzz_cross_over(const uint8_t *a, size_t a_size, const uint8_t *b,
		       size_t b_size, uint8_t *data, size_t room,
		       unsigned int seed)
{
	return store_cross_over(a, a_size, b, b_size, data, room, seed,
				(1u << PART_EDIT) - 1);
}
