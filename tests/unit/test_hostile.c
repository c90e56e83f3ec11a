// SPDX-License-Identifier: GPL-2.0
/*
 * Loading what an enemy wrote: valid stores with fields changed and checksums
 * made right again.  A load refuses, or gives a store that can be worked with;
 * it never crashes, hangs, or takes more memory than the device could justify.
 *
 *   COWSTACK_LOADS=N  how many mutated stores (default: see below)
 *   COWSTACK_SEED=N   seed of the first store
 */
#include "store_damage.h"
#include "store_use.h"
#include "workload.h"

#include "harness.h"

enum {
	DEFAULT_LOADS = 20000,
	LOADS_PER_STORE = 300,
	MAX_PAGES = 512,
};

/* With sanitizers a single allocation may not be larger than this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_allocation_size_mb=32:quarantine_size_mb=16";
}

struct hostile {
	struct store_driver driver;
	struct store_use use;
	struct store_damage damage;
};

/* Random work, then the bytes of the store as a power cut would leave them. */
static int make_store(struct hostile *h, u64 seed)
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

	image_resize(&h->use.image, d->store.sectors);
	memcpy(h->use.image.bytes, d->store.medium, d->store.sectors * 512);
	return store_damage_begin(&h->damage, &h->use.image,
				  d->store.sectors * 512);
}

static void init(struct hostile *h)
{
	driver_init(&h->driver);
	image_init(&h->use.image, 8, 16);
	image_resize(&h->use.image, DRIVER_STORE_SECTORS);
	h->use.image.reader.max_pages = MAX_PAGES;
}

static void exit_all(struct hostile *h)
{
	driver_exit(&h->driver);
	image_exit(&h->use.image);
	store_damage_exit(&h->damage);
}

TEST(mutated_stores)
{
	u64 seed = number_from_environment("COWSTACK_SEED", 1);
	u64 loads = number_from_environment("COWSTACK_LOADS", DEFAULT_LOADS);
	static struct hostile h;
	u64 i;

	init(&h);
	for (i = 0; i < loads; i++) {
		if (i % LOADS_PER_STORE == 0)
			ASSERT_EQ(0, make_store(&h, seed + i / LOADS_PER_STORE));
		h.use.r.state = (seed + i / LOADS_PER_STORE) << 20 |
			    i % LOADS_PER_STORE;
		store_damage_do(&h.damage, &h.use.r);
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
	ASSERT_EQ(0, make_store(&h, 1));
	for (n = 0; n < 300; n++) {
		u8 *bytes = store_damage_block(&h.damage, &h.use.r);

		store_damage_undo(&h.damage);
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
