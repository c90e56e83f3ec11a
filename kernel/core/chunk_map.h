/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A layer's map: a word for each chunk that the layer knows, in pages of 512
 * words that exist only where the layer holds something.
 *
 * Readers take no lock: one atomic load of the word.  Who may change a word:
 *  - admission and overwriting (a word gets room, becomes zeroes, is cleared):
 *    under the range lock of the chunk (the top layer), or, in a frozen layer,
 *    only the one transaction that lets go of it;
 *  - publishing (pieces enter the mask after their data was written): from any
 *    context, by compare-and-exchange.
 *
 * Each change leaves a bit in the page's dirty set and the page in the map's
 * dirty list, which the next durable step empties (see step.h).  Bit and list
 * come before the word shows, under the page's lock, which the collector of a
 * step takes too: whoever sees a word finds its page in the list, or in a step
 * under way, or durable.  A flush relies on that.
 */
#ifndef COWSTACK_CORE_CHUNK_MAP_H
#define COWSTACK_CORE_CHUNK_MAP_H

#include "map_word.h"
#include "sparse_table.h"

struct chunk_map;
struct cowstack_layer;

enum map_page_flag {
	MAP_PAGE_LOCKED,	/* see below */
	MAP_PAGE_QUEUED,	/* in the dirty list; changed under the lock */
	MAP_PAGE_HOME_DIRTY,	/* differs from its home; in the home list */
};

/*
 * 128 bytes exactly: with its 4 KiB of words and 512 bytes of the topmost index
 * a touched region stays below 5 KiB, and a GiB below 150 KiB.
 */
struct map_page {
	map_word_t *words;		/* COWSTACK_PAGE_CHUNKS of them */
	unsigned long dirty[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)];
	struct llist_node dirty_node;
	struct chunk_map *map;
	struct map_page *home_next;	/* protected by the metadata lock */
	mblock_t home;			/* where the index says; metadata lock */
	mblock_t new_home;		/* while a checkpoint is under way */
	unsigned long flags;
	u32 number;			/* first chunk / 512 */
	u32 crc;			/* of the image at its newest home */
};

struct chunk_map {
	struct sparse_table pages;
	struct llist_head *dirty_list;	/* the store's, shared by its layers */
	struct cowstack_layer *layer;
	atomic64_t page_count;
	atomic64_t used;		/* chunks with room in the store */
	atomic64_t clean;		/* of these, those with a clean word */
};

void chunk_map_init(struct chunk_map *map, struct cowstack_layer *layer,
		    struct llist_head *dirty_list);

/* Frees pages and all; nobody may use the map any more. */
void chunk_map_exit(struct chunk_map *map);

static inline u64 chunk_map_page_number(vchunk_t chunk)
{
	return from_vchunk(chunk) / COWSTACK_PAGE_CHUNKS;
}

static inline unsigned int chunk_map_page_slot(vchunk_t chunk)
{
	return from_vchunk(chunk) % COWSTACK_PAGE_CHUNKS;
}

static inline struct map_page *chunk_map_page(const struct chunk_map *map,
					      u64 number)
{
	return sparse_table_get(&map->pages, number);
}

/* The word for @chunk.  Any context, no lock. */
static inline map_word_t chunk_map_get(const struct chunk_map *map,
				       vchunk_t chunk)
{
	struct map_page *page = chunk_map_page(map,
					       chunk_map_page_number(chunk));

	/* Pairs with the release in map_page_store() and _publish(). */
	return page ? smp_load_acquire(&page->words[chunk_map_page_slot(chunk)]) :
		      MAP_WORD_NONE;
}

/**
 * chunk_map_add_page() - the page @number, made if it is not there.
 *
 * May run beside itself and lookups; sleeps only if @gfp does.  The caller has
 * kept back room for its home (allocator.h).  *@added says whether it is new.
 *
 * Return: the page, or NULL: no memory.
 */
struct map_page *chunk_map_add_page(struct chunk_map *map, u64 number,
				    gfp_t gfp, bool *added);

/* Stores a word and marks it dirty.  The caller owns the word, see the top. */
void map_page_store(struct map_page *page, unsigned int slot, map_word_t word);

/* As map_page_store(), not dirty: replay, and what a durable step has said. */
void map_page_store_clean(struct map_page *page, unsigned int slot,
			  map_word_t word);

/**
 * map_page_publish() - pieces whose data has been written enter the mask.
 *
 * Any context, interrupts included.
 *
 * Return: false if the word names another chunk by now: a discard or the like
 * overtook the write, which then counts as done before it.
 */
bool map_page_publish(struct map_page *page, unsigned int slot,
		      dchunk_t chunk, u16 mask, u16 full_mask);

/* Takes the dirty bits, and the page is queued no more.  Any context. */
void map_page_take_dirty(struct map_page *page,
			 unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)]);

/* Gives back bits that were taken in vain, and queues the page.  Any context. */
void map_page_return_dirty(struct map_page *page,
			   const unsigned long bits[BITS_TO_LONGS(COWSTACK_PAGE_CHUNKS)]);

#endif /* COWSTACK_CORE_CHUNK_MAP_H */
