// SPDX-License-Identifier: GPL-2.0
#include "chain.h"

static bool layer_in_chain(const struct cowstack_chain *chain,
			   const struct cowstack_layer *layer, u8 *slot)
{
	unsigned int i;

	/* By id: a layer that was emptied is another struct. */
	for (i = 0; chain && i < chain->count; i++) {
		if (chain->layer[i]->id == layer->id) {
			*slot = chain->slot[i];
			return true;
		}
	}
	return false;
}

/* Old layers keep their slots; new ones get slots that @old does not use. */
static void assign_slots(struct cowstack_chain *chain,
			 const struct cowstack_chain *old)
{
	bool used[COWSTACK_SLOTS] = { true };
	unsigned int i, free = 1;

	for (i = 0; old && i < old->count; i++)
		used[old->slot[i]] = true;
	memset(chain->position, chain->count - 1, sizeof(chain->position));
	for (i = 0; i < chain->count; i++) {
		if (!layer_in_chain(old, chain->layer[i], &chain->slot[i])) {
			while (used[free])
				free++;
			used[free] = true;
			chain->slot[i] = free;
		}
		chain->position[chain->slot[i]] = i;
	}
}

struct cowstack_chain *cowstack_chain_new(void)
{
	struct cowstack_chain *chain;

	/* One more than may be: depth is checked before, and again here. */
	return kzalloc(sizeof(*chain) + (COWSTACK_MAX_LAYERS + 1) *
						sizeof(chain->layer[0]),
		       GFP_NOIO);
}

void cowstack_chain_fill(struct cowstack_chain *chain,
			 const struct cowstack_volume *volume,
			 const struct cowstack_chain *old)
{
	struct cowstack_layer *layer;
	unsigned int i = cowstack_volume_depth(volume);

	chain->count = i;
	for (layer = volume->top; layer; layer = layer->parent)
		chain->layer[--i] = layer;
	assign_slots(chain, old);
}

struct cowstack_chain *cowstack_chain_publish(struct cowstack_volume *volume,
					      struct cowstack_chain *chain)
{
	struct cowstack_chain *old = volume->chain;

	/* Pairs with the acquire in cowstack_volume_chain(). */
	smp_store_release(&volume->chain, chain);
	return old;
}

void cowstack_chain_free(struct cowstack_chain *chain)
{
	kfree(chain);
}

u8 *cowstack_index_add_page(struct cowstack_volume *volume, u64 number,
			    gfp_t gfp)
{
	u8 *page = sparse_table_get(&volume->topmost, number);
	u8 *seen;

	if (page)
		return page;
	page = kzalloc(COWSTACK_PAGE_CHUNKS, gfp);
	if (!page)
		return NULL;
	seen = sparse_table_insert(&volume->topmost, number, page, gfp);
	if (seen != page)
		kfree(page);
	else
		atomic64_inc(&volume->topmost_pages);
	return seen;
}

static u8 *index_place(const struct cowstack_volume *volume, vchunk_t chunk)
{
	u8 *page = sparse_table_get(&volume->topmost,
				    chunk_map_page_number(chunk));

	return page ? &page[chunk_map_page_slot(chunk)] : NULL;
}

void cowstack_index_raise(struct cowstack_volume *volume, vchunk_t chunk,
			  u8 slot)
{
	u8 *place = index_place(volume, chunk);

	if (!place)
		return;
	/* Pairs with the acquire in first_position(). */
	smp_store_release(place, slot);
}

void cowstack_index_raise_to(struct cowstack_volume *volume,
			     const struct cowstack_chain *chain,
			     vchunk_t chunk, const struct cowstack_layer *layer)
{
	u8 *place = index_place(volume, chunk);
	u8 old = place ? READ_ONCE(*place) : 0;
	u8 slot;

	if (!place || !layer_in_chain(chain, layer, &slot))
		return;
	/* A guest's write may raise it beside us, and then to the top. */
	while (!old || chain->position[old] < chain->position[slot]) {
		u8 seen = cmpxchg(place, old, slot);

		if (seen == old)
			return;
		old = seen;
	}
}

void cowstack_volume_note_move(struct cowstack_volume *volume)
{
	/* After the words above: pairs with begin_lookup(). */
	smp_wmb();
	WRITE_ONCE(volume->moves, volume->moves + 1);
	/* Before those below go: pairs with must_retry_lookup(). */
	smp_wmb();
}

/*
 * Words that move up are placed above, then counted, then removed below.  Who
 * read above before and below after them reads two different counts.
 */
static u32 begin_lookup(const struct cowstack_volume *volume)
{
	/* Before any word; pairs with the first barrier in _note_move(). */
	return smp_load_acquire(&volume->moves);
}

static bool must_retry_lookup(const struct cowstack_volume *volume, u32 moves)
{
	/* After all words; pairs with the second one. */
	smp_rmb();
	return unlikely(READ_ONCE(volume->moves) != moves);
}

void cowstack_index_lower(struct cowstack_volume *volume,
			  const struct cowstack_chain *chain, vchunk_t chunk)
{
	u8 *place = index_place(volume, chunk);
	u8 slot = place ? READ_ONCE(*place) : 0;
	int i;

	if (!slot || slot == chain->slot[chain->count - 1])
		return;
	for (i = chain->position[slot]; i >= 0; i--)
		if (chunk_map_get(&chain->layer[i]->map, chunk) !=
		    MAP_WORD_NONE)
			break;
	cmpxchg(place, slot, i < 0 ? 0 : chain->slot[i]);
}

static int index_layer(struct cowstack_volume *volume,
		       const struct cowstack_layer *layer, u8 slot)
{
	struct map_page *page;
	u64 number;
	unsigned int i;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		u8 *index = cowstack_index_add_page(volume, number, GFP_NOIO);

		if (!index)
			return -ENOMEM;
		for (i = 0; i < COWSTACK_PAGE_CHUNKS; i++)
			if (page->words[i] != MAP_WORD_NONE)
				index[i] = slot;
		cond_resched();
	}
	return 0;
}

int cowstack_volume_bring_up(struct cowstack_metadata *md,
			     struct cowstack_volume *volume)
{
	struct cowstack_chain *chain;
	unsigned int i;
	int error = 0;

	if (cowstack_volume_depth(volume) > COWSTACK_MAX_LAYERS)
		return -E2BIG;
	chain = cowstack_chain_new();
	if (!chain)
		return -ENOMEM;
	cowstack_chain_fill(chain, volume, NULL);
	/* From the bottom up: the last to write a byte is the topmost. */
	for (i = 0; i < chain->count && !error; i++)
		error = index_layer(volume, chain->layer[i], chain->slot[i]);
	cowstack_chain_publish(volume, chain);
	if (error)
		cowstack_volume_take_down(volume);
	return error;
}

void cowstack_volume_take_down(struct cowstack_volume *volume)
{
	u8 *page;
	u64 number;

	for (number = 0; (page = sparse_table_next(&volume->topmost, &number));
	     number++)
		kfree(page);
	sparse_table_exit(&volume->topmost);
	atomic64_set(&volume->topmost_pages, 0);
	cowstack_chain_free(volume->chain);
	volume->chain = NULL;
}

u64 cowstack_volume_index_memory(const struct cowstack_volume *volume)
{
	return atomic64_read(&volume->topmost.nodes) * SPARSE_TABLE_NODE_BYTES +
	       atomic64_read(&volume->topmost_pages) * COWSTACK_PAGE_CHUNKS;
}

/* Position of the highest layer that may know @chunk; -1: none does. */
static int first_position(const struct cowstack_chain *chain, const u8 *index,
			  vchunk_t chunk)
{
	u8 slot;

	if (!index)
		return -1;
	/* Pairs with the release in cowstack_index_raise() and _lower(). */
	slot = smp_load_acquire(&index[chunk_map_page_slot(chunk)]);
	return slot ? chain->position[slot] : -1;
}

/* What @layer's word says of the piece @piece, and for how many pieces. */
static bool resolve_in_word(const struct cowstack_geometry *g, map_word_t word,
			    u32 piece, u32 *run, struct cowstack_extent *extent)
{
	unsigned long mask = map_word_mask(word);
	u32 end;

	if (test_bit(piece, &mask)) {
		end = find_next_zero_bit(&mask, g->pieces, piece);
		*run = min(*run, end - piece);
		extent->kind = COWSTACK_EXTENT_DATA;
		extent->place = cowstack_chunk_sector(g, map_word_chunk(word)) +
				(piece << g->piece_shift);
		return true;
	}
	/* A layer above cuts the run where its own pieces begin again. */
	end = find_next_bit(&mask, g->pieces, piece);
	*run = min(*run, end - piece);
	extent->kind = COWSTACK_EXTENT_ZERO;
	return map_word_is_zero(word);
}

/* One chunk: the run of pieces from @sector on that lies in one place. */
static void resolve_in_chunk(const struct cowstack_geometry *g,
			     const struct cowstack_chain *chain, int position,
			     u64 sector, struct cowstack_extent *extent)
{
	vchunk_t chunk = cowstack_sector_chunk(g, sector);
	u32 within = sector & (g->chunk_sectors - 1);
	u32 piece = within >> g->piece_shift;
	u32 skip = within & ((1u << g->piece_shift) - 1);
	u32 run = g->pieces - piece;
	bool found = false;

	for (; position >= 0 && !found; position--) {
		map_word_t word = chunk_map_get(&chain->layer[position]->map,
						chunk);

		if (word != MAP_WORD_NONE)
			found = resolve_in_word(g, word, piece, &run, extent);
	}
	if (!found)
		extent->kind = COWSTACK_EXTENT_BASE;
	else if (extent->kind == COWSTACK_EXTENT_DATA)
		extent->place += skip;
	extent->sectors = (run << g->piece_shift) - skip;
}

/* Does @next go on where @extent ends? */
static bool extents_join(const struct cowstack_extent *extent,
			 const struct cowstack_extent *next)
{
	return next->kind == extent->kind &&
	       (next->kind != COWSTACK_EXTENT_DATA ||
		next->place == extent->place + extent->sectors);
}

static void resolve_run(const struct cowstack_geometry *g,
			const struct cowstack_volume *volume,
			const struct cowstack_chain *chain,
			u64 sector, u64 sectors, struct cowstack_extent *extent)
{
	const u8 *index = NULL;
	u64 page = U64_MAX;
	bool first = true;
	u64 done = 0;

	while (done < sectors) {
		vchunk_t chunk = cowstack_sector_chunk(g, sector + done);
		struct cowstack_extent next;

		if (chunk_map_page_number(chunk) != page) {
			page = chunk_map_page_number(chunk);
			index = sparse_table_get(&volume->topmost, page);
		}
		resolve_in_chunk(g, chain, first_position(chain, index, chunk),
				 sector + done, &next);
		if (first)
			*extent = next;
		else if (extents_join(extent, &next))
			extent->sectors += next.sectors;
		else
			break;
		first = false;
		done = extent->sectors;
	}
	extent->sectors = min(extent->sectors, sectors);
}

/*
 * What nearly all reads are: of one chunk, which no layer knows, or of which the
 * topmost that knows it has all that is wanted.  False: it is not so.
 */
static bool resolve_one(const struct cowstack_geometry *g,
			const struct cowstack_volume *volume,
			const struct cowstack_chain *chain,
			u64 sector, u64 sectors, struct cowstack_extent *extent)
{
	vchunk_t chunk = cowstack_sector_chunk(g, sector);
	u32 within = sector & (g->chunk_sectors - 1);
	map_word_t word;
	int position;

	if (within + sectors > g->chunk_sectors)
		return false;
	position = first_position(chain,
				  sparse_table_get(&volume->topmost,
						   chunk_map_page_number(chunk)),
				  chunk);
	extent->sectors = sectors;
	if (position < 0) {
		extent->kind = COWSTACK_EXTENT_BASE;
		return true;
	}
	word = chunk_map_get(&chain->layer[position]->map, chunk);
	if (!map_word_holds(g, word, within, sectors))
		return false;
	extent->kind = COWSTACK_EXTENT_DATA;
	extent->place = cowstack_chunk_sector(g, map_word_chunk(word)) + within;
	return true;
}

/* Apart from what nearly all reads need, which is done in few registers. */
static noinline void resolve_any(const struct cowstack_geometry *g,
				 const struct cowstack_volume *volume,
				 const struct cowstack_chain *chain,
				 u64 sector, u64 sectors,
				 struct cowstack_extent *extent)
{
	u32 moves;

	do {
		moves = begin_lookup(volume);
		resolve_run(g, volume, chain, sector, sectors, extent);
	} while (must_retry_lookup(volume, moves));
}

void cowstack_chain_resolve(const struct cowstack_geometry *g,
			    const struct cowstack_volume *volume,
			    const struct cowstack_chain *chain,
			    u64 sector, u64 sectors,
			    struct cowstack_extent *extent)
{
	u32 moves = begin_lookup(volume);

	if (!resolve_one(g, volume, chain, sector, sectors, extent) ||
	    must_retry_lookup(volume, moves))
		resolve_any(g, volume, chain, sector, sectors, extent);
}

static bool known_below(const struct cowstack_chain *chain, vchunk_t chunk)
{
	int i;

	for (i = chain->count - 2; i >= 0; i--)
		if (map_word_is_known(chunk_map_get(&chain->layer[i]->map,
						    chunk)))
			return true;
	return false;
}

bool cowstack_chain_known_below(const struct cowstack_volume *volume,
				const struct cowstack_chain *chain,
				vchunk_t chunk)
{
	bool known;
	u32 moves;

	do {
		moves = begin_lookup(volume);
		known = known_below(chain, chunk);
	} while (!known && must_retry_lookup(volume, moves));
	return known;
}
