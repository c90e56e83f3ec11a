// SPDX-License-Identifier: GPL-2.0
/*
 * The tool's repair on devices that an enemy has made: of what they hold any number,
 * it has to do no more than read it.  Whatever takes a second look at each for each
 * of the others takes hours, which the tests' limits of time tell from seconds.
 */
#include "salvage.h"
#include "store_image.h"
#include "surely.h"

#include "harness.h"

enum {
	CHUNK_SECTORS = 128,
	CHUNK_BLOCKS = CHUNK_SECTORS / COWSTACK_BLOCK_SECTORS,
	PLANTED = 400000,		/* blocks of an index */
	AHEAD = 64,			/* chunks before them */
	ORPHANS = 12000,			/* layers */
	ORPHANS_AT_ONCE = 400,
	LIMIT = 240,			/* seconds; it takes two */
};

#define NONE U64_MAX

FIXTURE(device) {
	struct store_image image;
	struct cowstack_metadata md;
	struct cowstack_reader reader;
	struct salvage salvage;
	u64 planted;			/* the first of them */
	/* The block that one of them leads to; NONE: it is none of an index; NULL: no more are. */
	u64 (*next)(u64 planted, u64 number);
	u64 blocks_read;
};

typedef FIXTURE_DATA(device) device_data;

static void plant(device_data *self, u64 place, void *buffer)
{
	u64 next = self->next(self->planted, place - self->planted);
	struct disk_record_block *block = buffer;

	memset(block, 0, sizeof(*block));
	if (next == NONE)
		return;
	block->next = cpu_to_le64(next);
	cowstack_block_seal(&self->md, block, COWSTACK_MAGIC_INDEX,
			    to_mblock(place), self->md.superblock.tail_step, 0,
			    0);
}

static int read_device(struct cowstack_reader *reader, u64 first, u64 blocks,
		       void *buffer)
{
	device_data *self = container_of(reader, device_data, reader);
	struct cowstack_reader *image = &self->image.reader;
	u64 i, ahead = 0;

	self->blocks_read += blocks;
	if (!self->next)
		ahead = blocks;
	else if (first < self->planted)
		ahead = min(blocks, self->planted - first);
	if (ahead && image->read(image, first, ahead, buffer))
		return -EIO;
	for (i = ahead; i < blocks; i++)
		plant(self, first + i, buffer + i * COWSTACK_BLOCK_SIZE);
	return 0;
}

/* A store that is whole, with a volume, and room behind what it has used. */
FIXTURE_SETUP(device)
{
	image_init(&self->image, CHUNK_SECTORS, AHEAD + PLANTED / CHUNK_BLOCKS);
	self->image.reader.max_pages = 2 * PLANTED;
	ASSERT_EQ(0, image_load(&self->image, &self->md));
	image_create_volume(&self->image, &self->md, 1, 8000);
	image_checkpoint(&self->image, &self->md);
	ASSERT_EQ(1, self->md.index_count);
	self->reader = self->image.reader;
	self->reader.read = read_device;
	self->reader.read_runs = NULL;
	self->planted = self->image.sectors / COWSTACK_BLOCK_SECTORS - PLANTED;
	ASSERT_LT(from_mblock(self->md.index[0]), self->planted);
}

FIXTURE_TEARDOWN(device)
{
	salvage_exit(&self->salvage);
	cowstack_metadata_exit(&self->md);
	image_exit(&self->image);
}

/* The superblocks count @blocks blocks of the index, the first leads to @next. */
static void write_index(device_data *self, u64 blocks, u64 next)
{
	mblock_t first = self->md.index[0];
	struct cowstack_superblock sb = self->md.superblock;
	struct disk_record_block *block = image_block(&self->image,
						      from_mblock(first));

	sb.index_blocks = blocks;
	image_write_superblocks(&self->image, &sb);
	block->next = cpu_to_le64(next);
	cowstack_block_seal(&self->md, block, COWSTACK_MAGIC_INDEX, first,
			    sb.tail_step, 0, le32_to_cpu(block->used));
}

static bool has_volume(device_data *self)
{
	return cowstack_volume_find(&self->salvage.md, to_volume_id(1));
}

static bool finds(device_data *self, const char *text)
{
	size_t i;

	for (i = 0; i < self->salvage.finding_count; i++)
		if (!strcmp(self->salvage.findings[i], text))
			return true;
	return false;
}

static int compare_blocks(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Is each block of the index in it once? */
static bool index_is_right(device_data *self, u64 count)
{
	struct cowstack_metadata *md = &self->salvage.md;
	u64 i;

	if (md->index_count != count)
		return false;
	qsort(md->index, count, sizeof(*md->index), compare_blocks);
	for (i = 1; i < count; i++)
		if (md->index[i] == md->index[i - 1])
			return false;
	return true;
}

static bool has_read_little(device_data *self)
{
	return self->blocks_read <= 4ULL * PLANTED;
}

/* In pairs, of which the second leads to the first. */
static u64 next_in_pairs(u64 planted, u64 number)
{
	return number % 2 ? planted + number - 1 : 0;
}

TEST_F_TIMEOUT(device, blocks_that_nothing_leads_to, LIMIT)
{
	self->next = next_in_pairs;
	write_index(self, 2, 0);
	ASSERT_EQ(0, salvage_load(&self->salvage, &self->reader));
	EXPECT_FALSE(self->salvage.sound);
	EXPECT_TRUE(has_volume(self));
	EXPECT_TRUE(index_is_right(self, PLANTED + 1));
	EXPECT_TRUE(finds(self,
			  "400000 blocks of the index were found where nothing leads to"));
	EXPECT_TRUE(finds(self,
			  "the superblock counts 2 blocks of the index, and there are 400001"));
	EXPECT_TRUE(has_read_little(self));
}

/* One behind the other; the last leads to the first. */
static u64 next_in_circle(u64 planted, u64 number)
{
	return planted + (number + 1) % PLANTED;
}

TEST_F_TIMEOUT(device, blocks_behind_the_last, LIMIT)
{
	char broken[80];

	self->next = next_in_circle;
	write_index(self, 1, self->planted);
	ASSERT_EQ(0, salvage_load(&self->salvage, &self->reader));
	EXPECT_FALSE(self->salvage.sound);
	EXPECT_TRUE(has_volume(self));
	EXPECT_TRUE(index_is_right(self, PLANTED + 1));
	sprintf(broken, "the index breaks off: block %llu is none of it",
		(unsigned long long)self->planted);
	EXPECT_TRUE(finds(self, broken));
	EXPECT_TRUE(has_read_little(self));
}

static u64 home;

static u64 next_home(u64 planted, u64 number)
{
	return number ? NONE : home;
}

/* The one that the second leads back to is taken already, and stays so. */
TEST_F(device, two_in_a_circle)
{
	self->next = next_home;
	home = from_mblock(self->md.index[0]);
	write_index(self, 3, self->planted);
	ASSERT_EQ(0, salvage_load(&self->salvage, &self->reader));
	EXPECT_TRUE(has_volume(self));
	EXPECT_TRUE(index_is_right(self, 2));
	EXPECT_EQ(-EUCLEAN,
		  cowstack_allocator_claim_block(&self->salvage.md.allocator,
						 to_mblock(home)));
}

/* Frozen layers that hold something, and that no volume has. */
static void add_orphans(device_data *self, unsigned int count)
{
	struct cowstack_metadata *md = &self->md;
	struct cowstack_layer *layer;

	for (; count; count--) {
		layer = surely(cowstack_layer_new(md,
						  to_layer_id(md->next_layer)));
		layer->flags |= COWSTACK_LAYER_FROZEN;
		cowstack_layer_add(md, layer);
		image_set_word(md, layer, 1, map_word_zeroes());
	}
	image_run_step(&self->image, md);
	image_checkpoint(&self->image, md);
}

/* Each comes to a volume of its own. */
TEST_F_TIMEOUT(device, layers_without_volumes, LIMIT)
{
	const struct cowstack_volume *volume;
	u64 volumes = 0;
	int i;

	for (i = 0; i < ORPHANS / ORPHANS_AT_ONCE; i++)
		add_orphans(self, ORPHANS_AT_ONCE);
	ASSERT_EQ(0, salvage_load(&self->salvage, &self->reader));
	EXPECT_TRUE(finds(self,
			  "layer 2 belonged to no volume: volume 2, recovered-2, has it now"));
	list_for_each_entry(volume, &self->salvage.md.volumes, list)
		volumes++;
	EXPECT_EQ(ORPHANS + 1, volumes);
	EXPECT_TRUE(has_volume(self));
}

TEST_HARNESS_MAIN
