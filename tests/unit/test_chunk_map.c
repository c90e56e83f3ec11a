// SPDX-License-Identifier: GPL-2.0
#include "chunk_map.h"
#include "random.h"

#include "harness.h"

enum { FULL = 0xffff, WORDS = 16, THREADS = 4 };

FIXTURE(map) {
	struct chunk_map map;
	struct llist_head dirty;
};

FIXTURE_SETUP(map)
{
	init_llist_head(&self->dirty);
	chunk_map_init(&self->map, NULL, &self->dirty);
}

FIXTURE_TEARDOWN(map)
{
	chunk_map_exit(&self->map);
}

static struct map_page *add_page(struct chunk_map *map, u64 number)
{
	bool added;

	return chunk_map_add_page(map, number, GFP_KERNEL, &added);
}

static u32 count_dirty(const struct map_page *page)
{
	u32 slot, count = 0;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
		count += test_bit(slot, page->dirty);
	return count;
}

static u32 count_queued(const struct llist_head *list)
{
	const struct llist_node *node;
	u32 count = 0;

	for (node = list->first; node; node = node->next)
		count++;
	return count;
}

TEST_F(map, page_is_small)
{
	/* 4 KiB of words, 512 bytes of index and this stay below 5 KiB. */
	EXPECT_LE(sizeof(struct map_page), 128);
}

TEST_F(map, pages)
{
	struct map_page *page;
	bool added;

	EXPECT_EQ(0, map_word_raw(chunk_map_get(&self->map, to_vchunk(7))));
	page = chunk_map_add_page(&self->map, 3, GFP_KERNEL, &added);
	ASSERT_NE(NULL, page);
	EXPECT_TRUE(added);
	EXPECT_EQ(page, chunk_map_add_page(&self->map, 3, GFP_KERNEL, &added));
	EXPECT_FALSE(added);
	EXPECT_EQ(page, chunk_map_page(&self->map, 3));
	EXPECT_EQ(NULL, chunk_map_page(&self->map, 2));
	EXPECT_EQ(1, atomic64_read(&self->map.page_count));
	EXPECT_NE(NULL, add_page(&self->map, U32_MAX));
	EXPECT_EQ(NULL, add_page(&self->map, 1ULL << 32));
}

TEST_F(map, store_marks_dirty_once)
{
	struct map_page *page = add_page(&self->map, 0);
	map_word_t word = map_word_with_room(MAP_WORD_NONE, to_dchunk(5));

	map_page_store_clean(page, 1, word);
	EXPECT_EQ(0, count_dirty(page));
	EXPECT_TRUE(llist_empty(&self->dirty));
	map_page_store(page, 1, word);
	map_page_store(page, 511, map_word_zeroes());
	map_page_store(add_page(&self->map, 9), 0, word);
	EXPECT_EQ(2, count_dirty(page));
	EXPECT_EQ(2, count_queued(&self->dirty));
	EXPECT_EQ(map_word_raw(word),
		  map_word_raw(chunk_map_get(&self->map, to_vchunk(1))));
	EXPECT_EQ(map_word_raw(word),
		  map_word_raw(chunk_map_get(&self->map, to_vchunk(9 * 512))));
}

TEST_F(map, dirty_bits_are_taken_and_returned)
{
	unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)];
	struct map_page *page = add_page(&self->map, 0);

	map_page_store(page, 3, map_word_zeroes());
	map_page_store(page, 300, map_word_zeroes());
	llist_del_all(&self->dirty);
	map_page_take_dirty(page, bits);
	EXPECT_EQ(0, count_dirty(page));
	EXPECT_TRUE(test_bit(3, bits));
	EXPECT_TRUE(test_bit(300, bits));
	__clear_bit(3, bits);
	map_page_store(page, 7, map_word_zeroes());
	map_page_return_dirty(page, bits);
	EXPECT_EQ(2, count_dirty(page));
	EXPECT_TRUE(test_bit(7, page->dirty));
	EXPECT_TRUE(test_bit(300, page->dirty));
	EXPECT_EQ(1, count_queued(&self->dirty));
}

TEST_F(map, publish_adds_pieces)
{
	struct map_page *page = add_page(&self->map, 0);
	map_word_t word;

	map_page_store_clean(page, 4, map_word_with_room(map_word_zeroes(),
							 to_dchunk(8)));
	EXPECT_TRUE(map_page_publish(page, 4, to_dchunk(8), 0x00ff, FULL));
	EXPECT_TRUE(test_bit(4, page->dirty));
	word = chunk_map_get(&self->map, to_vchunk(4));
	EXPECT_EQ(0x00ff, map_word_mask(word));
	EXPECT_TRUE(map_word_is_zero(word));
	EXPECT_TRUE(map_page_publish(page, 4, to_dchunk(8), 0xff80, FULL));
	word = chunk_map_get(&self->map, to_vchunk(4));
	EXPECT_EQ(FULL, map_word_mask(word));
	EXPECT_FALSE(map_word_is_zero(word));
	EXPECT_EQ(8, from_dchunk(map_word_chunk(word)));
}

TEST_F(map, publish_is_overtaken)
{
	struct map_page *page = add_page(&self->map, 0);

	/* By nothing, by zeroes, by other room. */
	EXPECT_FALSE(map_page_publish(page, 0, to_dchunk(8), 1, FULL));
	map_page_store_clean(page, 0, map_word_zeroes());
	EXPECT_FALSE(map_page_publish(page, 0, to_dchunk(8), 1, FULL));
	map_page_store_clean(page, 0, map_word_with_room(MAP_WORD_NONE,
							 to_dchunk(9)));
	EXPECT_FALSE(map_page_publish(page, 0, to_dchunk(8), 1, FULL));
	EXPECT_EQ(0, map_word_mask(page->words[0]));
}

struct publisher {
	pthread_t thread;
	struct map_page *page;
	u16 pieces;
};

static void *publish_pieces(void *argument)
{
	const struct publisher *p = argument;
	u32 piece, slot;

	for (piece = 0; piece < 16; piece++)
		for (slot = 0; slot < WORDS && p->pieces >> piece & 1; slot++)
			map_page_publish(p->page, slot, to_dchunk(slot),
					 1u << piece, FULL);
	return NULL;
}

/* What the collector of a step does, again and again. */
static u32 collect(struct llist_head *dirty, u16 seen[WORDS])
{
	unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)];
	struct llist_node *node = llist_del_all(dirty);
	u32 taken = 0, slot;

	while (node) {
		struct map_page *page = llist_entry(node, struct map_page,
						    dirty_node);

		node = node->next;
		map_page_take_dirty(page, bits);
		for (slot = 0; slot < WORDS; slot++) {
			if (!test_bit(slot, bits))
				continue;
			seen[slot] = map_word_mask(READ_ONCE(page->words[slot]));
			taken++;
		}
	}
	return taken;
}

/* No piece is lost, and the last collection has seen every one. */
TEST_F(map, publishing_side_by_side)
{
	struct publisher p[THREADS];
	struct map_page *page = add_page(&self->map, 0);
	u32 round, i, slot;

	for (round = 0; round < 500; round++) {
		u16 seen[WORDS] = { };

		for (slot = 0; slot < WORDS; slot++)
			map_page_store_clean(page, slot,
					     map_word_with_room(MAP_WORD_NONE,
								to_dchunk(slot)));
		for (i = 0; i < THREADS; i++) {
			p[i].page = page;
			p[i].pieces = 0x1111 << i;
			pthread_create(&p[i].thread, NULL, publish_pieces,
				       &p[i]);
		}
		for (i = 0; i < 20; i++)
			collect(&self->dirty, seen);
		for (i = 0; i < THREADS; i++)
			pthread_join(p[i].thread, NULL);
		collect(&self->dirty, seen);
		EXPECT_EQ(0, collect(&self->dirty, seen));
		for (slot = 0; slot < WORDS; slot++)
			EXPECT_EQ(FULL, seen[slot]);
	}
}

TEST_HARNESS_MAIN
