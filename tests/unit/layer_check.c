// SPDX-License-Identifier: GPL-2.0
/*
 * What frozen layers, clean copies and the base must show: each word looked at
 * by itself, without an index, without a chain.
 */
#include "store_driver.h"

/* The words that decide what a layer shows of a chunk, newest first. */
struct chunk_words {
	u32 count;
	map_word_t word[COWSTACK_MAX_LAYERS];
};

static void collect_words(const struct cowstack_layer *layer, u64 chunk,
			  struct chunk_words *words)
{
	words->count = 0;
	for (; layer; layer = layer->parent) {
		map_word_t word = chunk_map_get(&layer->map, to_vchunk(chunk));

		if (map_word_is_known(word))
			words->word[words->count++] = word;
	}
}

/* What the first word that knows @piece has at sector @within of the chunk. */
static u64 read_words(const struct store_driver *d,
		      const struct driver_volume *v,
		      const struct chunk_words *words, u64 chunk, u32 within)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 sector = (chunk << g->chunk_shift) + within;
	u32 piece = within >> g->piece_shift;
	u32 i;

	for (i = 0; i < words->count; i++) {
		map_word_t word = words->word[i];

		if (map_word_mask(word) >> piece & 1)
			return device_read_version(&d->store,
				cowstack_chunk_sector(g, map_word_chunk(word)) +
				within);
		if (map_word_is_zero(word))
			return 0;
	}
	return sector < v->volume->info.base_sectors ?
		       device_read_version(&v->base->device, sector) : 0;
}

static void check_chunk(struct store_driver *d, struct driver_volume *v,
			const struct model_point *point,
			const struct chunk_words *words, u64 chunk)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 first = chunk << g->chunk_shift;
	u64 count = min_t(u64, g->chunk_sectors, point->sectors - first);
	u32 i;

	for (i = 0; i < count; i++) {
		u64 version = read_words(d, v, words, chunk, i);

		if (version == point->content[first + i])
			continue;
		driver_fail(d, "volume %u: layer %u shows %llx at %llu, not %llx",
			    v->number, point->layer,
			    (unsigned long long)version,
			    (unsigned long long)first + i,
			    (unsigned long long)point->content[first + i]);
		return;
	}
}

void layer_check_content(struct store_driver *d, struct driver_volume *v,
			 const struct model_point *point)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 chunks = cowstack_chunks_of(g, point->sectors);
	const struct cowstack_layer *layer;
	struct chunk_words words;
	u64 chunk;

	layer = cowstack_layer_find(&d->md, to_layer_id(point->layer));
	if (!layer || !cowstack_layer_is_whole(v->volume, layer))
		return;
	for (chunk = 0; chunk < chunks && !driver_is_over(d); chunk++) {
		collect_words(layer, chunk, &words);
		check_chunk(d, v, point, &words, chunk);
	}
}

bool layer_decides(const struct store_driver *d,
		   const struct cowstack_layer *layer, u64 sector)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	vchunk_t chunk = cowstack_sector_chunk(g, sector);
	u32 piece = (sector & (g->chunk_sectors - 1)) >> g->piece_shift;

	for (; layer; layer = layer->parent) {
		map_word_t word = chunk_map_get(&layer->map, chunk);

		if (!map_word_is_clean(word) &&
		    (map_word_is_zero(word) ||
		     map_word_mask(word) >> piece & 1))
			return true;
	}
	return false;
}

/* --- clean copies --- */

/* Has a stream, or a commit into a layer, begun with layers above @layer? */
static bool words_have_moved(const struct driver_volume *v,
			     const struct cowstack_layer *layer)
{
	const struct cowstack_layer *above;

	for (above = v->volume->top; above != layer; above = above->parent)
		if (above->flags & COWSTACK_LAYER_MIXED)
			return true;
	return false;
}

/*
 * Pieces of @chunk that layers above @layer have newer, up to the highest that an
 * unfinished commit may have written to the base from: or above it, where a stream
 * has begun to take from that.
 */
static u16 pieces_on_the_way(const struct cowstack_geometry *g,
			     const struct driver_volume *v,
			     const struct cowstack_layer *layer, u64 chunk)
{
	const struct cowstack_layer *above = v->volume->top;
	u32 mixed = from_layer_id(v->volume->info.mixed_top);
	bool moved = mixed && words_have_moved(v, layer);
	u16 pieces = 0;

	for (; above != layer; above = above->parent) {
		map_word_t word = chunk_map_get(&above->map, to_vchunk(chunk));

		if (from_layer_id(above->id) > mixed && !moved)
			continue;
		pieces |= map_word_is_zero(word) ? g->full_mask :
						   map_word_mask(word);
	}
	return pieces;
}

static void check_clean_word(struct store_driver *d, struct driver_volume *v,
			     const struct cowstack_layer *layer, u64 chunk,
			     map_word_t word)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	struct chunk_words own = { .count = 1, .word = { word } };
	u16 known = map_word_is_zero(word) ? g->full_mask : map_word_mask(word);
	u64 first = chunk << g->chunk_shift;
	struct chunk_words below;
	u32 i;

	d->counts.clean_words++;
	known &= ~pieces_on_the_way(g, v, layer, chunk);
	collect_words(layer->parent, chunk, &below);
	for (i = 0; i < g->chunk_sectors; i++) {
		if (first + i >= v->model.sectors ||
		    !(known >> (i >> g->piece_shift) & 1) ||
		    read_words(d, v, &own, chunk, i) ==
			    read_words(d, v, &below, chunk, i))
			continue;
		driver_fail(d, "volume %u: layer %u is not clean at %llu",
			    v->number, from_layer_id(layer->id),
			    (unsigned long long)first + i);
		return;
	}
}

static void check_clean_layer(struct store_driver *d, struct driver_volume *v,
			      const struct cowstack_layer *layer)
{
	u64 number, counted = 0;
	struct map_page *page;
	u32 slot;

	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			map_word_t word = page->words[slot];

			if (!map_word_is_clean(word))
				continue;
			counted++;
			check_clean_word(d, v, layer,
					 number * COWSTACK_PAGE_CHUNKS + slot,
					 word);
		}
	}
	if (counted != atomic64_read(&layer->map.clean))
		driver_fail(d, "volume %u: layer %u counts its clean words wrong",
			    v->number, from_layer_id(layer->id));
}

void layers_check_clean(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_layer *layer;

	for (layer = v->volume->top; layer && !driver_is_over(d);
	     layer = layer->parent)
		if (atomic64_read(&layer->map.clean))
			check_clean_layer(d, v, layer);
}

/* --- the base --- */

void base_check(struct store_driver *d, struct driver_volume *v)
{
	u64 sector;

	if (v->volume->info.mixed_top != COWSTACK_BASE_LAYER)
		return;
	for (sector = 0; sector < v->volume->info.base_sectors; sector++) {
		if (device_read_version(&v->base->device, sector) ==
		    v->base->content[sector])
			continue;
		driver_fail(d, "volume %u: base is not valid at %llu",
			    v->number, (unsigned long long)sector);
		return;
	}
}
