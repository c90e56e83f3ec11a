// SPDX-License-Identifier: GPL-2.0
#include "stream_plan.h"

/* What is known of a chunk while its words are gone through, newest first. */
struct planner {
	const struct cowstack_geometry *g;
	const struct cowstack_stream *stream;
	u64 start;			/* sector of the chunk */
	map_word_t home;		/* whose chunk goes up; or none */
	u16 open;			/* pieces that no word has decided yet */
	bool zero;			/* some piece reads as zeroes */
	struct cowstack_pull *pull;
};

static bool copy_goes_on(const struct planner *p,
			 const struct cowstack_pull_copy *last, u32 piece,
			 bool from_base, u64 place)
{
	return last->first + last->count == piece &&
	       last->from_base == from_base &&
	       (from_base ||
		last->place + ((u64)last->count << p->g->piece_shift) == place);
}

static void add_copy(struct planner *p, u32 piece, bool from_base, u64 place)
{
	struct cowstack_pull *pull = p->pull;
	struct cowstack_pull_copy *last = pull->count ?
				&pull->copies[pull->count - 1] : NULL;

	pull->copied |= 1u << piece;
	if (last && copy_goes_on(p, last, piece, from_base, place)) {
		last->count++;
		return;
	}
	last = &pull->copies[pull->count++];
	last->first = piece;
	last->count = 1;
	last->from_base = from_base;
	last->place = place;
}

static void copy_pieces(struct planner *p, map_word_t word, u16 pieces)
{
	u64 place = cowstack_chunk_sector(p->g, map_word_chunk(word));
	u32 piece;

	for (piece = 0; piece < p->g->pieces; piece++)
		if (pieces & (1u << piece))
			add_copy(p, piece, false,
				 place + ((u64)piece << p->g->piece_shift));
}

static void take_word(struct planner *p, map_word_t word, bool own)
{
	u16 takes = map_word_is_zero(word) ? p->open :
					     map_word_mask(word) & p->open;
	u16 data = takes & map_word_mask(word);

	if (takes & ~data)
		p->zero = true;
	p->open &= ~takes;
	if (!data)
		return;
	/*
	 * Nothing above the first word of ours that has data has decided a piece
	 * of it, so its chunk goes up as it is.
	 */
	if (own && p->home == MAP_WORD_NONE && !p->pull->count)
		p->home = word;
	else
		copy_pieces(p, word, data);
}

static void take_words(struct planner *p, vchunk_t chunk)
{
	const struct cowstack_stream *s = p->stream;
	u32 i;

	for (i = 0; i < s->range.count && p->open; i++) {
		map_word_t word = chunk_map_get(&s->range.layer[i]->map, chunk);

		if (!map_word_is_known(word))
			continue;
		/*
		 * The base shows the same: it stays below, or is asked, where the
		 * copy may go at any time, as another volume drops it.
		 */
		if (map_word_is_clean(word) &&
		    (!s->base_sectors || i >= s->own))
			continue;
		take_word(p, word, i < s->own);
	}
}

static void take_base(struct planner *p)
{
	u32 piece;

	for (piece = 0; piece < p->g->pieces; piece++) {
		u64 sector = p->start + ((u64)piece << p->g->piece_shift);

		/* Behind its end the base shows zeroes, and goes on to. */
		if (!(p->open & (1u << piece)) ||
		    sector >= p->stream->base_sectors)
			continue;
		add_copy(p, piece, true, 0);
		p->open &= ~(1u << piece);
	}
}

/* Zeroes, where some piece reads so, hold for all that is not in the mask. */
static void make_word(struct planner *p)
{
	struct cowstack_pull *pull = p->pull;
	map_word_t word = map_word_not_clean(p->home);

	if (p->zero)
		word = map_word_with_zeroes(word);
	pull->needs_chunk = pull->copied && !map_word_has_chunk(word);
	pull->word = map_word_with_pieces(word, pull->copied, p->g->full_mask);
}

void cowstack_stream_plan(const struct cowstack_geometry *g,
			  const struct cowstack_stream *stream, vchunk_t chunk,
			  struct cowstack_pull *pull)
{
	struct planner p = {
		.g = g, .stream = stream, .pull = pull,
		.start = from_vchunk(chunk) << g->chunk_shift,
		.home = MAP_WORD_NONE, .open = g->full_mask,
	};

	pull->count = 0;
	pull->copied = 0;
	take_words(&p, chunk);
	take_base(&p);
	make_word(&p);
}

/* Only the sources: what the taking layer alone knows stays as it is. */
static bool next_of_sources(const struct cowstack_stream *stream,
			    vchunk_t *chunk)
{
	return cowstack_layers_next(stream->range.layer + 1,
				    stream->range.count - 1, chunk);
}

/* Is there anything to do at @chunk, where the base reaches? */
static bool has_work(const struct cowstack_geometry *g,
		     const struct cowstack_stream *stream, vchunk_t chunk)
{
	map_word_t word = chunk_map_get(&stream->range.layer[0]->map, chunk);

	/*
	 * What the layer knows in full needs nothing of the base; but a clean copy
	 * does: it goes when the base is exchanged.
	 */
	return map_word_is_clean(word) ||
	       (!map_word_is_zero(word) &&
		map_word_mask(word) != g->full_mask) ||
	       cowstack_layers_know(stream->range.layer + 1,
				    stream->range.count - 1, chunk);
}

bool cowstack_stream_next(const struct cowstack_geometry *g,
			  const struct cowstack_stream *stream,
			  vchunk_t *chunk)
{
	u64 base_chunks = cowstack_chunks_of(g, stream->base_sectors);
	u64 at;

	for (at = from_vchunk(*chunk); at < base_chunks; at++) {
		*chunk = to_vchunk(at);
		if (has_work(g, stream, *chunk))
			return true;
		if (!(at % COWSTACK_PAGE_CHUNKS))
			cond_resched();
	}
	*chunk = to_vchunk(at);
	return next_of_sources(stream, chunk);
}

u64 cowstack_stream_chunks(const struct cowstack_geometry *g,
			   const struct cowstack_stream *stream)
{
	u64 count = cowstack_chunks_of(g, stream->base_sectors);
	vchunk_t chunk = to_vchunk(count);

	for (; next_of_sources(stream, &chunk);
	     chunk = to_vchunk(from_vchunk(chunk) + 1))
		count++;
	return count;
}

static bool needs_chunk(const struct cowstack_geometry *g,
			const struct cowstack_stream *stream, vchunk_t chunk)
{
	struct cowstack_pull pull;

	cowstack_stream_plan(g, stream, chunk, &pull);
	return pull.needs_chunk;
}

/* Below the base's end each chunk needs room that no word of ours spares it. */
static u64 base_room(const struct cowstack_geometry *g,
		     const struct cowstack_stream *stream)
{
	u64 chunks = cowstack_chunks_of(g, stream->base_sectors);
	vchunk_t chunk = to_vchunk(0);
	u64 room = chunks;

	while (cowstack_layers_next(stream->range.layer, stream->own, &chunk)) {
		if (from_vchunk(chunk) >= chunks)
			break;
		room -= !needs_chunk(g, stream, chunk);
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	return room;
}

u64 cowstack_stream_room(const struct cowstack_geometry *g,
			 const struct cowstack_stream *stream)
{
	u64 room = base_room(g, stream);
	vchunk_t chunk = to_vchunk(cowstack_chunks_of(g, stream->base_sectors));

	for (; next_of_sources(stream, &chunk);
	     chunk = to_vchunk(from_vchunk(chunk) + 1))
		room += needs_chunk(g, stream, chunk);
	return room;
}
