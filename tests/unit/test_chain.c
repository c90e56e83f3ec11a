// SPDX-License-Identifier: GPL-2.0
/*
 * Lookups against a naive model, the topmost index, slots, and what a commit of
 * a range plans.
 */
#include "commit_plan.h"
#include "random.h"
#include "store_image.h"

#include "harness.h"

enum { CHUNKS = 24, STORE_CHUNKS = 2048, MAX_DEPTH = 64, BASE = -1, ZERO = -2 };

FIXTURE(chain) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_volume *volume;
	struct random r;
	u64 next_chunk;
};

typedef FIXTURE_DATA(chain) chain_data;

static void open_store(chain_data *self, u32 chunk_sectors)
{
	image_init(&self->image, chunk_sectors, STORE_CHUNKS);
	image_load(&self->image, &self->md);
	self->volume = image_create_volume(&self->image, &self->md, 1,
					   (u64)CHUNKS * chunk_sectors);
	self->next_chunk = 0;
}

static void close_store(chain_data *self)
{
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

FIXTURE_SETUP(chain)
{
	self->r.state = 5;
	open_store(self, 64);
}

FIXTURE_TEARDOWN(chain)
{
	close_store(self);
}

static const struct cowstack_geometry *geometry(chain_data *self)
{
	return cowstack_geometry(&self->md);
}

static void add_layer(chain_data *self)
{
	struct cowstack_change change;

	cowstack_change_snapshot(&change, &self->md, self->volume, NULL, 0,
				 NULL, NULL);
	image_run_change(&self->image, &self->md, &change);
}

/* Any word at all, also one with room and nothing in it. */
static map_word_t random_word(chain_data *self)
{
	const struct cowstack_geometry *g = geometry(self);
	u64 dice = random_below(&self->r, 10);
	u16 mask = random_next(&self->r) & g->full_mask;
	map_word_t word = MAP_WORD_NONE;

	if (dice < 2)
		return MAP_WORD_NONE;
	if (dice < 4)
		word = map_word_zeroes();
	if (dice == 2)
		return word;
	if (dice == 5)
		mask = g->full_mask;
	if (dice == 6)
		mask = 0;
	word = map_word_with_room(word, to_dchunk(self->next_chunk++ %
						  STORE_CHUNKS));
	return map_word_with_pieces(word, mask, g->full_mask);
}

static void fill_layer(chain_data *self,
		       struct cowstack_layer *layer)
{
	u64 chunk;

	for (chunk = 0; chunk < CHUNKS; chunk++)
		if (random_percent(&self->r, 40))
			image_set_word(&self->md, layer, chunk,
				       random_word(self));
}

/* Where @sector lies: the place on the store, BASE or ZERO. */
static s64 naive_place(chain_data *self,
		       const struct cowstack_layer *top,
		       const struct cowstack_layer *below, u64 sector)
{
	const struct cowstack_geometry *g = geometry(self);
	vchunk_t chunk = to_vchunk(sector / g->chunk_sectors);
	u32 within = sector % g->chunk_sectors;
	const struct cowstack_layer *layer;

	for (layer = top; layer != below; layer = layer->parent) {
		map_word_t word = chunk_map_get(&layer->map, chunk);

		if (map_word_mask(word) >> (within * g->pieces /
					    g->chunk_sectors) & 1)
			return cowstack_chunk_sector(g, map_word_chunk(word)) +
			       within;
		if (map_word_is_zero(word))
			return ZERO;
	}
	return BASE;
}

static s64 extent_place(const struct cowstack_extent *extent, u64 offset)
{
	if (extent->kind == COWSTACK_EXTENT_DATA)
		return extent->place + offset;
	return extent->kind == COWSTACK_EXTENT_BASE ? BASE : ZERO;
}

/* Every sector is right, and the extent ends only where it has to. */
static bool resolve_is_right(chain_data *self, u64 sector,
			     u64 sectors)
{
	struct cowstack_extent extent;
	u64 i;

	cowstack_chain_resolve(geometry(self), self->volume,
			       cowstack_volume_chain(self->volume), sector,
			       sectors, &extent);
	if (!extent.sectors || extent.sectors > sectors)
		return false;
	for (i = 0; i < extent.sectors; i++)
		if (extent_place(&extent, i) !=
		    naive_place(self, self->volume->top, NULL, sector + i))
			return false;
	return extent.sectors == sectors ||
	       extent_place(&extent, i) !=
		       naive_place(self, self->volume->top, NULL, sector + i);
}

static bool known_below_is_right(chain_data *self, u64 chunk)
{
	const struct cowstack_layer *layer = self->volume->top->parent;
	bool known = false;

	for (; layer; layer = layer->parent)
		known |= map_word_is_known(chunk_map_get(&layer->map,
							 to_vchunk(chunk)));
	return known == cowstack_chain_known_below(self->volume,
				cowstack_volume_chain(self->volume),
				to_vchunk(chunk));
}

/* The lookups from the index that bring-up makes, all over the volume. */
static bool lookups_are_right(chain_data *self)
{
	u64 size = self->volume->info.sectors, sector, chunk;
	u32 i;

	for (i = 0; i < 300; i++) {
		sector = random_below(&self->r, size);
		if (!resolve_is_right(self, sector,
				      1 + random_below(&self->r, size - sector)))
			return false;
	}
	for (chunk = 0; chunk < CHUNKS; chunk++)
		if (!known_below_is_right(self, chunk))
			return false;
	return true;
}

TEST(resolve_against_a_naive_model)
{
	chain_data data = { .r.state = 11 };
	u32 chunk_sectors, depth, round;

	for (chunk_sectors = 8; chunk_sectors <= 2048; chunk_sectors *= 4) {
		for (round = 0; round < 12; round++) {
			struct cowstack_layer *layer;

			open_store(&data, chunk_sectors);
			depth = 1 + random_below(&data.r, MAX_DEPTH);
			if (round == 0)
				depth = MAX_DEPTH;
			while (cowstack_volume_depth(data.volume) < depth)
				add_layer(&data);
			for (layer = data.volume->top; layer;
			     layer = layer->parent)
				fill_layer(&data, layer);
			ASSERT_EQ(0, cowstack_volume_bring_up(&data.md,
							      data.volume));
			EXPECT_TRUE(lookups_are_right(&data));
			close_store(&data);
		}
	}
}

/* Nothing but the index says where to start: too high is right, always. */
TEST_F(chain, index_too_high_changes_nothing)
{
	struct cowstack_layer *layer;
	const struct cowstack_chain *chain;
	u32 i;

	for (i = 0; i < 9; i++)
		add_layer(self);
	for (layer = self->volume->top; layer; layer = layer->parent)
		fill_layer(self, layer);
	ASSERT_EQ(0, cowstack_volume_bring_up(&self->md, self->volume));
	chain = cowstack_volume_chain(self->volume);
	for (i = 0; i < CHUNKS; i++)
		cowstack_index_raise(self->volume, to_vchunk(i),
				     chain->slot[chain->count - 1]);
	EXPECT_TRUE(lookups_are_right(self));
	/* A slot that no layer of the chain has. */
	for (i = 0; i < CHUNKS; i++)
		cowstack_index_raise(self->volume, to_vchunk(i), 200);
	EXPECT_TRUE(lookups_are_right(self));
	for (i = 0; i < CHUNKS; i++)
		cowstack_index_lower(self->volume, chain, to_vchunk(i));
	EXPECT_TRUE(lookups_are_right(self));
}

static u8 index_of(chain_data *self, u64 chunk)
{
	const u8 *page = sparse_table_get(&self->volume->topmost,
					  chunk / COWSTACK_PAGE_CHUNKS);

	return page ? page[chunk % COWSTACK_PAGE_CHUNKS] : 0;
}

TEST_F(chain, lower_finds_the_next_layer)
{
	struct cowstack_layer *layer;
	const struct cowstack_chain *chain;
	u32 i;

	/* Layers 0 … 4 from the bottom; 1 and 3 know chunk 7. */
	for (i = 0; i < 4; i++)
		add_layer(self);
	i = 4;
	for (layer = self->volume->top; layer; layer = layer->parent, i--)
		if (i % 2)
			image_set_word(&self->md, layer, 7, map_word_zeroes());
	ASSERT_EQ(0, cowstack_volume_bring_up(&self->md, self->volume));
	chain = cowstack_volume_chain(self->volume);
	EXPECT_EQ(chain->slot[3], index_of(self, 7));
	image_set_word(&self->md, chain->layer[3], 7, MAP_WORD_NONE);
	cowstack_index_lower(self->volume, chain, to_vchunk(7));
	EXPECT_EQ(chain->slot[1], index_of(self, 7));
	image_set_word(&self->md, chain->layer[1], 7, MAP_WORD_NONE);
	cowstack_index_lower(self->volume, chain, to_vchunk(7));
	EXPECT_EQ(0, index_of(self, 7));
	/* What names the top is left alone, whatever the top knows. */
	cowstack_index_raise(self->volume, to_vchunk(7), chain->slot[4]);
	cowstack_index_lower(self->volume, chain, to_vchunk(7));
	EXPECT_EQ(chain->slot[4], index_of(self, 7));
	/* Chunks without an index page. */
	cowstack_index_raise(self->volume, to_vchunk(1 << 20), 3);
	cowstack_index_lower(self->volume, chain, to_vchunk(1 << 20));
}

static void remove_lowest(chain_data *self, u32 count)
{
	const struct cowstack_chain *chain = cowstack_volume_chain(self->volume);
	struct cowstack_change change;
	int error;

	error = cowstack_change_remove_layers(&change, &self->md, self->volume,
					      chain->layer[0],
					      chain->layer[count - 1], NULL,
					      NULL);
	if (error)
		abort();
	image_run_change(&self->image, &self->md, &change);
}

static bool slots_are_sound(const struct cowstack_chain *chain)
{
	bool used[COWSTACK_SLOTS] = { true };
	u32 i;

	for (i = 0; i < chain->count; i++) {
		if (used[chain->slot[i]] ||
		    chain->position[chain->slot[i]] != i)
			return false;
		used[chain->slot[i]] = true;
	}
	for (i = 1; i < COWSTACK_SLOTS; i++)
		if (!used[i] && chain->position[i] != chain->count - 1)
			return false;
	return true;
}

TEST_F(chain, slots_are_stable)
{
	u8 slot_of[4096] = { };		/* by layer id */
	u32 i, k;

	ASSERT_EQ(0, cowstack_volume_bring_up(&self->md, self->volume));
	for (i = 0; i < 600; i++) {
		const struct cowstack_chain *chain;
		u32 depth = cowstack_volume_depth(self->volume);

		if (depth > 1 && random_percent(&self->r, 45))
			remove_lowest(self, 1 + random_below(&self->r,
							     depth - 1));
		else if (depth < COWSTACK_MAX_LAYERS)
			add_layer(self);
		chain = cowstack_volume_chain(self->volume);
		ASSERT_TRUE(slots_are_sound(chain));
		for (k = 0; k < chain->count; k++) {
			u32 id = from_layer_id(chain->layer[k]->id);

			if (slot_of[id])
				EXPECT_EQ(slot_of[id], chain->slot[k]);
			slot_of[id] = chain->slot[k];
		}
		/* The journal is small. */
		if (cowstack_ring_wants_checkpoint(&self->md))
			image_checkpoint(&self->image, &self->md);
	}
}

TEST_F(chain, at_most_250_layers)
{
	struct cowstack_change change;

	ASSERT_EQ(0, cowstack_volume_bring_up(&self->md, self->volume));
	while (cowstack_volume_depth(self->volume) < COWSTACK_MAX_LAYERS) {
		add_layer(self);
		if (cowstack_ring_wants_checkpoint(&self->md))
			image_checkpoint(&self->image, &self->md);
	}
	EXPECT_TRUE(slots_are_sound(cowstack_volume_chain(self->volume)));
	EXPECT_EQ(-E2BIG, cowstack_change_snapshot(&change, &self->md,
						   self->volume, NULL, 0, NULL,
						   NULL));
}

/* --- what a commit plans --- */

static bool plan_is_right(chain_data *self,
			  const struct cowstack_range *range,
			  const struct cowstack_layer *below, u64 chunk)
{
	const struct cowstack_geometry *g = geometry(self);
	struct cowstack_segment s[COWSTACK_MAX_PIECES];
	u32 count = cowstack_range_plan(g, range, to_vchunk(chunk), s);
	u64 sector = chunk << g->chunk_shift;
	u64 end = sector + g->chunk_sectors;
	u32 i = 0;

	for (; sector < end; sector++) {
		s64 place = naive_place(self, range->layer[0], below, sector);

		while (i < count && sector >= s[i].sector + s[i].sectors)
			i++;
		if (i == count || sector < s[i].sector) {
			if (place != BASE)
				return false;
		} else if (place != (s[i].zero ? ZERO : (s64)(s[i].place + sector -
							      s[i].sector))) {
			return false;
		}
	}
	return true;
}

static bool any_word(const struct cowstack_range *range, u64 chunk)
{
	u32 i;

	for (i = 0; i < range->count; i++)
		if (chunk_map_get(&range->layer[i]->map, to_vchunk(chunk)) !=
		    MAP_WORD_NONE)
			return true;
	return false;
}

static bool next_is_right(const struct cowstack_range *range, u64 from)
{
	vchunk_t found = to_vchunk(from);
	u64 chunk = from;

	while (chunk < CHUNKS && !any_word(range, chunk))
		chunk++;
	if (!cowstack_range_next(range, &found))
		return chunk == CHUNKS;
	return from_vchunk(found) == chunk;
}

TEST_F(chain, plan_of_a_range)
{
	struct cowstack_layer *layer, *top, *below;
	struct cowstack_range range;
	u64 chunk, held;
	u32 i;

	for (i = 0; i < 8; i++)
		add_layer(self);
	for (layer = self->volume->top; layer; layer = layer->parent)
		fill_layer(self, layer);
	for (top = self->volume->top->parent; top; top = top->parent) {
		for (below = top->parent; below; below = below->parent) {
			cowstack_range_fill(&range, top, below);
			held = 0;
			for (chunk = 0; chunk < CHUNKS; chunk++) {
				EXPECT_TRUE(plan_is_right(self, &range, below,
							  chunk));
				EXPECT_TRUE(next_is_right(&range, chunk));
				held += any_word(&range, chunk);
			}
			EXPECT_EQ(held, cowstack_range_chunks(&range));
		}
	}
}

TEST_HARNESS_MAIN
