// SPDX-License-Identifier: GPL-2.0
/*
 * The n-th allocation fails, n = 1, 2, … until there are no more: what is done
 * says ENOMEM, changes nothing, leaks nothing, and passes the next time.  So does
 * what finds no room in a step, and a load that is interrupted.
 */
#include <stdio.h>

#include "chain_store.h"
#include "failing_memory.h"

#include "harness.h"

enum { MOST = 10000 };

FIXTURE(memory) {
	struct chain_store s;
};

FIXTURE_SETUP(memory)
{
	chain_open(&self->s);
	chain_give(&self->s, 3, 1, CHAIN_FULL_MASK, true);
	chain_give(&self->s, 2, 700, 1, false);
	chain_give(&self->s, 0, 1400, CHAIN_FULL_MASK, false);
	chain_settle(&self->s);
}

FIXTURE_TEARDOWN(memory)
{
	memory_fail_at(0);
	chain_close(&self->s);
}

/* Prepares a change; 0 or an error. */
typedef int (*prepare_fn)(struct chain_store *s, struct cowstack_change *c);

/* Returns how many allocations it takes; 0: not all went as they should. */
static u64 prepare_until_it_passes(struct chain_store *s, prepare_fn prepare)
{
	u32 next_layer = s->md.next_layer;
	struct cowstack_change c;
	u64 n;

	for (n = 1; n < MOST; n++) {
		int error;

		memory_fail_at(n);
		error = prepare(s, &c);
		if (!memory_has_failed()) {
			if (error)
				return 0;
			chain_run(s, &c);
			return chain_all_is_right(s) ? n - 1 : 0;
		}
		/* An id was taken, perhaps, that nobody has seen. */
		s->md.next_layer = next_layer;
		if (error != -ENOMEM || !chain_load_is_right(s)) {
			printf("# allocation %llu: error %d\n",
			       (unsigned long long)n, error);
			fflush(stdout);
			return 0;
		}
	}
	return 0;
}

static int prepare_create(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_create_volume(c, &s->md, to_volume_id(2), 800,
					     "second", 0);
}

static int prepare_clone(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_clone_volume(c, &s->md, to_volume_id(3),
					    s->volume, s->layer[3], NULL, 0);
}

static int prepare_snapshot(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_snapshot(c, &s->md, s->volume, NULL, 0, NULL,
					NULL);
}

static int prepare_empty(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_empty_layer(c, &s->md, s->volume, s->layer[3]);
}

static int prepare_remove(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_remove_layers(c, &s->md, s->volume, s->layer[1],
					     s->layer[1], NULL, NULL);
}

static int prepare_grow(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_grow(c, &s->md,
				    cowstack_geometry(&s->md)->chunks + 1000);
}

/* Words of two pages move to a layer that has neither. */
static int prepare_let_go(struct chain_store *s, struct cowstack_change *c)
{
	static struct cowstack_replacement r[2];
	const struct cowstack_let_go what = {
		.bottom = s->layer[2], .top = s->layer[3], .count = 1024,
		.replacements = r, .replacement_count = 2,
	};

	r[0] = (struct cowstack_replacement){ to_vchunk(1), s->layer[1],
					      chain_word(s, 3, 1) };
	r[1] = (struct cowstack_replacement){ to_vchunk(700), s->layer[1],
					      chain_word(s, 2, 700) };
	return cowstack_change_let_go(c, &s->md, s->volume, &what, NULL, NULL);
}

TEST_F(memory, changes)
{
	EXPECT_EQ(2, prepare_until_it_passes(&self->s, prepare_create));
	EXPECT_EQ(2, prepare_until_it_passes(&self->s, prepare_clone));
	EXPECT_EQ(2, prepare_until_it_passes(&self->s, prepare_snapshot));
}

TEST_F(memory, letting_go)
{
	EXPECT_LT(3, prepare_until_it_passes(&self->s, prepare_let_go));
}

TEST_F(memory, emptying)
{
	EXPECT_EQ(2, prepare_until_it_passes(&self->s, prepare_empty));
}

TEST_F(memory, removing)
{
	EXPECT_EQ(1, prepare_until_it_passes(&self->s, prepare_remove));
}

TEST_F(memory, growing)
{
	image_resize(&self->s.image, self->s.image.sectors + 1000 * 8);
	EXPECT_EQ(1, prepare_until_it_passes(&self->s, prepare_grow));
}

static int prepare_delete(struct chain_store *s, struct cowstack_change *c)
{
	cowstack_volume_take_down(s->volume);
	return cowstack_change_delete_volume(c, &s->md, s->volume);
}

static int prepare_pull(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_pull(c, &s->md, s->volume, s->layer[4],
				    s->layer[0], NULL, NULL);
}

static int prepare_drop_clean(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_drop_clean(c, &s->md, s->volume);
}

static int prepare_mix(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_mix(c, &s->md, s->volume, s->layer[0],
				   s->layer[3], NULL, NULL);
}

static int prepare_pin(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_pin(c, &s->md, s->layer[2], true);
}

static int prepare_info(struct chain_store *s, struct cowstack_change *c)
{
	return cowstack_change_info(c, &s->md, s->volume, NULL, NULL);
}

/* Bytes of records. */
enum {
	VOLUME = sizeof(struct disk_volume_record),
	LAYER = sizeof(struct disk_layer_record),
	GONE = sizeof(struct disk_record),
	RUN = sizeof(struct disk_run_record),
	WORD = sizeof(struct disk_words_record) + sizeof(__le64),
	STORE = sizeof(struct disk_store_record),
};

/*
 * To a step that has @room bytes left.  1: there was room enough; 0: there was not,
 * and nothing has changed; -1: something has.
 */
static int add_to_step(struct chain_store *s, struct cowstack_change *c, u32 room)
{
	const u32 all = sizeof(s->image.blocks[0]->records);
	struct cowstack_transaction *t = &c->transaction;
	struct cowstack_step step;
	struct list_head applied;
	u32 last;

	INIT_LIST_HEAD(&applied);
	INIT_LIST_HEAD(&t->list);
	cowstack_step_begin(&s->md, &step, s->image.blocks);
	cowstack_step_collect(&s->md, &step);
	step.writer.count = step.writer.max_blocks;
	last = step.writer.count - 1;
	step.writer.used[last] = all - room;
	if (cowstack_step_add(&step, t)) {
		cowstack_step_finish(&s->md, &step, &applied);
		list_del_init(&t->list);
		return 1;
	}
	if (list_empty(&t->list) && step.writer.used[last] == all - room &&
	    !s->volume->changing && !s->md.reshaping)
		return 0;
	return -1;
}

/* Each takes the room of its records, and no more than that. */
TEST(what_does_not_fit_a_step_waits)
{
	static const struct {
		prepare_fn prepare;
		u32 bytes;
	} kinds[] = {
		{ prepare_create, STORE + LAYER + VOLUME },
		{ prepare_clone, STORE + LAYER + VOLUME },
		{ prepare_snapshot, STORE + 2 * LAYER + VOLUME },
		{ prepare_empty, RUN },
		{ prepare_remove, LAYER + GONE + VOLUME },
		{ prepare_grow, STORE },
		{ prepare_let_go, 2 * RUN + 2 * WORD },
		{ prepare_delete, GONE + 5 * GONE },
		{ prepare_pull, LAYER + 3 * GONE + VOLUME },
		{ prepare_drop_clean, GONE },
		{ prepare_mix, 3 * LAYER + VOLUME },
		{ prepare_pin, LAYER },
		{ prepare_info, VOLUME },
	};
	static struct chain_store s;
	struct cowstack_change c;
	u32 i, room;
	int added;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		chain_open(&s);
		chain_give(&s, 3, 1, CHAIN_FULL_MASK, true);
		chain_give(&s, 2, 700, 1, false);
		chain_settle(&s);
		ASSERT_EQ(0, kinds[i].prepare(&s, &c));
		for (room = 0, added = 0; !added; room += 8)
			added = add_to_step(&s, &c, room);
		EXPECT_EQ(1, added);
		EXPECT_EQ(kinds[i].bytes, room - 8)
			TH_LOG("kind %u", i);
		EXPECT_TRUE(chain_chunks_have_owners(&s.md));
		cowstack_change_free(&c);
		chain_close(&s);
	}
}

/* Layer ids are never used twice, so at last there are none. */
TEST_F(memory, layer_ids_end)
{
	struct cowstack_change c;

	self->s.md.next_layer = U32_MAX;
	EXPECT_EQ(-EOVERFLOW, prepare_snapshot(&self->s, &c));
	EXPECT_EQ(-EOVERFLOW, prepare_create(&self->s, &c));
}

TEST_F(memory, bringing_up)
{
	struct chain_store *s = &self->s;
	int error = -ENOMEM;
	u64 n;

	cowstack_volume_take_down(s->volume);
	for (n = 1; n < MOST && error; n++) {
		memory_fail_at(n);
		error = cowstack_volume_bring_up(&s->md, s->volume);
		EXPECT_EQ(memory_has_failed() ? -ENOMEM : 0, error);
		EXPECT_EQ(!error, !!s->volume->chain);
	}
	EXPECT_LT(3, n);
	EXPECT_TRUE(chain_shows(s, 1400, chain_word(s, 0, 1400)));
}

/* An index of several blocks, pages in and behind it, all kinds of records. */
static void fill(struct chain_store *s)
{
	u64 i;

	for (i = 0; i < 2000; i++)
		if (i % 512 == 9)
			chain_give(s, 2, i, 1, false);
	chain_settle(s);
	for (i = 0; i < 60; i++)
		chain_snapshot(s, NULL);
	image_checkpoint(&s->image, &s->md);
	chain_give(s, 0, 9000, 1, false);
	chain_give_zeroes(s, 0, 9100);
	chain_settle(s);
	chain_snapshot(s, NULL);
}

TEST_F(memory, loading)
{
	struct chain_store *s = &self->s;
	int error = -ENOMEM;
	u64 n;

	fill(s);
	for (n = 1; n < MOST && error; n++) {
		memory_fail_at(n);
		error = image_load(&s->image, &s->copy);
		EXPECT_EQ(memory_has_failed() ? -ENOMEM : 0, error);
	}
	EXPECT_LT(60, n);
	EXPECT_TRUE(image_maps_are_equal(&s->md, &s->copy));
	cowstack_metadata_exit(&s->copy);
}

/* Who waits for a load is killed: at each place where it looks. */
TEST_F(memory, loading_is_interrupted)
{
	struct chain_store *s = &self->s;
	struct cowstack_change c;
	int error = -EINTR;
	u64 n;

	fill(s);
	ASSERT_EQ(0, cowstack_change_drop_clean(&c, &s->md, s->volume));
	chain_run(s, &c);
	for (n = 1; n < MOST && error; n++) {
		memory_kill_at(n);
		error = image_load(&s->image, &s->copy);
		EXPECT_EQ(memory_has_killed() ? -EINTR : 0, error);
		if (error)
			EXPECT_STREQ("loading was interrupted",
				     s->image.report.why);
	}
	memory_kill_at(0);
	EXPECT_LT(60, n);
	EXPECT_TRUE(image_maps_are_equal(&s->md, &s->copy));
	cowstack_metadata_exit(&s->copy);
}

/* What a checkpoint cannot do without waits; what it begins with may fail. */
TEST_F(memory, checkpoints)
{
	struct cowstack_checkpoint cp;
	int error = -ENOMEM;
	u64 n;

	for (n = 1; n < MOST && error; n++) {
		memory_fail_at(n);
		error = cowstack_checkpoint_begin(&self->s.md, &cp);
		EXPECT_EQ(memory_has_failed() ? -ENOMEM : 0, error);
	}
	EXPECT_EQ(4, n);
	EXPECT_GT(cp.page_count, 0);
	cowstack_checkpoint_free(&cp);
}

/* Room that was kept back for a page which did not come is given back. */
TEST_F(memory, pages)
{
	struct chain_store *s = &self->s;
	struct map_page *page = NULL;
	bool added;
	u8 *index = NULL;
	u64 n;

	for (n = 1; n < MOST && !page; n++) {
		memory_fail_at(n);
		page = chunk_map_add_page(&s->layer[1]->map, 1ULL << 30,
					  GFP_NOIO, &added);
		EXPECT_EQ(!page, memory_has_failed());
		EXPECT_EQ(!!page, added);
	}
	EXPECT_LT(2, n);
	for (n = 1; n < MOST && !index; n++) {
		memory_fail_at(n);
		index = cowstack_index_add_page(s->volume, 1ULL << 30,
						GFP_NOIO);
		EXPECT_EQ(!index, memory_has_failed());
	}
	EXPECT_LT(2, n);
	EXPECT_EQ(NULL, chunk_map_add_page(&s->layer[1]->map, 1ULL << 32,
					   GFP_NOIO, &added));
}

/* What maps and indexes take, by the rule that bounds it. */
TEST_F(memory, is_counted)
{
	struct chain_store *s = &self->s;
	u64 before = cowstack_metadata_memory(&s->md);
	u64 pages = 64, i, more;

	EXPECT_LT(0, cowstack_volume_index_memory(s->volume));
	for (i = 0; i < pages; i++) {
		image_set_word(&s->md, s->layer[1], i * COWSTACK_PAGE_CHUNKS,
			       map_word_zeroes());
		cowstack_index_add_page(s->volume, i, GFP_NOIO);
	}
	more = cowstack_metadata_memory(&s->md) - before;
	EXPECT_GT(more, pages * 4096);
	EXPECT_LE(more, pages * 5 * 1024);
}

TEST_HARNESS_MAIN
