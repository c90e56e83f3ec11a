// SPDX-License-Identifier: GPL-2.0
/*
 * Steps, the journal ring, and what replay makes of what it finds there.
 */
#include "random.h"
#include "store_image.h"

#include "harness.h"

enum { STORE_CHUNKS = 1100, DATA_CHUNKS = 500, VOLUME_CHUNKS = 60000 };

FIXTURE(journal) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_metadata copy;	/* what a load makes of it */
	struct cowstack_volume *volume;
	struct random r;
	dchunk_t data[DATA_CHUNKS];
};

typedef FIXTURE_DATA(journal) journal_data;

FIXTURE_SETUP(journal)
{
	u64 got;
	u32 i;

	self->r.state = 17;
	image_init(&self->image, 8, STORE_CHUNKS);
	image_load(&self->image, &self->md);
	self->volume = image_create_volume(&self->image, &self->md, 1,
					   VOLUME_CHUNKS * 8);
	for (i = 0; i < DATA_CHUNKS; i++)
		cowstack_allocator_take(&self->md.allocator, 1, &self->data[i],
					&got);
}

FIXTURE_TEARDOWN(journal)
{
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

static void set_word(journal_data *self, u64 chunk, map_word_t word)
{
	image_set_word(&self->md, self->volume->top, chunk, word);
}

/* Chunk @i of those with data, which are spread over the volume. */
static void set_data(journal_data *self, u32 i, u16 mask)
{
	map_word_t word = map_word_with_room(MAP_WORD_NONE, self->data[i]);

	set_word(self, (u64)i * 100,
		 mask ? map_word_with_pieces(word, mask, 0xff) : MAP_WORD_NONE);
}

static int load_copy(journal_data *self)
{
	return image_load(&self->image, &self->copy);
}

static bool load_is_right(journal_data *self)
{
	bool equal;
	int error = load_copy(self);

	if (error) {
		printf("# load: error %d, %s\n", error, self->image.report.why);
		return false;
	}
	equal = image_maps_are_equal(&self->md, &self->copy) &&
		self->copy.head == self->md.head &&
		self->copy.next_step == self->md.next_step;
	cowstack_metadata_exit(&self->copy);
	return equal;
}

TEST_F(journal, empty_step_is_no_step)
{
	u64 head = self->md.head;

	EXPECT_EQ(0, image_run_step(&self->image, &self->md));
	EXPECT_EQ(head, self->md.head);
	EXPECT_TRUE(load_is_right(self));
}

TEST_F(journal, words_over_several_blocks)
{
	u32 i, blocks;

	for (i = 0; i < DATA_CHUNKS; i++)
		set_data(self, i, 1 + random_below(&self->r, 0xff));
	/* A long run, which is one record until its block is full. */
	for (i = 20001; i < 20099; i++)
		set_word(self, i, map_word_zeroes());
	for (i = 1; i < 40000; i += 20)
		set_word(self, i, map_word_zeroes());
	blocks = image_run_step(&self->image, &self->md);
	EXPECT_GT(blocks, 10);
	EXPECT_LE(blocks, self->md.max_step_blocks);
	EXPECT_FALSE(cowstack_words_are_dirty(&self->md));
	EXPECT_TRUE(load_is_right(self));
}

/* Runs of zeroes, of nothing and of data, next to each other and over pages. */
TEST_F(journal, runs_of_words)
{
	u32 round, i;

	for (round = 0; round < 200; round++) {
		u64 chunk = 450 + random_below(&self->r, 100);
		u64 end = chunk + random_below(&self->r, 200);
		map_word_t word = MAP_WORD_NONE;

		for (i = 0; chunk < end; chunk++) {
			if (random_percent(&self->r, 10))
				word = random_percent(&self->r, 50) ?
					       map_word_zeroes() :
					       MAP_WORD_NONE;
			if (chunk % 100 == 0)
				set_data(self, chunk / 100, 1 + i++ % 0xff);
			else
				set_word(self, chunk, word);
		}
		EXPECT_LE(image_run_step(&self->image, &self->md), 2);
		ASSERT_TRUE(load_is_right(self));
		if (cowstack_ring_wants_checkpoint(&self->md))
			image_checkpoint(&self->image, &self->md);
	}
}

/* More words than fit: several steps, no word lost, none taken twice. */
TEST_F(journal, words_over_several_steps)
{
	u32 i, blocks = 0, steps = 0;

	for (i = 1; i < VOLUME_CHUNKS; i += 8)
		set_word(self, i, map_word_zeroes());
	while (cowstack_words_are_dirty(&self->md)) {
		blocks += image_run_step(&self->image, &self->md);
		ASSERT_LT(++steps, 10);
	}
	EXPECT_GT(steps, 1);
	EXPECT_GE(blocks, VOLUME_CHUNKS / 8 * 24 / 4032);
	EXPECT_LE(blocks, VOLUME_CHUNKS / 8 * 24 / 4032 + 2);
	EXPECT_TRUE(load_is_right(self));
}

TEST_F(journal, rooms_stay_in_memory)
{
	set_word(self, 1, map_word_with_room(MAP_WORD_NONE, self->data[0]));
	set_word(self, 2, map_word_with_room(map_word_zeroes(), self->data[1]));
	image_run_step(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
	ASSERT_EQ(0, load_copy(self));
	EXPECT_FALSE(test_bit(from_dchunk(self->data[0]),
			      self->copy.allocator.taken));
	cowstack_metadata_exit(&self->copy);
}

static void change_something(journal_data *self)
{
	u32 n = random_below(&self->r, 1 + random_below(&self->r, 600));

	while (n--) {
		u32 i = random_below(&self->r, DATA_CHUNKS);

		if (random_percent(&self->r, 70))
			set_data(self, i, random_next(&self->r) & 0xff);
		else
			set_word(self, (u64)i * 100 + 1,
				 random_percent(&self->r, 50) ?
					 map_word_zeroes() : MAP_WORD_NONE);
	}
}

TEST_F(journal, smallest_ring_goes_round_a_hundred_times)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->md);
	u32 steps = 0;

	EXPECT_EQ(224, g->ring_blocks);
	while (self->md.head < 100 * g->ring_blocks) {
		change_something(self);
		ASSERT_GE(cowstack_ring_room(&self->md),
			  self->md.max_step_blocks);
		image_run_step(&self->image, &self->md);
		if (++steps % 64 == 0)
			ASSERT_TRUE(load_is_right(self));
		if (cowstack_ring_wants_checkpoint(&self->md)) {
			image_checkpoint(&self->image, &self->md);
			ASSERT_TRUE(load_is_right(self));
		}
	}
}

/* --- torn steps --- */

struct torn {
	u8 *before;		/* the ring */
	u8 *after;
	u64 first;		/* block of the device */
	u32 blocks;
};

static void copy_ring(journal_data *self, u8 *copy)
{
	memcpy(copy, image_block(&self->image, COWSTACK_RING_START),
	       224 * COWSTACK_BLOCK_SIZE);
}

/* Sector @i of the step as it was before, or as it should be. */
static void put_sector(journal_data *self, const struct torn *t, u32 i,
		       bool written)
{
	size_t offset = (t->first - COWSTACK_RING_START) * COWSTACK_BLOCK_SIZE +
			i * 512;

	memcpy((u8 *)image_block(&self->image, COWSTACK_RING_START) + offset,
	       (written ? t->after : t->before) + offset, 512);
}

/*
 * A step counts if all the sectors with bytes that it uses are there.  The rest
 * of a block's sectors do not matter.
 */
static bool step_is_whole(journal_data *self, const struct torn *t)
{
	u64 offset = (t->first - COWSTACK_RING_START) * COWSTACK_BLOCK_SIZE;
	u32 i;

	for (i = 0; i < t->blocks; i++) {
		const struct disk_record_block *block = (void *)(t->after +
				offset + i * COWSTACK_BLOCK_SIZE);
		u32 used = offsetof(struct disk_record_block, records) +
			   le32_to_cpu(block->used);

		if (memcmp(image_block(&self->image, t->first + i), block, used))
			return false;
	}
	return true;
}

static bool torn_load_is_right(journal_data *self,
			       const struct torn *t, u64 step)
{
	bool whole = step_is_whole(self, t);
	bool right;

	if (load_copy(self))
		return false;
	right = self->copy.next_step == step + whole &&
		(!whole || image_maps_are_equal(&self->md, &self->copy));
	cowstack_metadata_exit(&self->copy);
	return right;
}

static void make_torn_step(journal_data *self, struct torn *t,
			   u32 words)
{
	u32 i;

	t->before = malloc(224 * COWSTACK_BLOCK_SIZE);
	t->after = malloc(224 * COWSTACK_BLOCK_SIZE);
	copy_ring(self, t->before);
	t->first = COWSTACK_RING_START + self->md.head % 224;
	for (i = 0; i < words; i++)
		set_data(self, i, 0x0f);
	t->blocks = image_run_step(&self->image, &self->md);
	copy_ring(self, t->after);
}

static void free_torn_step(struct torn *t)
{
	free(t->before);
	free(t->after);
}

/* Old blocks where the step goes: the ring has gone round before. */
static void age_ring(journal_data *self)
{
	while (self->md.head < 230) {
		change_something(self);
		image_run_step(&self->image, &self->md);
		if (cowstack_ring_wants_checkpoint(&self->md))
			image_checkpoint(&self->image, &self->md);
	}
}

TEST_F(journal, every_mix_of_one_block)
{
	struct torn t;
	u32 mix, i;
	u64 step;

	age_ring(self);
	step = self->md.next_step;
	make_torn_step(self, &t, 150);
	ASSERT_EQ(1, t.blocks);
	for (mix = 0; mix < 256; mix++) {
		for (i = 0; i < 8; i++)
			put_sector(self, &t, i, mix >> i & 1);
		EXPECT_TRUE(torn_load_is_right(self, &t, step));
	}
	free_torn_step(&t);
}

TEST_F(journal, mixes_of_three_blocks)
{
	struct torn t;
	u32 round, mix, i;
	u64 step;

	age_ring(self);
	step = self->md.next_step;
	make_torn_step(self, &t, 450);
	ASSERT_EQ(3, t.blocks);
	for (round = 0; round < 3 * 256 + 600; round++) {
		/* Every mix of each block, the others whole; and any mix. */
		mix = random_next(&self->r) & 0xffffff;
		if (round < 3 * 256)
			mix = 0xffffff ^ (round & 255) << round / 256 * 8;
		for (i = 0; i < 24; i++)
			put_sector(self, &t, i, mix >> i & 1);
		EXPECT_TRUE(torn_load_is_right(self, &t, step));
	}
	free_torn_step(&t);
}

/* Lost blocks of a dead step, and a later life's step in the same place. */
TEST_F(journal, dead_step_completes_no_new_one)
{
	u32 i;

	for (i = 0; i < 450; i++)
		set_data(self, i, 1);
	self->md.nonce = 1;
	ASSERT_EQ(3, image_tear_step(&self->image, &self->md, 3));
	cowstack_metadata_exit(&self->md);
	ASSERT_EQ(0, image_load(&self->image, &self->md));
	EXPECT_EQ(2, self->md.next_step);
	self->md.nonce = 2;
	self->volume = cowstack_volume_find(&self->md, to_volume_id(1));
	for (i = 0; i < 450; i++)
		set_data(self, i, 1);
	/* Word for word the same step: only the nonce tells them apart. */
	ASSERT_EQ(3, image_tear_step(&self->image, &self->md, 4));
	ASSERT_EQ(0, load_copy(self));
	EXPECT_EQ(2, self->copy.next_step);
	cowstack_metadata_exit(&self->copy);
}

TEST_F(journal, step_before_a_later_one_is_damage)
{
	u64 place, i;

	for (i = 0; i < 4; i++) {
		set_data(self, i, 3);
		image_run_step(&self->image, &self->md);
	}
	for (i = 1; i <= 5; i++) {
		u8 *byte = image_block(&self->image, COWSTACK_RING_START + i - 1);

		place = COWSTACK_RING_START + i - 1;
		byte[70] ^= 1;
		if (i < 5) {
			EXPECT_EQ(-EUCLEAN, load_copy(self));
			EXPECT_EQ(place, self->image.report.where);
			EXPECT_NE(NULL, self->image.report.why);
		} else {
			/* The last may have been torn. */
			EXPECT_EQ(0, load_copy(self));
			EXPECT_EQ(5, self->copy.next_step);
			cowstack_metadata_exit(&self->copy);
		}
		byte[70] ^= 1;
	}
	EXPECT_TRUE(load_is_right(self));
}

/* --- records that no writer of ours makes --- */

struct raw_record {
	__le16 type;
	__le16 bytes;
	__le32 id;
	__le64 fields[50];
};

static int load_raw(journal_data *self, u32 type, u32 bytes, u32 id,
		    u64 first, u64 second, u32 used)
{
	struct raw_record r = {
		.type = cpu_to_le16(type), .bytes = cpu_to_le16(bytes),
		.id = cpu_to_le32(id),
		.fields = { cpu_to_le64(first), cpu_to_le64(second) },
	};
	int error;

	image_write_raw_step(&self->image, &self->md, &r, used);
	error = load_copy(self);
	if (!error)
		cowstack_metadata_exit(&self->copy);
	else if (!self->image.report.why)
		return -1;
	return error;
}

TEST_F(journal, types_and_lengths)
{
	u32 type, bytes;

	for (type = 0; type < 70000; type = type * 2 + 1)
		if (type < 1 || type > 9)
			EXPECT_EQ(-EUCLEAN, load_raw(self, type, 32, 1, 0, 1,
						     32));
	for (type = 1; type <= 9; type++) {
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 0, 1, 0, 1, 32));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 4, 1, 0, 1, 32));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 36, 1, 0, 1, 40));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 400, 1, 0, 1, 392));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 65528, 1, 0, 1, 400));
		/* A header cut off by the end of what is used. */
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 8, 1, 0, 1, 4));
	}
	for (bytes = 8; bytes < 24; bytes += 8)
		EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_CLEAR, bytes,
					     1, 0, 1, bytes));
}

TEST_F(journal, ranges)
{
	const u64 most = COWSTACK_MAX_VOLUME_SECTORS / 8;
	static const u32 runs[] = { COWSTACK_RECORD_CLEAR,
				    COWSTACK_RECORD_ZERO };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		u32 type = runs[i];

		EXPECT_EQ(0, load_raw(self, type, 24, 1, 0, 5, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 2, 0, 5, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 0, 0, 5, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 1, 0, 0, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 1, most, 1, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 1, 1, most, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 1, 2, U64_MAX, 24));
		EXPECT_EQ(-EUCLEAN, load_raw(self, type, 24, 1, U64_MAX, 2, 24));
	}
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_ZERO, 24, 1,
				     VOLUME_CHUNKS - 1, 2, 24));
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_WORDS, 24, 1, most,
				     0, 24));
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_WORDS, 24, 1,
				     U64_MAX, 0, 24));
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_PAGE, 32, 1, 0, 300,
				     32));
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_LAYER_GONE, 8, 7, 0,
				     0, 8));
	EXPECT_EQ(-EUCLEAN, load_raw(self, COWSTACK_RECORD_VOLUME_GONE, 8, 7, 0,
				     0, 8));
}

enum { RUNS = 160 };

struct run_model {
	struct disk_run_record records[RUNS];
	map_word_t words[VOLUME_CHUNKS];
	bool touched[DIV_ROUND_UP(VOLUME_CHUNKS, COWSTACK_PAGE_CHUNKS)];
};

/* Runs of both kinds, short and long, over the words that were there. */
static void add_run(struct run_model *m, struct random *r, u32 i)
{
	u64 first = random_below(r, VOLUME_CHUNKS);
	u64 most = random_percent(r, 50) ? 3 : 2000;
	u64 end = first + 1 + random_below(r, most);
	bool zero = random_percent(r, 50);
	u64 chunk;

	end = min(end, VOLUME_CHUNKS);
	m->records[i] = (struct disk_run_record){
		.header.type = cpu_to_le16(zero ? COWSTACK_RECORD_ZERO :
						  COWSTACK_RECORD_CLEAR),
		.header.bytes = cpu_to_le16(sizeof(m->records[i])),
		.header.id = cpu_to_le32(1),
		.first = cpu_to_le64(first),
		.count = cpu_to_le64(end - first),
	};
	for (chunk = first; chunk < end; chunk++) {
		m->words[chunk] = zero ? map_word_zeroes() : MAP_WORD_NONE;
		m->touched[chunk / COWSTACK_PAGE_CHUNKS] |= zero;
	}
}

/* Is the copy what @m says, and is there no page that nothing needs? */
static bool runs_are_right(journal_data *self, const struct run_model *m)
{
	const struct chunk_map *map =
		&cowstack_layer_find(&self->copy, to_layer_id(1))->map;
	u64 used = 0, chunk, number;

	for (chunk = 0; chunk < VOLUME_CHUNKS; chunk++) {
		if (chunk_map_get(map, to_vchunk(chunk)) != m->words[chunk])
			return false;
		used += map_word_has_chunk(m->words[chunk]);
	}
	for (number = 0; number < ARRAY_SIZE(m->touched); number++)
		if (!chunk_map_page(map, number) == m->touched[number])
			return false;
	return used == (u64)atomic64_read(&map->used) &&
	       self->copy.allocator.free == STORE_CHUNKS - used -
		       self->copy.allocator.metadata_chunks;
}

/* Against a word at a time; what is known before has homes, or only the journal. */
TEST_F(journal, runs_over_pages)
{
	static struct run_model before, m;
	u32 round, i;

	for (i = 0; i < DATA_CHUNKS; i += 7) {
		set_data(self, i, 0x3c);
		before.words[i * 100] =
			map_word_with_pieces(map_word_with_room(MAP_WORD_NONE,
								self->data[i]),
					     0x3c, 0xff);
		before.touched[i * 100 / COWSTACK_PAGE_CHUNKS] = true;
		if (i == DATA_CHUNKS / 2 / 7 * 7) {
			image_run_step(&self->image, &self->md);
			image_checkpoint(&self->image, &self->md);
		}
	}
	image_run_step(&self->image, &self->md);
	for (round = 0; round < 100; round++) {
		m = before;
		for (i = 0; i < RUNS >> round % 8; i++)
			add_run(&m, &self->r, i);
		image_write_raw_step(&self->image, &self->md, m.records,
				     i * sizeof(m.records[0]));
		ASSERT_EQ(0, load_copy(self));
		EXPECT_TRUE(runs_are_right(self, &m));
		cowstack_metadata_exit(&self->copy);
	}
}

static bool is_refused_for(journal_data *self, u64 first, u64 count,
			   const char *why)
{
	return load_raw(self, COWSTACK_RECORD_ZERO, 24, 1, first, count, 24) ==
		       -EUCLEAN && !strcmp(self->image.report.why, why);
}

/* No volume was ever so long; a page more than none would be too many for it. */
TEST_F(journal, zeroes_behind_every_volume)
{
	const char *why = "run goes behind the end of every volume";

	self->image.reader.max_pages = 1;
	EXPECT_TRUE(is_refused_for(self, 0, VOLUME_CHUNKS + 1, why));
	EXPECT_TRUE(is_refused_for(self, VOLUME_CHUNKS - 1, 2, why));
	EXPECT_TRUE(is_refused_for(self, 0, BIT_ULL(40), why));
	EXPECT_EQ(0, load_raw(self, COWSTACK_RECORD_ZERO, 24, 1,
			      VOLUME_CHUNKS - 1, 1, 24));
	/* Of one that is larger they may be: what is wrong is found at the end. */
	image_create_volume(&self->image, &self->md, 2, (VOLUME_CHUNKS + 1) * 8);
	EXPECT_TRUE(is_refused_for(self, VOLUME_CHUNKS, 2, why));
	EXPECT_TRUE(is_refused_for(self, VOLUME_CHUNKS - 1, 2,
				   "layer holds what lies behind its volume's end"));
}

/* Each page has a home in the store: with more of them than it has blocks it is none. */
TEST_F(journal, more_pages_than_the_store_has_room_for)
{
	const char *why = "more map pages than the store has room for";
	struct disk_run_record r[2];
	u32 i;

	image_create_volume(&self->image, &self->md, 2, 1ULL << 40);
	self->image.reader.max_pages = 2 * STORE_CHUNKS;
	EXPECT_TRUE(is_refused_for(self, 0, 1ULL << 37, why));
	EXPECT_TRUE(is_refused_for(self, 511,
				   STORE_CHUNKS * COWSTACK_PAGE_CHUNKS, why));
	/* Neither run is too long by itself. */
	for (i = 0; i < 2; i++)
		r[i] = (struct disk_run_record){
			.header.type = cpu_to_le16(COWSTACK_RECORD_ZERO),
			.header.bytes = cpu_to_le16(sizeof(r[i])),
			.header.id = cpu_to_le32(2),
			.first = cpu_to_le64((u64)i << 30),
			.count = cpu_to_le64((STORE_CHUNKS / 2 + i) *
					     COWSTACK_PAGE_CHUNKS),
		};
	image_write_raw_step(&self->image, &self->md, r, sizeof(r));
	EXPECT_EQ(-EUCLEAN, load_copy(self));
	EXPECT_STREQ(why, self->image.report.why);
	/* With one page less they are taken. */
	r[1].count = r[0].count;
	image_write_raw_step(&self->image, &self->md, r, sizeof(r));
	ASSERT_EQ(0, load_copy(self));
	EXPECT_EQ(STORE_CHUNKS, self->image.report.pages);
	cowstack_metadata_exit(&self->copy);
}

/* A map that grows without end is refused before memory is gone. */
TEST_F(journal, too_many_pages)
{
	image_create_volume(&self->image, &self->md, 2, 1ULL << 40);
	EXPECT_EQ(-EFBIG, load_raw(self, COWSTACK_RECORD_ZERO, 24, 2, 0,
				   1040 * COWSTACK_PAGE_CHUNKS, 24));
}

/* So are volumes and layers: each takes memory before it is known to make sense. */
TEST_F(journal, too_many_volumes)
{
	u32 id;

	for (id = 2; id < 30; id++)
		image_create_volume(&self->image, &self->md, id, 1024);
	EXPECT_TRUE(load_is_right(self));
	self->image.reader.max_pages = 6;
	EXPECT_EQ(-EFBIG, load_copy(self));
	self->image.reader.max_pages = 8;
	EXPECT_TRUE(load_is_right(self));
}

/* And an index is not believed to be long before memory is taken for it. */
TEST_F(journal, index_longer_than_memory)
{
	struct cowstack_superblock sb = self->md.superblock;

	sb.index_first = to_mblock(sb.geometry.data_start /
				   COWSTACK_BLOCK_SECTORS);
	sb.index_blocks = 9;
	image_write_superblocks(&self->image, &sb);
	self->image.reader.max_pages = 6;
	EXPECT_EQ(-EFBIG, load_copy(self));
	self->image.reader.max_pages = 7;
	EXPECT_EQ(-EUCLEAN, load_copy(self));
}

/*
 * Nor is a store to be large, by its superblock or a record, before there is memory for a
 * bit to each of its chunks.
 */
TEST_F(journal, more_chunks_than_memory_has_bits_for)
{
	struct cowstack_superblock sb = self->md.superblock;
	struct disk_store_record r = {
		.header.type = cpu_to_le16(COWSTACK_RECORD_STORE),
		.header.bytes = cpu_to_le16(sizeof(r)),
		.next_layer = cpu_to_le32(2),
		.chunks = cpu_to_le64(1ULL << 30),
	};

	self->image.reader.device_sectors = 1ULL << 40;
	image_write_raw_step(&self->image, &self->md, &r, sizeof(r));
	self->image.reader.max_pages = (1 << 15) - 1;
	EXPECT_EQ(-EFBIG, load_copy(self));
	EXPECT_STREQ("map does not fit in memory", self->image.report.why);
	self->image.reader.max_pages = (1 << 15) + 8;
	ASSERT_EQ(0, load_copy(self));
	EXPECT_EQ(1ULL << 30, self->copy.allocator.chunks);
	cowstack_metadata_exit(&self->copy);

	sb.geometry.chunks = 1ULL << 31;
	image_write_superblocks(&self->image, &sb);
	EXPECT_EQ(-EFBIG, load_copy(self));
	EXPECT_STREQ("map does not fit in memory", self->image.report.why);
}

TEST_F(journal, words_that_name_a_chunk_twice)
{
	map_word_t word = map_word_with_room(MAP_WORD_NONE, self->data[3]);

	set_data(self, 3, 1);
	set_word(self, 9, map_word_with_pieces(word, 1, 0xff));
	image_run_step(&self->image, &self->md);
	EXPECT_EQ(-EUCLEAN, load_copy(self));
	set_word(self, 9, MAP_WORD_NONE);
	image_run_step(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
}

/* --- transactions --- */

static void rename_base(struct cowstack_volume_info *info, const void *name)
{
	cowstack_name_copy(info->base_name, name);
}

TEST_F(journal, one_change_of_a_volume_in_a_step)
{
	struct cowstack_change first, second;

	cowstack_change_info(&first, &self->md, self->volume, rename_base, "a");
	cowstack_change_info(&second, &self->md, self->volume, rename_base, "b");
	list_add_tail(&first.transaction.list, &self->image.queue);
	list_add_tail(&second.transaction.list, &self->image.queue);
	image_run_step(&self->image, &self->md);
	EXPECT_EQ(0, strcmp("a", self->volume->info.base_name));
	EXPECT_TRUE(load_is_right(self));
	image_run_step(&self->image, &self->md);
	EXPECT_EQ(0, strcmp("b", self->volume->info.base_name));
	EXPECT_TRUE(load_is_right(self));
	cowstack_change_free(&first);
	cowstack_change_free(&second);
}

TEST_F(journal, no_transaction_overtakes_words)
{
	struct cowstack_change change;
	u32 i;

	for (i = 1; i < VOLUME_CHUNKS; i += 8)
		set_word(self, i, map_word_zeroes());
	cowstack_change_info(&change, &self->md, self->volume, rename_base, "a");
	list_add_tail(&change.transaction.list, &self->image.queue);
	image_run_step(&self->image, &self->md);
	EXPECT_EQ('\0', self->volume->info.base_name[0]);
	EXPECT_FALSE(list_empty(&self->image.queue));
	while (!list_empty(&self->image.queue))
		image_run_step(&self->image, &self->md);
	EXPECT_FALSE(cowstack_words_are_dirty(&self->md));
	EXPECT_EQ(0, strcmp("a", self->volume->info.base_name));
	EXPECT_TRUE(load_is_right(self));
	cowstack_change_free(&change);
}

/* Chunks freed before an incomplete step are in no step until all words are. */
TEST_F(journal, incomplete_step_frees_nothing)
{
	struct list_head runs;
	u32 i;

	INIT_LIST_HEAD(&runs);
	for (i = 1; i < VOLUME_CHUNKS; i += 8)
		set_word(self, i, map_word_zeroes());
	cowstack_allocator_free(&self->md.allocator, self->data[0], 1);
	image_run_step(&self->image, &self->md);
	ASSERT_TRUE(cowstack_words_are_dirty(&self->md));
	cowstack_allocator_take_durable(&self->md.allocator, &runs);
	EXPECT_TRUE(list_empty(&runs));
	while (cowstack_words_are_dirty(&self->md))
		image_run_step(&self->image, &self->md);
	cowstack_allocator_take_durable(&self->md.allocator, &runs);
	EXPECT_FALSE(list_empty(&runs));
	cowstack_allocator_release(&self->md.allocator, &runs);
}

/* Data has taken all that it may; @return: snapshots until there is no room. */
static u32 snapshot_until_full(journal_data *self,
			       struct cowstack_volume *volumes[], u32 count)
{
	struct cowstack_change change;
	u32 n = 0;
	int error;

	for (;;) {
		error = cowstack_change_snapshot(&change, &self->md,
						 volumes[n % count], NULL, 0,
						 NULL, NULL);
		if (error)
			return error == -ENOSPC ? n : 0;
		image_run_change(&self->image, &self->md, &change);
		if (++n % 10 == 0)
			image_checkpoint(&self->image, &self->md);
	}
}

/* However many are asked for, a checkpoint still finds room for the index. */
TEST_F(journal, snapshots_of_a_full_store_are_bounded)
{
	struct cowstack_volume *volumes[4] = { self->volume };
	dchunk_t first, more;
	u64 got, i;

	for (i = 1; i < ARRAY_SIZE(volumes); i++)
		volumes[i] = image_create_volume(&self->image, &self->md, i + 1,
						 VOLUME_CHUNKS * 8);
	ASSERT_EQ(0, cowstack_allocator_take(&self->md.allocator, STORE_CHUNKS,
					     &first, &got));
	while (!cowstack_allocator_take(&self->md.allocator, STORE_CHUNKS,
					&more, &i))
		;
	EXPECT_LT(20, snapshot_until_full(self, volumes, ARRAY_SIZE(volumes)));
	image_checkpoint(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
	/* The other way out of it still works. */
	cowstack_allocator_untake(&self->md.allocator, first, 8);
	EXPECT_LT(0, snapshot_until_full(self, volumes, ARRAY_SIZE(volumes)));
	EXPECT_TRUE(load_is_right(self));
}

TEST_HARNESS_MAIN
