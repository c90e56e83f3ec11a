// SPDX-License-Identifier: GPL-2.0
/* Checkpoints that cannot be whole: they fail, and what was there before stays. */
#include "chain_store.h"
#include "harness.h"
#include "wrapped_records.h"

/* The record that finds no room. */
enum kind { NONE, STORE, VOLUME, LAYER, PAGE };

static enum kind lacking;

bool __wrap_record_write_store(struct record_writer *w, u32 next_layer,
			       u64 chunks)
{
	return lacking != STORE &&
	       __real_record_write_store(w, next_layer, chunks);
}

bool __wrap_record_write_volume(struct record_writer *w,
				const struct cowstack_volume_info *info,
				layer_id_t top)
{
	return lacking != VOLUME && __real_record_write_volume(w, info, top);
}

bool __wrap_record_write_layer(struct record_writer *w,
			       const struct cowstack_layer *layer,
			       layer_id_t parent, u32 flags, const char *name)
{
	return lacking != LAYER &&
	       __real_record_write_layer(w, layer, parent, flags, name);
}

bool __wrap_record_write_page(struct record_writer *w, layer_id_t layer,
			      u64 page, mblock_t block, u32 crc)
{
	return lacking != PAGE &&
	       __real_record_write_page(w, layer, page, block, crc);
}

FIXTURE(checkpoint)
{
	struct chain_store s;
};

FIXTURE_SETUP(checkpoint)
{
	lacking = NONE;
	chain_open(&self->s);
	chain_give(&self->s, 1, 3, CHAIN_FULL_MASK, false);
	chain_settle(&self->s);
}

FIXTURE_TEARDOWN(checkpoint)
{
	chain_close(&self->s);
}

/* Its pages and its index, which is not written; what came of making them. */
static int go_on(struct chain_store *s, struct cowstack_checkpoint *cp)
{
	__le64 page[COWSTACK_PAGE_CHUNKS];
	mblock_t place;
	int error;

	while ((error = cowstack_checkpoint_next_page(&s->md, cp, page,
						      &place)) > 0)
		memcpy(image_block(&s->image, from_mblock(place)), page,
		       sizeof(page));
	if (!error)
		error = cowstack_checkpoint_make_index(&s->md, cp);
	cowstack_checkpoint_free(cp);
	return error;
}

static int make_index(struct chain_store *s)
{
	struct cowstack_checkpoint cp;
	int error = cowstack_checkpoint_begin(&s->md, &cp);

	return error ? error : go_on(s, &cp);
}

TEST_F(checkpoint, no_record_is_left_out)
{
	for (lacking = STORE; lacking <= PAGE; lacking++) {
		EXPECT_EQ(-EOVERFLOW, make_index(&self->s))
		{
			TH_LOG("record %d", lacking);
		}
		EXPECT_TRUE(chain_load_is_right(&self->s));
	}
}

/* A word in each page of the top: all of them want a new home. */
static void change_all_pages(struct chain_store *s, u64 slot)
{
	u64 chunk;

	for (chunk = slot; chunk < CHAIN_VOLUME_CHUNKS;
	     chunk += COWSTACK_PAGE_CHUNKS)
		chain_give_zeroes(s, 4, chunk);
	chain_settle(s);
}

enum { FIRST_OTHER = 2, OTHERS = 300 };

static void make_others(struct chain_store *s)
{
	u32 id;

	for (id = FIRST_OTHER; id < FIRST_OTHER + OTHERS; id++)
		image_create_volume(&s->image, &s->md, id, 8);
}

static void delete_others(struct chain_store *s)
{
	struct cowstack_change c;
	u32 id;

	for (id = FIRST_OTHER; id < FIRST_OTHER + OTHERS; id++) {
		struct cowstack_volume *volume =
			cowstack_volume_find(&s->md, to_volume_id(id));

		if (cowstack_change_delete_volume(&c, &s->md, volume))
			abort();
		chain_run(s, &c);
	}
}

/* The old index stays until there is a new one, and may be the larger of both. */
TEST_F(checkpoint, full_store_without_the_volumes_it_had)
{
	struct chain_store *s = &self->s;

	make_others(s);
	change_all_pages(s, 1);
	image_checkpoint(&s->image, &s->md);
	ASSERT_GT(s->md.index_count, OTHERS / 10);
	delete_others(s);
	change_all_pages(s, 2);
	chain_fill(s);
	EXPECT_EQ(0, make_index(s));
}

/* And so may the one that is being made. */
TEST_F(checkpoint, volumes_go_while_it_is_made)
{
	struct chain_store *s = &self->s;
	struct cowstack_checkpoint cp;

	change_all_pages(s, 1);
	image_checkpoint(&s->image, &s->md);
	make_others(s);
	change_all_pages(s, 2);
	ASSERT_EQ(0, cowstack_checkpoint_begin(&s->md, &cp));
	ASSERT_GT(cp.index_count, OTHERS / 10);
	delete_others(s);
	chain_fill(s);
	EXPECT_EQ(0, go_on(s, &cp));
}

TEST_HARNESS_MAIN
