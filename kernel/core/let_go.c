// SPDX-License-Identifier: GPL-2.0
/*
 * Letting go: the words of a range of chunks leave a range of layers, all in one
 * step; where asked, others take their place.
 */
#include "change_parts.h"
#include "fault.h"

static bool encode_replacements(const struct cowstack_change *c,
				struct record_writer *w)
{
	u32 i;

	for (i = 0; i < c->replacement_count; i++) {
		const struct cowstack_replacement *r = &c->replacements[i];

		if (!record_write_word(w, r->layer->id, r->chunk, r->word))
			return false;
	}
	return true;
}

static bool encode_let_go(struct cowstack_transaction *t,
			  struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_top;

	for (; layer; layer = layer->parent) {
		if (!record_write_clear(w, layer->id, c->first, c->count))
			return false;
		if (layer == c->range_bottom)
			break;
	}
	return encode_replacements(c, w) &&
	       (!c->update || change_write_volume(c, w, c->volume->top->id));
}

static void count_word(struct cowstack_layer *layer, map_word_t word, int n)
{
	if (!map_word_has_chunk(word))
		return;
	atomic64_add(n, &layer->map.used);
	if (map_word_is_clean(word))
		atomic64_add(n, &layer->map.clean);
}

static bool same_chunk(map_word_t a, map_word_t b)
{
	return map_word_has_chunk(a) && map_word_has_chunk(b) &&
	       map_word_chunk(a) == map_word_chunk(b);
}

/* What @old named, and @kept does not, comes free. */
static void free_chunk_of(struct cowstack_change *c, map_word_t old,
			  map_word_t kept)
{
	if (!map_word_has_chunk(old) || same_chunk(old, kept))
		return;
	cowstack_allocator_free_durable(&c->md->allocator, map_word_chunk(old),
					1);
}

static void exchange_word(struct cowstack_change *c,
			  struct cowstack_layer *layer, struct map_page *page,
			  unsigned int slot, map_word_t word, map_word_t kept)
{
	map_word_t old = page->words[slot];

	map_page_store_clean(page, slot, word);
	cowstack_page_mark_home(c->md, page);
	count_word(layer, old, -1);
	count_word(layer, word, 1);
	free_chunk_of(c, old, kept);
}

static void place_replacements(struct cowstack_change *c)
{
	u32 i;

	for (i = 0; i < c->replacement_count; i++) {
		const struct cowstack_replacement *r = &c->replacements[i];
		u64 number = chunk_map_page_number(r->chunk);
		struct map_page *page = chunk_map_page(&r->layer->map, number);

		exchange_word(c, r->layer, page, chunk_map_page_slot(r->chunk),
			      r->word, r->word);
		/* Words that come to a layer from below it were not looked for. */
		if (c->upward && c->volume->chain)
			cowstack_index_raise_to(c->volume, c->volume->chain,
						r->chunk, r->layer);
	}
}

/* The replacement for @chunk, or the first behind it; @r moves on to it. */
static const struct cowstack_replacement *
find_replacement(const struct cowstack_change *c,
		 const struct cowstack_replacement **r, u64 chunk)
{
	const struct cowstack_replacement *end = c->replacements +
						 c->replacement_count;

	while (*r < end && from_vchunk((*r)->chunk) < chunk)
		(*r)++;
	return *r < end && from_vchunk((*r)->chunk) == chunk ? *r : NULL;
}

static void clear_words(struct cowstack_change *c, struct cowstack_layer *layer)
{
	const struct cowstack_replacement *next = c->replacements;
	u64 end = from_vchunk(c->first) + c->count;
	u64 chunk = from_vchunk(c->first);

	while (chunk < end) {
		const struct cowstack_replacement *r;
		u64 number = chunk / COWSTACK_PAGE_CHUNKS;
		struct map_page *page = sparse_table_next(&layer->map.pages,
							  &number);
		unsigned int slot;

		if (!page)
			return;
		if (number != chunk / COWSTACK_PAGE_CHUNKS) {
			chunk = number * COWSTACK_PAGE_CHUNKS;
			continue;
		}
		slot = chunk % COWSTACK_PAGE_CHUNKS;
		r = find_replacement(c, &next, chunk++);
		if (page->words[slot] == MAP_WORD_NONE ||
		    (r && r->layer == layer))
			continue;
		exchange_word(c, layer, page, slot, MAP_WORD_NONE,
			      r ? r->word : MAP_WORD_NONE);
	}
}

/* The next page from *@number on that a layer of the range has; false: none. */
static bool next_range_page(const struct cowstack_change *c, u64 *number)
{
	const struct cowstack_layer *layer = c->range_top;
	u64 least = U64_MAX;

	for (; layer; layer = layer->parent) {
		u64 found = *number;

		if (sparse_table_next(&layer->map.pages, &found))
			least = min(least, found);
		if (layer == c->range_bottom)
			break;
	}
	*number = least;
	return least != U64_MAX;
}

/* Lowers the topmost index over the range, where its layers have pages. */
static void lower_index(struct cowstack_change *c)
{
	u64 end = from_vchunk(c->first) + c->count;
	u64 chunk = from_vchunk(c->first);
	u64 number = chunk / COWSTACK_PAGE_CHUNKS;

	if (!c->volume->chain)
		return;
	for (; next_range_page(c, &number); number++) {
		chunk = max(chunk, number * COWSTACK_PAGE_CHUNKS);
		if (chunk >= end)
			return;
		for (; chunk < min(end, (number + 1) * COWSTACK_PAGE_CHUNKS);
		     chunk++)
			cowstack_index_lower(c->volume, c->volume->chain,
					     to_vchunk(chunk));
	}
}

/*
 * A lookup goes from the top down, beside us.  So what takes a word's place is
 * there before the word goes.  Where it lies above, a lookup that passed it before
 * that must begin again (chain.h).  Then the oldest layer goes first: who comes
 * between finds the newest word, or, when that too is gone, what took its place or
 * was committed, and never an old one alone.
 */
static void apply_let_go(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer = c->range_bottom;

	place_replacements(c);
	if (c->upward)
		cowstack_volume_note_move(c->volume);
	while (layer) {
		clear_words(c, layer);
		layer = layer == c->range_top ?
			NULL : cowstack_layer_above(layer, c->range_top);
	}
	lower_index(c);
	if (c->update)
		change_apply_volume(c);
}

/* Pages for words that come to a layer which knew nothing near them. */
static int add_page_for(struct cowstack_metadata *md,
			struct cowstack_volume *volume,
			const struct cowstack_replacement *r)
{
	u64 number = chunk_map_page_number(r->chunk);
	struct map_page *page;
	bool added;

	if (volume->chain && !cowstack_index_add_page(volume, number, GFP_NOIO))
		return -ENOMEM;
	if (chunk_map_page(&r->layer->map, number))
		return 0;
	/* Room for its home first: a page once made is there to stay. */
	if (cowstack_allocator_add_page(&md->allocator))
		return -ENOSPC;
	page = chunk_map_add_page(&r->layer->map, number, GFP_NOIO, &added);
	if (!added)
		cowstack_allocator_remove_pages(&md->allocator, 1);
	return page ? 0 : -ENOMEM;
}

/* --- clean words --- */

static bool encode_drop_clean(struct cowstack_transaction *t,
			      struct record_writer *w)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer;

	for (layer = c->volume->top; layer; layer = layer->parent)
		if (atomic64_read(&layer->map.clean) &&
		    !record_write_clean_gone(w, layer->id))
			return false;
	return true;
}

static void drop_clean_of(struct cowstack_change *c,
			  struct cowstack_layer *layer)
{
	struct map_page *page;
	unsigned int slot;
	u64 number;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++)
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
			if (map_word_is_clean(page->words[slot]))
				exchange_word(c, layer, page, slot,
					      MAP_WORD_NONE, MAP_WORD_NONE);
}

/* Indexes may say too high: other volumes' need no care. */
static void apply_drop_clean(struct cowstack_transaction *t)
{
	struct cowstack_change *c = to_change(t);
	struct cowstack_layer *layer;

	for (layer = c->volume->top; layer; layer = layer->parent)
		if (atomic64_read(&layer->map.clean))
			drop_clean_of(c, layer);
}

int cowstack_change_drop_clean(struct cowstack_change *c,
			       struct cowstack_metadata *md,
			       struct cowstack_volume *volume)
{
	change_init(c, md, volume, NULL, NULL);
	c->transaction.encode = encode_drop_clean;
	c->transaction.apply = apply_drop_clean;
	return 0;
}

/* --- letting go --- */

/* Walks that begin at the top must meet the bottom. */
static bool is_range(const struct cowstack_layer *bottom,
		     const struct cowstack_layer *top)
{
	while (top && top != bottom)
		top = top->parent;
	return top == bottom;
}

int cowstack_change_let_go(struct cowstack_change *c,
			   struct cowstack_metadata *md,
			   struct cowstack_volume *volume,
			   const struct cowstack_let_go *what,
			   cowstack_update_fn update, const void *argument)
{
	int error = 0;
	u32 i;

	change_init(c, md, volume, update, argument);
	if (what->replacement_count > COWSTACK_MAX_REPLACEMENTS ||
	    !is_range(what->bottom, what->top))
		return -EINVAL;
	for (i = 0; i < what->replacement_count && !error; i++)
		error = add_page_for(md, volume, &what->replacements[i]);
	if (error)
		return error;
	c->range_bottom = what->bottom;
	c->range_top = what->top;
	c->upward = what->upward;
	c->first = what->first;
	c->count = what->count;
	c->replacements = what->replacements;
	c->replacement_count = what->replacement_count;
	c->transaction.encode = encode_let_go;
	c->transaction.apply = apply_let_go;
	return 0;
}
