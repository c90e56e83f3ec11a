// SPDX-License-Identifier: GPL-2.0
#include "chunk_map.h"

void chunk_map_init(struct chunk_map *map, struct cowstack_layer *layer,
		    struct llist_head *dirty_list)
{
	memset(map, 0, sizeof(*map));
	map->dirty_list = dirty_list;
	map->layer = layer;
}

static void free_page_words(struct map_page *page)
{
	kfree(page->words);
	kfree(page);
}

void chunk_map_exit(struct chunk_map *map)
{
	struct map_page *page;
	u64 number;

	for (number = 0; (page = sparse_table_next(&map->pages, &number));
	     number++) {
		free_page_words(page);
		cond_resched();
	}
	sparse_table_exit(&map->pages);
	atomic64_set(&map->page_count, 0);
}

static struct map_page *new_page(struct chunk_map *map, u64 number, gfp_t gfp)
{
	struct map_page *page = kzalloc(sizeof(*page), gfp);

	if (!page)
		return NULL;
	page->words = kcalloc(COWSTACK_PAGE_CHUNKS, sizeof(*page->words), gfp);
	if (!page->words) {
		kfree(page);
		return NULL;
	}
	page->map = map;
	page->number = number;
	return page;
}

struct map_page *chunk_map_add_page(struct chunk_map *map, u64 number,
				    gfp_t gfp, bool *added)
{
	struct map_page *page = chunk_map_page(map, number);
	struct map_page *seen;

	*added = false;
	if (page)
		return page;
	if (number > U32_MAX)
		return NULL;
	page = new_page(map, number, gfp);
	if (!page)
		return NULL;
	seen = sparse_table_insert(&map->pages, number, page, gfp);
	if (seen != page) {
		free_page_words(page);
		return seen;
	}
	atomic64_inc(&map->page_count);
	*added = true;
	return page;
}

void map_page_queue(struct map_page *page)
{
	if (!test_and_set_bit(MAP_PAGE_QUEUED, &page->flags))
		llist_add(&page->dirty_node, page->map->dirty_list);
}

static void mark_dirty(struct map_page *page, unsigned int slot)
{
	set_bit(slot, page->dirty);
	/*
	 * The bit before the queue flag: the collector clears the flag first
	 * and takes the bits afterwards, so it sees the bit, or is asked again.
	 */
	smp_mb__after_atomic();
	map_page_queue(page);
}

void map_page_store_clean(struct map_page *page, unsigned int slot,
			  map_word_t word)
{
	/* Pairs with the acquire in chunk_map_get(). */
	smp_store_release(&page->words[slot], word);
}

void map_page_store(struct map_page *page, unsigned int slot, map_word_t word)
{
	map_page_store_clean(page, slot, word);
	mark_dirty(page, slot);
}

bool map_page_publish(struct map_page *page, unsigned int slot,
		      dchunk_t chunk, u16 mask, u16 full_mask)
{
	map_word_t *place = &page->words[slot];
	map_word_t old = READ_ONCE(*place);

	for (;;) {
		map_word_t new, seen;

		if (!map_word_has_chunk(old) ||
		    map_word_chunk(old) != chunk)
			return false;
		new = map_word_with_pieces(old, mask, full_mask);
		/* A full barrier: the data went before, and so must seem. */
		seen = cmpxchg(place, old, new);
		if (seen == old)
			break;
		old = seen;
	}
	mark_dirty(page, slot);
	return true;
}
