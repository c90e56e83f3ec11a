// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "chain_store.h"

void chain_run(struct chain_store *s, struct cowstack_change *c)
{
	image_run_change(&s->image, &s->md, c);
}

int chain_let_go(struct chain_store *s, const struct cowstack_let_go *what)
{
	struct cowstack_change c;
	int error = cowstack_change_let_go(&c, &s->md, s->volume, what, NULL,
					   NULL);

	if (!error)
		chain_run(s, &c);
	return error;
}

static void chain_find_layers(struct chain_store *s)
{
	struct cowstack_layer *layer = s->volume->top;
	int i = cowstack_volume_depth(s->volume);

	for (; layer; layer = layer->parent)
		if (--i < ARRAY_SIZE(s->layer))
			s->layer[i] = layer;
}

int chain_snapshot(struct chain_store *s, const char *name)
{
	struct cowstack_change c;
	int error = cowstack_change_snapshot(&c, &s->md, s->volume, name, 7,
					     NULL, NULL);

	if (!error)
		chain_run(s, &c);
	return error;
}

void chain_open(struct chain_store *s)
{
	u32 i;

	memset(s, 0, sizeof(*s));
	image_init(&s->image, 8, CHAIN_STORE_CHUNKS);
	image_load(&s->image, &s->md);
	s->volume = image_create_volume(&s->image, &s->md, 1,
					CHAIN_VOLUME_CHUNKS * 8);
	for (i = 0; i < 4; i++)
		chain_snapshot(s, NULL);
	chain_find_layers(s);
	cowstack_volume_bring_up(&s->md, s->volume);
}

void chain_close(struct chain_store *s)
{
	cowstack_metadata_exit(&s->md);
	image_exit(&s->image);
}

/* --- words and chunks --- */

static void chain_put(struct cowstack_metadata *md,
		      struct cowstack_layer *layer, u64 chunk, map_word_t word)
{
	if (map_word_has_chunk(word))
		atomic64_inc(&layer->map.used);
	if (map_word_is_clean(word))
		atomic64_inc(&layer->map.clean);
	image_set_word(md, layer, chunk, word);
}

/* A word with room of its own; with an empty mask it is room alone. */
map_word_t chain_give(struct chain_store *s, u32 layer, u64 chunk, u16 mask,
		      bool clean)
{
	map_word_t word;
	dchunk_t room;
	u64 got;

	if (cowstack_allocator_take(&s->md.allocator, 1, &room, &got))
		abort();
	word = map_word_with_pieces(map_word_with_room(MAP_WORD_NONE, room),
				    mask, CHAIN_FULL_MASK);
	if (clean)
		word = map_word_as_clean(word);
	chain_put(&s->md, s->layer[layer], chunk, word);
	return word;
}

void chain_give_zeroes(struct chain_store *s, u32 layer, u64 chunk)
{
	chain_put(&s->md, s->layer[layer], chunk, map_word_zeroes());
}

map_word_t chain_word(struct chain_store *s, u32 layer, u64 chunk)
{
	return chunk_map_get(&s->layer[layer]->map, to_vchunk(chunk));
}

/* The words as they stand enter a step, and the index is made from them. */
void chain_settle(struct chain_store *s)
{
	while (cowstack_words_are_dirty(&s->md))
		image_run_step(&s->image, &s->md);
	cowstack_volume_take_down(s->volume);
	cowstack_volume_bring_up(&s->md, s->volume);
}

static bool note_chunk(u8 *seen, u64 chunk, u64 chunks)
{
	if (chunk >= chunks || seen[chunk])
		return false;
	seen[chunk] = 1;
	return true;
}

/* Chunks that @layer's words name, each for the first time; -1: not so. */
static s64 note_layer(const struct cowstack_layer *layer, u8 *seen, u64 chunks)
{
	s64 used = 0, clean = 0;
	struct map_page *page;
	u64 number;
	u32 slot;

	for (number = 0; (page = sparse_table_next(&layer->map.pages, &number));
	     number++) {
		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
			map_word_t word = page->words[slot];

			clean += map_word_is_clean(word);
			if (!map_word_has_chunk(word))
				continue;
			used++;
			if (!note_chunk(seen, from_dchunk(map_word_chunk(word)),
					chunks))
				return -1;
		}
	}
	return used == atomic64_read(&layer->map.used) &&
			       clean == atomic64_read(&layer->map.clean)
		       ? used
		       : -1;
}

bool chain_chunks_have_owners(struct cowstack_metadata *md)
{
	const struct allocator *a = &md->allocator;
	u8 *seen = calloc(a->chunks, 1);
	const struct cowstack_layer *layer;
	const struct chunk_run *run;
	u64 taken = a->metadata_chunks, i;
	bool right = true;
	s64 n;

	list_for_each_entry(layer, &md->layers, list) {
		n = note_layer(layer, seen, a->chunks);
		right &= n >= 0;
		taken += n;
	}
	list_for_each_entry(layer, &md->zombies, list) {
		if (layer->reclaimed)
			continue;
		n = note_layer(layer, seen, a->chunks);
		right &= n >= 0;
		taken += n;
	}
	list_for_each_entry(run, &a->durable, list) {
		for (i = 0; i < run->count; i++)
			right &= note_chunk(seen, from_dchunk(run->first) + i,
					    a->chunks);
		taken += run->count;
	}
	free(seen);
	return right && taken == a->chunks - a->free;
}

/* Whatever waits to be free is. */
void chain_reclaim(struct chain_store *s)
{
	struct list_head runs;

	INIT_LIST_HEAD(&runs);
	while (cowstack_zombies_free_chunks(&s->md))
		;
	cowstack_allocator_take_durable(&s->md.allocator, &runs);
	cowstack_allocator_release(&s->md.allocator, &runs);
}

bool chain_load_is_right(struct chain_store *s)
{
	int error = image_load(&s->image, &s->copy);
	bool right;

	if (error) {
		printf("# load: error %d, %s\n", error, s->image.report.why);
		fflush(stdout);
		return false;
	}
	right = image_maps_are_equal(&s->md, &s->copy) &&
		chain_chunks_have_owners(&s->copy);
	cowstack_metadata_exit(&s->copy);
	return right;
}

/* Now, when a checkpoint has been, and when all that is free is. */
bool chain_all_is_right(struct chain_store *s)
{
	bool right = chain_chunks_have_owners(&s->md) && chain_load_is_right(s);

	image_checkpoint(&s->image, &s->md);
	right &= chain_chunks_have_owners(&s->md) && chain_load_is_right(s);
	chain_reclaim(s);
	image_checkpoint(&s->image, &s->md);
	return right && chain_chunks_have_owners(&s->md) && chain_load_is_right(s);
}

/* What the volume shows of @chunk's first piece. */
struct cowstack_extent chain_look_up(struct chain_store *s, u64 chunk)
{
	struct cowstack_extent extent;

	cowstack_chain_resolve(cowstack_geometry(&s->md), s->volume,
			       cowstack_volume_chain(s->volume), chunk * 8, 1,
			       &extent);
	return extent;
}

bool chain_shows(struct chain_store *s, u64 chunk, map_word_t word)
{
	struct cowstack_extent extent = chain_look_up(s, chunk);

	return extent.kind == COWSTACK_EXTENT_DATA &&
	       extent.place == cowstack_chunk_sector(cowstack_geometry(&s->md),
						     map_word_chunk(word));
}

bool chain_shows_base(struct chain_store *s, u64 chunk)
{
	return chain_look_up(s, chunk).kind == COWSTACK_EXTENT_BASE;
}

/* Takes every chunk that data may have. */
void chain_fill(struct chain_store *s)
{
	const u64 behind = 8192 + CHAIN_STORE_CHUNKS;
	u64 chunk, n, got;
	dchunk_t first;

	/* The pages first: no room is kept back for them later. */
	for (chunk = 8192; chunk < behind; chunk += COWSTACK_PAGE_CHUNKS)
		image_set_word(&s->md, s->layer[4], chunk, map_word_zeroes());
	chunk = 8192;
	while (!cowstack_allocator_take(&s->md.allocator, CHAIN_STORE_CHUNKS,
					&first, &got)) {
		for (n = 0; n < got; n++) {
			dchunk_t mine = to_dchunk(from_dchunk(first) + n);
			map_word_t word = map_word_with_room(MAP_WORD_NONE,
							     mine);

			chain_put(&s->md, s->layer[4], chunk++,
				  map_word_with_pieces(word, CHAIN_FULL_MASK,
						       CHAIN_FULL_MASK));
		}
	}
}

int chain_empty(struct chain_store *s, u32 layer)
{
	struct cowstack_change c;
	int error = cowstack_change_empty_layer(&c, &s->md, s->volume,
						s->layer[layer]);

	if (error)
		return error;
	chain_run(s, &c);
	chain_find_layers(s);
	return 0;
}

int chain_remove(struct chain_store *s, u32 bottom, u32 top)
{
	struct cowstack_change c;
	int error = cowstack_change_remove_layers(&c, &s->md, s->volume,
						  s->layer[bottom],
						  s->layer[top], NULL, NULL);

	if (!error)
		chain_run(s, &c);
	return error;
}

int chain_pin(struct chain_store *s, u32 layer, bool pinned)
{
	struct cowstack_change c;
	int error = cowstack_change_pin(&c, &s->md, s->layer[layer], pinned);

	if (!error)
		chain_run(s, &c);
	return error;
}
