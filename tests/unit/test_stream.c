// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: what the words of a chunk come to in the layer that takes them, piece
 * by piece against a model that knows no masks; and the steps that move them up.
 */
#include "chain_store.h"
#include "stream_plan.h"

#include "harness.h"

enum { TAKER = 3, SOURCES = 3, OPEN = -1, ZERO = -2, BASE = -3 };

FIXTURE(stream)
{
	struct chain_store s;
	struct cowstack_stream stream;
};

FIXTURE_SETUP(stream)
{
	chain_open(&self->s);
	/* The newest frozen layer takes what the three below it have. */
	cowstack_range_fill(&self->stream.range, self->s.layer[TAKER], NULL);
	self->stream.own = 1 + SOURCES;
	self->stream.base_sectors = 0;
}

FIXTURE_TEARDOWN(stream)
{
	chain_close(&self->s);
}

typedef FIXTURE_DATA(stream) stream_data;

/* --- the plan --- */

/* By number, what a layer may say of a chunk, with a chunk of its own. */
static map_word_t make_word(stream_data *self, u32 layer, u32 number)
{
	static const u16 masks[] = { 0x01, 0x06, 0x81, 0xf0, 0x7f };
	map_word_t word = MAP_WORD_NONE;
	u32 n;

	if (number == 0)
		return MAP_WORD_NONE;
	if (number == 1)
		return map_word_zeroes();
	word = map_word_with_room(word, to_dchunk(20 + layer));
	if (number == 2)
		return word;
	if (number == 3)
		return map_word_with_pieces(word, CHAIN_FULL_MASK,
					    CHAIN_FULL_MASK);
	n = (number - 4) / 2;
	word = map_word_with_pieces(word, masks[n], CHAIN_FULL_MASK);
	return number % 2 ? map_word_with_zeroes(word) : word;
}

enum { WORDS = 14 };

static void set_words(stream_data *self, u32 combination, u32 clean)
{
	u32 i;

	for (i = 0; i <= SOURCES; i++) {
		map_word_t word = make_word(self, i, combination % WORDS);

		/* Guests write to no clean word, so the taker has none. */
		if (i < SOURCES && clean & 1u << i && map_word_mask(word))
			word = map_word_as_clean(word);
		image_set_word(&self->s.md, self->s.layer[i], 0, word);
		combination /= WORDS;
	}
}

static u64 place_of(stream_data *self, map_word_t word, u32 piece)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);

	return cowstack_chunk_sector(g, map_word_chunk(word)) +
	       (piece << g->piece_shift);
}

/* Where a piece is to come from. */
static s64 naive_place(stream_data *self, u32 piece)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	int i;

	for (i = TAKER; i >= 0; i--) {
		map_word_t word = chain_word(&self->s, i, 0);

		/* Another volume may drop its copies: the base has the same. */
		if (map_word_is_clean(word) &&
		    (!self->stream.base_sectors ||
		     TAKER - i >= (int)self->stream.own))
			continue;
		if (map_word_mask(word) & 1u << piece)
			return place_of(self, word, piece);
		if (map_word_is_zero(word))
			return ZERO;
	}
	return piece << g->piece_shift < self->stream.base_sectors ? BASE : OPEN;
}

static s64 copied_from(stream_data *self, const struct cowstack_pull *pull,
		       u32 piece)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	s64 place = OPEN;
	u32 i, found = 0;

	for (i = 0; i < pull->count; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];

		if (piece < c->first || piece >= c->first + c->count)
			continue;
		found++;
		place = c->from_base ? BASE :
			(s64)(c->place + ((piece - c->first) << g->piece_shift));
	}
	return found == 1 ? place : OPEN;
}

static const char *wrong_piece(stream_data *self,
			       const struct cowstack_pull *pull, u32 piece)
{
	s64 place = naive_place(self, piece);
	bool here = map_word_mask(pull->word) & 1u << piece;
	bool copied = pull->copied & 1u << piece;

	if (place == ZERO || place == OPEN) {
		if (here || copied)
			return "holds what no layer does";
		return map_word_is_zero(pull->word) == (place == ZERO) ?
			NULL : "zeroes that are none, or none that are";
	}
	if (!here)
		return "lacks a piece";
	if (copied)
		return copied_from(self, pull, piece) == place ? NULL :
								 "a wrong copy";
	if (pull->needs_chunk || !map_word_has_chunk(pull->word))
		return "nobody put it there";
	return place == (s64)place_of(self, pull->word, piece) ?
		NULL : "the chunk that goes up has something else there";
}

/* Whose the chunk is that goes up: the newest of ours that says anything there. */
static const char *wrong_chunk(stream_data *self,
			       const struct cowstack_pull *pull)
{
	u32 below = self->stream.own;
	u32 i;

	if (!map_word_has_chunk(pull->word))
		return pull->copied && !pull->needs_chunk ? "no chunk" : NULL;
	for (i = 0; i < below; i++)
		if (from_dchunk(map_word_chunk(pull->word)) == 20 + TAKER - i)
			return NULL;
	return "takes a chunk that others use too";
}

static const char *wrong_plan(stream_data *self)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	struct cowstack_pull pull;
	const char *why;
	u32 piece;

	cowstack_stream_plan(g, &self->stream, to_vchunk(0), &pull);
	if (map_word_is_clean(pull.word))
		return "a clean word";
	why = wrong_chunk(self, &pull);
	for (piece = 0; piece < g->pieces && !why; piece++)
		why = wrong_piece(self, &pull, piece);
	return why;
}

static u32 check_all(stream_data *self, u32 clean, const char **why)
{
	u32 n = WORDS * WORDS * WORDS * WORDS;
	u32 i;

	for (i = 0; i < n; i++) {
		set_words(self, i, clean);
		*why = wrong_plan(self);
		if (*why)
			break;
	}
	return i == n ? 0 : i + 1;
}

static void check_variants(struct __test_metadata *_metadata, stream_data *self)
{
	static const u64 base[] = { 0, 8, 5 };
	const char *why = NULL;
	u32 own, b;

	for (own = 1; own <= 1 + SOURCES; own += SOURCES / 2 + 1) {
		for (b = 0; b < ARRAY_SIZE(base); b++) {
			self->stream.own = own;
			self->stream.base_sectors = base[b];
			EXPECT_EQ(0, check_all(self, 0, &why)) {
				TH_LOG("own %u, base %llu: %s", own, base[b], why);
			}
		}
	}
}

TEST_F(stream, every_combination_of_four_words)
{
	check_variants(_metadata, self);
}

TEST_F(stream, clean_words_go_or_become_data)
{
	const char *why = NULL;

	/* A clean word has nothing but clean ones below it, in its pieces. */
	EXPECT_EQ(0, check_all(self, 1, &why)) {
		TH_LOG("%s", why);
	}
	self->stream.base_sectors = 8;
	EXPECT_EQ(0, check_all(self, 7, &why)) {
		TH_LOG("with the base: %s", why);
	}
	/* Copies that others have too may go while they are read. */
	self->stream.own = 2;
	EXPECT_EQ(0, check_all(self, 7, &why)) {
		TH_LOG("with the base, of layers of others: %s", why);
	}
}

TEST_F(stream, next_chunk_and_room)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	vchunk_t chunk = to_vchunk(0);

	chain_give(&self->s, TAKER, 3, CHAIN_FULL_MASK, false);
	chain_give(&self->s, TAKER, 900, CHAIN_FULL_MASK, false);
	chain_give(&self->s, 0, 700, 1, false);
	chain_give(&self->s, 1, 5000, 1, false);
	/* What the taker alone has is nothing to do. */
	ASSERT_TRUE(cowstack_stream_next(g, &self->stream, &chunk));
	EXPECT_EQ(700, from_vchunk(chunk));
	chunk = to_vchunk(701);
	ASSERT_TRUE(cowstack_stream_next(g, &self->stream, &chunk));
	EXPECT_EQ(5000, from_vchunk(chunk));
	chunk = to_vchunk(5001);
	EXPECT_FALSE(cowstack_stream_next(g, &self->stream, &chunk));
	EXPECT_EQ(2, cowstack_stream_chunks(g, &self->stream));
	EXPECT_EQ(0, cowstack_stream_room(g, &self->stream));
	/* Of others' layers each is copied. */
	self->stream.own = 1;
	EXPECT_EQ(2, cowstack_stream_room(g, &self->stream));
	/* The base has chunks 0 to 999, of which 3, 700 and 900 have room. */
	self->stream.own = 4;
	self->stream.base_sectors = 1000 * 8 - 3;
	EXPECT_EQ(997, cowstack_stream_room(g, &self->stream));
	EXPECT_EQ(1001, cowstack_stream_chunks(g, &self->stream));
	chunk = to_vchunk(3);
	ASSERT_TRUE(cowstack_stream_next(g, &self->stream, &chunk));
	EXPECT_EQ(4, from_vchunk(chunk));
}

/* A clean copy that the layer has of its own needs the base as long as it is one. */
TEST_F(stream, the_base_goes_into_clean_words_too)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->s.md);
	map_word_t clean = chain_give(&self->s, TAKER, 1, CHAIN_FULL_MASK, true);
	struct cowstack_pull pull;
	vchunk_t chunk = to_vchunk(0);

	chain_give(&self->s, TAKER, 0, CHAIN_FULL_MASK, false);
	self->stream.base_sectors = 2 * 8;
	ASSERT_TRUE(cowstack_stream_next(g, &self->stream, &chunk));
	EXPECT_EQ(1, from_vchunk(chunk));
	cowstack_stream_plan(g, &self->stream, chunk, &pull);
	EXPECT_EQ(map_word_not_clean(clean), pull.word);
	EXPECT_EQ(0, pull.copied);
	/* Without the base, which stays where it is then, so does the copy. */
	self->stream.base_sectors = 0;
	chunk = to_vchunk(0);
	EXPECT_FALSE(cowstack_stream_next(g, &self->stream, &chunk));
}

/* --- the step --- */

static int pull_up(struct chain_store *s, u64 first, u64 count,
		   const struct cowstack_replacement *replacements, u32 n)
{
	const struct cowstack_let_go what = {
		.bottom = s->layer[0],
		.top = s->layer[TAKER - 1],
		.upward = true,
		.first = to_vchunk(first),
		.count = count,
		.replacements = replacements,
		.replacement_count = n,
	};

	return chain_let_go(s, &what);
}

TEST_F(stream, words_move_up)
{
	struct chain_store *s = &self->s;
	map_word_t moves = chain_give(s, 1, 10, CHAIN_FULL_MASK, false);
	map_word_t stays = chain_give(s, TAKER, 11, CHAIN_FULL_MASK, false);
	map_word_t alone = chain_give(s, TAKER, 12, 3, false);
	struct cowstack_replacement r = {
		.chunk = to_vchunk(10), .layer = s->layer[TAKER], .word = moves,
	};
	u32 before;
	u64 used;

	chain_give(s, 0, 11, CHAIN_FULL_MASK, false);
	/* Room that was never written to comes free where a chunk goes up. */
	chain_give(s, TAKER, 10, 0, false);
	chain_settle(s);
	before = s->volume->moves;
	used = cowstack_volume_used(s->volume);
	ASSERT_EQ(0, pull_up(s, 0, 512, &r, 1));
	EXPECT_NE(before, s->volume->moves);
	EXPECT_EQ(moves, chain_word(s, TAKER, 10));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 1, 10));
	EXPECT_EQ(stays, chain_word(s, TAKER, 11));
	EXPECT_EQ(MAP_WORD_NONE, chain_word(s, 0, 11));
	EXPECT_EQ(alone, chain_word(s, TAKER, 12));
	EXPECT_TRUE(chain_shows(s, 10, moves));
	EXPECT_TRUE(chain_shows(s, 11, stays));
	EXPECT_TRUE(chain_shows(s, 12, alone));
	EXPECT_EQ(used - 2, cowstack_volume_used(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* The index led to the layer below; a guest's own raise is not undone. */
TEST_F(stream, the_index_follows)
{
	struct chain_store *s = &self->s;
	map_word_t low = chain_give(s, 0, 20, 1, false);
	map_word_t high = chain_give(s, 4, 21, 1, false);
	map_word_t below = chain_give(s, 0, 21, 2, false);
	struct cowstack_replacement r[] = {
		{ .chunk = to_vchunk(20), .layer = s->layer[TAKER], .word = low },
		{ .chunk = to_vchunk(21), .layer = s->layer[TAKER],
		  .word = below },
	};

	chain_settle(s);
	ASSERT_EQ(0, pull_up(s, 20, 2, r, 2));
	EXPECT_TRUE(chain_shows(s, 20, low));
	EXPECT_TRUE(chain_shows(s, 21, high));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(stream, layers_leave_and_shared_ones_stay_with_others)
{
	struct chain_store *s = &self->s;
	struct cowstack_change c;
	struct cowstack_volume *clone;

	ASSERT_EQ(0, cowstack_change_clone_volume(&c, &s->md, to_volume_id(2),
						  s->volume, s->layer[1],
						  "clone", 0));
	chain_run(s, &c);
	clone = cowstack_volume_find(&s->md, to_volume_id(2));
	ASSERT_NE(NULL, clone);
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume,
					  s->layer[TAKER], NULL, NULL, NULL));
	chain_run(s, &c);
	EXPECT_EQ(2, cowstack_volume_depth(s->volume));
	EXPECT_EQ(3, cowstack_volume_depth(clone));
	EXPECT_EQ(NULL, s->layer[TAKER]->parent);
	/* With the clone its layers go, which nobody else uses any more. */
	ASSERT_EQ(0, cowstack_change_delete_volume(&c, &s->md, clone));
	chain_run(s, &c);
	EXPECT_EQ(NULL, cowstack_layer_find(&s->md, to_layer_id(1)));
	EXPECT_TRUE(chain_load_is_right(s));
}

TEST_F(stream, a_range_that_is_none_is_refused)
{
	struct chain_store *s = &self->s;
	const struct cowstack_let_go what = {
		.bottom = s->layer[2], .top = s->layer[1], .count = 1,
	};
	struct cowstack_change c;

	EXPECT_EQ(-EINVAL, cowstack_change_let_go(&c, &s->md, s->volume, &what,
						  NULL, NULL));
}

TEST_HARNESS_MAIN
