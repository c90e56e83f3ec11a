// SPDX-License-Identifier: GPL-2.0
#include "chunk_map.h"

static u64 page_key(const void *entry)
{
	return ((const struct map_page *)entry)->number;
}

void chunk_map_init(struct chunk_map *map, struct cowstack_layer *layer,
		    struct llist_head *dirty_list)
{
	memset(map, 0, sizeof(*map));
	map->dirty_list = dirty_list;
	map->layer = layer;
	map->pages.key = page_key;
}

static void free_page_words(struct map_page *page)
{
	kfree(page->words);
	kfree(page);
}

void chunk_map_exit(struct chunk_map *map)
{
	u64 number = 0;
	struct map_page *page = sparse_table_next(&map->pages, &number);

	while (page) {
		struct map_page *next;

		/* A search asks pages for their numbers: none is freed before. */
		number++;
		next = sparse_table_next(&map->pages, &number);
		free_page_words(page);
		page = next;
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

/* The page's lock is held: flag and list change together. */
static void queue_page(struct map_page *page)
{
	if (test_bit(MAP_PAGE_QUEUED, &page->flags))
		return;
	set_bit(MAP_PAGE_QUEUED, &page->flags);
	llist_add(&page->dirty_node, page->map->dirty_list);
}

/* The page's lock is held; before the word changes. */
static void mark_dirty(struct map_page *page, unsigned int slot)
{
	set_bit(slot, page->dirty);
	queue_page(page);
}

void map_page_take_dirty(struct map_page *page,
			 unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)])
{
	unsigned long flags = environment_bit_lock(MAP_PAGE_LOCKED,
						   &page->flags);

	clear_bit(MAP_PAGE_QUEUED, &page->flags);
	memcpy(bits, page->dirty, sizeof(page->dirty));
	memset(page->dirty, 0, sizeof(page->dirty));
	environment_bit_unlock(MAP_PAGE_LOCKED, &page->flags, flags);
}

void map_page_return_dirty(struct map_page *page,
			   const unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)])
{
	unsigned long flags = environment_bit_lock(MAP_PAGE_LOCKED,
						   &page->flags);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(page->dirty); i++)
		page->dirty[i] |= bits[i];
	queue_page(page);
	environment_bit_unlock(MAP_PAGE_LOCKED, &page->flags, flags);
}

void map_page_store_clean(struct map_page *page, unsigned int slot,
			  map_word_t word)
{
	/* Pairs with the acquire in chunk_map_get(). */
	smp_store_release(&page->words[slot], word);
}

void map_page_store(struct map_page *page, unsigned int slot, map_word_t word)
{
	unsigned long flags = environment_bit_lock(MAP_PAGE_LOCKED,
						   &page->flags);

	mark_dirty(page, slot);
	map_page_store_clean(page, slot, word);
	environment_bit_unlock(MAP_PAGE_LOCKED, &page->flags, flags);
}

/* Admission and other publishers change the word beside us, without the lock. */
static bool publish_word(map_word_t *place, dchunk_t chunk, u16 mask,
			 u16 full_mask)
{
	map_word_t old = READ_ONCE(*place);

	for (;;) {
		map_word_t new, seen;

		if (!map_word_has_chunk(old) || map_word_chunk(old) != chunk)
			return false;
		new = map_word_with_pieces(old, mask, full_mask);
		/* A full barrier: the data went before, and so must seem. */
		seen = cmpxchg(place, old, new);
		if (seen == old)
			return true;
		old = seen;
	}
}

bool map_page_publish(struct map_page *page, unsigned int slot,
		      dchunk_t chunk, u16 mask, u16 full_mask)
{
	unsigned long flags = environment_bit_lock(MAP_PAGE_LOCKED,
						   &page->flags);
	bool published;

	mark_dirty(page, slot);
	published = publish_word(&page->words[slot], chunk, mask, full_mask);
	environment_bit_unlock(MAP_PAGE_LOCKED, &page->flags, flags);
	return published;
}
