// SPDX-License-Identifier: GPL-2.0
/*
 * Dumps that an enemy wrote.  One that is taken is printed again, and that read and
 * printed is the same; and what restore would write of it is a store of which a load
 * makes the same, too.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <stdio.h>
#include <unistd.h>

#include "dump.h"
#include "fuzz.h"
#include "metadata_home.h"
#include "random.h"

enum {
	DEVICE_SECTORS = 16 << 11,
	MAX_PAGES = 256,		/* a run of zeroes takes many */
	MAX_TEXT = 1 << 20,
};

static char device[DEVICE_SECTORS << COWSTACK_SECTOR_SHIFT];

static int read_device(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	memcpy(buffer, device + first * COWSTACK_BLOCK_SIZE,
	       blocks * COWSTACK_BLOCK_SIZE);
	return 0;
}

static struct cowstack_reader limits = {
	.read = read_device, .device_sectors = DEVICE_SECTORS,
	.max_pages = MAX_PAGES,
};

static const char *file_path(int file)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return path;
}

static void set_content(int file, const void *data, size_t size)
{
	if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		fuzz_fail("file cannot be written");
}

static int read_dump(int file, struct cowstack_metadata *md)
{
	struct dump_error error;
	struct text_file *text;
	char head[64];
	int result = -EINVAL;

	if (text_file_open(&text, file_path(file)))
		fuzz_fail("file cannot be read");
	if (text_file_get(text, head, sizeof(head)) == 1 &&
	    !strcmp(head, DUMP_HEAD))
		result = dump_read(text, &limits, md, &error);
	text_file_close(text);
	return result;
}

static size_t write_dump(int file, struct cowstack_metadata *md, char *content)
{
	struct text_file *text;
	ssize_t size;

	if (text_file_create(&text, file_path(file), false) ||
	    dump_write(md, text) || text_file_close(text))
		fuzz_fail("dump cannot be written");
	size = pread(file, content, MAX_TEXT, 0);
	if (size <= 0 || size == MAX_TEXT)
		fuzz_fail("dump is of no possible size");
	return size;
}

static void expect_same(int file, struct cowstack_metadata *md,
			const char *content, size_t size, const char *what)
{
	static char again[MAX_TEXT];

	if (write_dump(file, md, again) != size || memcmp(again, content, size))
		fuzz_fail(what);
	cowstack_metadata_exit(md);
}

/* Onto the device, by what restore writes; false: it has no room. */
static bool put_home(struct cowstack_metadata *md)
{
	struct cowstack_superblock superblock;
	struct block_list list = { };
	int error;
	size_t i;

	memset(device, 0, md->superblock.geometry.data_start <<
				  COWSTACK_SECTOR_SHIFT);
	error = metadata_home(md, &list, &superblock);
	if (error && error != -ENOSPC)
		fuzz_fail("metadata has no home");
	for (i = 0; i < list.count && !error; i++)
		memcpy(device + list.blocks[i].place * COWSTACK_BLOCK_SIZE,
		       list.blocks[i].image, COWSTACK_BLOCK_SIZE);
	block_list_exit(&list);
	cowstack_superblock_encode(&superblock, COWSTACK_SUPERBLOCK_A,
				   (void *)device);
	return !error;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static char content[MAX_TEXT];
	static int file = -1;
	struct cowstack_load_report report;
	struct cowstack_metadata md;

	if (file < 0)
		file = memfd_create("dump", MFD_CLOEXEC);
	set_content(file, data, size);
	if (read_dump(file, &md))
		return 0;
	size = write_dump(file, &md, content);
	if (put_home(&md)) {
		struct cowstack_metadata loaded;

		if (cowstack_load(&loaded, &limits, &report))
			fuzz_fail("what was restored is damaged");
		expect_same(file, &loaded, content, size,
			    "what was restored is another store");
	}
	cowstack_metadata_exit(&md);
	set_content(file, content, size);
	if (read_dump(file, &md))
		fuzz_fail("a dump that was printed is refused");
	expect_same(file, &md, content, size, "a dump that was read is another");
	return 0;
}

/* --- mutations: of values, and of lines --- */

struct text {
	char *data;
	size_t size;
	size_t room;
	struct random random;
};

static const char * const values[] = {
	"0", "1", "2", "15", "16", "111", "112", "113", "1000", "4194304",
	"16777216", "4294967295", "4294967296", "17592186044414",
	"9223372036854775808", "18446744073709551615", "0x0", "0x1", "0xff",
	"0xffff", "0x10000", "-", "frozen", "frozen,pinned", "mixed",
	"recorded", "zero", "clean", "zero,clean", "commit", "running", "a",
};

static void replace(struct text *t, size_t at, size_t old, const char *with,
		    size_t length)
{
	if (t->size - old + length > t->room)
		return;
	memmove(t->data + at + length, t->data + at + old, t->size - at - old);
	memcpy(t->data + at, with, length);
	t->size += length - old;
}

/* Behind a random @c, or the text's end. */
static size_t find_random(struct text *t, char c)
{
	size_t start = random_below(&t->random, t->size + 1);
	const char *found = memchr(t->data + start, c, t->size - start);

	return found ? found + 1 - t->data : t->size;
}

static size_t value_length(const struct text *t, size_t at)
{
	size_t length = 0;

	while (at + length < t->size && t->data[at + length] != ' ' &&
	       t->data[at + length] != '\n')
		length++;
	return length;
}

static void change_value(struct text *t)
{
	size_t at = find_random(t, '='), other = find_random(t, '=');
	size_t length = value_length(t, at);
	char value[64];

	if (random_percent(&t->random, 50)) {
		const char *with = values[random_below(&t->random,
						       ARRAY_SIZE(values))];

		replace(t, at, length, with, strlen(with));
	} else if (random_percent(&t->random, 50)) {
		snprintf(value, sizeof(value), "%.*s",
			 (int)min_t(size_t, value_length(t, other), 63),
			 t->data + other);
		replace(t, at, length, value, strlen(value));
	} else {
		snprintf(value, sizeof(value), "%llu",
			 strtoull(t->data + at, NULL, 10) +
				 random_below(&t->random, 5) - 2);
		replace(t, at, length, value, strlen(value));
	}
}

static void change_line(struct text *t)
{
	size_t at = find_random(t, '\n'), to = find_random(t, '\n');
	char line[256];
	size_t length = 0;

	while (at + length < t->size && length < sizeof(line) &&
	       t->data[at + length] != '\n')
		length++;
	if (at + length == t->size || length == sizeof(line))
		return;
	memcpy(line, t->data + at, ++length);
	if (random_percent(&t->random, 60))
		replace(t, to, 0, line, length);
	else
		replace(t, at, length, "", 0);
}

/* Else each dump of another length would be refused for that alone. */
static void mend_end(struct text *t)
{
	unsigned long long layers = 0, volumes = 0, runs = 0, chunks = 0;
	unsigned long long count;
	char *line, *end = NULL;
	char text[160];

	for (line = t->data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		layers += !strncmp(line, "layer ", 6);
		volumes += !strncmp(line, "volume ", 7);
		if (sscanf(line, "run first=%*u count=%llu", &count) == 1) {
			runs++;
			chunks += count;
		}
		if (!strncmp(line, "end ", 4))
			end = line;
	}
	if (!end)
		return;
	snprintf(text, sizeof(text),
		 "end layers=%llu volumes=%llu runs=%llu chunks=%llu\n",
		 layers, volumes, runs, chunks);
	replace(t, end - t->data, t->size - (end - t->data), text,
		strlen(text));
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned int seed)
{
	struct text t = { .data = malloc(room + 1), .size = size, .room = room };

	t.random.state = seed;
	t.data[size] = '\0';
	memcpy(t.data, data, size);
	if (random_percent(&t.random, 15))
		t.size = fuzzer_mutate((uint8_t *)t.data, size, room);
	else if (random_percent(&t.random, 75))
		change_value(&t);
	else
		change_line(&t);
	t.data[t.size] = '\0';
	if (random_percent(&t.random, 90))
		mend_end(&t);
	memcpy(data, t.data, t.size);
	free(t.data);
	return t.size;
}
