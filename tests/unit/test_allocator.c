// SPDX-License-Identifier: GPL-2.0
#include "allocator.h"
#include "format.h"
#include "random.h"

#include "harness.h"

enum { CHUNKS = 200, MAX_CHUNKS = 400 };

FIXTURE(allocator) {
	struct cowstack_geometry g;
	struct allocator a;
	struct list_head runs;
};

FIXTURE_SETUP(allocator)
{
	cowstack_geometry_init(&self->g, 2048 + CHUNKS * 128, 128);
	INIT_LIST_HEAD(&self->runs);
	cowstack_allocator_init(&self->a, &self->g);
}

FIXTURE_TEARDOWN(allocator)
{
	cowstack_allocator_release(&self->a, &self->runs);
	cowstack_allocator_exit(&self->a);
}

static int claim_block(struct allocator *a, u64 block)
{
	return cowstack_allocator_claim_block(a, to_mblock(block));
}

static bool is_taken(const struct allocator *a, u64 chunk)
{
	return test_bit(chunk, a->taken);
}

static u64 take_all(struct allocator *a)
{
	dchunk_t first;
	u64 got, taken = 0;

	while (!cowstack_allocator_take(a, 7, &first, &got))
		taken += got;
	return taken;
}

TEST_F(allocator, stages)
{
	struct allocator *a = &self->a;
	struct list_head step;
	dchunk_t first;
	u64 got;

	INIT_LIST_HEAD(&step);
	ASSERT_EQ(0, cowstack_allocator_take(a, 4, &first, &got));
	EXPECT_EQ(4, got);
	EXPECT_EQ(CHUNKS - 4, a->free);
	cowstack_allocator_free(a, first, 4);
	EXPECT_EQ(4, a->limbo);
	cowstack_allocator_take_durable(a, &self->runs);
	EXPECT_TRUE(list_empty(&self->runs));
	/* Freed after the step was begun: not in it. */
	cowstack_allocator_collect(a, &step);
	EXPECT_FALSE(list_empty(&step));
	cowstack_allocator_take_durable(a, &self->runs);
	EXPECT_TRUE(list_empty(&self->runs));
	cowstack_allocator_durable(a, &step);
	EXPECT_TRUE(list_empty(&step));
	cowstack_allocator_take_durable(a, &self->runs);
	EXPECT_FALSE(list_empty(&self->runs));
	EXPECT_EQ(CHUNKS - 4, a->free);
	EXPECT_TRUE(is_taken(a, from_dchunk(first)));
	cowstack_allocator_release(a, &self->runs);
	EXPECT_EQ(CHUNKS, a->free);
	EXPECT_EQ(0, a->limbo);
	EXPECT_FALSE(is_taken(a, from_dchunk(first)));
}

TEST_F(allocator, durable_runs_are_sorted_and_joined)
{
	static const u64 order[] = { 9, 3, 4, 8, 1, 5, 0 };
	struct allocator *a = &self->a;
	struct chunk_run *run;
	dchunk_t first;
	u64 got;
	u32 i;

	ASSERT_EQ(0, cowstack_allocator_take(a, 10, &first, &got));
	ASSERT_EQ(10, got);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		cowstack_allocator_free_durable(a, to_dchunk(order[i]), 1);
	cowstack_allocator_take_durable(a, &self->runs);
	run = list_first_entry(&self->runs, struct chunk_run, list);
	EXPECT_EQ(0, from_dchunk(run->first));
	EXPECT_EQ(2, run->count);
	run = list_first_entry(&run->list, struct chunk_run, list);
	EXPECT_EQ(3, from_dchunk(run->first));
	EXPECT_EQ(3, run->count);
	run = list_first_entry(&run->list, struct chunk_run, list);
	EXPECT_EQ(8, from_dchunk(run->first));
	EXPECT_EQ(2, run->count);
	EXPECT_EQ(&self->runs, run->list.next);
}

TEST_F(allocator, untake_gives_back_at_once)
{
	dchunk_t first;
	u64 got;

	ASSERT_EQ(0, cowstack_allocator_take(&self->a, 5, &first, &got));
	cowstack_allocator_untake(&self->a, first, got);
	EXPECT_EQ(CHUNKS, self->a.free);
	EXPECT_EQ(0, self->a.limbo);
}

/* Data leaves enough for each page and the index, old and new. */
TEST_F(allocator, room_is_kept_back)
{
	struct allocator *a = &self->a;
	u64 pages = 300, blocks = 0, i;

	for (i = 0; i < pages; i++)
		ASSERT_EQ(0, cowstack_allocator_add_page(a));
	EXPECT_EQ(cowstack_allocator_room(a), take_all(a));
	EXPECT_EQ(0, cowstack_allocator_room(a));
	EXPECT_EQ(-ENOSPC, cowstack_allocator_add_page(a));
	while (cowstack_allocator_take_block(a) != COWSTACK_NO_BLOCK)
		blocks++;
	EXPECT_GE(blocks, 2 * pages + 2 * pages / 126 + 2);
	EXPECT_EQ(0, a->free);
}

TEST_F(allocator, pages_stop_before_room_for_them_ends)
{
	struct allocator *a = &self->a;
	u64 pages = 0, room = cowstack_allocator_room(a);

	while (!cowstack_allocator_add_page(a))
		pages++;
	EXPECT_GT(pages, CHUNKS * 16 / 2 * 9 / 10);
	EXPECT_LE(pages, CHUNKS * 16 / 2);
	cowstack_allocator_remove_pages(a, pages);
	EXPECT_EQ(room, cowstack_allocator_room(a));
}

TEST_F(allocator, metadata_blocks)
{
	struct allocator *a = &self->a;
	mblock_t blocks[40];
	u32 i;

	for (i = 0; i < 40; i++) {
		blocks[i] = cowstack_allocator_take_block(a);
		/* Those of one chunk follow each other. */
		if (i % 16)
			EXPECT_EQ(from_mblock(blocks[i - 1]) + 1,
				  from_mblock(blocks[i]));
	}
	EXPECT_EQ(3, a->metadata_chunks);
	EXPECT_EQ(40, a->metadata_blocks);
	EXPECT_EQ(CHUNKS - 3, a->free);
	for (i = 0; i < 16; i++)
		cowstack_allocator_put_block(a, blocks[i]);
	EXPECT_EQ(2, a->metadata_chunks);
	EXPECT_EQ(CHUNKS - 2, a->free);
	/* Put twice, or never taken, or no block at all: nothing happens. */
	cowstack_allocator_put_block(a, blocks[0]);
	cowstack_allocator_put_block(a, COWSTACK_NO_BLOCK);
	cowstack_allocator_put_block(a, to_mblock(U64_MAX));
	EXPECT_EQ(24, a->metadata_blocks);
	EXPECT_EQ(CHUNKS - 2, a->free);
	cowstack_allocator_put_block(a, blocks[20]);
	EXPECT_EQ(from_mblock(blocks[39]) + 1,
		  from_mblock(cowstack_allocator_take_block(a)));
}

TEST_F(allocator, claims)
{
	struct allocator *a = &self->a;
	u64 data = self->g.data_start / COWSTACK_BLOCK_SECTORS;

	EXPECT_EQ(0, cowstack_allocator_claim(a, to_dchunk(0)));
	EXPECT_EQ(-EUCLEAN, cowstack_allocator_claim(a, to_dchunk(0)));
	EXPECT_EQ(0, cowstack_allocator_claim(a, to_dchunk(CHUNKS - 1)));
	EXPECT_EQ(-EUCLEAN, cowstack_allocator_claim(a, to_dchunk(CHUNKS)));
	EXPECT_EQ(-EUCLEAN, cowstack_allocator_claim(a, to_dchunk(U64_MAX)));
	/* In a data chunk, before the data area, behind it, twice. */
	EXPECT_EQ(-EUCLEAN, claim_block(a, data));
	EXPECT_EQ(-EUCLEAN, claim_block(a, data - 1));
	EXPECT_EQ(-EUCLEAN, claim_block(a, 0));
	EXPECT_EQ(-EUCLEAN, claim_block(a, data + CHUNKS * 16));
	EXPECT_EQ(-EUCLEAN, claim_block(a, U64_MAX));
	EXPECT_EQ(0, claim_block(a, data + 20));
	EXPECT_EQ(-EUCLEAN, claim_block(a, data + 20));
	EXPECT_EQ(0, claim_block(a, data + 31));
	EXPECT_EQ(-EUCLEAN, cowstack_allocator_claim(a, to_dchunk(1)));
	EXPECT_EQ(CHUNKS - 3, a->free);
}

TEST_F(allocator, grows)
{
	struct allocator *a = &self->a;

	take_all(a);
	EXPECT_EQ(0, cowstack_allocator_room(a));
	ASSERT_EQ(0, cowstack_allocator_prepare_grow(a, MAX_CHUNKS));
	EXPECT_EQ(0, cowstack_allocator_room(a));
	cowstack_allocator_grow(a, MAX_CHUNKS);
	EXPECT_EQ(MAX_CHUNKS - CHUNKS, cowstack_allocator_room(a));
	EXPECT_EQ(MAX_CHUNKS - CHUNKS, take_all(a));
	/* Never smaller. */
	cowstack_allocator_grow(a, CHUNKS);
	EXPECT_EQ(MAX_CHUNKS, a->chunks);
}

/* --- against a naive model --- */

enum stage { FREE = 0, TAKEN, FREED, COLLECTED, DURABLE, DRAINING, METADATA };

struct naive {
	enum stage stage[MAX_CHUNKS];
	u32 blocks[MAX_CHUNKS];		/* in use in a metadata chunk */
	mblock_t taken_blocks[MAX_CHUNKS * 16];
	u32 block_count;
};

static u64 count_stage(const struct naive *n, enum stage stage)
{
	u64 i, count = 0;

	for (i = 0; i < MAX_CHUNKS; i++)
		count += n->stage[i] == stage;
	return count;
}

static void move_all(struct naive *n, enum stage from, enum stage to)
{
	u32 i;

	for (i = 0; i < MAX_CHUNKS; i++)
		if (n->stage[i] == from)
			n->stage[i] = to;
}

static bool take_some(struct allocator *a, struct naive *n, struct random *r)
{
	u64 room = cowstack_allocator_room(a);
	u64 want = 1 + random_below(r, 9);
	dchunk_t first;
	u64 got, i;

	if (cowstack_allocator_take(a, want, &first, &got))
		return !room;
	if (!got || got > want || got > room)
		return false;
	for (i = from_dchunk(first); i < from_dchunk(first) + got; i++) {
		if (n->stage[i] != FREE)
			return false;
		n->stage[i] = TAKEN;
	}
	return true;
}

static void free_one(struct allocator *a, struct naive *n, struct random *r)
{
	u64 chunk = random_below(r, a->chunks);

	if (n->stage[chunk] != TAKEN)
		return;
	if (random_percent(r, 30)) {
		n->stage[chunk] = DURABLE;
		cowstack_allocator_free_durable(a, to_dchunk(chunk), 1);
	} else {
		n->stage[chunk] = FREED;
		cowstack_allocator_free(a, to_dchunk(chunk), 1);
	}
}

static u64 chunk_of_block(const struct allocator *a, mblock_t block)
{
	return (from_mblock(block) * 8 - a->geometry->data_start) / 128;
}

static bool take_block(struct allocator *a, struct naive *n)
{
	mblock_t block = cowstack_allocator_take_block(a);
	u64 chunk;

	if (block == COWSTACK_NO_BLOCK)
		return !a->free;
	chunk = chunk_of_block(a, block);
	if (n->stage[chunk] != FREE && n->stage[chunk] != METADATA)
		return false;
	n->stage[chunk] = METADATA;
	n->blocks[chunk]++;
	n->taken_blocks[n->block_count++] = block;
	return n->blocks[chunk] <= 16;
}

static void put_block(struct allocator *a, struct naive *n, struct random *r)
{
	u32 i;
	u64 chunk;

	if (!n->block_count)
		return;
	i = random_below(r, n->block_count);
	chunk = chunk_of_block(a, n->taken_blocks[i]);
	cowstack_allocator_put_block(a, n->taken_blocks[i]);
	n->taken_blocks[i] = n->taken_blocks[--n->block_count];
	if (!--n->blocks[chunk])
		n->stage[chunk] = FREE;
}

static bool is_as_naive(const struct allocator *a, const struct naive *n)
{
	u64 i;

	for (i = 0; i < a->chunks; i++)
		if (is_taken(a, i) != !!n->stage[i])
			return false;
	return a->free == count_stage(n, FREE) - (MAX_CHUNKS - a->chunks) &&
	       a->metadata_blocks == n->block_count &&
	       a->metadata_chunks == count_stage(n, METADATA) &&
	       a->limbo == count_stage(n, FREED) + count_stage(n, COLLECTED) +
			   count_stage(n, DURABLE) + count_stage(n, DRAINING);
}

static bool do_something(struct allocator *a, struct naive *n,
			 struct random *r, struct list_head *collected,
			 struct list_head *draining)
{
	switch (random_below(r, 12)) {
	case 0:
		cowstack_allocator_collect(a, collected);
		move_all(n, FREED, COLLECTED);
		return true;
	case 1:
		cowstack_allocator_durable(a, collected);
		move_all(n, COLLECTED, DURABLE);
		return true;
	case 2:
		if (list_empty(draining)) {
			cowstack_allocator_take_durable(a, draining);
			move_all(n, DURABLE, DRAINING);
		}
		return true;
	case 3:
		cowstack_allocator_release(a, draining);
		move_all(n, DRAINING, FREE);
		return true;
	case 4:
		put_block(a, n, r);
		return true;
	case 5:
		return take_block(a, n);
	case 6:
	case 7:
		return take_some(a, n, r);
	default:
		free_one(a, n, r);
		return true;
	}
}

TEST_F(allocator, against_a_naive_model)
{
	static struct naive n;
	struct random r = { .state = 3 };
	struct list_head collected;
	u32 i;

	INIT_LIST_HEAD(&collected);
	for (i = 0; i < 40000; i++) {
		ASSERT_TRUE(do_something(&self->a, &n, &r, &collected,
					 &self->runs));
		if (i % 16 == 0)
			ASSERT_TRUE(is_as_naive(&self->a, &n));
		if (i == 20000) {
			cowstack_allocator_prepare_grow(&self->a, MAX_CHUNKS);
			cowstack_allocator_grow(&self->a, MAX_CHUNKS);
		}
	}
	cowstack_allocator_durable(&self->a, &collected);
}

TEST_HARNESS_MAIN
