// SPDX-License-Identifier: GPL-2.0
/*
 * Letting go and make_empty: which words stay, who owns which chunk afterwards,
 * and that a load finds the same.
 */
#include "chain_store.h"

#include "harness.h"

FIXTURE(change)
{
	struct chain_store s;
};

FIXTURE_SETUP(change)
{
	chain_open(&self->s);
}

FIXTURE_TEARDOWN(change)
{
	chain_close(&self->s);
}

/* --- letting go --- */

/* Layers @bottom to @top of [first, first + count). */
static int let_go(struct chain_store *s, u32 bottom, u32 top, u64 first,
		  u64 count, const struct cowstack_replacement *replacements,
		  u32 n)
{
	const struct cowstack_let_go what = {
		.bottom = s->layer[bottom],
		.top = s->layer[top],
		.first = to_vchunk(first),
		.count = count,
		.replacements = replacements,
		.replacement_count = n,
	};

	return chain_let_go(s, &what);
}

static struct cowstack_replacement replacement(struct chain_store *s, u32 layer,
					       u64 chunk, map_word_t word)
{
	return (struct cowstack_replacement){
		.chunk = to_vchunk(chunk),
		.layer = s->layer[layer],
		.word = word,
	};
}

TEST_F(change, let_go_of_a_part)
{
	struct chain_store *s = &self->s;
	map_word_t before = chain_give(s, 1, 9, 1, false);
	map_word_t behind = chain_give(s, 1, 12, 1, false);
	u64 used = cowstack_volume_used(s->volume);

	chain_give(s, 0, 10, CHAIN_FULL_MASK, false);
	chain_give(s, 2, 10, 3, false);
	chain_give_zeroes(s, 1, 11);
	chain_give(s, 2, 11, 0, false);
	chain_settle(s);
	ASSERT_EQ(0, let_go(s, 0, 3, 10, 2, NULL, 0));
	EXPECT_TRUE(chain_shows(s, 9, before));
	EXPECT_TRUE(chain_shows_base(s, 10));
	EXPECT_TRUE(chain_shows_base(s, 11));
	EXPECT_TRUE(chain_shows(s, 12, behind));
	EXPECT_EQ(used, cowstack_volume_used(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
	EXPECT_FALSE(cowstack_layer_is_empty(s->layer[1]));
	EXPECT_TRUE(cowstack_layer_is_empty(s->layer[0]));
}

/* The newest holder keeps the chunk, the others are cut. */
TEST_F(change, clean_copies_stay_in_the_newest_holder)
{
	struct chain_store *s = &self->s;
	struct cowstack_replacement r[3];
	map_word_t newest, alone;
	u64 chunk;

	newest = chain_give(s, 2, 5, 0x0f, false);
	chain_give(s, 1, 5, CHAIN_FULL_MASK, true);
	chain_give(s, 0, 6, CHAIN_FULL_MASK, false);
	chain_give_zeroes(s, 3, 6);
	alone = chain_give(s, 0, 7, 0x80, true);
	chain_settle(s);
	r[0] = replacement(s, 2, 5, map_word_as_clean(newest));
	r[1] = replacement(s, 0, 7, alone);
	ASSERT_EQ(0, let_go(s, 0, 3, 0, 512, r, 2));
	EXPECT_EQ(map_word_as_clean(newest), chain_word(s, 2, 5));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 1, 5));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 0, 6));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 3, 6));
	EXPECT_EQ(alone, chain_word(s, 0, 7));
	EXPECT_TRUE(chain_shows(s, 5, newest));
	EXPECT_TRUE(chain_shows_base(s, 6));
	EXPECT_EQ(2, cowstack_volume_clean(s->volume));
	EXPECT_EQ(2, cowstack_metadata_clean(&s->md));
	EXPECT_EQ(2, cowstack_volume_used(s->volume));
	for (chunk = 0; chunk < 4; chunk++)
		EXPECT_TRUE(cowstack_layer_is_clean(s->layer[chunk]));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* The word that the range @top … layer 0 comes to, in layer 0. */
static struct cowstack_replacement merged(struct chain_store *s, u32 top,
					  u64 chunk)
{
	struct cowstack_range range;
	struct cowstack_merge merge;

	cowstack_range_fill(&range, s->layer[top], NULL);
	cowstack_range_merge(cowstack_geometry(&s->md), &range,
			     to_vchunk(chunk), &merge);
	return replacement(s, 0, chunk, merge.word);
}

TEST_F(change, words_move_into_a_layer)
{
	struct chain_store *s = &self->s;
	struct cowstack_replacement r[6];
	map_word_t full, kept, clean, partial;
	u32 i;

	/* 0: the newest is whole; 1: only the destination knows it. */
	full = chain_give(s, 3, 0, CHAIN_FULL_MASK, false);
	chain_give(s, 2, 0, 0x0f, false);
	chain_give(s, 0, 0, CHAIN_FULL_MASK, false);
	kept = chain_give(s, 0, 1, 3, false);
	chain_give(s, 2, 1, 0, false);
	/* 2: zeroes over data; 3: clean, alone; 4: clean under newer. */
	chain_give_zeroes(s, 1, 2);
	chain_give(s, 0, 2, CHAIN_FULL_MASK, false);
	clean = chain_give(s, 2, 3, CHAIN_FULL_MASK, true);
	partial = chain_give(s, 3, 4, 1, false);
	chain_give(s, 1, 4, 6, true);
	/* 5: nothing but room. */
	chain_give(s, 1, 5, 0, false);
	chain_settle(s);
	for (i = 0; i < 6; i++)
		r[i] = merged(s, 3, i);
	ASSERT_EQ(MAP_WORD_NONE, r[5].word);
	ASSERT_EQ(0, let_go(s, 1, 3, 0, 512, r, 5));
	EXPECT_EQ(full, chain_word(s, 0, 0));
	EXPECT_EQ(kept, chain_word(s, 0, 1));
	EXPECT_EQ(map_word_zeroes(), chain_word(s, 0, 2));
	EXPECT_EQ(clean, chain_word(s, 0, 3));
	EXPECT_EQ(map_word_with_pieces(partial, 7, CHAIN_FULL_MASK),
		  chain_word(s, 0, 4));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 0, 5));
	for (i = 1; i < 4; i++)
		EXPECT_TRUE(cowstack_layer_is_empty(s->layer[i]));
	EXPECT_TRUE(chain_shows(s, 0, full));
	EXPECT_TRUE(chain_shows(s, 1, kept));
	EXPECT_EQ(COWSTACK_EXTENT_ZERO, chain_look_up(s, 2).kind);
	EXPECT_TRUE(chain_shows(s, 4, partial));
	EXPECT_EQ(4, cowstack_volume_used(s->volume));
	EXPECT_EQ(1, cowstack_volume_clean(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* Pages that the destination lacks come with room for their homes. */
TEST_F(change, pages_of_a_destination)
{
	struct chain_store *s = &self->s;
	struct cowstack_replacement r[4];
	u64 pages;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(r); i++)
		chain_give(s, 2, i * 512 + 511, CHAIN_FULL_MASK, false);
	chain_give(s, 0, 512, 1, false);
	chain_settle(s);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = merged(s, 2, i * 512 + 511);
	pages = s->md.allocator.pages;
	ASSERT_EQ(0, let_go(s, 1, 2, 0, 2048, r, ARRAY_SIZE(r)));
	EXPECT_EQ(pages + 3, s->md.allocator.pages);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		EXPECT_EQ(r[i].word, chain_word(s, 0, i * 512 + 511));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, no_room_for_a_page_of_a_destination)
{
	struct chain_store *s = &self->s;
	struct cowstack_replacement r;
	u64 pages;

	chain_give(s, 2, 0, CHAIN_FULL_MASK, false);
	chain_fill(s);
	chain_settle(s);
	r = merged(s, 2, 0);
	pages = s->md.allocator.pages;
	EXPECT_EQ(-ENOSPC, let_go(s, 1, 2, 0, 512, &r, 1));
	EXPECT_EQ(pages, s->md.allocator.pages);
	EXPECT_EQ(r.word, chain_word(s, 2, 0));
	/* What needs no page is always let go of. */
	EXPECT_EQ(0, let_go(s, 0, 3, 0, 512, NULL, 0));
	EXPECT_TRUE(chain_shows_base(s, 0));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* The longest let-go that there is, in the deepest chain, fits one step. */
TEST_F(change, the_largest_let_go_is_one_step)
{
	struct chain_store *s = &self->s;
	static struct cowstack_replacement r[COWSTACK_MAX_REPLACEMENTS + 1];
	u64 step;
	u32 i;

	while (cowstack_volume_depth(s->volume) < COWSTACK_MAX_LAYERS) {
		ASSERT_EQ(0, chain_snapshot(s, NULL));
		if (cowstack_ring_wants_checkpoint(&s->md))
			image_checkpoint(&s->image, &s->md);
	}
	s->layer[1] = s->volume->top->parent;
	for (i = 0; i < COWSTACK_MAX_REPLACEMENTS; i++) {
		map_word_t word = chain_give(s, 1, 2 * i, 1, false);

		r[i] = replacement(s, 1, 2 * i, map_word_as_clean(word));
		if (i % 500 == 0)
			chain_settle(s);
	}
	chain_settle(s);
	image_checkpoint(&s->image, &s->md);
	EXPECT_EQ(-EINVAL, let_go(s, 0, 1, 0, CHAIN_VOLUME_CHUNKS, r,
				  COWSTACK_MAX_REPLACEMENTS + 1));
	step = s->md.next_step;
	ASSERT_EQ(0, let_go(s, 0, 1, 0, CHAIN_VOLUME_CHUNKS, r,
			    COWSTACK_MAX_REPLACEMENTS));
	EXPECT_EQ(step + 1, s->md.next_step);
	EXPECT_EQ(COWSTACK_MAX_REPLACEMENTS, cowstack_volume_clean(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- make_empty --- */

TEST_F(change, a_clean_layer_is_emptied)
{
	struct chain_store *s = &self->s;
	layer_id_t id = s->layer[1]->id;
	map_word_t other;

	chain_give(s, 1, 3, CHAIN_FULL_MASK, true);
	chain_give(s, 1, 600, 1, true);
	chain_give(s, 1, 601, 0, false);
	other = chain_give(s, 0, 4, CHAIN_FULL_MASK, false);
	chain_settle(s);
	ASSERT_EQ(0, chain_empty(s, 1));
	EXPECT_EQ(id, s->layer[1]->id);
	EXPECT_EQ(s->layer[1], cowstack_layer_find(&s->md, id));
	EXPECT_EQ(s->layer[0], s->layer[1]->parent);
	EXPECT_TRUE(s->layer[1]->flags & COWSTACK_LAYER_FROZEN);
	EXPECT_TRUE(cowstack_layer_is_empty(s->layer[1]));
	EXPECT_TRUE(chain_shows_base(s, 3));
	EXPECT_TRUE(chain_shows_base(s, 600));
	EXPECT_TRUE(chain_shows(s, 4, other));
	EXPECT_EQ(0, cowstack_volume_clean(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
	EXPECT_EQ(1, cowstack_volume_used(s->volume));
	/* It may be done again, and the lowest too. */
	EXPECT_EQ(0, chain_empty(s, 1));
	EXPECT_EQ(-EBUSY, chain_empty(s, 0));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, only_clean_layers_are_emptied)
{
	struct chain_store *s = &self->s;
	map_word_t data = chain_give(s, 1, 3, 1, false);

	chain_give(s, 1, 4, CHAIN_FULL_MASK, true);
	chain_give_zeroes(s, 2, 0);
	chain_give(s, 3, 9, 0, false);
	chain_settle(s);
	EXPECT_EQ(-EBUSY, chain_empty(s, 1));
	EXPECT_EQ(-EBUSY, chain_empty(s, 2));
	EXPECT_EQ(-EBUSY, chain_empty(s, 4));
	/* Room that nothing was written to is nothing. */
	EXPECT_EQ(0, chain_empty(s, 3));
	EXPECT_EQ(data, chain_word(s, 1, 3));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* A checkpoint that began with the layer's old map leads to nothing of it. */
TEST_F(change, emptied_under_a_checkpoint)
{
	struct chain_store *s = &self->s;
	struct cowstack_checkpoint cp;
	struct cowstack_index_block *b;
	__le64 page[COWSTACK_PAGE_CHUNKS];
	mblock_t place;

	chain_give(s, 1, 3, CHAIN_FULL_MASK, true);
	chain_settle(s);
	ASSERT_EQ(0, cowstack_checkpoint_begin(&s->md, &cp));
	ASSERT_EQ(0, chain_empty(s, 1));
	chain_reclaim(s);
	while (cowstack_checkpoint_next_page(&s->md, &cp, page, &place) > 0)
		memcpy(image_block(&s->image, from_mblock(place)), page,
		       sizeof(page));
	ASSERT_EQ(0, cowstack_checkpoint_make_index(&s->md, &cp));
	list_for_each_entry(b, &cp.index, list)
		memcpy(image_block(&s->image, from_mblock(b->place)), b->block,
		       sizeof(*b->block));
	cowstack_checkpoint_superblock(&s->md, &cp);
	image_write_superblocks(&s->image, &cp.superblock);
	EXPECT_TRUE(chain_load_is_right(s));
	cowstack_checkpoint_end(&s->md, &cp);
	cowstack_checkpoint_free(&cp);
	EXPECT_TRUE(chain_load_is_right(s));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_HARNESS_MAIN
