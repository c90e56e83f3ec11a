// SPDX-License-Identifier: GPL-2.0
/* What a commit would write and free, as "commit plan" says it before. */
#include "chain_store.h"
#include "commit_estimate.h"

#include "harness.h"

enum { CHUNK_BYTES = 4096, SECTOR_BYTES = 512 };	/* a piece is a sector */

FIXTURE(estimate) {
	struct chain_store s;
	struct cowstack_estimator e;
};

typedef FIXTURE_DATA(estimate) estimate_data;

FIXTURE_SETUP(estimate)
{
	chain_open(&self->s);
}

FIXTURE_TEARDOWN(estimate)
{
	chain_close(&self->s);
}

static void give(estimate_data *self, u32 layer, u64 chunk, u16 mask)
{
	chain_give(&self->s, layer, chunk, mask, false);
}

/* Of the layers from layer[3] down, to right above @destination (NULL: the base). */
static const struct cowstack_estimate *
estimate(estimate_data *self, const struct cowstack_layer *destination)
{
	struct cowstack_estimator *e = &self->e;
	struct cowstack_layer *top = self->s.layer[3];
	vchunk_t chunk = to_vchunk(0);

	cowstack_range_fill(&e->range, top, destination);
	if (destination)
		cowstack_range_fill(&e->merged, top, destination->parent);
	cowstack_estimate_begin(e, cowstack_geometry(&self->s.md), destination);
	while (cowstack_range_next(&e->range, &chunk)) {
		cowstack_estimate_add(e, chunk);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	return &e->estimate;
}

TEST_F(estimate, of_nothing)
{
	const struct cowstack_estimate *e = estimate(self, NULL);

	EXPECT_EQ(0, e->chunks);
	EXPECT_EQ(0, e->data_bytes + e->zero_bytes + e->requests + e->freed);
}

TEST_F(estimate, into_the_base)
{
	const struct cowstack_estimate *e;

	/* One run, wherever its data lies. */
	give(self, 3, 10, CHAIN_FULL_MASK);
	give(self, 2, 11, CHAIN_FULL_MASK);
	/* Zeroes are one of their own, and free nothing. */
	chain_give_zeroes(&self->s, 1, 12);
	chain_give_zeroes(&self->s, 0, 13);
	/* Right behind them. */
	give(self, 0, 14, CHAIN_FULL_MASK);
	/* The newest of each piece, and both come free. */
	give(self, 3, 20, 0x0f);
	give(self, 1, 20, CHAIN_FULL_MASK);
	/* The first sector and the last. */
	give(self, 2, 30, 0x81);
	e = estimate(self, NULL);
	EXPECT_EQ(7, e->chunks);
	EXPECT_EQ(4 * CHUNK_BYTES + 2 * SECTOR_BYTES, e->data_bytes);
	EXPECT_EQ(2 * CHUNK_BYTES, e->zero_bytes);
	EXPECT_EQ(6, e->requests);
	EXPECT_EQ(6, e->freed);
}

TEST_F(estimate, into_a_layer)
{
	const struct cowstack_estimate *e;

	/* Moves as it is. */
	give(self, 3, 50, CHAIN_FULL_MASK);
	/* Takes four sectors from below, and a chunk comes free. */
	give(self, 3, 51, 0x0f);
	give(self, 1, 51, CHAIN_FULL_MASK);
	/* Covers what lies below. */
	give(self, 2, 52, CHAIN_FULL_MASK);
	give(self, 1, 52, CHAIN_FULL_MASK);
	chain_give_zeroes(&self->s, 3, 53);
	give(self, 1, 53, CHAIN_FULL_MASK);
	/* Of the destination alone, or below it. */
	give(self, 1, 54, CHAIN_FULL_MASK);
	give(self, 0, 51, CHAIN_FULL_MASK);
	e = estimate(self, self->s.layer[1]);
	EXPECT_EQ(4, e->chunks);
	EXPECT_EQ(4 * SECTOR_BYTES, e->data_bytes);
	EXPECT_EQ(0, e->zero_bytes);
	EXPECT_EQ(1, e->requests);
	EXPECT_EQ(3, e->freed);
}

TEST_HARNESS_MAIN
