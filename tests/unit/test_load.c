// SPDX-License-Identifier: GPL-2.0
/*
 * Loading: every field of every record comes back, from the journal and from the
 * index; what tells a device from an older copy of it; and a load that forgives, as a
 * repair does, says what it goes on without, and keeps the rest.
 */
#include "loader.h"
#include "store_image.h"

#include "harness.h"

enum {
	STORE_CHUNKS = 3000,
	VOLUME_CHUNKS = 200000,
	FAR_PAGE = 258,			/* no number that reads the same both ways */
};

/* The same: every byte is another one. */
#define FIELD_32 0x01020304u
#define FIELD_64 0x0102030405060708ULL

struct finding {
	enum load_damage what;
	u64 first;
	u64 second;
	u64 where;
	bool has_text;
};

struct lenient {
	struct loader loader;
	struct finding found[8];
	u32 count;
};

FIXTURE(load) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_metadata copy;	/* what a load makes of it */
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;	/* frozen */
	struct lenient lenient;
};

typedef FIXTURE_DATA(load) load_data;

static void snapshot(load_data *self, const char *name)
{
	struct cowstack_change c;

	if (cowstack_change_snapshot(&c, &self->md, self->volume, name, FIELD_64,
				     NULL, NULL))
		exit(1);
	image_run_change(&self->image, &self->md, &c);
}

/* A word with a chunk of its own. */
static void give(load_data *self, struct cowstack_layer *layer, u64 chunk)
{
	map_word_t word;
	dchunk_t data;
	u64 got;

	if (cowstack_allocator_take(&self->md.allocator, 1, &data, &got))
		exit(1);
	word = map_word_with_room(MAP_WORD_NONE, data);
	image_set_word(&self->md, layer, chunk,
		       map_word_with_pieces(word, 0xff, 0xff));
}

FIXTURE_SETUP(load)
{
	image_init(&self->image, 8, STORE_CHUNKS);
	image_load(&self->image, &self->md);
	self->volume = image_create_volume(&self->image, &self->md, 1,
					   VOLUME_CHUNKS * 8);
	cowstack_volume_bring_up(&self->md, self->volume);
	give(self, self->volume->top, 7);
	give(self, self->volume->top, 600);
	give(self, self->volume->top, (u64)FAR_PAGE * COWSTACK_PAGE_CHUNKS + 9);
	image_run_step(&self->image, &self->md);
	snapshot(self, "first");
	self->layer = self->volume->top->parent;
}

FIXTURE_TEARDOWN(load)
{
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

static void fill_info(struct cowstack_volume_info *info, const void *argument)
{
	struct cowstack_job *job = &info->job;

	info->flags = COWSTACK_VOLUME_BASE_RECORDED;
	info->base_sectors = FIELD_64 >> 16;
	info->base_seed = FIELD_64;
	info->base_crc = FIELD_32;
	info->mixed_top = to_layer_id(1);
	info->base_time = FIELD_64 + 1;
	cowstack_name_copy(info->name, "volume");
	strcpy(info->base_name, "a disk, as it was called");
	job->kind = COWSTACK_JOB_STREAM;
	job->state = COWSTACK_JOB_PAUSED;
	job->on_error = COWSTACK_ON_ERROR_IGNORE;
	job->flags = COWSTACK_JOB_YIELD | COWSTACK_JOB_WITH_BASE;
	job->top = to_layer_id(FIELD_32 + 1);
	job->base = to_layer_id(FIELD_32 + 2);
	job->error = 0x102;
	job->speed = FIELD_64 + 2;
	job->until = FIELD_64 + 3;
	job->cursor = FIELD_64 + 4;
	job->done = FIELD_64 + 5;
	job->total = FIELD_64 + 6;
	job->errors = FIELD_64 + 7;
	job->first_error = FIELD_64 + 8;
}

static bool layers_are_as_old(struct cowstack_metadata *a, struct cowstack_metadata *b)
{
	const struct cowstack_layer *layer;

	list_for_each_entry(layer, &a->layers, list)
		if (cowstack_layer_find(b, layer->id)->created != layer->created)
			return false;
	return true;
}

static bool load_is_right(load_data *self)
{
	bool right;

	if (image_load(&self->image, &self->copy))
		return false;
	right = image_maps_are_equal(&self->md, &self->copy) &&
		layers_are_as_old(&self->md, &self->copy) &&
		self->copy.superblock.created == self->md.superblock.created &&
		cowstack_geometry(&self->copy)->chunks ==
			cowstack_geometry(&self->md)->chunks;
	cowstack_metadata_exit(&self->copy);
	return right;
}

TEST_F(load, every_field_comes_back)
{
	struct cowstack_change c;
	u32 i;

	ASSERT_EQ(0, cowstack_change_info(&c, &self->md, self->volume, fill_info,
					  NULL));
	image_run_change(&self->image, &self->md, &c);
	EXPECT_TRUE(load_is_right(self));
	ASSERT_EQ(0, cowstack_change_pin(&c, &self->md, self->layer, true));
	image_run_change(&self->image, &self->md, &c);
	image_resize(&self->image, self->image.sectors + 500 * 8);
	ASSERT_EQ(0, cowstack_change_grow(&c, &self->md, STORE_CHUNKS + 0x102));
	image_run_change(&self->image, &self->md, &c);
	for (i = 0; i < 1000; i++)
		image_set_word(&self->md, self->volume->top, 3 * i,
			       map_word_zeroes());
	EXPECT_LT(2, image_run_step(&self->image, &self->md));
	EXPECT_TRUE(load_is_right(self));
	/* An index of one block, and of several. */
	image_checkpoint(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
	for (i = 0; i < 100; i++)
		snapshot(self, NULL);
	image_checkpoint(&self->image, &self->md);
	EXPECT_LT(2, self->md.index_count);
	EXPECT_TRUE(load_is_right(self));
	image_checkpoint(&self->image, &self->md);
	EXPECT_TRUE(load_is_right(self));
}

TEST_F(load, sizes_that_no_store_grows_to)
{
	struct cowstack_change c;

	EXPECT_EQ(-EINVAL, cowstack_change_grow(&c, &self->md, STORE_CHUNKS - 1));
	EXPECT_EQ(-EFBIG, cowstack_change_grow(&c, &self->md,
					       MAP_WORD_MAX_CHUNKS + 1));
	EXPECT_TRUE(load_is_right(self));
}

TEST(an_index_of_nothing)
{
	static struct cowstack_metadata md, copy;
	static struct store_image image;
	struct cowstack_change c;

	image_init(&image, 8, STORE_CHUNKS);
	ASSERT_EQ(0, image_load(&image, &md));
	image_create_volume(&image, &md, 1, 800);
	ASSERT_EQ(0, cowstack_change_delete_volume(&c, &md,
						   cowstack_volume_find(&md, to_volume_id(1))));
	image_run_change(&image, &md, &c);
	image_checkpoint(&image, &md);
	EXPECT_EQ(1, md.index_count);
	ASSERT_EQ(0, image_load(&image, &copy));
	EXPECT_TRUE(list_empty(&copy.volumes));
	EXPECT_TRUE(list_empty(&copy.layers));
	/* No id is ever used again. */
	EXPECT_EQ(2, copy.next_layer);
	cowstack_metadata_exit(&copy);
	cowstack_metadata_exit(&md);
	image_exit(&image);
}

/* Their ids are all in one bucket, and one that has others in it goes. */
TEST(volumes_with_ids_far_apart)
{
	static struct cowstack_metadata md, copy;
	static struct store_image image;
	const u32 step = COWSTACK_VOLUME_BUCKETS;
	struct cowstack_change c;
	struct cowstack_volume *middle;
	u32 i;

	image_init(&image, 8, STORE_CHUNKS);
	ASSERT_EQ(0, image_load(&image, &md));
	for (i = 0; i < 3; i++)
		image_create_volume(&image, &md,
				    5 + i * step, 800);
	middle = cowstack_volume_find(&md, to_volume_id(5 + step));
	ASSERT_EQ(0, cowstack_change_delete_volume(&c, &md, middle));
	image_run_change(&image, &md, &c);
	ASSERT_EQ(0, image_load(&image, &copy));
	for (i = 0; i < 3; i++) {
		volume_id_t id = to_volume_id(5 + i * step);

		EXPECT_EQ(i != 1, !!cowstack_volume_find(&md, id));
		EXPECT_EQ(i != 1, !!cowstack_volume_find(&copy, id));
	}
	EXPECT_EQ(NULL, cowstack_volume_find(&md, to_volume_id(5 + 3 * step)));
	cowstack_metadata_exit(&copy);
	cowstack_metadata_exit(&md);
	image_exit(&image);
}

/* --- a load that forgives --- */

static void forgive(struct loader *l, enum load_damage what, u64 first, u64 second)
{
	struct lenient *t = container_of(l, struct lenient, loader);

	if (t->count < ARRAY_SIZE(t->found))
		t->found[t->count] = (struct finding){
			.what = what, .first = first, .second = second,
			.where = l->report->where, .has_text = l->report->why,
		};
	t->count++;
}

/* As a repair does it: to be freed when it is 0. */
static int load_leniently(load_data *self)
{
	struct loader *l = &self->lenient.loader;
	struct cowstack_superblock sb;
	int error;

	memset(&self->lenient, 0, sizeof(self->lenient));
	l->md = &self->copy;
	l->reader = &self->image.reader;
	l->report = &self->image.report;
	l->forgive = forgive;
	error = load_begin(l);
	if (!error)
		error = load_superblock(l, &sb);
	if (!error)
		error = cowstack_metadata_init(&self->copy, &sb);
	if (!error) {
		error = load_index(l);
		if (!error)
			error = load_pages(l);
		if (!error)
			error = load_journal(l);
		if (!error)
			error = load_finish(l);
		if (error)
			cowstack_metadata_exit(&self->copy);
	}
	load_end(l);
	return error;
}

static bool has_found(load_data *self, u32 i, enum load_damage what, u64 first,
		      u64 second)
{
	const struct finding *f = &self->lenient.found[i];

	if (i < self->lenient.count && f->what == what && f->first == first &&
	    f->second == second && f->has_text)
		return true;
	printf("# %u of %u findings: kind %d, %llu, %llu\n", i, self->lenient.count,
	       f->what, (unsigned long long)f->first,
	       (unsigned long long)f->second);
	fflush(stdout);
	return false;
}

/* What a load makes of @chunk of the frozen layer. */
static map_word_t copied_word(load_data *self, u64 chunk)
{
	struct cowstack_layer *layer = cowstack_layer_find(&self->copy,
							   self->layer->id);

	return layer ? chunk_map_get(&layer->map, to_vchunk(chunk)) :
		       map_word_zeroes();
}

static bool keeps(load_data *self, u64 chunk)
{
	return copied_word(self, chunk) ==
	       chunk_map_get(&self->layer->map, to_vchunk(chunk));
}

TEST_F(load, nothing_is_forgiven_where_nothing_is_wrong)
{
	EXPECT_EQ(0, load_leniently(self));
	EXPECT_EQ(0, self->lenient.count);
	EXPECT_TRUE(image_maps_are_equal(&self->md, &self->copy));
	cowstack_metadata_exit(&self->copy);
}

/* Records of one block. */
struct records {
	u8 bytes[512];
	u32 used;
};

static void add(struct records *r, u32 type, u32 said_bytes, u32 id, u64 first,
		u64 second)
{
	struct disk_run_record record = {
		.header.type = cpu_to_le16(type),
		.header.bytes = cpu_to_le16(said_bytes),
		.header.id = cpu_to_le32(id),
		.first = cpu_to_le64(first), .count = cpu_to_le64(second),
	};

	memcpy(r->bytes + r->used, &record, sizeof(record));
	r->used += sizeof(record);
}

/* What stands behind what is damaged counts all the same. */
TEST_F(load, records_that_make_no_sense)
{
	struct records r = { };
	u32 id = from_layer_id(self->layer->id);

	/* Of no layer; of a wrong length; of no type, with and without a length. */
	add(&r, COWSTACK_RECORD_CLEAR, 24, FIELD_32, 0, 5);
	add(&r, COWSTACK_RECORD_ZERO, 12, FIELD_32 + 1, 0, 5);
	add(&r, 0x102, 24, FIELD_32 + 2, 0, 5);
	add(&r, COWSTACK_RECORD_ZERO, 24, id, 0x102, 1);
	add(&r, 0x103, 4, FIELD_32 + 3, 0, 5);
	add(&r, COWSTACK_RECORD_ZERO, 24, id, 0x103, 1);
	image_write_raw_step(&self->image, &self->md, r.bytes, r.used);
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));

	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(4, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_RECORD, COWSTACK_RECORD_CLEAR,
			      FIELD_32));
	EXPECT_TRUE(has_found(self, 1, LOAD_DAMAGE_RECORD, COWSTACK_RECORD_ZERO,
			      FIELD_32 + 1));
	EXPECT_TRUE(has_found(self, 2, LOAD_DAMAGE_RECORD, 0x102, FIELD_32 + 2));
	EXPECT_TRUE(has_found(self, 3, LOAD_DAMAGE_RECORDS, 48, 0));
	EXPECT_TRUE(copied_word(self, 0x102) == map_word_zeroes());
	EXPECT_TRUE(copied_word(self, 0x103) == MAP_WORD_NONE);
	EXPECT_TRUE(keeps(self, 7));
	EXPECT_TRUE(keeps(self, 600));
	cowstack_metadata_exit(&self->copy);
}

TEST_F(load, a_record_that_is_cut_off)
{
	struct records r = { };

	add(&r, COWSTACK_RECORD_ZERO, 24, from_layer_id(self->layer->id), 9, 1);
	image_write_raw_step(&self->image, &self->md, r.bytes, r.used + 4);
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_RECORDS, 4, 0));
	EXPECT_TRUE(copied_word(self, 9) == map_word_zeroes());
	cowstack_metadata_exit(&self->copy);
}

/* Whatever was there before is not true any more. */
TEST_F(load, a_word_that_makes_no_sense)
{
	u32 id = from_layer_id(self->layer->id);
	struct records r = { };

	add(&r, COWSTACK_RECORD_WORDS, 24, id, 7, U64_MAX);
	image_write_raw_step(&self->image, &self->md, r.bytes, r.used);
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_WORD, id, 7));
	EXPECT_TRUE(copied_word(self, 7) == MAP_WORD_NONE);
	EXPECT_TRUE(keeps(self, 600));
	cowstack_metadata_exit(&self->copy);
}

static u64 home_of(load_data *self, u64 page)
{
	return from_mblock(chunk_map_page(&self->layer->map, page)->home);
}

/* In a page and in the checkpoint's step, checksums right: behind the store's end. */
TEST_F(load, a_word_of_a_page_that_makes_no_sense)
{
	const u64 bad = (u64)FAR_PAGE * COWSTACK_PAGE_CHUNKS + 11;
	const u32 id = from_layer_id(self->layer->id);
	map_word_t word = map_word_with_room(MAP_WORD_NONE,
					     to_dchunk(STORE_CHUNKS));

	image_set_word(&self->md, self->layer, bad,
		       map_word_with_pieces(word, 0xff, 0xff));
	image_checkpoint(&self->image, &self->md);
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(2, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_WORD, id, bad));
	EXPECT_EQ(home_of(self, FAR_PAGE), self->lenient.found[0].where);
	EXPECT_TRUE(has_found(self, 1, LOAD_DAMAGE_WORD, id, bad));
	EXPECT_TRUE(copied_word(self, bad) == MAP_WORD_NONE);
	EXPECT_TRUE(keeps(self, bad - 2));
	cowstack_metadata_exit(&self->copy);
}

TEST_F(load, a_page_that_is_damaged)
{
	u8 *page;

	image_checkpoint(&self->image, &self->md);
	page = image_block(&self->image, home_of(self, 1));
	page[0] ^= 1;
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	EXPECT_EQ(home_of(self, 1), self->image.report.where);
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_PAGE,
			      from_layer_id(self->layer->id), 1));
	EXPECT_EQ(home_of(self, 1), self->lenient.found[0].where);
	EXPECT_TRUE(keeps(self, 7));
	EXPECT_TRUE(copied_word(self, 600) == MAP_WORD_NONE);
	cowstack_metadata_exit(&self->copy);
}

static int (*read_rest)(struct cowstack_reader *reader, u64 first, u64 blocks,
			void *buffer);
static u64 unreadable;

static int read_all_but_one(struct cowstack_reader *reader, u64 first, u64 blocks,
			    void *buffer)
{
	if (first <= unreadable && unreadable < first + blocks)
		return -EIO;
	return read_rest(reader, first, blocks, buffer);
}

/* One that cannot be read takes none with it of those that are read with it. */
TEST_F(load, a_page_that_cannot_be_read)
{
	image_checkpoint(&self->image, &self->md);
	unreadable = home_of(self, 1);
	read_rest = self->image.reader.read;
	self->image.reader.read = read_all_but_one;
	self->image.reader.read_runs = NULL;
	EXPECT_EQ(-EIO, image_load(&self->image, &self->copy));
	EXPECT_EQ(unreadable, self->image.report.where);
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_EQ(LOAD_DAMAGE_PAGE, self->lenient.found[0].what);
	EXPECT_EQ(1, self->lenient.found[0].second);
	EXPECT_TRUE(keeps(self, 7));
	EXPECT_TRUE(keeps(self, (u64)FAR_PAGE * COWSTACK_PAGE_CHUNKS + 9));
	EXPECT_TRUE(copied_word(self, 600) == MAP_WORD_NONE);
	cowstack_metadata_exit(&self->copy);
	/* The index and the journal are read in their turn. */
	unreadable = from_mblock(self->md.index[0]);
	EXPECT_EQ(-EIO, image_load(&self->image, &self->copy));
	unreadable = COWSTACK_RING_START;
	EXPECT_EQ(-EIO, image_load(&self->image, &self->copy));
	/* What follows the steps is read many blocks at once. */
	unreadable = COWSTACK_RING_START +
		     cowstack_geometry(&self->md)->ring_blocks - 1;
	EXPECT_EQ(-EIO, image_load(&self->image, &self->copy));
	EXPECT_EQ(unreadable, self->image.report.where);
	/* Of two superblocks one is enough. */
	unreadable = COWSTACK_SUPERBLOCK_A;
	EXPECT_EQ(0, image_load(&self->image, &self->copy));
	EXPECT_TRUE(self->image.report.other_superblock);
	cowstack_metadata_exit(&self->copy);
}

TEST_F(load, a_journal_that_is_damaged)
{
	const u64 step = self->md.next_step;
	u8 *block;

	block = image_block(&self->image, COWSTACK_RING_START + self->md.head);
	give(self, self->layer, 20);
	image_run_step(&self->image, &self->md);
	give(self, self->layer, 21);
	image_run_step(&self->image, &self->md);
	block[70] ^= 1;
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_JOURNAL, step, 0));
	EXPECT_TRUE(keeps(self, 7));
	EXPECT_TRUE(copied_word(self, 20) == MAP_WORD_NONE);
	EXPECT_TRUE(copied_word(self, 21) == MAP_WORD_NONE);
	cowstack_metadata_exit(&self->copy);
}

TEST_F(load, an_index_that_is_damaged)
{
	u8 *block;

	image_checkpoint(&self->image, &self->md);
	block = image_block(&self->image, from_mblock(self->md.index[0]));
	block[70] ^= 1;
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	ASSERT_EQ(0, load_leniently(self));
	EXPECT_EQ(1, self->lenient.count);
	EXPECT_TRUE(has_found(self, 0, LOAD_DAMAGE_INDEX,
			      from_mblock(self->md.index[0]), 0));
	EXPECT_TRUE(list_empty(&self->copy.volumes));
	cowstack_metadata_exit(&self->copy);
}

/* Too little memory is nothing that a repair could go on without. */
TEST_F(load, what_is_never_forgiven)
{
	image_checkpoint(&self->image, &self->md);
	self->image.reader.max_pages = 2;
	EXPECT_EQ(-EFBIG, load_leniently(self));
	EXPECT_EQ(0, self->lenient.count);
	EXPECT_EQ(-EFBIG, image_load(&self->image, &self->copy));
}

TEST_F(load, superblocks_of_two_stores)
{
	struct cowstack_superblock sb = self->md.superblock;

	sb.uuid[0] ^= 1;
	cowstack_superblock_encode(&sb, COWSTACK_SUPERBLOCK_B,
				   image_block(&self->image,
					       COWSTACK_SUPERBLOCK_B));
	EXPECT_EQ(-EUCLEAN, image_load(&self->image, &self->copy));
	EXPECT_STREQ("superblocks are of two stores", self->image.report.why);
}

/* --- what belongs together does not fit --- */

static bool is_refused(load_data *self, const char *why)
{
	int error = image_load(&self->image, &self->copy);

	if (!error)
		cowstack_metadata_exit(&self->copy);
	return error == -EUCLEAN && !strcmp(self->image.report.why, why);
}

static void change_info(load_data *self, struct cowstack_volume *volume,
			cowstack_update_fn update)
{
	struct cowstack_change c;

	cowstack_change_info(&c, &self->md, volume, update, NULL);
	image_run_change(&self->image, &self->md, &c);
}

static void name_it(struct cowstack_volume_info *info, const void *argument)
{
	cowstack_name_copy(info->name, "one-name");
}

static void mix_it(struct cowstack_volume_info *info, const void *argument)
{
	info->mixed_top = to_layer_id(1000);
}

TEST_F(load, two_volumes_of_one_name)
{
	struct cowstack_volume *second = image_create_volume(&self->image,
							     &self->md, 2, 800);

	change_info(self, self->volume, name_it);
	EXPECT_TRUE(load_is_right(self));
	change_info(self, second, name_it);
	EXPECT_TRUE(is_refused(self, "two volumes have one name"));
}

TEST_F(load, a_commit_of_no_layer)
{
	change_info(self, self->volume, mix_it);
	EXPECT_TRUE(is_refused(self, "commit of a layer that never was"));
}

TEST_F(load, a_clean_copy_in_a_top)
{
	map_word_t word;

	give(self, self->volume->top, 30);
	word = chunk_map_get(&self->volume->top->map, to_vchunk(30));
	image_set_word(&self->md, self->volume->top, 30,
		       map_word_as_clean(word));
	image_run_step(&self->image, &self->md);
	EXPECT_TRUE(is_refused(self, "layer that is written holds a clean copy"));
}

TEST_F(load, clean_words_of_no_layer)
{
	struct records r = { };

	add(&r, COWSTACK_RECORD_CLEAN_GONE, 24, FIELD_32, 0, 0);
	image_write_raw_step(&self->image, &self->md, r.bytes, r.used);
	EXPECT_TRUE(is_refused(self, "clean words of no layer"));
}

/* A snapshot that nobody refused. */
struct one_more {
	struct cowstack_transaction transaction;
	struct cowstack_volume *volume;
	struct cowstack_layer layer;
};

static bool encode_one_more(struct cowstack_transaction *t, struct record_writer *w)
{
	struct one_more *m = container_of(t, struct one_more, transaction);
	struct cowstack_layer *top = m->volume->top;

	return record_write_layer(w, top, top->parent->id, COWSTACK_LAYER_FROZEN,
				  top->name) &&
	       record_write_layer(w, &m->layer, top->id, 0, m->layer.name) &&
	       record_write_volume(w, &m->volume->info, m->layer.id);
}

static void apply_nothing(struct cowstack_transaction *t)
{
}

TEST_F(load, a_chain_that_is_too_long)
{
	static struct one_more m;

	while (cowstack_volume_depth(self->volume) < COWSTACK_MAX_LAYERS) {
		snapshot(self, NULL);
		if (cowstack_ring_wants_checkpoint(&self->md))
			image_checkpoint(&self->image, &self->md);
	}
	EXPECT_TRUE(load_is_right(self));
	m.transaction.encode = encode_one_more;
	m.transaction.apply = apply_nothing;
	m.volume = self->volume;
	m.layer.id = to_layer_id(self->md.next_layer);
	list_add_tail(&m.transaction.list, &self->image.queue);
	image_run_step(&self->image, &self->md);
	EXPECT_TRUE(is_refused(self, "chain has more than 250 layers"));
}

/* Of the index's last block, which holds the pages' records. */
TEST_F(load, a_page_that_is_named_twice)
{
	const u32 bytes = sizeof(struct disk_page_record);
	struct disk_record_block *block;
	u64 place;
	u32 used;

	image_checkpoint(&self->image, &self->md);
	place = from_mblock(self->md.index[0]);
	block = image_block(&self->image, place);
	used = le32_to_cpu(block->used);
	memcpy(block->records + used, block->records + used - bytes, bytes);
	cowstack_block_seal(&self->md, block, COWSTACK_MAGIC_INDEX, to_mblock(place),
			    self->md.superblock.tail_step, 0, used + bytes);
	EXPECT_TRUE(is_refused(self, "map page is named twice"));
}

/* A device's block where the last one of the last step is to be. */
static void *last_block(load_data *self, struct store_image *device)
{
	return image_block(device, from_mblock(cowstack_step_last_place(&self->md)));
}

TEST_F(load, only_an_up_to_date_device_has_the_last_step)
{
	const struct cowstack_geometry *g = cowstack_geometry(&self->md);
	u64 ring = from_mblock(g->ring_start), n;
	struct store_image older = self->image;

	older.bytes = malloc((ring + g->ring_blocks) * COWSTACK_BLOCK_SIZE);
	ASSERT_NE(NULL, older.bytes);
	for (n = 0; self->md.head < 2 * g->ring_blocks; n++) {
		memcpy(image_block(&older, ring), image_block(&self->image, ring),
		       g->ring_blocks * COWSTACK_BLOCK_SIZE);
		image_set_word(&self->md, self->volume->top, n % COWSTACK_PAGE_CHUNKS,
			       map_word_zeroes());
		image_run_step(&self->image, &self->md);
		ASSERT_FALSE(cowstack_step_none_since_tail(&self->md));
		ASSERT_TRUE(cowstack_step_is_last(&self->md,
						  last_block(self, &self->image)));
		ASSERT_FALSE(cowstack_step_is_last(&self->md,
						   last_block(self, &older)));
		if (!cowstack_ring_wants_checkpoint(&self->md))
			continue;
		image_checkpoint(&self->image, &self->md);
		ASSERT_TRUE(cowstack_step_none_since_tail(&self->md));
	}
	free(older.bytes);
}

TEST_HARNESS_MAIN
