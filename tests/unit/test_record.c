// SPDX-License-Identifier: GPL-2.0
/* Records in blocks: what does not fit leaves no trace. */
#include "record.h"

#include "harness.h"

enum { BLOCKS = 2, LAYER = 7, ROOM = sizeof(((struct disk_record_block *)0)->records) };

FIXTURE(record) {
	struct disk_record_block block[BLOCKS];
	struct disk_record_block *blocks[BLOCKS];
	struct record_writer w;
};

typedef FIXTURE_DATA(record) record_data;

FIXTURE_SETUP(record)
{
	u32 i;

	for (i = 0; i < BLOCKS; i++)
		self->blocks[i] = &self->block[i];
	record_writer_init(&self->w, self->blocks, BLOCKS);
}

FIXTURE_TEARDOWN(record)
{
}

static bool write_word(record_data *self, u64 chunk, map_word_t word)
{
	return record_write_word(&self->w, to_layer_id(LAYER), to_vchunk(chunk),
				 word);
}

static map_word_t data_word(u64 chunk)
{
	return map_word_with_pieces(map_word_with_room(MAP_WORD_NONE,
						       to_dchunk(chunk)),
				    1, 0xffff);
}

/* Do the records of the first block fill what is used of it, and no more? */
static bool adds_up(const record_data *self)
{
	u32 at = 0;

	while (at < self->w.used[0]) {
		const struct disk_record *r =
			(const void *)(self->block[0].records + at);

		if (!r->bytes)
			return false;
		at += le16_to_cpu(r->bytes);
	}
	return at == self->w.used[0];
}

TEST_F(record, words_in_a_row_are_one)
{
	const struct disk_record *r = (const void *)self->block[0].records;
	u64 i;

	for (i = 0; i < 10; i++)
		ASSERT_TRUE(write_word(self, i, data_word(i)));
	EXPECT_EQ(self->w.used[0], le16_to_cpu(r->bytes));
	ASSERT_TRUE(write_word(self, 11, data_word(11)));
	EXPECT_LT(le16_to_cpu(r->bytes), self->w.used[0]);
	EXPECT_TRUE(adds_up(self));
}

/* A transaction may begin with the word that follows the last one of the map's. */
TEST_F(record, words_do_not_go_on_over_a_mark)
{
	struct record_mark mark;
	u32 used;

	ASSERT_TRUE(write_word(self, 3, data_word(3)));
	used = self->w.used[0];
	mark = record_writer_mark(&self->w);
	ASSERT_TRUE(write_word(self, 4, data_word(4)));
	record_writer_return(&self->w, mark);
	EXPECT_EQ(used, self->w.used[0]);
	EXPECT_TRUE(adds_up(self));
	/* Nor does what is written then. */
	ASSERT_TRUE(write_word(self, 4, data_word(4)));
	EXPECT_TRUE(adds_up(self));
}

TEST_F(record, nor_do_runs_of_zeroes)
{
	const struct disk_run_record *r = (const void *)self->block[0].records;
	struct record_mark mark;

	ASSERT_TRUE(write_word(self, 3, map_word_zeroes()));
	ASSERT_TRUE(write_word(self, 4, map_word_zeroes()));
	mark = record_writer_mark(&self->w);
	ASSERT_TRUE(write_word(self, 5, map_word_zeroes()));
	record_writer_return(&self->w, mark);
	EXPECT_EQ(2, le64_to_cpu(r->count));
	EXPECT_EQ(sizeof(*r), self->w.used[0]);
}

TEST_F(record, blocks_come_to_an_end)
{
	struct record_mark mark;
	u64 chunk = 0;

	for (; self->w.count < BLOCKS; chunk++)
		ASSERT_TRUE(write_word(self, 2 * chunk, data_word(chunk)));
	mark = record_writer_mark(&self->w);
	while (write_word(self, 2 * chunk, data_word(chunk)))
		chunk++;
	EXPECT_GE(ROOM, self->w.used[1]);
	record_writer_return(&self->w, mark);
	EXPECT_EQ(BLOCKS, self->w.count);
	EXPECT_TRUE(adds_up(self));
}

TEST_HARNESS_MAIN
