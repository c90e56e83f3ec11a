// SPDX-License-Identifier: GPL-2.0
/*
 * Volumes of 16 TiB and 1 PiB in a store of more than 2^32 chunks: numbers around
 * 2^31 and 2^32, ends that are no multiple of a chunk, bases longer and shorter.
 */
#include "chain.h"
#include "stream_plan.h"
#include "store_image.h"

#include "harness.h"

enum { SECTORS = 8, DATA = 12, MAX_CHUNKS = 16 };

#define TERABYTES(n) ((u64)(n) << 31)	/* in sectors */
/* With the smallest chunks. */
#define MOST_SECTORS (COWSTACK_MAX_VOLUME_CHUNKS * SECTORS)
#define STORE_CHUNKS (BIT_ULL(32) + 20000)

FIXTURE(huge) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_metadata copy;
	struct cowstack_volume *volume;
	struct cowstack_layer *frozen;
	struct cowstack_range range;
	u64 chunks[MAX_CHUNKS];		/* of the volume, ascending */
	u32 count;
	dchunk_t data[MAX_CHUNKS];	/* their places */
};

FIXTURE_VARIANT(huge) {
	u64 sectors;
};

FIXTURE_VARIANT_ADD(huge, below_16_tib) { .sectors = TERABYTES(16) - 3 };
FIXTURE_VARIANT_ADD(huge, of_16_tib) { .sectors = TERABYTES(16) };
FIXTURE_VARIANT_ADD(huge, above_16_tib) { .sectors = TERABYTES(16) + 5 };
FIXTURE_VARIANT_ADD(huge, below_1_pib) { .sectors = TERABYTES(1024) - 3 };
FIXTURE_VARIANT_ADD(huge, largest) { .sectors = MOST_SECTORS };

typedef FIXTURE_DATA(huge) huge_data;

/* Two chunks before @near, and two from there on. */
static void take_data(huge_data *self, u64 near)
{
	u64 got, i;

	self->md.allocator.next = near - 2;
	for (i = 0; i < 4; i++)
		cowstack_allocator_take(&self->md.allocator, 1,
					&self->data[self->count++], &got);
}

static void add_chunk(huge_data *self, u64 chunk, u64 sectors)
{
	u64 chunks = (sectors + SECTORS - 1) / SECTORS;

	if (chunk < chunks && (!self->count ||
			       chunk > self->chunks[self->count - 1]))
		self->chunks[self->count++] = chunk;
}

FIXTURE_SETUP(huge)
{
	static const u64 near[] = { BIT_ULL(31), BIT_ULL(32), BIT_ULL(33) };
	u64 last = (variant->sectors - 1) / SECTORS;
	struct cowstack_change c;
	u32 i;

	image_init(&self->image, SECTORS, STORE_CHUNKS);
	/* A bit for each chunk takes as much as so many of them. */
	self->image.reader.max_pages += STORE_CHUNKS >> 15;
	ASSERT_EQ(0, image_load(&self->image, &self->md));
	take_data(self, 100);
	take_data(self, BIT_ULL(31));
	take_data(self, BIT_ULL(32));
	self->count = 0;
	self->volume = image_create_volume(&self->image, &self->md, 1,
					   variant->sectors);
	self->frozen = self->volume->top;
	add_chunk(self, 0, variant->sectors);
	for (i = 0; i < ARRAY_SIZE(near); i++) {
		add_chunk(self, near[i] - 1, variant->sectors);
		add_chunk(self, near[i], variant->sectors);
		add_chunk(self, near[i] + 1, variant->sectors);
	}
	add_chunk(self, last - 1, variant->sectors);
	add_chunk(self, last, variant->sectors);
	ASSERT_LE(self->count, DATA);
	for (i = 0; i < self->count; i++) {
		map_word_t word = map_word_with_room(MAP_WORD_NONE,
						     self->data[i]);

		image_set_word(&self->md, self->frozen, self->chunks[i],
			       map_word_with_pieces(word, 0xff, 0xff));
		atomic64_inc(&self->frozen->map.used);
	}
	image_run_step(&self->image, &self->md);
	ASSERT_EQ(0, cowstack_change_snapshot(&c, &self->md, self->volume, NULL,
					      0, NULL, NULL));
	image_run_change(&self->image, &self->md, &c);
	ASSERT_EQ(0, cowstack_volume_bring_up(&self->md, self->volume));
	cowstack_range_fill(&self->range, self->frozen, NULL);
}

FIXTURE_TEARDOWN(huge)
{
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

static bool load_is_right(huge_data *self)
{
	bool right;
	int error = image_load(&self->image, &self->copy);

	if (error) {
		printf("# load: error %d, %s\n", error, self->image.report.why);
		fflush(stdout);
		return false;
	}
	right = image_maps_are_equal(&self->md, &self->copy) &&
		self->copy.allocator.free == self->md.allocator.free;
	cowstack_metadata_exit(&self->copy);
	return right;
}

static u64 place_of(huge_data *self, u32 i)
{
	return cowstack_geometry(&self->md)->data_start +
	       from_dchunk(self->data[i]) * SECTORS;
}

static struct cowstack_extent look_up(huge_data *self, u64 sector, u64 count)
{
	struct cowstack_extent extent;

	cowstack_chain_resolve(cowstack_geometry(&self->md), self->volume,
			       cowstack_volume_chain(self->volume), sector,
			       count, &extent);
	return extent;
}

TEST_F(huge, places)
{
	u32 i;

	EXPECT_EQ(BIT_ULL(31) - 1, from_dchunk(self->data[5]));
	EXPECT_EQ(BIT_ULL(31), from_dchunk(self->data[6]));
	EXPECT_EQ(BIT_ULL(32) - 1, from_dchunk(self->data[9]));
	EXPECT_EQ(BIT_ULL(32), from_dchunk(self->data[10]));
	for (i = 0; i < DATA; i++)
		EXPECT_TRUE(test_bit(from_dchunk(self->data[i]),
				     self->md.allocator.taken));
}

TEST_F(huge, loads)
{
	u64 free = self->md.allocator.free;
	u32 i;

	/* What is in no word comes free. */
	for (i = self->count; i < DATA; i++)
		cowstack_allocator_untake(&self->md.allocator, self->data[i], 1);
	EXPECT_EQ(free + DATA - self->count, self->md.allocator.free);
	EXPECT_TRUE(load_is_right(self));
	image_checkpoint(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
}

TEST_F(huge, shows)
{
	u64 sectors = variant->sectors, i;

	for (i = 0; i < self->count; i++) {
		u64 start = self->chunks[i] * SECTORS;
		u64 end = min(start + SECTORS, sectors);
		struct cowstack_extent e = look_up(self, start, end - start);

		EXPECT_EQ(COWSTACK_EXTENT_DATA, e.kind);
		EXPECT_EQ(place_of(self, i), e.place);
		EXPECT_EQ(end - start, e.sectors);
		e = look_up(self, end - 1, 1);
		EXPECT_EQ(COWSTACK_EXTENT_DATA, e.kind);
		EXPECT_EQ(place_of(self, i) + end - 1 - start, e.place);
		/* The base before it, up to there and no further. */
		if (!i || self->chunks[i - 1] + 1 == self->chunks[i])
			continue;
		e = look_up(self, start - SECTORS, 3 * SECTORS);
		EXPECT_EQ(COWSTACK_EXTENT_BASE, e.kind);
		EXPECT_EQ(SECTORS, e.sectors);
	}
}

TEST_F(huge, commit_plan)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	vchunk_t chunk = to_vchunk(0);
	u32 i;

	for (i = 0; i < self->count; i++) {
		ASSERT_TRUE(cowstack_range_next(&self->range, &chunk));
		ASSERT_EQ(self->chunks[i], from_vchunk(chunk));
		ASSERT_EQ(1, cowstack_range_plan(cowstack_geometry(&self->md),
						 &self->range, chunk, segments));
		EXPECT_EQ(self->chunks[i] * SECTORS, segments[0].sector);
		EXPECT_EQ(place_of(self, i), segments[0].place);
		EXPECT_EQ(SECTORS, segments[0].sectors);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	EXPECT_FALSE(cowstack_range_next(&self->range, &chunk));
	EXPECT_EQ(self->count, cowstack_range_chunks(&self->range));
}

/* Bases that end before the volume: within a chunk that is held, and before it. */
TEST_F(huge, short_base)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->md);
	u32 i;

	for (i = 0; i < self->count; i++) {
		u64 start = self->chunks[i] * SECTORS;
		u64 behind = (u64)(self->count - i) * SECTORS;

		EXPECT_EQ(behind, cowstack_range_held_behind(g, &self->range,
							     start));
		EXPECT_EQ(behind - 3, cowstack_range_held_behind(g, &self->range,
								 start + 3));
	}
	EXPECT_EQ(0, cowstack_range_held_behind(g, &self->range,
						self->chunks[i - 1] * SECTORS +
							SECTORS));
}

/* And one that ends with it: a stream takes of it what no layer has. */
TEST_F(huge, stream_with_base)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->md);
	struct cowstack_stream stream = { .own = 2,
					  .base_sectors = variant->sectors };
	u64 last = self->chunks[self->count - 1];
	u64 near = self->chunks[1] - 1;
	vchunk_t chunk = to_vchunk(near);
	struct cowstack_pull pull;

	cowstack_range_fill(&stream.range, self->volume->top, NULL);
	ASSERT_TRUE(cowstack_stream_next(g, &stream, &chunk));
	EXPECT_EQ(near, from_vchunk(chunk));
	cowstack_stream_plan(g, &stream, chunk, &pull);
	EXPECT_TRUE(pull.needs_chunk);
	ASSERT_EQ(1, pull.count);
	EXPECT_TRUE(pull.copies[0].from_base);
	EXPECT_EQ(8, pull.copies[0].count);
	chunk = to_vchunk(last);
	ASSERT_TRUE(cowstack_stream_next(g, &stream, &chunk));
	EXPECT_EQ(last, from_vchunk(chunk));
	chunk = to_vchunk(last + 1);
	EXPECT_FALSE(cowstack_stream_next(g, &stream, &chunk));
}

/* Half of the volume, and the rest: the words go, and their chunks come free. */
TEST_F(huge, let_go)
{
	u64 chunks = cowstack_chunks_of(cowstack_geometry(&self->md),
					variant->sectors);
	struct cowstack_let_go what = {
		.bottom = self->frozen, .top = self->frozen,
		.count = BIT_ULL(31),
	};
	struct cowstack_change c;
	vchunk_t chunk = to_vchunk(0);

	ASSERT_EQ(0, cowstack_change_let_go(&c, &self->md, self->volume, &what,
					    NULL, NULL));
	image_run_change(&self->image, &self->md, &c);
	ASSERT_TRUE(cowstack_range_next(&self->range, &chunk));
	EXPECT_EQ(BIT_ULL(31), from_vchunk(chunk));
	what.first = to_vchunk(BIT_ULL(31));
	what.count = chunks - BIT_ULL(31);
	ASSERT_EQ(0, cowstack_change_let_go(&c, &self->md, self->volume, &what,
					    NULL, NULL));
	image_run_change(&self->image, &self->md, &c);
	EXPECT_TRUE(cowstack_layer_is_empty(self->frozen));
	ASSERT_EQ(0, image_load(&self->image, &self->copy));
	EXPECT_EQ(0, self->image.report.words);
	cowstack_metadata_exit(&self->copy);
}

/* Runs of zeroes that pass 2^31 and 2^32, in one record each. */
TEST_F(huge, runs)
{
	static const u64 near[] = { BIT_ULL(31), BIT_ULL(32) };
	u64 last = self->chunks[self->count - 1], chunk;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(near); i++)
		for (chunk = near[i] - 700; chunk < near[i] + 700; chunk++)
			if (chunk <= last)
				image_set_word(&self->md, self->volume->top,
					       chunk, map_word_zeroes());
	EXPECT_EQ(1, image_run_step(&self->image, &self->md));
	for (i = self->count; i < DATA; i++)
		cowstack_allocator_untake(&self->md.allocator, self->data[i], 1);
	EXPECT_TRUE(load_is_right(self));
	image_checkpoint(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
}

static void set_sectors(struct cowstack_volume_info *info, const void *argument)
{
	info->sectors = *(const u64 *)argument;
}

/* The volume, and the store under it. */
TEST_F(huge, grow)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->md);
	u64 sectors = MOST_SECTORS, chunks = g->chunks + 1000;
	struct cowstack_change c;
	dchunk_t place;
	u64 got;
	u32 i;

	ASSERT_EQ(0, cowstack_change_info(&c, &self->md, self->volume,
					  set_sectors, &sectors));
	image_run_change(&self->image, &self->md, &c);
	image_resize(&self->image, self->image.sectors + 1000 * SECTORS);
	ASSERT_EQ(0, cowstack_change_grow(&c, &self->md, chunks));
	image_run_change(&self->image, &self->md, &c);
	self->md.allocator.next = chunks - 1;
	ASSERT_EQ(0, cowstack_allocator_take(&self->md.allocator, 1, &place,
					     &got));
	EXPECT_EQ(chunks - 1, from_dchunk(place));
	image_set_word(&self->md, self->volume->top,
		       MOST_SECTORS / SECTORS - 1,
		       map_word_with_pieces(map_word_with_room(MAP_WORD_NONE,
							       place),
					    1, 0xff));
	image_run_step(&self->image, &self->md);
	for (i = self->count; i < DATA; i++)
		cowstack_allocator_untake(&self->md.allocator, self->data[i], 1);
	EXPECT_TRUE(load_is_right(self));
}

TEST_F(huge, too_large)
{
	struct cowstack_change c;

	EXPECT_EQ(-EINVAL, cowstack_change_create_volume(&c, &self->md,
							 to_volume_id(2),
							 MOST_SECTORS + 1,
							 NULL, 0));
}

TEST_HARNESS_MAIN
