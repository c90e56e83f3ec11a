// SPDX-License-Identifier: GPL-2.0
#include "map_count.h"

/* Words that are looked at before others have their turn. */
enum { SLICE_WORDS = 64 * COWSTACK_PAGE_CHUNKS };

void cowstack_map_count_begin(struct cowstack_map_count *count,
			      const struct cowstack_geometry *g,
			      const struct cowstack_volume *volume, u32 parts)
{
	memset(count, 0, sizeof(*count));
	count->chunks = cowstack_chunks_of(g, volume->info.sectors);
	count->part_chunks = max_t(u64, DIV_ROUND_UP_ULL(count->chunks, parts), 1);
	/* A part may have more chunks than DIV_ROUND_UP_ULL() can divide by. */
	count->parts = div64_u64(count->chunks + count->part_chunks - 1,
				 count->part_chunks);
}

static void count_word(struct cowstack_map_part *part, map_word_t word)
{
	if (map_word_has_chunk(word)) {
		part->used++;
		part->pieces += hweight16(map_word_mask(word));
		part->clean += map_word_is_clean(word);
	} else {
		part->zero += map_word_is_zero(word);
	}
}

static u16 word_cover(const struct cowstack_geometry *g, map_word_t word)
{
	return map_word_is_zero(word) ? g->full_mask :
					map_word_mask(word) & g->full_mask;
}

static struct cowstack_map_part *part_of(struct cowstack_map_count *count,
					 u64 chunk)
{
	return &count->part[div64_u64(chunk, count->part_chunks)];
}

static void count_page(struct cowstack_map_count *count,
		       const struct cowstack_geometry *g,
		       const struct map_page *page, u64 first, u32 slots)
{
	u32 i;

	for (i = 0; i < slots; i++) {
		/* As chunk_map_get() has it. */
		map_word_t word = smp_load_acquire(&page->words[i]);

		if (word == MAP_WORD_NONE)
			continue;
		count_word(part_of(count, first + i), word);
		count->cover[i] |= word_cover(g, word);
	}
}

/* What all layers have on a page; returns how many words that were. */
static u32 count_pages(struct cowstack_map_count *count,
		       const struct cowstack_geometry *g,
		       const struct cowstack_range *layers, u64 number)
{
	u64 first = number * COWSTACK_PAGE_CHUNKS;
	/* A layer that is shared may reach further than this volume. */
	u32 slots = min_t(u64, COWSTACK_PAGE_CHUNKS, count->chunks - first);
	const struct map_page *page;
	u32 i, words = 0;

	memset(count->cover, 0, sizeof(count->cover));
	for (i = 0; i < layers->count; i++) {
		page = chunk_map_page(&layers->layer[i]->map, number);
		if (!page)
			continue;
		count_page(count, g, page, first, slots);
		words += slots;
	}
	for (i = 0; i < slots; i++)
		if (count->cover[i] == g->full_mask)
			part_of(count, first + i)->hidden++;
	return words;
}

bool cowstack_map_count_pages(struct cowstack_map_count *count,
			      const struct cowstack_geometry *g,
			      const struct cowstack_range *layers)
{
	u32 words = 0;

	while (words < SLICE_WORDS) {
		if (!cowstack_layers_next_page(layers->layer, layers->count,
					       &count->next_page) ||
		    count->next_page * COWSTACK_PAGE_CHUNKS >= count->chunks)
			return false;
		words += count_pages(count, g, layers, count->next_page++);
	}
	return true;
}
