// SPDX-License-Identifier: GPL-2.0
/*
 * Stores to begin with: what random work leaves, as inputs of the fuzzers.
 *
 *   make_seeds DIRECTORY COUNT
 */
#include <stdio.h>

#include "fuzz.h"
#include "store_parts.h"
#include "workload.h"

enum { MIN_SEED_BYTES = 400, MAX_SEED_BYTES = 2500 };

struct seed {
	struct store_driver driver;
	struct store_image image;
	struct parts parts;
	u8 pool[1 << 20];		/* what the parts' data is */
	u32 used;
};

static void add_part(struct seed *s, enum part_kind kind, u8 flags, u32 from)
{
	struct part *part;

	if (s->parts.count == FUZZ_MAX_PARTS)
		return;
	part = &s->parts.part[s->parts.count++];
	part->kind = kind;
	part->flags = flags;
	part->data = s->pool + from;
	part->bytes = s->used - from;
}

static void add_bytes(struct seed *s, const void *bytes, u32 count)
{
	memcpy(s->pool + s->used, bytes, count);
	s->used += count;
}

static void add_place(struct seed *s, u64 place)
{
	__le32 disk = cpu_to_le32(place);

	add_bytes(s, &disk, sizeof(disk));
}

static void take_superblock(struct seed *s, const struct cowstack_metadata *md)
{
	struct disk_superblock sb;
	u32 from = s->used;

	cowstack_superblock_encode(&md->superblock, COWSTACK_SUPERBLOCK_A, &sb);
	add_bytes(s, &sb.header.sequence, sizeof(sb.header.sequence));
	add_bytes(s, (u8 *)&sb + SUPERBLOCK_FIRST,
		  SUPERBLOCK_END - SUPERBLOCK_FIRST);
	add_part(s, PART_SUPERBLOCK, 0, from);
}

static void take_records(struct seed *s, const struct disk_record_block *block)
{
	add_bytes(s, block->records, le32_to_cpu(block->used));
}

static void take_index(struct seed *s, const struct cowstack_metadata *md)
{
	u64 i;

	for (i = 0; i < md->index_count; i++) {
		u32 from = s->used;

		add_place(s, from_mblock(md->index[i]));
		take_records(s, image_block(&s->image,
					    from_mblock(md->index[i])));
		add_part(s, PART_INDEX, 0, from);
	}
}

static void take_page(struct seed *s, u64 place)
{
	const __le64 *words = image_block(&s->image, place);
	u32 from = s->used, slot, count;

	add_place(s, place);
	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot += count) {
		__le16 entry[2] = { cpu_to_le16(slot) };

		for (count = 1; slot + count < COWSTACK_PAGE_CHUNKS; count++)
			if (words[slot + count] != words[slot])
				break;
		if (!words[slot])
			continue;
		entry[1] = cpu_to_le16(count);
		add_bytes(s, entry, sizeof(entry));
		add_bytes(s, &words[slot], sizeof(words[slot]));
	}
	add_part(s, PART_PAGE, 0, from);
}

static void take_pages(struct seed *s, struct list_head *layers)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	list_for_each_entry(layer, layers, list)
		for (number = 0; (page = sparse_table_next(&layer->map.pages,
							   &number)); number++)
			if (from_mblock(page->home))
				take_page(s, from_mblock(page->home));
}

static void take_steps(struct seed *s, const struct cowstack_metadata *md)
{
	u64 ring = cowstack_geometry(md)->ring_blocks;
	u64 position;

	for (position = md->tail; position < md->head; position++) {
		const struct disk_record_block *block =
			image_block(&s->image, COWSTACK_RING_START +
					       position % ring);
		u32 from = s->used;

		take_records(s, block);
		add_part(s, PART_STEP,
			 le32_to_cpu(block->number) ? PART_CONTINUES : 0, from);
	}
}

static void make_store(struct seed *s, u64 number)
{
	struct store_driver *d = &s->driver;
	u64 i, length;

	driver_format(d, number);
	d->commit_percent = 10;
	driver_open(d);
	length = 20 + random_below(&d->random, 150);
	for (i = 0; i < length; i++)
		workload_do_something(d);
	driver_flush(d);
	driver_close(d);
	device_flush(&d->store);
}

/* The input for store @number; 0: it is too large. */
static size_t make_seed(struct seed *s, u64 number, u8 *data, size_t room)
{
	struct cowstack_metadata md;

	make_store(s, number);
	if (s->driver.store.sectors > FUZZ_STORE_SECTORS)
		return 0;
	memset(s->image.bytes, 0, FUZZ_STORE_SECTORS * 512);
	memcpy(s->image.bytes, s->driver.store.medium,
	       s->driver.store.sectors * 512);
	if (image_load(&s->image, &md))
		fuzz_fail("what the work left does not load");
	s->parts.count = 0;
	s->used = 0;
	take_superblock(s, &md);
	take_index(s, &md);
	take_pages(s, &md.layers);
	/* The index names those of layers that went in the journal, too. */
	take_pages(s, &md.zombies);
	take_steps(s, &md);
	cowstack_metadata_exit(&md);
	return s->used + s->parts.count * PART_HEADER > room ? 0 :
		       parts_print(&s->parts, data, room);
}

/* That what was built from the input is that store. */
static void check_seed(struct seed *s, const u8 *data, size_t size)
{
	struct cowstack_metadata md;
	int error;

	parts_parse(&s->parts, data, size);
	parts_build(&s->parts, &s->image);
	error = image_load(&s->image, &md);
	if (error)
		fuzz_fail(s->image.report.why ? s->image.report.why :
						"seed does not load");
	cowstack_metadata_exit(&md);
}

static void write_seed(const char *directory, u64 number, const u8 *data,
		       size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/store-%llu", directory,
		 (unsigned long long)number);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static u8 data[MAX_SEED_BYTES];
	static struct seed s;
	u64 number, count;

	if (argc != 3) {
		fprintf(stderr, "usage: make_seeds DIRECTORY COUNT\n");
		return 2;
	}
	driver_init(&s.driver);
	image_init(&s.image, 8, (FUZZ_STORE_SECTORS - 2048) / 8);
	count = strtoull(argv[2], NULL, 10);
	for (number = 1; count && number < 10000; number++) {
		size_t size = make_seed(&s, number, data, sizeof(data));

		if (size < MIN_SEED_BYTES)
			continue;
		check_seed(&s, data, size);
		write_seed(argv[1], number, data, size);
		count--;
	}
	image_exit(&s.image);
	driver_exit(&s.driver);
	return 0;
}
