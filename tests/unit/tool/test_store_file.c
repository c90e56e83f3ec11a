// SPDX-License-Identifier: GPL-2.0
/* Stores in files: what is written is read again, whatever was there before. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io_ring.h"
#include "store_file.h"
#include "core/metadata.h"

#include "harness.h"

#define FILE_BYTES (40ULL << 20)

FIXTURE(image) {
	char path[64];
	int fd;
	struct store_file *file;
	int standard_error;
};

FIXTURE_SETUP(image)
{
	strcpy(self->path, "/tmp/cowstack-unit.XXXXXX");
	self->fd = mkstemp(self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, FILE_BYTES));
	ASSERT_EQ(EXIT_DONE,
		  store_file_open(&self->file, self->path, DEVICE_WRITE));
	self->standard_error = dup(STDERR_FILENO);
	ASSERT_NE(NULL, freopen("/dev/null", "w", stderr));
}

FIXTURE_TEARDOWN(image)
{
	fflush(stderr);
	dup2(self->standard_error, STDERR_FILENO);
	close(self->standard_error);
	store_file_close(self->file);
	close(self->fd);
	unlink(self->path);
}

static int format(struct store_file *file, const char *name, u8 uuid_byte)
{
	struct cowstack_superblock superblock;
	struct cowstack_geometry geometry;
	u8 uuid[COWSTACK_UUID_SIZE];
	int error = cowstack_geometry_init(&geometry, store_file_sectors(file),
					   128);

	memset(uuid, uuid_byte, sizeof(uuid));
	cowstack_format(&superblock, &geometry, uuid, name, 1);
	return error ? error : store_file_format(file, &superblock);
}

static int load(struct store_file *file)
{
	struct cowstack_load_report report;
	struct cowstack_metadata md;
	int error = cowstack_load(&md, store_file_reader(file), &report);

	if (!error)
		cowstack_metadata_exit(&md);
	return error;
}

TEST_F(image, format)
{
	struct cowstack_superblock superblock;
	const char *why;

	EXPECT_EQ(-EINVAL, store_file_superblock(self->file, &superblock,
						 &why));
	EXPECT_EQ(-EINVAL, load(self->file));
	ASSERT_EQ(0, format(self->file, "ssd", 1));
	EXPECT_EQ(0, load(self->file));
	ASSERT_EQ(0, store_file_superblock(self->file, &superblock, &why));
	EXPECT_STREQ("ssd", superblock.name);
	EXPECT_EQ(128, superblock.geometry.chunk_sectors);
}

/* Nothing of what was there may be taken for a step or a page of this store. */
TEST_F(image, format_over_rubbish)
{
	u64 data_start = 1 << 20, at;
	u8 rubbish[4096], zeroes[4096] = { }, block[4096];

	memset(rubbish, 0xa5, sizeof(rubbish));
	for (at = 0; at < 2 * data_start; at += sizeof(rubbish))
		ASSERT_EQ(sizeof(rubbish), pwrite(self->fd, rubbish,
						  sizeof(rubbish), at));
	ASSERT_EQ(0, format(self->file, "ssd", 1));
	EXPECT_EQ(0, load(self->file));
	for (at = 4096; at < data_start; at += sizeof(block)) {
		ASSERT_EQ(sizeof(block), pread(self->fd, block, sizeof(block),
					       at));
		if (at != COWSTACK_SUPERBLOCK_B * 4096)
			ASSERT_EQ(0, memcmp(block, zeroes, sizeof(block)));
	}
	/* What lies behind is nobody's business yet. */
	ASSERT_EQ(sizeof(block), pread(self->fd, block, sizeof(block),
				       data_start));
	EXPECT_EQ(0, memcmp(block, rubbish, sizeof(block)));
}

static void damage(int fd, u64 block, unsigned int at)
{
	u8 byte;

	if (pread(fd, &byte, 1, block * 4096 + at) == 1) {
		byte ^= 0x10;
		if (pwrite(fd, &byte, 1, block * 4096 + at) != 1)
			abort();
	}
}

static int superblock_error(struct store_file *file)
{
	struct cowstack_superblock superblock;
	const char *why;

	return store_file_superblock(file, &superblock, &why);
}

TEST_F(image, damaged_superblocks)
{
	ASSERT_EQ(0, format(self->file, "ssd", 1));
	damage(self->fd, COWSTACK_SUPERBLOCK_A, 200);
	store_file_close(self->file);
	ASSERT_EQ(EXIT_DONE,
		  store_file_open(&self->file, self->path, DEVICE_WRITE));
	EXPECT_EQ(0, superblock_error(self->file));
	damage(self->fd, COWSTACK_SUPERBLOCK_B, 3000);
	store_file_close(self->file);
	ASSERT_EQ(EXIT_DONE,
		  store_file_open(&self->file, self->path, DEVICE_WRITE));
	EXPECT_EQ(-EUCLEAN, superblock_error(self->file));
	/* One without our magic says less than a damaged one. */
	damage(self->fd, COWSTACK_SUPERBLOCK_A, 0);
	store_file_close(self->file);
	ASSERT_EQ(EXIT_DONE,
		  store_file_open(&self->file, self->path, DEVICE_WRITE));
	EXPECT_EQ(-EUCLEAN, superblock_error(self->file));
}

/* It counts beside one that is understood, which may be from before. */
TEST_F(image, superblock_of_a_later_version)
{
	static const u64 places[] = {
		COWSTACK_SUPERBLOCK_A, COWSTACK_SUPERBLOCK_B
	};
	struct cowstack_superblock superblock;
	struct disk_superblock block;
	const char *why;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		ASSERT_EQ(0, format(self->file, "ssd", 1));
		ASSERT_EQ(0, store_file_superblock(self->file, &superblock,
						   &why));
		superblock.incompat = 1;
		cowstack_superblock_encode(&superblock, places[i], &block);
		ASSERT_EQ(sizeof(block), pwrite(self->fd, &block, sizeof(block),
						places[i] * 4096));
		store_file_close(self->file);
		ASSERT_EQ(EXIT_DONE, store_file_open(&self->file, self->path,
						     DEVICE_WRITE));
		EXPECT_EQ(-EOPNOTSUPP, superblock_error(self->file));
		EXPECT_EQ(-EOPNOTSUPP, load(self->file));
	}
}

/* Fills the file: each block tells which it is. */
static void number_blocks(struct __test_metadata *_metadata, int fd)
{
	u32 block[1024] = { };
	u64 i;

	for (i = 0; i < FILE_BYTES / 4096; i++) {
		block[7] = i * 2654435761u;
		ASSERT_EQ(sizeof(block), pwrite(fd, block, sizeof(block),
						i * 4096));
	}
}

TEST_F(image, reads_in_any_order)
{
	struct cowstack_reader *reader = store_file_reader(self->file);
	u64 blocks = FILE_BYTES / 4096, first, count, i;
	u32 *image = malloc(256 * 4096);
	unsigned int round;

	number_blocks(_metadata, self->fd);
	srandom(1);
	first = 0;
	for (round = 0; round < 3000; round++) {
		count = 1 + random() % 256;
		/* Mostly onward, so that windows grow; sometimes elsewhere. */
		if (round % 7 == 0 || first + count > blocks)
			first = random() % (blocks - count);
		ASSERT_EQ(0, reader->read(reader, first, count, image));
		for (i = 0; i < count; i++)
			ASSERT_EQ((u32)((first + i) * 2654435761u),
				  image[i * 1024 + 7]);
		first += count;
	}
	EXPECT_EQ(0, reader->read(reader, blocks - 1, 1, image));
	EXPECT_EQ(-EIO, reader->read(reader, blocks - 1, 2, image));
	EXPECT_EQ(-EIO, reader->read(reader, blocks, 1, image));
	EXPECT_EQ(-EIO, reader->read(reader, U64_MAX, 1, image));
	free(image);
}

TEST_F(image, reads_runs_that_lie_apart)
{
	struct cowstack_reader *reader = store_file_reader(self->file);
	const u64 blocks = FILE_BYTES / 4096;
	struct cowstack_run_read runs[700];
	u32 *image = malloc(2100 * 4096ul);
	u64 used = 0, k;
	u32 i;

	number_blocks(_metadata, self->fd);
	srandom(2);
	/* More runs, and more blocks, than go at once; in any order. */
	for (i = 0; i < 700; i++) {
		runs[i].blocks = 1 + random() % 3;
		runs[i].first = random() % (blocks - 3);
		runs[i].buffer = image + used * 1024;
		used += runs[i].blocks;
	}
	ASSERT_EQ(0, reader->read_runs(reader, runs, 700));
	for (i = 0; i < 700; i++)
		for (k = 0; k < runs[i].blocks; k++)
			ASSERT_EQ((u32)((runs[i].first + k) * 2654435761u),
				  ((u32 *)runs[i].buffer)[k * 1024 + 7]);
	runs[300].first = blocks - runs[300].blocks + 1;
	EXPECT_EQ(-EIO, reader->read_runs(reader, runs, 700));
	runs[300].first = U64_MAX;
	EXPECT_EQ(-EIO, reader->read_runs(reader, runs, 700));
	free(image);
}

TEST_F(image, ring)
{
	struct io_ring *ring = io_ring_open(self->fd);
	size_t bytes = 9 << 20, i;
	u8 *out = malloc(bytes), *in = malloc(bytes);

	for (i = 0; i < bytes; i++)
		out[i] = i * 31 + (i >> 12);
	ASSERT_EQ(0, io_ring_write(ring, out, bytes, 12345));
	ASSERT_EQ(0, io_ring_read(ring, in, bytes, 12345));
	EXPECT_EQ(0, memcmp(in, out, bytes));
	/* Behind the end there is nothing to be read. */
	EXPECT_EQ(-EIO, io_ring_read(ring, in, bytes, FILE_BYTES - bytes / 2));
	/* What failed leaves the ring as good as it was. */
	EXPECT_EQ(0, io_ring_read(ring, in, bytes, 12345));
	memset(out, 0, bytes);
	EXPECT_EQ(0, io_ring_write_zeroes(ring, out, 4096, bytes, 12345));
	EXPECT_EQ(0, io_ring_read(ring, in, bytes, 12345));
	EXPECT_EQ(0, memcmp(in, out, bytes));
	io_ring_close(ring);
	free(out);
	free(in);
}

TEST(open_errors)
{
	int standard_error = dup(STDERR_FILENO);
	struct store_file *file;

	ASSERT_NE(NULL, freopen("/dev/null", "w", stderr));
	EXPECT_EQ(EXIT_MISSING, store_file_open(&file, "/nowhere", DEVICE_READ));
	EXPECT_EQ(EXIT_FAILED, store_file_open(&file, "/tmp", DEVICE_READ));
	EXPECT_EQ(EXIT_FAILED, store_file_open(&file, "/dev/null", DEVICE_READ));
	fflush(stderr);
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
}

TEST_HARNESS_MAIN
