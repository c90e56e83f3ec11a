// SPDX-License-Identifier: GPL-2.0
/* What the layers hold of a volume's parts, against counts made word by word. */
#include "chain_store.h"
#include "map_count.h"
#include "random.h"

#include "harness.h"

enum { LAYERS = 5, FULL = CHAIN_FULL_MASK, EVERY_LAYER = LAYERS };

FIXTURE(map) {
	struct chain_store s;
	struct cowstack_range range;
	struct cowstack_map_count count;
};

FIXTURE_SETUP(map)
{
	chain_open(&self->s);
}

FIXTURE_TEARDOWN(map)
{
	chain_close(&self->s);
}

typedef FIXTURE_DATA(map) map_data;

/* Layer @layer, or all of them; returns how many slices it took. */
static unsigned int count_parts(map_data *self, u32 layer, u32 parts)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	struct cowstack_layer *top = self->s.volume->top;
	unsigned int slices = 1;

	if (layer == EVERY_LAYER)
		cowstack_range_fill(&self->range, top, NULL);
	else
		cowstack_range_fill(&self->range, self->s.layer[layer],
				    self->s.layer[layer]->parent);
	cowstack_map_count_begin(&self->count, g, self->s.volume, parts);
	while (cowstack_map_count_pages(&self->count, g, &self->range))
		slices++;
	return slices;
}

static bool part_is(const map_data *self, u32 part, u64 used, u64 clean,
		    u64 zero, u64 hidden)
{
	const struct cowstack_map_part *p = &self->count.part[part];

	return p->used == used && p->clean == clean && p->zero == zero &&
	       p->hidden == hidden;
}

TEST_F(map, empty)
{
	count_parts(self, EVERY_LAYER, 8);
	EXPECT_EQ(CHAIN_VOLUME_CHUNKS, self->count.chunks);
	EXPECT_EQ(CHAIN_VOLUME_CHUNKS / 8, self->count.part_chunks);
	EXPECT_EQ(8, self->count.parts);
	EXPECT_TRUE(part_is(self, 0, 0, 0, 0, 0));
	EXPECT_TRUE(part_is(self, 7, 0, 0, 0, 0));
}

TEST_F(map, kinds_of_words)
{
	chain_give(&self->s, 1, 0, FULL, false);
	chain_give(&self->s, 1, 1, 1, false);
	chain_give(&self->s, 1, 2, FULL, true);
	chain_give(&self->s, 1, 3, 0, false);
	chain_give_zeroes(&self->s, 1, 4);
	chain_give(&self->s, 1, CHAIN_VOLUME_CHUNKS - 1, FULL, false);
	count_parts(self, 1, 16);
	EXPECT_TRUE(part_is(self, 0, 4, 1, 1, 3));
	EXPECT_TRUE(part_is(self, 15, 1, 0, 0, 1));
	count_parts(self, 2, 16);
	EXPECT_TRUE(part_is(self, 0, 0, 0, 0, 0));
}

/* What of its chunks a layer has: a chunk of its own for each piece of one. */
TEST_F(map, pieces)
{
	chain_give(&self->s, 1, 0, FULL, false);
	chain_give(&self->s, 1, 1, 1, false);
	chain_give(&self->s, 1, 2, 0x81, true);
	chain_give(&self->s, 1, 3, 0, false);
	chain_give_zeroes(&self->s, 1, 4);
	chain_give(&self->s, 3, 0, 2, false);
	count_parts(self, 1, 16);
	EXPECT_EQ(hweight16(FULL) + 1 + 2, self->count.part[0].pieces);
	EXPECT_EQ(0, self->count.part[1].pieces);
	count_parts(self, EVERY_LAYER, 16);
	EXPECT_EQ(hweight16(FULL) + 1 + 2 + 1, self->count.part[0].pieces);
}

/* Two halves of a chunk in two layers hide it together. */
TEST_F(map, layers_hide_together)
{
	chain_give(&self->s, 0, 5, 0x0f, false);
	chain_give(&self->s, 3, 5, 0xf0, false);
	chain_give(&self->s, 0, 6, 0x0f, false);
	chain_give(&self->s, 3, 6, 0x0f, false);
	count_parts(self, 0, 1);
	EXPECT_TRUE(part_is(self, 0, 2, 0, 0, 0));
	count_parts(self, EVERY_LAYER, 1);
	EXPECT_TRUE(part_is(self, 0, 4, 0, 0, 1));
}

/* Of more parts than chunks each has one; the last may be shorter than the rest. */
TEST_F(map, lengths_of_parts)
{
	u64 sectors = self->s.volume->info.sectors;

	self->s.volume->info.sectors = 3 * 8 - 1;
	count_parts(self, EVERY_LAYER, 512);
	EXPECT_EQ(3, self->count.chunks);
	EXPECT_EQ(1, self->count.part_chunks);
	EXPECT_EQ(3, self->count.parts);
	self->s.volume->info.sectors = 1025 * 8;
	count_parts(self, EVERY_LAYER, 512);
	EXPECT_EQ(3, self->count.part_chunks);
	EXPECT_EQ(342, self->count.parts);
	self->s.volume->info.sectors = sectors;
}

/* Numbers of chunks beyond 32 bits, of the volume and of a part. */
TEST_F(map, a_huge_volume)
{
	u64 sectors = self->s.volume->info.sectors;
	u64 chunks = 1ULL << 34;

	chain_give(&self->s, 2, 0, FULL, false);
	self->s.volume->info.sectors = chunks * 8;
	count_parts(self, EVERY_LAYER, 1);
	EXPECT_EQ(chunks, self->count.chunks);
	EXPECT_EQ(chunks, self->count.part_chunks);
	EXPECT_EQ(1, self->count.parts);
	EXPECT_TRUE(part_is(self, 0, 1, 0, 0, 1));
	count_parts(self, EVERY_LAYER, 2);
	EXPECT_EQ(2, self->count.parts);
	self->s.volume->info.sectors = sectors;
}

/* A shared layer of a larger volume reaches further than a small one does. */
TEST_F(map, behind_the_end)
{
	u64 sectors = self->s.volume->info.sectors;

	chain_give(&self->s, 2, 99, FULL, false);
	chain_give(&self->s, 2, 100, FULL, false);
	chain_give(&self->s, 2, 5000, FULL, false);
	self->s.volume->info.sectors = 100 * 8;
	count_parts(self, EVERY_LAYER, 10);
	EXPECT_TRUE(part_is(self, 9, 1, 0, 0, 1));
	self->s.volume->info.sectors = sectors;
}

TEST_F(map, it_goes_by_slices)
{
	struct random random = { .state = 7 };
	u64 used = 0, hidden = 0, i;
	u32 part;

	for (i = 0; i < CHAIN_VOLUME_CHUNKS; i++) {
		bool known = false;
		u32 layer;

		for (layer = 0; layer < 3; layer++) {
			if (random_below(&random, 10))
				continue;
			chain_give(&self->s, layer, i, FULL, false);
			used++;
			known = true;
		}
		hidden += known;
	}
	EXPECT_LT(1, count_parts(self, EVERY_LAYER, 100));
	for (part = 0; part < self->count.parts; part++) {
		used -= self->count.part[part].used;
		hidden -= self->count.part[part].hidden;
	}
	EXPECT_EQ(0, used);
	EXPECT_EQ(0, hidden);
}

TEST_HARNESS_MAIN
