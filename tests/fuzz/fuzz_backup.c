// SPDX-License-Identifier: GPL-2.0
/*
 * Backups of a repair that an enemy wrote, as "dmcommit restore" puts them back.  One
 * that is refused changes nothing; one that is taken changes the blocks that it names,
 * to what it says, and no other.  A backup made of that brings it back.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <stdio.h>
#include <unistd.h>

#include "backup.h"
#include "fuzz.h"
#include "random.h"

enum {
	BLOCKS = 16,
	MAX_BLOCKS = 3,			/* of a backup; they are 8 KiB of text each */
	LINES = 64,			/* of a block, of as many bytes */
};

typedef u8 block_t[COWSTACK_BLOCK_SIZE];

static block_t original[BLOCKS], now[BLOCKS], kept[BLOCKS];
static struct store_file *store;
static int device, file;
static char made[64];

static const char *file_path(int fd)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static u32 crc(const void *block)
{
	return environment_crc32(0, block, COWSTACK_BLOCK_SIZE);
}

static void write_blocks(block_t *blocks)
{
	struct store_block all[BLOCKS];
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		all[i] = (struct store_block){ .place = i, .image = blocks[i] };
	if (store_file_write(store, all, BLOCKS))
		fuzz_fail("device cannot be written");
}

static void read_blocks(block_t *blocks)
{
	if (pread(device, blocks, sizeof(original), 0) != sizeof(original))
		fuzz_fail("device cannot be read");
}

static void init(void)
{
	unsigned int i;

	if (original[0][0])
		return;
	for (i = 0; i < BLOCKS; i++)
		memset(original[i], 0x10 + i, COWSTACK_BLOCK_SIZE);
	file = memfd_create("backup", MFD_CLOEXEC);
	device = memfd_create("device", MFD_CLOEXEC);
	if (file < 0 || device < 0 || ftruncate(device, sizeof(original)) ||
	    store_file_open(&store, file_path(device), DEVICE_WRITE))
		fuzz_fail("no device");
	write_blocks(original);
	snprintf(made, sizeof(made), "/dev/shm/fuzz-backup.%d", getpid());
}

static enum exit_code restore(const char *path, bool force)
{
	enum exit_code code = EXIT_FAILED;
	struct text_file *text;
	char head[64];

	if (text_file_open(&text, path))
		fuzz_fail("file cannot be read");
	if (text_file_get(text, head, sizeof(head)) == 1 &&
	    !strcmp(head, BACKUP_HEAD))
		code = backup_restore(text, path, store, force);
	text_file_close(text);
	return code;
}

/* --- what a backup that was taken has to have done --- */

struct named {
	unsigned long long place;
	block_t content;
};

/* From a line "block" on, of a backup that nothing is wrong with. */
static const char *parse_block(const char *line, struct named *named)
{
	unsigned int old, new, value, i;
	const char *at;

	if (sscanf(line, "block place=%llu old=0x%x new=0x%x\n", &named->place,
		   &old, &new) != 3 || named->place >= BLOCKS)
		fuzz_fail("a block that the device does not have was taken");
	at = strchr(line, '\n') + 1;
	for (i = 0; i < COWSTACK_BLOCK_SIZE; i++, at += 2) {
		at += *at == '\n';
		if (sscanf(at, "%2x", &value) != 1)
			fuzz_fail("what is no byte was taken");
		named->content[i] = value;
	}
	if (crc(named->content) != old)
		fuzz_fail("a block with another checksum was taken");
	return at;
}

/* What is on the device now: of blocks named twice any, of others what was there. */
static void expect_taken(const char *text)
{
	bool is_named[BLOCKS] = { }, is_right[BLOCKS] = { };
	static struct named named;
	unsigned int i;

	for (text = strstr(text, "\nblock "); text; text = strstr(text, "\nblock ")) {
		text = parse_block(text + 1, &named);
		is_named[named.place] = true;
		is_right[named.place] |= !memcmp(now[named.place], named.content,
						 COWSTACK_BLOCK_SIZE);
	}
	for (i = 0; i < BLOCKS; i++) {
		if (is_named[i] && !is_right[i])
			fuzz_fail("a block is not what the backup says");
		if (!is_named[i] && memcmp(now[i], original[i], COWSTACK_BLOCK_SIZE))
			fuzz_fail("a block was changed that the backup does not name");
	}
}

/* As a repair would make one, of what is there, before it writes the original. */
static void expect_round_trip(void)
{
	struct store_block changed[BLOCKS];
	unsigned int count = 0, i;

	for (i = 0; i < BLOCKS; i++)
		if (memcmp(now[i], original[i], COWSTACK_BLOCK_SIZE))
			changed[count++] = (struct store_block){
				.place = i, .image = original[i],
			};
	if (backup_write(made, store, changed, count))
		fuzz_fail("backup cannot be made");
	write_blocks(original);
	memcpy(kept, now, sizeof(kept));
	if (restore(made, false))
		fuzz_fail("a backup that was made is refused");
	read_blocks(now);
	if (memcmp(now, kept, sizeof(now)))
		fuzz_fail("a backup brings back something else");
	unlink(made);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static char text[FUZZ_MAX_INPUT + 1];
	enum exit_code code;

	if (size > FUZZ_MAX_INPUT)
		return 0;
	init();
	memcpy(text, data, size);
	text[size] = '\0';
	if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		fuzz_fail("file cannot be written");
	code = restore(file_path(file), size % 2);
	read_blocks(now);
	if (code && memcmp(now, original, sizeof(now)))
		fuzz_fail("a backup was refused, and something written");
	/* What came compressed is nothing that can be looked at. */
	if (!code && text[0] == BACKUP_HEAD[0]) {
		expect_taken(text);
		expect_round_trip();
	}
	if (!code)
		write_blocks(original);
	return 0;
}

/* --- mutations: of a backup's blocks; its sums are right as a rule --- */

struct text {
	char *data;
	size_t size;
	size_t room;
};

__printf(2, 3)
static void put(struct text *t, const char *format, ...);

static void put(struct text *t, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(t->data + t->size, t->room - t->size, format, arguments);
	va_end(arguments);
	t->size = min_t(size_t, t->size + length, t->room - 1);
}

static void put_block(struct text *t, struct random *random)
{
	u64 place = random_below(random, BLOCKS + 1);
	static block_t block;
	u32 new, i, k;

	memset(block, random_below(random, 256), sizeof(block));
	block[random_below(random, sizeof(block))] = random_below(random, 256);
	new = random_percent(random, 90) ? crc(original[place % BLOCKS]) :
					   random_below(random, 1000);
	put(t, "block place=%llu old=0x%x new=0x%x\n", (unsigned long long)place,
	    crc(block) + random_percent(random, 5), new);
	for (i = 0; i < LINES; i++) {
		for (k = 0; k < LINES; k++)
			put(t, "%02x", block[i * LINES + k]);
		put(t, "\n");
	}
}

static void make_backup(struct text *t, struct random *random)
{
	unsigned int count = random_below(random, MAX_BLOCKS + 1), i;

	t->size = 0;
	put(t, BACKUP_HEAD "\ndevice sectors=%u\n", BLOCKS * COWSTACK_BLOCK_SECTORS);
	for (i = 0; i < count; i++)
		put_block(t, random);
	put(t, "end blocks=%u\n", count + random_percent(random, 5));
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned int seed)
{
	struct random random = { .state = seed };
	struct text t = { .size = size, .room = room + 1 };

	init();
	if (random_percent(&random, 40))
		return fuzzer_mutate(data, size, room);
	t.data = malloc(t.room);
	make_backup(&t, &random);
	memcpy(data, t.data, t.size);
	free(t.data);
	return t.size;
}
