// SPDX-License-Identifier: GPL-2.0
#include "commit_plan.h"

void cowstack_range_fill(struct cowstack_range *range,
			 struct cowstack_layer *top,
			 const struct cowstack_layer *below)
{
	struct cowstack_layer *layer;

	range->count = 0;
	for (layer = top; layer && layer != below; layer = layer->parent)
		if (range->count < COWSTACK_MAX_LAYERS)
			range->layer[range->count++] = layer;
}

bool cowstack_layers_next_page(struct cowstack_layer *const *layers, u32 count,
			       u64 *number)
{
	u64 least = U64_MAX;
	u32 i;

	for (i = 0; i < count; i++) {
		u64 found = *number;

		if (sparse_table_next(&layers[i]->map.pages, &found))
			least = min(least, found);
	}
	*number = least;
	return least != U64_MAX;
}

bool cowstack_layers_know(struct cowstack_layer *const *layers, u32 count,
			  vchunk_t chunk)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (chunk_map_get(&layers[i]->map, chunk) != MAP_WORD_NONE)
			return true;
	return false;
}

bool cowstack_layers_next(struct cowstack_layer *const *layers, u32 count,
			  vchunk_t *chunk)
{
	u64 at = from_vchunk(*chunk);
	u64 number = at / COWSTACK_PAGE_CHUNKS;

	while (cowstack_layers_next_page(layers, count, &number)) {
		u64 end = (number + 1) * COWSTACK_PAGE_CHUNKS;

		for (at = max(at, end - COWSTACK_PAGE_CHUNKS); at < end; at++) {
			if (cowstack_layers_know(layers, count,
						 to_vchunk(at))) {
				*chunk = to_vchunk(at);
				return true;
			}
		}
		number++;
		cond_resched();
	}
	return false;
}

bool cowstack_range_next(const struct cowstack_range *range, vchunk_t *chunk)
{
	return cowstack_layers_next(range->layer, range->count, chunk);
}

/* Which word decides each piece; returns the pieces that any word decides. */
static u16 choose_words(const struct cowstack_geometry *g,
			const struct cowstack_range *range, vchunk_t chunk,
			map_word_t chosen[COWSTACK_MAX_PIECES])
{
	u16 open = g->full_mask;
	u32 i, piece;

	for (i = 0; i < range->count && open; i++) {
		map_word_t word = chunk_map_get(&range->layer[i]->map, chunk);
		u16 takes = map_word_is_zero(word) ? open :
						     map_word_mask(word) & open;

		for (piece = 0; piece < g->pieces; piece++)
			if (takes & (1u << piece))
				chosen[piece] = word;
		open &= ~takes;
	}
	return g->full_mask & ~open;
}

static bool segment_goes_on(const struct cowstack_segment *s,
			    const struct cowstack_segment *next)
{
	return s->sector + s->sectors == next->sector &&
	       s->zero == next->zero &&
	       (s->zero || s->place + s->sectors == next->place);
}

u32 cowstack_range_plan(const struct cowstack_geometry *g,
			const struct cowstack_range *range, vchunk_t chunk,
			struct cowstack_segment segments[COWSTACK_MAX_PIECES])
{
	map_word_t chosen[COWSTACK_MAX_PIECES];
	u16 known = choose_words(g, range, chunk, chosen);
	u64 start = from_vchunk(chunk) << g->chunk_shift;
	u32 count = 0;
	u32 piece;

	for (piece = 0; piece < g->pieces; piece++) {
		u64 offset = (u64)piece << g->piece_shift;
		struct cowstack_segment next = {
			.sector = start + offset,
			.sectors = 1ULL << g->piece_shift,
		};

		/* What is clean is in the base already. */
		if (!(known & (1u << piece)) || map_word_is_clean(chosen[piece]))
			continue;
		next.zero = !(map_word_mask(chosen[piece]) & (1u << piece));
		if (!next.zero)
			next.place = offset +
				cowstack_chunk_sector(g, map_word_chunk(chosen[piece]));
		if (count && segment_goes_on(&segments[count - 1], &next))
			segments[count - 1].sectors += next.sectors;
		else
			segments[count++] = next;
	}
	return count;
}

map_word_t cowstack_range_newest(const struct cowstack_range *range,
				 vchunk_t chunk, struct cowstack_layer **layer)
{
	u32 i;

	for (i = 0; i < range->count; i++) {
		map_word_t word = chunk_map_get(&range->layer[i]->map, chunk);

		*layer = range->layer[i];
		if (map_word_is_known(word))
			return word;
	}
	return MAP_WORD_NONE;
}

static void add_copy(struct cowstack_merge *merge,
		     const struct cowstack_segment *next)
{
	struct cowstack_segment *last = merge->count ?
				&merge->copies[merge->count - 1] : NULL;

	if (last && segment_goes_on(last, next))
		last->sectors += next->sectors;
	else
		merge->copies[merge->count++] = *next;
}

void cowstack_range_merge(const struct cowstack_geometry *g,
			  const struct cowstack_range *range, vchunk_t chunk,
			  struct cowstack_merge *merge)
{
	map_word_t chosen[COWSTACK_MAX_PIECES];
	struct cowstack_layer *layer;
	map_word_t newest = cowstack_range_newest(range, chunk, &layer);
	u16 missing, copied = 0;
	bool zero = false;
	u32 piece;

	merge->count = 0;
	merge->word = newest;
	if (newest == MAP_WORD_NONE || map_word_is_zero(newest))
		return;
	missing = choose_words(g, range, chunk, chosen) &
		  ~map_word_mask(newest);
	if (!missing)
		return;
	for (piece = 0; piece < g->pieces; piece++) {
		u64 offset = (u64)piece << g->piece_shift;
		struct cowstack_segment copy = {
			.sectors = 1ULL << g->piece_shift,
		};

		if (!(missing & (1u << piece)))
			continue;
		if (!(map_word_mask(chosen[piece]) & (1u << piece))) {
			zero = true;
			continue;
		}
		copied |= 1u << piece;
		copy.place = offset +
			cowstack_chunk_sector(g, map_word_chunk(chosen[piece]));
		copy.sector = offset +
			cowstack_chunk_sector(g, map_word_chunk(newest));
		add_copy(merge, &copy);
	}
	/* Of several that are clean and not, the whole is not. */
	newest = map_word_not_clean(newest);
	if (zero)
		newest = map_word_with_zeroes(newest);
	merge->word = map_word_with_pieces(newest, copied, g->full_mask);
}

u64 cowstack_range_chunks(const struct cowstack_range *range)
{
	vchunk_t chunk = to_vchunk(0);
	u64 count = 0;

	while (cowstack_range_next(range, &chunk)) {
		count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	return count;
}

u64 cowstack_range_held_behind(const struct cowstack_geometry *g,
			       const struct cowstack_range *range, u64 from)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	vchunk_t chunk = cowstack_sector_chunk(g, from);
	u64 held = 0;
	u32 i, n;

	while (cowstack_range_next(range, &chunk)) {
		n = cowstack_range_plan(g, range, chunk, segments);
		for (i = 0; i < n; i++)
			if (!segments[i].zero &&
			    segments[i].sector + segments[i].sectors > from)
				held += segments[i].sector +
					segments[i].sectors -
					max(segments[i].sector, from);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	return held;
}

bool cowstack_range_tail(const struct cowstack_geometry *g,
			 const struct cowstack_range *range, u64 from,
			 struct cowstack_segment *tail)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	u64 end = ((from >> g->piece_shift) + 1) << g->piece_shift;
	u32 i, n;

	if (end - from == 1ULL << g->piece_shift)
		return false;
	n = cowstack_range_plan(g, range, cowstack_sector_chunk(g, from),
				segments);
	for (i = 0; i < n; i++) {
		const struct cowstack_segment *s = &segments[i];

		if (s->zero || s->sector >= end || s->sector + s->sectors <= from)
			continue;
		/* Pieces are whole: it begins before, and reaches to the end. */
		*tail = *s;
		tail->sector = from;
		tail->sectors = end - from;
		tail->place += from - s->sector;
		return true;
	}
	return false;
}

static bool mask_is_aligned(const struct cowstack_geometry *g, u16 mask,
			    u32 unit)
{
	const u16 whole = (1u << unit) - 1;
	u32 piece;

	for (piece = 0; piece < g->pieces; piece += unit) {
		u16 part = mask >> piece & whole;

		if (part && part != whole)
			return false;
	}
	return true;
}

static bool page_is_aligned(const struct cowstack_geometry *g,
			    const struct map_page *page, u32 unit)
{
	unsigned int slot;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
		if (!mask_is_aligned(g, map_word_mask(READ_ONCE(page->words[slot])),
				     unit))
			return false;
	return true;
}

bool cowstack_chain_is_aligned(const struct cowstack_geometry *g,
			       struct cowstack_layer *top, u32 sectors)
{
	u32 unit = min(sectors >> g->piece_shift, g->pieces);
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	if (unit < 2)
		return true;
	for (layer = top; layer; layer = layer->parent)
		for (number = 0;
		     (page = sparse_table_next(&layer->map.pages, &number));
		     number++) {
			if (!page_is_aligned(g, page, unit))
				return false;
			cond_resched();
		}
	return true;
}
