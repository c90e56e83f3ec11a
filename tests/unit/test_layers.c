// SPDX-License-Identifier: GPL-2.0
/*
 * Layers that leave, are pinned, named or committed into, and volumes that share
 * them.
 */
#include "chain_store.h"

#include "harness.h"

FIXTURE(change)
{
	struct chain_store s;
};

FIXTURE_SETUP(change)
{
	chain_open(&self->s);
}

FIXTURE_TEARDOWN(change)
{
	chain_close(&self->s);
}

/* --- layers leave --- */

TEST_F(change, clean_layers_leave)
{
	struct chain_store *s = &self->s;
	map_word_t below;

	chain_give(s, 2, 3, CHAIN_FULL_MASK, true);
	chain_give(s, 1, 4, 1, true);
	below = chain_give(s, 0, 5, CHAIN_FULL_MASK, false);
	chain_settle(s);
	ASSERT_EQ(0, chain_remove(s, 1, 2));
	EXPECT_EQ(3, cowstack_volume_depth(s->volume));
	EXPECT_EQ(s->layer[0], s->layer[3]->parent);
	EXPECT_EQ(1, s->layer[0]->children);
	EXPECT_TRUE(chain_shows_base(s, 3));
	EXPECT_TRUE(chain_shows_base(s, 4));
	EXPECT_TRUE(chain_shows(s, 5, below));
	EXPECT_EQ(0, cowstack_metadata_clean(&s->md));
	EXPECT_TRUE(chain_all_is_right(s));
	EXPECT_EQ(1, cowstack_volume_used(s->volume));
}

TEST_F(change, layers_that_may_not_leave)
{
	struct chain_store *s = &self->s;

	chain_give(s, 1, 3, 1, false);
	chain_give(s, 2, 4, CHAIN_FULL_MASK, true);
	chain_settle(s);
	EXPECT_EQ(-EBUSY, chain_remove(s, 1, 1));
	EXPECT_EQ(-EBUSY, chain_remove(s, 0, 3));
	EXPECT_EQ(-EINVAL, chain_remove(s, 4, 4));
	EXPECT_EQ(0, chain_pin(s, 2, true));
	EXPECT_EQ(-EBUSY, chain_remove(s, 2, 2));
	EXPECT_EQ(-EBUSY, chain_remove(s, 2, 3));
	EXPECT_EQ(0, chain_remove(s, 3, 3));
	EXPECT_EQ(0, chain_pin(s, 2, false));
	EXPECT_EQ(0, chain_remove(s, 2, 2));
	EXPECT_EQ(0, chain_remove(s, 0, 0));
	EXPECT_EQ(NULL, s->layer[1]->parent);
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, ranges_that_are_none)
{
	struct chain_store *s = &self->s;

	EXPECT_EQ(-EINVAL, chain_remove(s, 3, 2));
	EXPECT_EQ(-EINVAL, chain_remove(s, 0, 4));
	EXPECT_EQ(0, chain_remove(s, 3, 3));
	EXPECT_EQ(-EINVAL, chain_remove(s, 3, 3));
	EXPECT_EQ(-EINVAL, chain_remove(s, 2, 3));
	EXPECT_TRUE(chain_all_is_right(s));
}

static void set_mixed(struct cowstack_volume_info *info, const void *argument)
{
	info->mixed_top = *(const layer_id_t *)argument;
}

static void mark_base(struct chain_store *s, u32 layer)
{
	struct cowstack_change c;

	cowstack_change_info(&c, &s->md, s->volume, set_mixed,
			     &s->layer[layer]->id);
	chain_run(s, &c);
}

/*
 * The base is mixed with all up to layer 3.  What is left of that when it is
 * gone is all up to layer 1, which can be committed, and made the base valid.
 */
TEST_F(change, a_mark_passes_down)
{
	struct chain_store *s = &self->s;

	mark_base(s, 3);
	EXPECT_FALSE(cowstack_layer_is_whole(s->volume, s->layer[1]));
	ASSERT_EQ(0, chain_remove(s, 2, 3));
	EXPECT_EQ(s->layer[1]->id, s->volume->info.mixed_top);
	EXPECT_TRUE(cowstack_layer_is_whole(s->volume, s->layer[1]));
	EXPECT_FALSE(cowstack_layer_is_whole(s->volume, s->layer[0]));
	EXPECT_TRUE(chain_load_is_right(s));
	/* One that is not named takes nothing along. */
	ASSERT_EQ(0, chain_remove(s, 0, 0));
	EXPECT_EQ(s->layer[1]->id, s->volume->info.mixed_top);
	/* With nothing below it is said still, until a commit says otherwise. */
	ASSERT_EQ(0, chain_remove(s, 1, 1));
	EXPECT_EQ(s->layer[1]->id, s->volume->info.mixed_top);
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, a_commit_ends_with_its_own_mark)
{
	struct chain_store *s = &self->s;
	const layer_id_t none = COWSTACK_BASE_LAYER;
	struct cowstack_change c;

	mark_base(s, 3);
	ASSERT_EQ(0, cowstack_change_remove_layers(&c, &s->md, s->volume,
						   s->layer[0], s->layer[3],
						   set_mixed, &none));
	chain_run(s, &c);
	EXPECT_EQ(none, s->volume->info.mixed_top);
	EXPECT_EQ(1, cowstack_volume_depth(s->volume));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- commits into layers --- */

static void mix(struct chain_store *s, u32 destination, u32 top)
{
	struct cowstack_change c;

	cowstack_change_mix(&c, &s->md, s->volume, s->layer[destination],
			    s->layer[top], NULL, NULL);
	chain_run(s, &c);
}

static u32 mixed_layers(struct chain_store *s)
{
	u32 i, mask = 0;

	for (i = 0; i < 4; i++)
		mask |= !!(s->layer[i]->flags & COWSTACK_LAYER_MIXED) << i;
	return mask;
}

static u32 whole_layers(struct chain_store *s)
{
	u32 i, mask = 0;

	for (i = 0; i < 4; i++)
		mask |= cowstack_layer_is_whole(s->volume, s->layer[i]) << i;
	return mask;
}

TEST_F(change, a_commit_into_a_layer_mixes_what_it_takes_from)
{
	struct chain_store *s = &self->s;

	mix(s, 1, 3);
	EXPECT_EQ(6, mixed_layers(s));
	EXPECT_EQ(9, whole_layers(s));
	EXPECT_TRUE(chain_load_is_right(s));
	/* Flags of other kinds stay. */
	EXPECT_EQ(0, chain_pin(s, 1, true));
	EXPECT_EQ(6, mixed_layers(s));
	EXPECT_EQ(0, chain_pin(s, 1, false));
	ASSERT_EQ(0, chain_remove(s, 2, 3));
	EXPECT_EQ(0, mixed_layers(s) & 2);
	EXPECT_TRUE(chain_all_is_right(s));
}

/* A layer that is mixed itself makes none whole when it leaves. */
TEST_F(change, mixed_layers_leave)
{
	struct chain_store *s = &self->s;

	mix(s, 0, 3);
	EXPECT_EQ(7, mixed_layers(s));
	ASSERT_EQ(0, chain_remove(s, 1, 1));
	EXPECT_EQ(5, mixed_layers(s) & 5);
	ASSERT_EQ(0, chain_remove(s, 3, 3));
	EXPECT_EQ(1, mixed_layers(s) & 5);
	EXPECT_TRUE(chain_load_is_right(s));
	ASSERT_EQ(0, chain_remove(s, 2, 2));
	EXPECT_EQ(0, mixed_layers(s) & 1);
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- streams over a base that is mixed --- */

/*
 * The base has a part of layer 2.  Layer 3 takes what layers 1 and 2 hold, and with
 * it the mark: what layer 0 shows has that part in it.
 */
TEST_F(change, a_mark_goes_up_with_what_is_pulled)
{
	struct chain_store *s = &self->s;
	const layer_id_t none = COWSTACK_BASE_LAYER;
	struct cowstack_change c;

	mark_base(s, 2);
	mix(s, 1, 3);
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume, s->layer[3],
					  s->layer[0], NULL, NULL));
	chain_run(s, &c);
	EXPECT_EQ(s->layer[3]->id, s->volume->info.mixed_top);
	EXPECT_TRUE(cowstack_layer_is_whole(s->volume, s->layer[3]));
	EXPECT_FALSE(cowstack_layer_is_whole(s->volume, s->layer[0]));
	EXPECT_TRUE(chain_load_is_right(s));
	/* The caller's own change of the record comes first. */
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume, s->layer[4],
					  s->layer[0], set_mixed, &none));
	chain_run(s, &c);
	EXPECT_EQ(none, s->volume->info.mixed_top);
	EXPECT_TRUE(cowstack_layer_is_whole(s->volume, s->layer[0]));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* A mark of other layers stays: above the taking one, or below what leaves. */
TEST_F(change, a_mark_of_what_is_not_pulled_stays)
{
	struct chain_store *s = &self->s;
	struct cowstack_change c;

	mark_base(s, 3);
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume, s->layer[3],
					  s->layer[1], NULL, NULL));
	chain_run(s, &c);
	EXPECT_EQ(s->layer[3]->id, s->volume->info.mixed_top);
	mark_base(s, 0);
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume, s->layer[3],
					  s->layer[0], NULL, NULL));
	chain_run(s, &c);
	EXPECT_EQ(s->layer[0]->id, s->volume->info.mixed_top);
	EXPECT_TRUE(chain_all_is_right(s));
}

/* By the volume that shared it meanwhile, and is gone. */
TEST_F(change, a_pinned_layer_is_not_pulled)
{
	struct chain_store *s = &self->s;
	struct cowstack_change c;

	ASSERT_EQ(0, chain_pin(s, 1, true));
	EXPECT_EQ(-EBUSY, cowstack_change_pull(&c, &s->md, s->volume,
					       s->layer[3], s->layer[0], NULL,
					       NULL));
	/* One that takes, or lies below all that is taken, may be. */
	ASSERT_EQ(0, chain_pin(s, 3, true));
	ASSERT_EQ(0, cowstack_change_pull(&c, &s->md, s->volume, s->layer[3],
					  s->layer[1], NULL, NULL));
	chain_run(s, &c);
	EXPECT_EQ(s->layer[1], s->layer[3]->parent);
	EXPECT_TRUE(chain_all_is_right(s));
}

/* A stream that took of layers 1 and 2 has not ended; they leave one by one. */
TEST_F(change, a_mark_goes_up_where_a_mixed_layer_leaves)
{
	struct chain_store *s = &self->s;

	mark_base(s, 2);
	mix(s, 1, 3);
	ASSERT_EQ(0, chain_remove(s, 2, 2));
	EXPECT_EQ(s->layer[3]->id, s->volume->info.mixed_top);
	ASSERT_EQ(0, chain_remove(s, 1, 1));
	EXPECT_FALSE(cowstack_layer_is_whole(s->volume, s->layer[0]));
	EXPECT_TRUE(cowstack_layer_is_whole(s->volume, s->layer[3]));
	/* What the taking layer showed is what is left then. */
	ASSERT_EQ(0, chain_remove(s, 3, 3));
	EXPECT_EQ(s->layer[0]->id, s->volume->info.mixed_top);
	EXPECT_TRUE(cowstack_layer_is_whole(s->volume, s->layer[0]));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, what_is_a_point_in_time)
{
	struct chain_store *s = &self->s;
	u32 i;

	EXPECT_EQ(15, whole_layers(s));
	/* A range that was kept: its top alone. */
	chain_give(s, 2, 3, CHAIN_FULL_MASK, true);
	chain_settle(s);
	EXPECT_EQ(12, whole_layers(s));
	ASSERT_EQ(0, chain_empty(s, 2));
	EXPECT_EQ(15, whole_layers(s));
	/* A commit into the base that took from all up to layer i. */
	for (i = 0; i < 4; i++) {
		mark_base(s, i);
		EXPECT_EQ((15 << i) & 15, whole_layers(s));
	}
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- names, pins, depth --- */

TEST_F(change, names_of_snapshots)
{
	struct chain_store *s = &self->s;
	char long_name[COWSTACK_NAME_SIZE + 1] = {};

	memset(long_name, 'a', COWSTACK_NAME_SIZE);
	EXPECT_EQ(-EINVAL, chain_snapshot(s, ""));
	EXPECT_EQ(-EINVAL, chain_snapshot(s, "a b"));
	EXPECT_EQ(-EINVAL, chain_snapshot(s, "-a"));
	EXPECT_EQ(-EINVAL, chain_snapshot(s, long_name));
	long_name[COWSTACK_NAME_SIZE - 1] = '\0';
	EXPECT_EQ(0, chain_snapshot(s, long_name));
	EXPECT_EQ(-EEXIST, chain_snapshot(s, long_name));
	EXPECT_EQ(0, chain_snapshot(s, "monday"));
	EXPECT_EQ(0, strcmp("monday", s->volume->top->parent->name));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, pins)
{
	struct chain_store *s = &self->s;

	EXPECT_EQ(-EINVAL, chain_pin(s, 4, true));
	EXPECT_EQ(0, chain_pin(s, 2, true));
	EXPECT_TRUE(s->layer[2]->flags & COWSTACK_LAYER_PINNED);
	EXPECT_TRUE(chain_load_is_right(s));
	EXPECT_EQ(0, chain_pin(s, 2, true));
	EXPECT_EQ(0, chain_pin(s, 2, false));
	EXPECT_EQ(COWSTACK_LAYER_FROZEN, s->layer[2]->flags);
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- clones --- */

static int clone(struct chain_store *s, u32 id, struct cowstack_layer *layer,
		 const char *name)
{
	struct cowstack_change c;
	int error = cowstack_change_clone_volume(&c, &s->md, to_volume_id(id),
						 s->volume, layer, name, 9);

	if (!error)
		chain_run(s, &c);
	return error;
}

static int delete_volume(struct chain_store *s, struct cowstack_volume *volume)
{
	struct cowstack_change c;
	int error = cowstack_change_delete_volume(&c, &s->md, volume);

	if (!error)
		chain_run(s, &c);
	return error;
}

static struct cowstack_volume *volume_of(struct chain_store *s, u32 id)
{
	return cowstack_volume_find(&s->md, to_volume_id(id));
}

static void set_base(struct cowstack_volume_info *info, const void *argument)
{
	info->flags |= COWSTACK_VOLUME_BASE_RECORDED;
	info->base_sectors = 1234;
	info->base_seed = 99;
	info->base_crc = 0xabcdef;
	info->base_time = 5;
	cowstack_name_copy(info->base_name, "/dev/sdx");
}

static void set_sectors(struct cowstack_volume_info *info, const void *argument)
{
	info->sectors = *(const u64 *)argument;
}

/* Nothing of ours shrinks one; with the other deleted it could not be loaded. */
TEST_F(change, no_volume_is_smaller_than_what_it_shares)
{
	struct chain_store *s = &self->s;
	u64 sectors = 700 * 8;
	struct cowstack_change c;

	chain_give(s, 1, 700, 1, false);
	chain_settle(s);
	ASSERT_EQ(0, clone(s, 2, s->layer[2], NULL));
	EXPECT_TRUE(chain_load_is_right(s));
	cowstack_change_info(&c, &s->md, volume_of(s, 2), set_sectors, &sectors);
	chain_run(s, &c);
	EXPECT_EQ(-EUCLEAN, image_load(&s->image, &s->copy));
	sectors++;
	cowstack_change_info(&c, &s->md, volume_of(s, 2), set_sectors, &sectors);
	chain_run(s, &c);
	EXPECT_TRUE(chain_load_is_right(s));
}

TEST_F(change, a_clone_shares_layers_and_base)
{
	struct chain_store *s = &self->s;
	struct cowstack_change c;
	struct cowstack_volume *v;
	map_word_t word = chain_give(s, 1, 3, CHAIN_FULL_MASK, false);

	chain_settle(s);
	cowstack_change_info(&c, &s->md, s->volume, set_base, NULL);
	chain_run(s, &c);
	mark_base(s, 1);
	ASSERT_EQ(0, clone(s, 2, s->layer[2], "second"));
	v = volume_of(s, 2);
	ASSERT_NE(NULL, v);
	EXPECT_EQ(s->layer[2], v->top->parent);
	EXPECT_EQ(2, s->layer[2]->children);
	EXPECT_EQ(s->volume->info.sectors, v->info.sectors);
	EXPECT_EQ(1234, v->info.base_sectors);
	EXPECT_EQ(99, v->info.base_seed);
	EXPECT_EQ(0xabcdef, v->info.base_crc);
	EXPECT_EQ(s->layer[1]->id, v->info.mixed_top);
	EXPECT_EQ(COWSTACK_VOLUME_BASE_RECORDED, v->info.flags);
	EXPECT_EQ(0, strcmp("/dev/sdx", v->info.base_name));
	EXPECT_EQ(0, strcmp("second", v->info.name));
	EXPECT_TRUE(cowstack_layer_is_shared(v, s->layer[2]));
	EXPECT_TRUE(cowstack_layer_is_shared(s->volume, s->layer[0]));
	EXPECT_FALSE(cowstack_layer_is_shared(s->volume, s->layer[3]));
	EXPECT_FALSE(cowstack_layer_is_shared(v, v->top));
	ASSERT_EQ(0, cowstack_volume_bring_up(&s->md, v));
	EXPECT_TRUE(chain_all_is_right(s));
	/* What two have, neither may change. */
	EXPECT_EQ(-EBUSY, chain_remove(s, 2, 2));
	EXPECT_EQ(-EBUSY, chain_remove(s, 0, 0));
	EXPECT_EQ(-EBUSY, chain_empty(s, 2));
	EXPECT_EQ(0, chain_remove(s, 3, 3));
	EXPECT_EQ(2, s->layer[2]->children);
	EXPECT_EQ(word, chain_word(s, 1, 3));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, a_volume_leaves_what_others_share)
{
	struct chain_store *s = &self->s;
	u64 layers = cowstack_volume_depth(s->volume);
	map_word_t shared = chain_give(s, 0, 3, CHAIN_FULL_MASK, false);

	chain_give(s, 3, 4, CHAIN_FULL_MASK, false);
	chain_settle(s);
	ASSERT_EQ(0, clone(s, 2, s->layer[2], NULL));
	ASSERT_EQ(0, clone(s, 3, s->layer[1], NULL));
	/* The origin: its top and layer 3; of what is shared nothing. */
	ASSERT_EQ(0, delete_volume(s, s->volume));
	EXPECT_EQ(NULL, volume_of(s, 1));
	EXPECT_EQ(1, s->layer[2]->children);
	s->volume = volume_of(s, 2);
	EXPECT_EQ(layers - 1, cowstack_volume_depth(s->volume));
	EXPECT_EQ(shared, chain_word(s, 0, 3));
	EXPECT_TRUE(chain_all_is_right(s));
	/* The first clone: down to layer 2. */
	ASSERT_EQ(0, delete_volume(s, s->volume));
	s->volume = volume_of(s, 3);
	EXPECT_EQ(NULL, cowstack_layer_find(&s->md, to_layer_id(3)));
	EXPECT_FALSE(cowstack_layer_is_shared(s->volume, s->layer[0]));
	EXPECT_TRUE(chain_all_is_right(s));
	/* The last one: all. */
	ASSERT_EQ(0, delete_volume(s, s->volume));
	EXPECT_TRUE(list_empty(&s->md.layers));
	EXPECT_TRUE(chain_all_is_right(s));
	/* All but the one that the index lies in. */
	EXPECT_EQ(CHAIN_STORE_CHUNKS - 1, s->md.allocator.free);
}

/*
 * The metadata lock is held for each part: what a layer held comes free in few runs at
 * a time, its words in order, and all of it.  Whoever asks is told of all that is still
 * to come.
 */
TEST_F(change, what_a_layer_held_comes_free_in_parts)
{
	enum { SCATTERED = 700, IN_A_ROW = 400, MOST_RUNS = 32 };
	const u64 held = 2 * SCATTERED + IN_A_ROW;
	struct chain_store *s = &self->s;
	struct allocator *a = &s->md.allocator;
	u64 i, limbo, parts = 0;

	/* Every second chunk of the store, over two pages of the map; then neighbours. */
	for (i = 0; i < SCATTERED; i++) {
		chain_give(s, 4, i, CHAIN_FULL_MASK, false);
		chain_give(s, 2, 9000 + i, CHAIN_FULL_MASK, i % 2);
	}
	for (i = 0; i < IN_A_ROW; i++)
		chain_give(s, 4, 5200 + i, 1, false);
	chain_settle(s);
	ASSERT_EQ(0, delete_volume(s, s->volume));
	EXPECT_TRUE(chain_chunks_have_owners(&s->md));
	limbo = a->limbo;
	EXPECT_EQ(0, limbo);
	EXPECT_EQ(held, cowstack_metadata_freeing(&s->md));
	while (cowstack_zombies_free_chunks(&s->md)) {
		if (a->limbo - limbo > MOST_RUNS)
			EXPECT_EQ(IN_A_ROW, a->limbo - limbo);
		limbo = a->limbo;
		parts++;
		ASSERT_TRUE(chain_chunks_have_owners(&s->md));
		ASSERT_EQ(held, cowstack_metadata_freeing(&s->md));
	}
	EXPECT_EQ(held, limbo);
	EXPECT_GE(parts, 2 * SCATTERED / MOST_RUNS);
	EXPECT_LE(parts, 2 * SCATTERED / MOST_RUNS + 10);
	EXPECT_FALSE(cowstack_zombies_free_chunks(&s->md));
	EXPECT_TRUE(chain_all_is_right(s));
	EXPECT_EQ(CHAIN_STORE_CHUNKS - 1, a->free);
	EXPECT_EQ(0, cowstack_metadata_freeing(&s->md));
}

TEST_F(change, what_may_not_be_cloned)
{
	struct chain_store *s = &self->s;

	EXPECT_EQ(-EBUSY, clone(s, 2, s->layer[4], NULL));
	EXPECT_EQ(-EEXIST, clone(s, 1, s->layer[2], NULL));
	EXPECT_EQ(-EINVAL, clone(s, 1 << 24, s->layer[2], NULL));
	EXPECT_EQ(-EINVAL, clone(s, 2, s->layer[2], "a/b"));
	EXPECT_EQ(0, clone(s, 2, s->layer[2], "name"));
	EXPECT_EQ(-EEXIST, clone(s, 3, s->layer[2], "name"));
	mark_base(s, 2);
	EXPECT_EQ(-EBUSY, clone(s, 3, s->layer[1], NULL));
	EXPECT_EQ(0, clone(s, 3, s->layer[2], NULL));
	mix(s, 2, 3);
	EXPECT_EQ(-EBUSY, clone(s, 4, s->layer[2], NULL));
	EXPECT_TRUE(chain_all_is_right(s));
	chain_fill(s);
	chain_settle(s);
	EXPECT_EQ(-ENOSPC, clone(s, 4, s->layer[3], NULL));
	EXPECT_EQ(NULL, volume_of(s, 4));
}

static void set_job(struct cowstack_volume_info *info, const void *argument)
{
	info->job = *(const struct cowstack_job *)argument;
}

static void record_job(struct chain_store *s, enum cowstack_job_state state,
		       layer_id_t base)
{
	const struct cowstack_job job = {
		.kind = COWSTACK_JOB_COMMIT,
		.state = state,
		.top = s->layer[2]->id,
		.base = base,
	};
	struct cowstack_change c;

	cowstack_change_info(&c, &s->md, s->volume, set_job, &job);
	chain_run(s, &c);
}

/*
 * Layer 3 lies above the range of a job: its clone would share the range, and
 * the job could not take its layers out of the chain.
 */
TEST_F(change, nothing_that_a_job_needs_is_cloned)
{
	struct chain_store *s = &self->s;
	u32 state;

	for (state = COWSTACK_JOB_QUEUED; state <= COWSTACK_JOB_STOPPED;
	     state++) {
		record_job(s, state, COWSTACK_BASE_LAYER);
		EXPECT_EQ(-EBUSY, clone(s, 2, s->layer[3], NULL));
		EXPECT_EQ(-EBUSY, clone(s, 2, s->layer[0], NULL));
		record_job(s, state, s->layer[1]->id);
		EXPECT_EQ(-EBUSY, clone(s, 2, s->layer[3], NULL));
		EXPECT_EQ(-EBUSY, clone(s, 2, s->layer[1], NULL));
	}
	/* Below the destination nothing changes. */
	EXPECT_EQ(0, clone(s, 2, s->layer[0], NULL));
	record_job(s, COWSTACK_JOB_CANCELLED, COWSTACK_BASE_LAYER);
	EXPECT_EQ(0, clone(s, 3, s->layer[3], NULL));
	EXPECT_TRUE(chain_all_is_right(s));
}

TEST_F(change, at_most_250_layers)
{
	struct chain_store *s = &self->s;

	while (cowstack_volume_depth(s->volume) < COWSTACK_MAX_LAYERS) {
		ASSERT_EQ(0, chain_snapshot(s, NULL));
		if (cowstack_ring_wants_checkpoint(&s->md))
			image_checkpoint(&s->image, &s->md);
	}
	EXPECT_EQ(-E2BIG, chain_snapshot(s, NULL));
	/* The newest frozen one is the 249th: one more is the 250th. */
	EXPECT_EQ(0, clone(s, 2, s->volume->top->parent, NULL));
	EXPECT_EQ(COWSTACK_MAX_LAYERS, cowstack_volume_depth(volume_of(s, 2)));
	EXPECT_TRUE(chain_all_is_right(s));
}

/* --- what a load refuses --- */

TEST_F(change, flags_that_are_none)
{
	struct chain_store *s = &self->s;

	s->layer[1]->flags |= COWSTACK_LAYER_FLAGS;
	mix(s, 1, 2);
	EXPECT_TRUE(chain_load_is_right(s));
	s->layer[1]->flags |= COWSTACK_LAYER_FLAGS + 1;
	mix(s, 1, 2);
	EXPECT_EQ(-EUCLEAN, image_load(&s->image, &s->copy));
}

TEST_F(change, clean_words_that_hold_nothing)
{
	struct chain_store *s = &self->s;
	const u64 raw[] = { BIT_ULL(MAP_WORD_CLEAN_BIT),
			    BIT_ULL(MAP_WORD_CLEAN_BIT) |
				    BIT_ULL(MAP_WORD_ZERO_BIT) };
	struct {
		struct disk_words_record words;
		__le64 word;
	} record = {
		.words.header = {
			.type = cpu_to_le16(COWSTACK_RECORD_WORDS),
			.bytes = cpu_to_le16(24),
			.id = cpu_to_le32(2),
		},
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(raw); i++) {
		record.word = cpu_to_le64(raw[i]);
		image_write_raw_step(&s->image, &s->md, &record,
				     sizeof(record));
		EXPECT_EQ(-EUCLEAN, image_load(&s->image, &s->copy));
	}
}

TEST_HARNESS_MAIN
