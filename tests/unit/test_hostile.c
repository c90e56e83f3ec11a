// SPDX-License-Identifier: GPL-2.0
/*
 * Loading what an enemy wrote: valid stores with fields changed and checksums
 * made right again.  A load refuses, or gives a store that can be worked with;
 * it never crashes, hangs, or takes more memory than the device could justify.
 *
 *   COWSTACK_LOADS=N  how many mutated stores (default: see below)
 *   COWSTACK_SEED=N   seed of the first store
 */
#include "mutation.h"
#include "store_use.h"
#include "workload.h"

#include "harness.h"

enum {
	DEFAULT_LOADS = 20000,
	LOADS_PER_STORE = 300,
	MAX_TARGETS = 2000,
	MAX_PAGES = 512,
};

/* With sanitizers a single allocation may not be larger than this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_allocation_size_mb=32:quarantine_size_mb=16";
}

enum target_kind { TARGET_SUPERBLOCK, TARGET_STEP, TARGET_INDEX, TARGET_PAGE };

struct target {
	enum target_kind kind;
	u64 block;
	u64 first;		/* block of the step that it is in */
	u32 count;		/* of that step, or of the index */
	u64 position;
};

struct hostile {
	struct store_driver driver;
	struct store_use use;
	u8 *good;
	u64 bytes;
	struct target targets[MAX_TARGETS];
	u32 target_count;
	u64 ring_blocks;
	u64 index[MAX_TARGETS];
	u32 index_count;
};

/* --- stores to begin with --- */

static void add_target(struct hostile *h, enum target_kind kind, u64 block)
{
	struct target *t;

	if (h->target_count == MAX_TARGETS)
		return;
	t = &h->targets[h->target_count++];
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	t->block = block;
}

static void *block_at(struct hostile *h, u64 block)
{
	return h->use.image.bytes + block * COWSTACK_BLOCK_SIZE;
}

static u64 ring_block(struct hostile *h, u64 position)
{
	return COWSTACK_RING_START + position % h->ring_blocks;
}

static void find_steps(struct hostile *h, const struct cowstack_metadata *md)
{
	u64 position, first;
	u32 count, i;

	for (position = md->tail; position < md->head; position += count) {
		struct disk_record_block *block;

		first = position;
		block = block_at(h, ring_block(h, position));
		count = le32_to_cpu(block->step_blocks);
		for (i = 0; i < count; i++) {
			add_target(h, TARGET_STEP, ring_block(h, position + i));
			h->targets[h->target_count - 1].position = first;
			h->targets[h->target_count - 1].count = count;
		}
	}
}

static void find_index(struct hostile *h, const struct cowstack_metadata *md)
{
	u64 i;

	h->index_count = 0;
	for (i = 0; i < md->index_count; i++) {
		h->index[h->index_count++] = from_mblock(md->index[i]);
		add_target(h, TARGET_INDEX, from_mblock(md->index[i]));
	}
}

static void find_pages(struct hostile *h, struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	list_for_each_entry(layer, &md->layers, list)
		for (number = 0; (page = sparse_table_next(&layer->map.pages,
							   &number)); number++)
			if (from_mblock(page->home))
				add_target(h, TARGET_PAGE,
					   from_mblock(page->home));
}

/* Random work, then the bytes of the store as a power cut would leave them. */
static void make_store(struct hostile *h, u64 seed)
{
	struct store_driver *d = &h->driver;
	u64 i, length;

	driver_format(d, seed);
	d->commit_percent = 10;
	driver_open(d);
	length = 50 + random_below(&d->random, 400);
	for (i = 0; i < length; i++)
		workload_do_something(d);
	driver_flush(d);
	if (d->failed)
		printf("# seed %llu: %s\n", (unsigned long long)seed,
		       d->failure);
	driver_close(d);
	device_flush(&d->store);

	h->bytes = d->store.sectors * 512;
	memcpy(h->use.image.bytes, d->store.medium, h->bytes);
	memcpy(h->good, d->store.medium, h->bytes);
	h->use.image.sectors = d->store.sectors;
	h->use.image.reader.device_sectors = d->store.sectors;
}

static int find_targets(struct hostile *h)
{
	struct cowstack_metadata md;
	int error = image_load(&h->use.image, &md);

	h->target_count = 0;
	if (error)
		return error;
	h->ring_blocks = cowstack_geometry(&md)->ring_blocks;
	add_target(h, TARGET_SUPERBLOCK, COWSTACK_SUPERBLOCK_A);
	find_index(h, &md);
	find_pages(h, &md);
	find_steps(h, &md);
	cowstack_metadata_exit(&md);
	return 0;
}

/* --- mutations --- */

static void seal_block(struct disk_record_block *block)
{
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	used += offsetof(struct disk_record_block, records);
	block->header.crc = cpu_to_le32(cowstack_block_crc(block, used));
}

static void seal_step(struct hostile *h, const struct target *t)
{
	struct disk_record_block *block;
	u32 crc = 0, i;

	for (i = 0; i < t->count; i++) {
		block = block_at(h, ring_block(h, t->position + i));
		crc = environment_crc32(crc, block->records,
					min_t(u32, le32_to_cpu(block->used),
					      sizeof(block->records)));
	}
	for (i = 0; i < t->count; i++) {
		block = block_at(h, ring_block(h, t->position + i));
		block->step_crc = cpu_to_le32(crc);
		seal_block(block);
	}
}

static void mutate_records(struct hostile *h, const struct target *t)
{
	struct disk_record_block *block = block_at(h, t->block);
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	/* Mostly the records that are there; else the block's head. */
	if (used >= 8 && random_percent(&h->use.r, 90))
		mutate_bytes(&h->use.r, block->records, used);
	else
		mutate_bytes(&h->use.r, (u8 *)block + 32, 32);
	if (t->kind == TARGET_STEP)
		seal_step(h, t);
	else
		seal_block(block);
}

/* The page's record in the index gets the new checksum. */
static void seal_page_in(struct hostile *h, struct disk_record_block *block,
			 u64 place)
{
	u32 crc = environment_crc32(0, block_at(h, place), COWSTACK_BLOCK_SIZE);
	/* Both lengths may have been mutated. */
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));
	struct disk_page_record *r;
	u32 at;

	for (at = 0; at + sizeof(*r) <= used;
	     at += max(8, le16_to_cpu(r->header.bytes) & ~7)) {
		r = (void *)(block->records + at);
		if (le16_to_cpu(r->header.type) == COWSTACK_RECORD_PAGE &&
		    le64_to_cpu(r->block) == place)
			r->crc = cpu_to_le32(crc);
	}
	seal_block(block);
}

static void seal_page(struct hostile *h, u64 place)
{
	u32 i;

	for (i = 0; i < h->index_count; i++)
		seal_page_in(h, block_at(h, h->index[i]), place);
}

static void mutate_superblock(struct hostile *h)
{
	struct disk_superblock *a = block_at(h, COWSTACK_SUPERBLOCK_A);
	struct disk_superblock *b = block_at(h, COWSTACK_SUPERBLOCK_B);

	mutate_bytes(&h->use.r, (u8 *)a + 24,
		     offsetof(struct disk_superblock, reserved) - 24);
	if (random_percent(&h->use.r, 70)) {
		*b = *a;
		b->header.place = cpu_to_le64(COWSTACK_SUPERBLOCK_B);
		b->header.crc = cpu_to_le32(cowstack_block_crc(b, sizeof(*b)));
	}
	a->header.crc = cpu_to_le32(cowstack_block_crc(a, sizeof(*a)));
}

static void mutate(struct hostile *h, const struct target *t)
{
	switch (t->kind) {
	case TARGET_SUPERBLOCK:
		mutate_superblock(h);
		break;
	case TARGET_STEP:
	case TARGET_INDEX:
		mutate_records(h, t);
		break;
	case TARGET_PAGE:
		mutate_bytes(&h->use.r, block_at(h, t->block), COWSTACK_BLOCK_SIZE);
		seal_page(h, t->block);
		break;
	}
}

static void mutate_store(struct hostile *h)
{
	u64 count = 1 + random_below(&h->use.r, 4);
	u32 first_page = 1 + h->index_count;

	memcpy(h->use.image.bytes, h->good, h->bytes);
	while (count--) {
		u32 i = random_below(&h->use.r, h->target_count);

		/* Pages are many, index and superblock few. */
		if (random_percent(&h->use.r, 40))
			i = random_below(&h->use.r, first_page);
		mutate(h, &h->targets[i]);
	}
}

static void init(struct hostile *h)
{
	driver_init(&h->driver);
	image_init(&h->use.image, 8, 16);
	image_resize(&h->use.image, DRIVER_STORE_SECTORS);
	h->good = malloc(DRIVER_STORE_SECTORS * 512ULL);
	h->use.image.reader.max_pages = MAX_PAGES;
}

static void exit_all(struct hostile *h)
{
	driver_exit(&h->driver);
	image_exit(&h->use.image);
	free(h->good);
}

TEST(mutated_stores)
{
	u64 seed = number_from_environment("COWSTACK_SEED", 1);
	u64 loads = number_from_environment("COWSTACK_LOADS", DEFAULT_LOADS);
	static struct hostile h;
	u64 i;

	init(&h);
	for (i = 0; i < loads; i++) {
		if (i % LOADS_PER_STORE == 0) {
			make_store(&h, seed + i / LOADS_PER_STORE);
			ASSERT_EQ(0, find_targets(&h));
		}
		h.use.r.state = (seed + i / LOADS_PER_STORE) << 20 |
			    i % LOADS_PER_STORE;
		mutate_store(&h);
		ASSERT_TRUE(store_use_load(&h.use))
			TH_LOG("store of seed %llu, mutation %llu: %s",
			       (unsigned long long)(seed + i / LOADS_PER_STORE),
			       (unsigned long long)(i % LOADS_PER_STORE),
			       h.use.wrong);
	}
	printf("# %llu mutated stores: %llu refused, %llu accepted; %llu chunks pulled up\n",
	       (unsigned long long)loads, (unsigned long long)h.use.refused,
	       (unsigned long long)h.use.accepted,
	       (unsigned long long)h.use.pulled);
	fflush(stdout);
	exit_all(&h);
}

/* Noise where blocks should be, with and without our magic numbers. */
TEST(noise)
{
	static struct hostile h;
	u64 i, n;

	init(&h);
	make_store(&h, 1);
	ASSERT_EQ(0, find_targets(&h));
	for (n = 0; n < 300; n++) {
		const struct target *t =
			&h.targets[random_below(&h.use.r, h.target_count)];
		u8 *bytes = block_at(&h, t->block);

		memcpy(h.use.image.bytes, h.good, h.bytes);
		for (i = random_below(&h.use.r, 4096); i < 4096; i++)
			bytes[i] = random_next(&h.use.r);
		EXPECT_TRUE(store_use_load(&h.use));
	}
	exit_all(&h);
}

/* A record out of range is refused for that, not for what comes of it. */
TEST(ranges_are_checked)
{
	const u64 most = COWSTACK_MAX_VOLUME_SECTORS / 8;
	const u64 bad[][2] = {
		{ 0, 0 }, { most, 1 }, { 1, most }, { 5, U64_MAX },
		{ U64_MAX, 1 }, { 1ULL << 60, 1 },
	};
	static struct store_image image;
	struct cowstack_metadata md, copy;
	u32 i;

	image_init(&image, 8, 100);
	ASSERT_EQ(0, image_load(&image, &md));
	image_create_volume(&image, &md, 1, 1000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct disk_run_record r = {
			.header.type = cpu_to_le16(COWSTACK_RECORD_CLEAR),
			.header.bytes = cpu_to_le16(sizeof(r)),
			.header.id = cpu_to_le32(1),
			.first = cpu_to_le64(bad[i][0]),
			.count = cpu_to_le64(bad[i][1]),
		};

		image_write_raw_step(&image, &md, &r, sizeof(r));
		EXPECT_EQ(-EUCLEAN, image_load(&image, &copy));
		EXPECT_NE(NULL, image.report.why);
	}
	cowstack_metadata_exit(&md);
	image_exit(&image);
}

TEST_HARNESS_MAIN
