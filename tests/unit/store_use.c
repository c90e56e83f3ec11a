// SPDX-License-Identifier: GPL-2.0
#include "chain_store.h"
#include "store_use.h"
#include "stream_plan.h"

enum {
	MAX_COMMITTED = 256,		/* chunks */
	MAX_LOOKUPS = 2000,		/* of a volume */
};

static bool volume_is_usable(struct store_use *u, struct cowstack_metadata *md,
			     struct cowstack_volume *volume)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u64 size = volume->info.sectors, sector = 0;
	struct cowstack_extent extent;
	u32 i;

	if (cowstack_volume_bring_up(md, volume))
		return false;
	for (i = 0; i < MAX_LOOKUPS && sector < size; i++) {
		cowstack_chain_resolve(g, volume, cowstack_volume_chain(volume),
				       sector, min_t(u64, size - sector, 4096),
				       &extent);
		if (!extent.sectors)
			return false;
		if (extent.kind == COWSTACK_EXTENT_DATA &&
		    (extent.place < g->data_start ||
		     extent.place + extent.sectors > u->image.sectors))
			return false;
		sector += extent.sectors;
	}
	return true;
}

/* A second load after a checkpoint finds what the first one found. */
static bool checkpoint_keeps_all(struct store_use *u,
				 struct cowstack_metadata *md)
{
	struct cowstack_metadata again;
	bool equal;

	if (cowstack_ring_room(md) < 2 * md->max_step_blocks)
		return true;
	image_checkpoint(&u->image, md);
	if (image_load(&u->image, &again)) {
		u->wrong = u->image.report.why;
		return false;
	}
	equal = image_maps_are_equal(md, &again);
	if (!equal)
		u->wrong = "a checkpoint changes what is loaded";
	cowstack_metadata_exit(&again);
	return equal;
}

/* Does a checkpoint surely find room?  An enemy may have taken all of it. */
static bool has_room(struct cowstack_metadata *md)
{
	return cowstack_allocator_room(&md->allocator) > 0;
}

/* For all the steps that the changes to one volume take; false: there is none. */
static bool make_ring_room(struct store_use *u, struct cowstack_metadata *md)
{
	const u64 wanted = 7 * md->max_step_blocks;

	if (cowstack_ring_room(md) < wanted && has_room(md))
		image_checkpoint(&u->image, md);
	return cowstack_ring_room(md) >= wanted;
}

/* --- writes --- */

/* The page of the top's map; NULL: no room for it. */
static struct map_page *top_page(struct cowstack_metadata *md,
				 struct cowstack_volume *volume, vchunk_t chunk)
{
	struct chunk_map *map = &volume->top->map;
	u64 number = chunk_map_page_number(chunk);
	struct map_page *page = chunk_map_page(map, number);
	bool added;

	if (page || cowstack_allocator_add_page(&md->allocator))
		return page;
	page = chunk_map_add_page(map, number, GFP_NOIO, &added);
	if (!added)
		cowstack_allocator_remove_pages(&md->allocator, 1);
	return page;
}

static void store_word(struct cowstack_volume *volume, struct map_page *page,
		       vchunk_t chunk, map_word_t word)
{
	const struct cowstack_chain *chain = cowstack_volume_chain(volume);

	cowstack_index_add_page(volume, chunk_map_page_number(chunk), GFP_NOIO);
	cowstack_index_raise(volume, chunk, chain->slot[chain->count - 1]);
	map_page_store(page, chunk_map_page_slot(chunk), word);
}

/* All pieces of @chunk; no room is no failure. */
static bool write_chunk(struct cowstack_metadata *md,
			struct cowstack_volume *volume, vchunk_t chunk)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u64 sector = from_vchunk(chunk) << g->chunk_shift;
	struct map_page *page = top_page(md, volume, chunk);
	struct cowstack_extent extent;
	dchunk_t place;
	map_word_t word;
	u64 got;

	if (!page)
		return true;
	word = page->words[chunk_map_page_slot(chunk)];
	if (!map_word_has_chunk(word)) {
		if (cowstack_allocator_take(&md->allocator, 1, &place, &got))
			return true;
		word = map_word_with_room(word, place);
		atomic64_inc(&page->map->used);
	}
	place = map_word_chunk(word);
	store_word(volume, page, chunk,
		   map_word_with_pieces(word, g->full_mask, g->full_mask));
	cowstack_chain_resolve(g, volume, cowstack_volume_chain(volume), sector,
			       1, &extent);
	return extent.kind == COWSTACK_EXTENT_DATA &&
	       extent.place == cowstack_chunk_sector(g, place);
}

static void discard_chunk(struct cowstack_metadata *md,
			  struct cowstack_volume *volume, vchunk_t chunk)
{
	struct map_page *page = top_page(md, volume, chunk);
	map_word_t old;

	if (!page)
		return;
	old = page->words[chunk_map_page_slot(chunk)];
	store_word(volume, page, chunk, map_word_zeroes());
	if (!map_word_has_chunk(old))
		return;
	atomic64_dec(&page->map->used);
	cowstack_allocator_free(&md->allocator, map_word_chunk(old), 1);
}

/* Wherever: what a guest may do to a volume of this size. */
static bool write_some(struct store_use *u, struct cowstack_metadata *md,
		       struct cowstack_volume *volume)
{
	u64 chunks = cowstack_chunks_of(cowstack_geometry(md),
					volume->info.sectors);
	u32 i;

	for (i = 0; i < 8; i++) {
		u64 n = random_below(&u->r, chunks);

		if (random_percent(&u->r, 50))
			n = random_below(&u->r, min_t(u64, chunks, 16));
		if (random_percent(&u->r, 25))
			discard_chunk(md, volume, to_vchunk(n));
		else if (!write_chunk(md, volume, to_vchunk(n)))
			return false;
	}
	image_run_step(&u->image, md);
	return true;
}

static void take_snapshot(struct store_use *u, struct cowstack_metadata *md,
			  struct cowstack_volume *volume)
{
	struct cowstack_change c;

	if (!cowstack_change_snapshot(&c, md, volume, NULL, 0, NULL, NULL))
		image_run_change(&u->image, md, &c);
}

/* --- commits --- */

/* What @chunk comes to where it is let go of; false: nothing. */
static bool find_replacement(struct store_use *u, struct cowstack_metadata *md,
			     const struct cowstack_range *range, vchunk_t chunk,
			     struct cowstack_layer *destination,
			     struct cowstack_replacement *r)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	struct cowstack_merge merge;
	u32 i, n = cowstack_range_plan(g, range, chunk, segments);

	for (i = 0; i < n; i++)
		if (!segments[i].zero &&
		    segments[i].place + segments[i].sectors > u->image.sectors)
			u->leads_out = true;
	r->chunk = chunk;
	r->word = cowstack_range_newest(range, chunk, &r->layer);
	if (!destination) {
		r->word = map_word_as_clean(r->word);
		return map_word_mask(r->word);
	}
	cowstack_range_merge(g, range, chunk, &merge);
	for (i = 0; i < merge.count; i++)
		if (merge.copies[i].sector + merge.copies[i].sectors >
		    u->image.sectors)
			u->leads_out = true;
	r->word = merge.word;
	r->layer = destination;
	return merge.word != MAP_WORD_NONE;
}

/* All frozen layers of a volume, kept as clean copies or moved to the lowest. */
static int commit_volume(struct store_use *u, struct cowstack_metadata *md,
			 struct cowstack_volume *volume)
{
	static struct cowstack_replacement r[MAX_COMMITTED];
	struct cowstack_let_go what = { .top = volume->top->parent,
					.replacements = r };
	struct cowstack_layer *lowest = what.top;
	struct cowstack_layer *destination = NULL;
	vchunk_t chunk = to_vchunk(0);
	struct cowstack_range range;
	struct cowstack_change c;
	int error;

	while (lowest && lowest->parent)
		lowest = lowest->parent;
	if (!lowest || cowstack_layer_is_shared(volume, lowest))
		return 0;
	if (lowest != what.top && random_percent(&u->r, 50))
		destination = lowest;
	what.bottom = cowstack_layer_above(destination, what.top);
	cowstack_range_fill(&range, what.top, NULL);
	while (what.replacement_count < MAX_COMMITTED &&
	       cowstack_range_next(&range, &chunk)) {
		if (find_replacement(u, md, &range, chunk, destination,
				     &r[what.replacement_count]))
			what.replacement_count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	what.count = from_vchunk(chunk);
	if (!what.count)
		return 0;
	error = cowstack_change_let_go(&c, md, volume, &what, NULL, NULL);
	if (!error)
		image_run_change(&u->image, md, &c);
	return error;
}

/* --- streams --- */

static void look_at_copies(struct store_use *u, struct cowstack_metadata *md,
			   const struct cowstack_pull *pull)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u32 i;

	if (map_word_has_chunk(pull->word) &&
	    from_dchunk(map_word_chunk(pull->word)) >= g->chunks)
		u->leads_out = true;
	for (i = 0; i < pull->count; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];
		u64 sectors = (u64)c->count << g->piece_shift;

		if (c->first + c->count > g->pieces ||
		    (!c->from_base && (c->place < g->data_start ||
				       c->place + sectors > u->image.sectors)))
			u->leads_out = true;
	}
}

/* What @chunk comes to in the layer that takes it: how many words; or no room. */
static int pull_chunk(struct store_use *u, struct cowstack_metadata *md,
		      const struct cowstack_stream *stream, vchunk_t chunk,
		      struct cowstack_replacement *r, bool *took)
{
	struct cowstack_layer *taker = stream->range.layer[0];
	struct cowstack_pull pull;
	dchunk_t room;
	u64 got;

	cowstack_stream_plan(cowstack_geometry(md), stream, chunk, &pull);
	look_at_copies(u, md, &pull);
	r->chunk = chunk;
	r->layer = taker;
	r->word = pull.word;
	if (pull.word == MAP_WORD_NONE ||
	    (!pull.copied && pull.word == chunk_map_get(&taker->map, chunk)))
		return 0;
	*took = pull.needs_chunk;
	if (pull.needs_chunk) {
		if (cowstack_allocator_take(&md->allocator, 1, &room, &got))
			return -ENOSPC;
		r->word = map_word_at(pull.word, room);
	}
	u->pulled++;
	return 1;
}

static void give_back(struct cowstack_metadata *md,
		      const struct cowstack_let_go *what, const bool *took)
{
	map_word_t word;
	u32 i;

	for (i = 0; i < what->replacement_count; i++) {
		word = what->replacements[i].word;
		if (took[i])
			cowstack_allocator_untake(&md->allocator,
						  map_word_chunk(word), 1);
	}
}

/* The lowest layer below the top that is the volume's alone; NULL: none is. */
static struct cowstack_layer *own_bottom(const struct cowstack_volume *volume,
					 struct cowstack_stream *stream)
{
	struct cowstack_layer *layer, *bottom = NULL;

	stream->own = 1;
	for (layer = volume->top->parent;
	     layer && !cowstack_layer_is_shared(volume, layer);
	     layer = layer->parent) {
		bottom = layer;
		stream->own++;
	}
	return bottom;
}

/* All that lies below the top moves into it, and its layers leave. */
static int stream_volume(struct store_use *u, struct cowstack_metadata *md,
			 struct cowstack_volume *volume)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	static struct cowstack_replacement r[MAX_COMMITTED];
	static bool took[MAX_COMMITTED];
	static struct cowstack_stream stream;
	struct cowstack_let_go what = { .upward = true, .replacements = r };
	vchunk_t chunk = to_vchunk(0);
	struct cowstack_change c;
	int error, n;

	if (!volume->top->parent ||
	    cowstack_layer_is_shared(volume, volume->top))
		return 0;
	cowstack_range_fill(&stream.range, volume->top, NULL);
	what.bottom = own_bottom(volume, &stream);
	what.top = what.bottom ? volume->top->parent : NULL;
	stream.base_sectors = random_percent(&u->r, 30) ?
		min(volume->info.base_sectors, volume->info.sectors) : 0;
	if (cowstack_stream_room(g, &stream) >
	    cowstack_allocator_room(&md->allocator))
		return 0;
	while (what.replacement_count < MAX_COMMITTED &&
	       cowstack_stream_next(g, &stream, &chunk)) {
		n = what.replacement_count;
		n = pull_chunk(u, md, &stream, chunk, &r[n], &took[n]);
		if (n < 0)
			break;
		what.replacement_count += n;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	what.count = from_vchunk(chunk);
	error = cowstack_change_let_go(&c, md, volume, &what, NULL, NULL);
	if (error) {
		give_back(md, &what, took);
		return error;
	}
	image_run_change(&u->image, md, &c);
	if (!cowstack_stream_next(g, &stream, &chunk) &&
	    !cowstack_change_pull(&c, md, volume, volume->top, NULL, NULL, NULL))
		image_run_change(&u->image, md, &c);
	return 0;
}

/* Whatever a layer holds it can be asked to leave, and a volume to go. */
static void change_layers(struct store_use *u, struct cowstack_metadata *md,
			  struct cowstack_volume *volume)
{
	struct cowstack_layer *layer = volume->top->parent;
	struct cowstack_change c;

	if (!layer)
		return;
	if (!cowstack_change_clone_volume(&c, md, to_volume_id(77), volume,
					  layer, NULL, 0))
		image_run_change(&u->image, md, &c);
	if (!cowstack_change_empty_layer(&c, md, volume, layer))
		image_run_change(&u->image, md, &c);
	layer = volume->top->parent;
	if (!cowstack_change_remove_layers(&c, md, volume, layer, layer, NULL,
					   NULL))
		image_run_change(&u->image, md, &c);
	if (random_percent(&u->r, 30) &&
	    !cowstack_change_delete_volume(&c, md, volume))
		image_run_change(&u->image, md, &c);
}

static bool layers_are_usable(struct store_use *u, struct cowstack_metadata *md)
{
	struct cowstack_volume *volume, *next;
	struct cowstack_change c;
	int error;

	list_for_each_entry_safe(volume, next, &md->volumes, list) {
		if (!make_ring_room(u, md))
			break;
		/* A clone that was made here is not up yet. */
		if (!cowstack_volume_chain(volume) &&
		    cowstack_volume_bring_up(md, volume))
			return false;
		if (!write_some(u, md, volume)) {
			u->wrong = "what was written is not found";
			return false;
		}
		if (random_percent(&u->r, 50))
			take_snapshot(u, md, volume);
		if (!make_ring_room(u, md))
			break;
		if (random_percent(&u->r, 20) &&
		    !cowstack_change_drop_clean(&c, md, volume))
			image_run_change(&u->image, md, &c);
		error = random_percent(&u->r, 50) ?
				commit_volume(u, md, volume) :
				stream_volume(u, md, volume);
		if (error && error != -ENOSPC)
			return false;
		change_layers(u, md, volume);
	}
	if (u->leads_out)
		u->wrong = "a commit or stream that leads out of the store";
	else if (!chain_chunks_have_owners(md))
		u->wrong = "a chunk has two owners, or none";
	else
		return true;
	return false;
}

static bool store_is_usable(struct store_use *u, struct cowstack_metadata *md)
{
	struct cowstack_volume *volume;
	dchunk_t first;
	u64 got;

	list_for_each_entry(volume, &md->volumes, list)
		if (!volume_is_usable(u, md, volume))
			return false;
	if (has_room(md) && (!layers_are_usable(u, md) ||
			     !checkpoint_keeps_all(u, md)))
		return false;
	while (!cowstack_allocator_take(&md->allocator, 8, &first, &got))
		if (from_dchunk(first) + got > cowstack_geometry(md)->chunks)
			return false;
	return true;
}

bool store_use_load(struct store_use *u)
{
	struct cowstack_metadata md;
	bool right, room;
	int error = image_load(&u->image, &md);

	u->wrong = "refused with an odd error, or not usable";
	if (error) {
		u->refused++;
		return error == -EUCLEAN || error == -EINVAL ||
		       error == -EOPNOTSUPP || error == -EFBIG;
	}
	u->accepted++;
	room = has_room(&md);
	right = (!room || checkpoint_keeps_all(u, &md)) &&
		store_is_usable(u, &md);
	cowstack_metadata_exit(&md);
	return right;
}

