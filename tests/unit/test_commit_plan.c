// SPDX-License-Identifier: GPL-2.0
/*
 * What the words of a range come to: every combination of words of three layers,
 * piece by piece, against a model that knows no masks.
 */
#include "commit_plan.h"
#include "store_image.h"

#include "harness.h"

enum { LAYERS = 3, OPEN = -1, ZERO = -2, MAX_WORDS = 128 };

FIXTURE(range) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_volume *volume;
	struct cowstack_range range;	/* the destination is its last */
	map_word_t words[MAX_WORDS];	/* that a layer may have, without a chunk */
	u32 word_count;
};

FIXTURE_VARIANT(range) {
	u32 chunk_sectors;
};

FIXTURE_VARIANT_ADD(range, eight_pieces) { .chunk_sectors = 8 };
FIXTURE_VARIANT_ADD(range, sixteen_pieces) { .chunk_sectors = 128 };

typedef FIXTURE_DATA(range) range_data;

static const struct cowstack_geometry *geometry(range_data *self)
{
	return cowstack_geometry(&self->md);
}

static void add_word(range_data *self, bool room, u16 mask, bool zero,
		     bool clean)
{
	map_word_t word = zero ? map_word_zeroes() : MAP_WORD_NONE;

	/* The layer's own chunk is put in its place later. */
	if (room)
		word = map_word_with_room(word, to_dchunk(0));
	word = map_word_with_pieces(word, mask, geometry(self)->full_mask);
	self->words[self->word_count++] = clean ? map_word_as_clean(word) : word;
}

/* All there are, with masks of the first, the second and the last piece. */
static void make_words(range_data *self)
{
	const u16 full = geometry(self)->full_mask;
	const u16 last = full ^ full >> 1;
	u32 bits;

	add_word(self, false, 0, false, false);
	add_word(self, false, 0, true, false);
	add_word(self, true, 0, false, false);
	add_word(self, true, 0, true, false);
	for (bits = 1; bits < 8; bits++) {
		u16 mask = (bits & 3) | (bits & 4 ? last : 0);
		u32 flags;

		for (flags = 0; flags < 4; flags++) {
			add_word(self, true, mask, flags & 1, flags & 2);
			add_word(self, true, full & ~mask, flags & 1,
				 flags & 2);
		}
	}
	add_word(self, true, full, false, false);
	add_word(self, true, full, false, true);
}

FIXTURE_SETUP(range)
{
	struct cowstack_change change;
	u32 i;

	image_init(&self->image, variant->chunk_sectors, 64);
	image_load(&self->image, &self->md);
	self->volume = image_create_volume(&self->image, &self->md, 1,
					   16 * variant->chunk_sectors);
	/* One below the range, that nobody may look at, and the top. */
	for (i = 0; i < LAYERS + 1; i++) {
		cowstack_change_snapshot(&change, &self->md, self->volume, NULL,
					 0, NULL, NULL);
		image_run_change(&self->image, &self->md, &change);
	}
	cowstack_range_fill(&self->range, self->volume->top->parent,
			    self->volume->top->parent->parent->parent->parent);
	image_set_word(&self->md,
		       self->volume->top->parent->parent->parent->parent, 0,
		       map_word_zeroes());
	self->word_count = 0;
	make_words(self);
}

FIXTURE_TEARDOWN(range)
{
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

static map_word_t own_word(map_word_t word, u32 layer)
{
	const u64 flags = BIT_ULL(MAP_WORD_CHUNK_SHIFT) - 1;

	if (!map_word_has_chunk(word))
		return word;
	return map_word_from_raw((map_word_raw(word) & flags) |
				 (u64)(10 + layer) << MAP_WORD_CHUNK_SHIFT);
}

static map_word_t word_of(range_data *self, u32 layer)
{
	return chunk_map_get(&self->range.layer[layer]->map, to_vchunk(0));
}

static u64 place_in(range_data *self, map_word_t word, u32 piece)
{
	return cowstack_chunk_sector(geometry(self), map_word_chunk(word)) +
	       (piece << geometry(self)->piece_shift);
}

/* Where a piece lies: sector of the store, ZERO, or OPEN; *layer: whose. */
static s64 naive_place(range_data *self, u32 piece, u32 *layer)
{
	for (*layer = 0; *layer < LAYERS; (*layer)++) {
		map_word_t word = word_of(self, *layer);

		if (map_word_mask(word) & 1u << piece)
			return place_in(self, word, piece);
		if (map_word_is_zero(word))
			return ZERO;
	}
	return OPEN;
}

/* The first copy that writes to @sector; OPEN: none does, or two. */
static s64 copied_from(const struct cowstack_merge *merge, u64 sector)
{
	s64 place = OPEN;
	u32 i, found = 0;

	for (i = 0; i < merge->count; i++) {
		const struct cowstack_segment *s = &merge->copies[i];

		if (sector < s->sector || sector >= s->sector + s->sectors)
			continue;
		place = s->place + sector - s->sector;
		found++;
	}
	return found == 1 ? place : OPEN;
}

static const char *wrong_piece(range_data *self,
			       const struct cowstack_merge *merge,
			       map_word_t newest, u32 piece)
{
	u32 layer;
	s64 place = naive_place(self, piece, &layer);
	bool here = map_word_mask(merge->word) & 1u << piece;
	u64 at;

	if (place < 0) {
		if (here)
			return "holds what no layer does";
		return map_word_is_zero(merge->word) == (place == ZERO) ?
			       NULL : "zeroes that are none, or none that are";
	}
	if (!here)
		return "lacks a piece";
	at = place_in(self, merge->word, piece);
	if (map_word_mask(newest) & 1u << piece)
		return copied_from(merge, at) == OPEN && at == place ?
			       NULL : "the newest word's piece does not stay";
	return copied_from(merge, at) == place ? NULL : "a wrong copy";
}

/* Only of what is clean, all of it, can the whole be said to be. */
static bool may_be_clean(range_data *self, map_word_t newest)
{
	u32 piece, layer;

	for (piece = 0; piece < geometry(self)->pieces; piece++)
		if (naive_place(self, piece, &layer) != OPEN &&
		    word_of(self, layer) != newest)
			return false;
	return map_word_is_clean(newest);
}

static const char *wrong_merge(range_data *self)
{
	struct cowstack_layer *layer;
	struct cowstack_merge merge;
	map_word_t newest = MAP_WORD_NONE;
	const char *why = NULL;
	u32 i, sectors = 0;

	for (i = 0; i < LAYERS && newest == MAP_WORD_NONE; i++)
		if (map_word_is_known(word_of(self, i)))
			newest = word_of(self, i);
	if (cowstack_range_newest(&self->range, to_vchunk(0), &layer) != newest)
		return "not the newest word";
	if (newest != MAP_WORD_NONE && layer != self->range.layer[i - 1])
		return "the newest word's layer is another";
	cowstack_range_merge(geometry(self), &self->range, to_vchunk(0), &merge);
	if (map_word_has_chunk(merge.word) && map_word_mask(merge.word) &&
	    map_word_chunk(merge.word) != map_word_chunk(newest))
		return "not the newest word's chunk";
	if (map_word_is_clean(merge.word) != may_be_clean(self, newest))
		return "clean, or not";
	for (i = 0; i < geometry(self)->pieces && !why; i++)
		why = wrong_piece(self, &merge, newest, i);
	for (i = 0; i < merge.count; i++)
		sectors += merge.copies[i].sectors;
	if (sectors != (__builtin_popcount(map_word_mask(merge.word)) -
			__builtin_popcount(map_word_mask(newest)))
			       << geometry(self)->piece_shift)
		return "copies more than is missing";
	return why;
}

static bool segment_is_wrong(range_data *self, const struct cowstack_segment *s,
			     s64 place, u64 offset)
{
	return s->zero ? place != ZERO : place != (s64)(s->place + offset);
}

/* What is clean is in the base already, and is not written. */
static const char *wrong_plan(range_data *self)
{
	const struct cowstack_geometry *g = geometry(self);
	struct cowstack_segment s[COWSTACK_MAX_PIECES];
	u32 count = cowstack_range_plan(g, &self->range, to_vchunk(0), s);
	u32 i = 0, piece, layer;

	for (piece = 0; piece < g->pieces; piece++) {
		u64 sector = piece << g->piece_shift;
		s64 place = naive_place(self, piece, &layer);

		while (i < count && sector >= s[i].sector + s[i].sectors)
			i++;
		if (place != OPEN && map_word_is_clean(word_of(self, layer)))
			place = OPEN;
		if (i == count || sector < s[i].sector) {
			if (place != OPEN)
				return "leaves a piece out";
		} else if (segment_is_wrong(self, &s[i], place,
					    sector - s[i].sector)) {
			return "takes a piece from another place";
		}
	}
	return NULL;
}

static bool joins(const struct cowstack_segment *a,
		  const struct cowstack_segment *b)
{
	return a->sector + a->sectors == b->sector && a->zero == b->zero &&
	       (a->zero || a->place + a->sectors == b->place);
}

static bool neighbours_are_joined(range_data *self)
{
	struct cowstack_segment s[COWSTACK_MAX_PIECES];
	struct cowstack_merge merge;
	u32 i, n;

	n = cowstack_range_plan(geometry(self), &self->range, to_vchunk(0), s);
	for (i = 1; i < n; i++)
		if (joins(&s[i - 1], &s[i]) || s[i].sector < s[i - 1].sector)
			return false;
	cowstack_range_merge(geometry(self), &self->range, to_vchunk(0), &merge);
	for (i = 1; i < merge.count; i++)
		if (joins(&merge.copies[i - 1], &merge.copies[i]))
			return false;
	return true;
}

static void set_words(range_data *self, u32 combination)
{
	u32 i;

	for (i = 0; i < LAYERS; i++) {
		map_word_t word = self->words[combination % self->word_count];

		image_set_word(&self->md, self->range.layer[i], 0,
			       own_word(word, i));
		combination /= self->word_count;
	}
}

TEST_F(range, every_combination_of_three_words)
{
	u32 n = self->word_count * self->word_count * self->word_count;
	const char *why;
	u32 i;

	ASSERT_EQ(LAYERS, self->range.count);
	for (i = 0; i < n; i++) {
		set_words(self, i);
		why = wrong_merge(self);
		if (!why)
			why = wrong_plan(self);
		if (!why && !neighbours_are_joined(self))
			why = "neighbours are apart";
		if (why)
			printf("# words %llx, %llx, %llx: %s\n",
			       (unsigned long long)map_word_raw(word_of(self, 0)),
			       (unsigned long long)map_word_raw(word_of(self, 1)),
			       (unsigned long long)map_word_raw(word_of(self, 2)),
			       why);
		fflush(stdout);
		ASSERT_EQ(NULL, why);
	}
}

/* The last words of a map, and none behind them. */
TEST_F(range, ends_of_the_map)
{
	const u64 last = COWSTACK_MAX_VOLUME_CHUNKS - 1;
	vchunk_t chunk = to_vchunk(0);
	u32 i;

	for (i = 0; i < LAYERS; i++)
		image_set_word(&self->md, self->range.layer[i], 0,
			       MAP_WORD_NONE);
	EXPECT_FALSE(cowstack_range_next(&self->range, &chunk));
	image_set_word(&self->md, self->range.layer[1], last,
		       map_word_zeroes());
	EXPECT_TRUE(cowstack_range_next(&self->range, &chunk));
	EXPECT_EQ(last, from_vchunk(chunk));
	chunk = to_vchunk(last + 1);
	EXPECT_FALSE(cowstack_range_next(&self->range, &chunk));
	EXPECT_EQ(1, cowstack_range_chunks(&self->range));
}

/* In the newest layer, in the oldest, and behind a page's end. */
TEST_F(range, pieces_and_larger_blocks)
{
	static const struct { u16 mask; u32 unit; } masks[] = {
		/* the largest unit, in pieces, that the mask is whole in */
		{ 0x01, 1 }, { 0x06, 1 }, { 0x0c, 2 }, { 0x3c, 2 }, { 0xf0, 4 },
		{ 0x8f, 1 }, { 0xcf, 2 }, { 0x00, 8 },
	};
	const struct cowstack_geometry *g = geometry(self);
	struct cowstack_layer *top = self->volume->top;
	map_word_t word;
	u32 i, unit, k;

	for (i = 0; i < LAYERS; i++)
		image_set_word(&self->md, self->range.layer[i], 0,
			       map_word_zeroes());
	EXPECT_TRUE(cowstack_chain_is_aligned(g, top, 2048));
	for (i = 0; i < 3 * ARRAY_SIZE(masks); i++) {
		struct cowstack_layer *layer = i % 3 ? self->range.layer[0] :
						       self->range.layer[LAYERS - 1];
		u64 chunk = i % 3 == 2 ? 511 : 3;

		k = i / 3;
		word = map_word_with_room(MAP_WORD_NONE, to_dchunk(3));
		word = map_word_with_pieces(word, masks[k].mask, g->full_mask);
		image_set_word(&self->md, layer, chunk, word);
		for (unit = 1; unit <= 8; unit *= 2)
			EXPECT_EQ(unit <= masks[k].unit,
				  cowstack_chain_is_aligned(g, top,
							    unit << g->piece_shift));
		image_set_word(&self->md, layer, chunk, MAP_WORD_NONE);
	}
}

/* Zeroes do fit a base that is too short; what is clean is there already. */
TEST_F(range, held_behind_a_short_base)
{
	const struct cowstack_geometry *g = geometry(self);
	u32 piece = 1u << g->piece_shift;
	map_word_t word = map_word_with_room(MAP_WORD_NONE, to_dchunk(3));
	u32 i;

	for (i = 0; i < LAYERS; i++)
		image_set_word(&self->md, self->range.layer[i], 0,
			       map_word_zeroes());
	EXPECT_EQ(0, cowstack_range_held_behind(g, &self->range, 0));
	image_set_word(&self->md, self->range.layer[0], 0,
		       map_word_with_pieces(word, 0x0c, g->full_mask));
	EXPECT_EQ(2 * piece, cowstack_range_held_behind(g, &self->range, 0));
	EXPECT_EQ(2 * piece, cowstack_range_held_behind(g, &self->range,
							2 * piece));
	EXPECT_EQ(piece + piece / 2,
		  cowstack_range_held_behind(g, &self->range,
					     3 * piece - piece / 2));
	EXPECT_EQ(0, cowstack_range_held_behind(g, &self->range, 4 * piece));
	word = map_word_with_pieces(word, 0x0c, g->full_mask);
	image_set_word(&self->md, self->range.layer[0], 0,
		       map_word_as_clean(word));
	EXPECT_EQ(0, cowstack_range_held_behind(g, &self->range, 0));
}

/* Of a piece in which the base ends, and of no other, the rest. */
TEST_F(range, tail_of_a_short_base)
{
	const struct cowstack_geometry *g = geometry(self);
	u32 piece = 1u << g->piece_shift;
	map_word_t word = map_word_with_room(MAP_WORD_NONE, to_dchunk(3));
	u64 place = cowstack_chunk_sector(g, to_dchunk(3));
	struct cowstack_segment tail;

	image_set_word(&self->md, self->range.layer[0], 0,
		       map_word_with_pieces(map_word_with_zeroes(word), 0x0c,
					    g->full_mask));
	EXPECT_FALSE(cowstack_range_tail(g, &self->range, 1, &tail));
	EXPECT_FALSE(cowstack_range_tail(g, &self->range, 2 * piece, &tail));
	/* In a piece of one sector nothing ends. */
	EXPECT_EQ(piece > 1, cowstack_range_tail(g, &self->range,
						 2 * piece + 1, &tail));
	if (piece == 1)
		return;
	ASSERT_TRUE(cowstack_range_tail(g, &self->range, 2 * piece + 1, &tail));
	EXPECT_EQ(2 * piece + 1, tail.sector);
	EXPECT_EQ(piece - 1, tail.sectors);
	EXPECT_EQ(place + 2 * piece + 1, tail.place);
	EXPECT_FALSE(cowstack_range_tail(g, &self->range, 3 * piece, &tail));
	ASSERT_TRUE(cowstack_range_tail(g, &self->range, 4 * piece - 1, &tail));
	EXPECT_EQ(1, tail.sectors);
	EXPECT_EQ(place + 4 * piece - 1, tail.place);
	EXPECT_FALSE(cowstack_range_tail(g, &self->range, 4 * piece + 1, &tail));
}

TEST_HARNESS_MAIN
