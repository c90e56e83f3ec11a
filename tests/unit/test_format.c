// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes, superblocks, words and names.
 */
#include "format.h"
#include "map_word.h"
#include "random.h"

#include "harness.h"

#define MIB BIT_ULL(11)		/* in sectors */
#define GIB BIT_ULL(21)
#define PIB BIT_ULL(41)

/* Does all of it lie on the device, one thing behind the other? */
static bool geometry_is_sound(const struct cowstack_geometry *g, u64 sectors)
{
	u64 ring_end = from_mblock(g->ring_start) + g->ring_blocks;
	u64 metadata = g->data_start;

	return from_mblock(g->ring_start) > COWSTACK_SUPERBLOCK_B &&
	       ring_end * COWSTACK_BLOCK_SECTORS <= g->data_start &&
	       g->data_start % COWSTACK_MAX_CHUNK_SECTORS == 0 &&
	       g->data_start + (g->chunks << g->chunk_shift) <= sectors &&
	       g->data_start + ((g->chunks + 1) << g->chunk_shift) > sectors &&
	       g->chunks >= COWSTACK_MIN_CHUNKS &&
	       metadata <= max(MIB, sectors / 1000) &&
	       g->pieces << g->piece_shift == g->chunk_sectors &&
	       g->pieces >= 8 && g->pieces <= 16 &&
	       g->full_mask == (1u << g->pieces) - 1 &&
	       g->chunk_blocks * COWSTACK_BLOCK_SECTORS == g->chunk_sectors &&
	       1u << g->chunk_shift == g->chunk_sectors;
}

static void make_superblock(struct cowstack_superblock *sb, u64 sectors,
			    u32 chunk_sectors)
{
	memset(sb, 0, sizeof(*sb));
	cowstack_geometry_init(&sb->geometry, sectors, chunk_sectors);
	memset(sb->uuid, 0x5a, sizeof(sb->uuid));
	cowstack_name_copy(sb->name, "store-1");
	sb->sequence = 7;
	sb->compat = 1ULL << 63;
	sb->ro_compat = 4;
	sb->created = 1234567890;
	sb->tail_step = 99;
	sb->tail_position = 12345;
	sb->index_first = to_mblock(sb->geometry.data_start /
				    COWSTACK_BLOCK_SECTORS + 3);
	sb->index_blocks = 2;
}

static void seal(struct disk_superblock *block)
{
	block->header.crc = cpu_to_le32(cowstack_block_crc(block,
							   sizeof(*block)));
}

TEST(geometry_of_all_sizes)
{
	static const u64 sizes[] = {
		64 * MIB, 100 * MIB + 1, GIB - 1, GIB, 10 * GIB + 77,
		1000 * GIB, 16 * 1024 * GIB, PIB - 1, PIB,
	};
	struct random r = { .state = 1 };
	struct cowstack_geometry g;
	u32 chunk, i;

	for (chunk = 8; chunk <= 2048; chunk *= 2) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			ASSERT_EQ(0, cowstack_geometry_init(&g, sizes[i], chunk));
			EXPECT_TRUE(geometry_is_sound(&g, sizes[i]));
		}
		for (i = 0; i < 2000; i++) {
			u64 sectors = random_next(&r) >> (20 + i % 32);

			if (!cowstack_geometry_init(&g, sectors, chunk))
				EXPECT_TRUE(geometry_is_sound(&g, sectors));
		}
	}
}

TEST(geometry_refuses)
{
	static const u32 bad_chunks[] = { 0, 1, 4, 7, 9, 12, 2047, 4096, ~0u };
	struct cowstack_geometry g;
	u32 chunk, i;

	for (i = 0; i < ARRAY_SIZE(bad_chunks); i++)
		EXPECT_EQ(-EINVAL, cowstack_geometry_init(&g, GIB,
							  bad_chunks[i]));
	for (chunk = 8; chunk <= 2048; chunk *= 2) {
		u64 least = MIB + COWSTACK_MIN_CHUNKS * (u64)chunk;

		EXPECT_EQ(-ENOSPC, cowstack_geometry_init(&g, 0, chunk));
		EXPECT_EQ(-ENOSPC, cowstack_geometry_init(&g, MIB, chunk));
		EXPECT_EQ(-ENOSPC, cowstack_geometry_init(&g, least - 1, chunk));
		EXPECT_EQ(0, cowstack_geometry_init(&g, least, chunk));
		EXPECT_EQ(COWSTACK_MIN_CHUNKS, g.chunks);
	}
	EXPECT_EQ(-EFBIG, cowstack_geometry_init(&g, 1ULL << 48, 8));
	EXPECT_EQ(0, cowstack_geometry_init(&g, (1ULL << 47) - 8, 8));
}

TEST(superblock_round_trip)
{
	const u64 b = COWSTACK_SUPERBLOCK_B;
	struct cowstack_superblock sb, back;
	struct disk_superblock block;
	const char *why;
	u32 chunk;

	for (chunk = 8; chunk <= 2048; chunk *= 2) {
		make_superblock(&sb, GIB, chunk);
		cowstack_superblock_encode(&sb, b, &block);
		ASSERT_EQ(0, cowstack_superblock_decode(&back, &block, b, GIB,
							&why));
		EXPECT_EQ(0, memcmp(&sb, &back, sizeof(sb)));
	}
}

/* Whoever knows none of these bits has to find them in the same places. */
TEST(feature_bits_on_disk)
{
	static const u8 bytes[] = { 8, 7, 6, 5, 4, 3, 2, 1 };
	struct cowstack_superblock sb, back;
	struct disk_superblock block;
	const char *why;

	make_superblock(&sb, GIB, 128);
	sb.compat = 0x0102030405060708ULL;
	sb.ro_compat = sb.compat;
	sb.incompat = sb.compat;
	cowstack_superblock_encode(&sb, 0, &block);
	EXPECT_EQ(0, memcmp(&block.compat, bytes, sizeof(bytes)));
	EXPECT_EQ(0, memcmp(&block.ro_compat, bytes, sizeof(bytes)));
	EXPECT_EQ(0, memcmp(&block.incompat, bytes, sizeof(bytes)));
	EXPECT_EQ(-EOPNOTSUPP, cowstack_superblock_decode(&back, &block, 0, GIB,
							  &why));
	sb.incompat = 0;
	cowstack_superblock_encode(&sb, 0, &block);
	ASSERT_EQ(0, cowstack_superblock_decode(&back, &block, 0, GIB, &why));
	EXPECT_EQ(sb.compat, back.compat);
	EXPECT_EQ(sb.ro_compat, back.ro_compat);
}

TEST(superblock_checksum_covers_every_byte)
{
	struct cowstack_superblock sb, back;
	struct disk_superblock block;
	const char *why;
	u32 i;

	make_superblock(&sb, GIB, 128);
	cowstack_superblock_encode(&sb, 0, &block);
	for (i = 0; i < sizeof(block); i++) {
		((u8 *)&block)[i] ^= 0x10;
		why = NULL;
		EXPECT_NE(0, cowstack_superblock_decode(&back, &block, 0, GIB,
							&why));
		EXPECT_NE(NULL, why);
		((u8 *)&block)[i] ^= 0x10;
	}
}

struct bad_field {
	const char *what;
	size_t offset;
	u32 bytes;
	u64 value;
	int error;
};

#define BAD(bytes, field, value, error) \
	{ #field " = " #value, offsetof(struct disk_superblock, field), \
	  bytes, value, error }

static const struct bad_field bad_fields[] = {
	BAD(4, header.magic, 0, -EINVAL),
	BAD(4, header.magic, COWSTACK_MAGIC_STEP, -EINVAL),
	BAD(8, header.place, 16, -EUCLEAN),
	BAD(8, header.sequence, U64_MAX, -EUCLEAN),
	BAD(4, version, 0, -EOPNOTSUPP),
	BAD(4, version, 2, -EOPNOTSUPP),
	BAD(4, chunk_sectors, 0, -EUCLEAN),
	BAD(4, chunk_sectors, 4, -EUCLEAN),
	BAD(4, chunk_sectors, 100, -EUCLEAN),
	BAD(4, chunk_sectors, 4096, -EUCLEAN),
	BAD(4, chunk_sectors, 0x80000000u, -EUCLEAN),
	BAD(8, incompat, 1, -EOPNOTSUPP),
	BAD(8, incompat, 1ULL << 63, -EOPNOTSUPP),
	BAD(8, ring_start, 0, -EUCLEAN),
	BAD(8, ring_start, 16, -EUCLEAN),
	BAD(8, ring_start, 33, -EUCLEAN),
	BAD(8, ring_start, U64_MAX, -EUCLEAN),
	BAD(8, ring_blocks, 0, -EUCLEAN),
	BAD(8, ring_blocks, 223, -EUCLEAN),
	BAD(8, ring_blocks, 225, -EUCLEAN),
	BAD(8, ring_blocks, U64_MAX, -EUCLEAN),
	BAD(8, ring_blocks, U64_MAX - 31, -EUCLEAN),
	BAD(8, data_start, 0, -EUCLEAN),
	BAD(8, data_start, 2056, -EUCLEAN),
	BAD(8, data_start, GIB + 2048, -EUCLEAN),
	BAD(8, data_start, U64_MAX - 2047, -EUCLEAN),
	BAD(8, chunks, 0, -EUCLEAN),
	BAD(8, chunks, 15, -EUCLEAN),
	BAD(8, chunks, 16384, -EUCLEAN),
	BAD(8, chunks, U64_MAX, -EUCLEAN),
	BAD(8, chunks, 1ULL << 57, -EUCLEAN),
	BAD(8, tail_step, 0, -EUCLEAN),
	BAD(8, tail_step, U64_MAX, -EUCLEAN),
	BAD(8, tail_position, U64_MAX, -EUCLEAN),
	BAD(8, index_first, 0, -EUCLEAN),
	BAD(8, index_first, 255, -EUCLEAN),
	BAD(8, index_first, 1ULL << 40, -EUCLEAN),
	BAD(8, index_first, U64_MAX, -EUCLEAN),
	BAD(8, index_blocks, 0, -EUCLEAN),
	BAD(8, index_blocks, U64_MAX, -EUCLEAN),
	BAD(1, name[0], '-', -EUCLEAN),
	BAD(1, name[2], ' ', -EUCLEAN),
	BAD(1, name[63], 'x', -EUCLEAN),
};

static void set_field(struct disk_superblock *block, const struct bad_field *bad)
{
	__le64 value = cpu_to_le64(bad->value);

	memcpy((u8 *)block + bad->offset, &value, bad->bytes);
}

TEST(superblock_refuses_each_bad_field)
{
	struct cowstack_superblock sb, back;
	struct disk_superblock block;
	const char *why;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad_fields); i++) {
		make_superblock(&sb, GIB, 128);
		cowstack_superblock_encode(&sb, 0, &block);
		set_field(&block, &bad_fields[i]);
		seal(&block);
		why = NULL;
		EXPECT_EQ(bad_fields[i].error,
			  cowstack_superblock_decode(&back, &block, 0, GIB,
						     &why))
			TH_LOG("%s", bad_fields[i].what);
		EXPECT_NE(NULL, why);
	}
}

TEST(superblock_refuses_a_smaller_device)
{
	struct cowstack_superblock sb, back;
	struct disk_superblock block;
	const char *why;

	make_superblock(&sb, GIB, 128);
	cowstack_superblock_encode(&sb, 0, &block);
	EXPECT_EQ(0, cowstack_superblock_decode(&back, &block, 0, 2 * GIB,
						&why));
	EXPECT_EQ(-EUCLEAN, cowstack_superblock_decode(&back, &block, 0,
						       GIB - 1, &why));
	EXPECT_EQ(-EUCLEAN, cowstack_superblock_decode(&back, &block, 0, 0,
						       &why));
}

static int decode(const struct cowstack_geometry *g, u64 raw)
{
	map_word_t word;

	return cowstack_word_decode(g, raw, &word);
}

TEST(words)
{
	struct cowstack_geometry g;
	const u64 zero = BIT_ULL(MAP_WORD_ZERO_BIT);
	u64 last;

	ASSERT_EQ(0, cowstack_geometry_init(&g, GIB, 128));
	last = g.chunks << MAP_WORD_CHUNK_SHIFT;
	EXPECT_EQ(0, decode(&g, 0));
	EXPECT_EQ(0, decode(&g, zero));
	EXPECT_EQ(0, decode(&g, last | 1));
	EXPECT_EQ(0, decode(&g, last | 0xffff));
	EXPECT_EQ(0, decode(&g, last | zero | 0x7fff));
	EXPECT_EQ(-EUCLEAN, decode(&g, last));
	EXPECT_EQ(-EUCLEAN, decode(&g, last | zero));
	EXPECT_EQ(-EUCLEAN, decode(&g, 1));
	EXPECT_EQ(-EUCLEAN, decode(&g, last | zero | 0xffff));
	EXPECT_EQ(-EUCLEAN, decode(&g, last + (1 << MAP_WORD_CHUNK_SHIFT) + 1));
	EXPECT_EQ(-EUCLEAN, decode(&g, U64_MAX));
	EXPECT_EQ(0, decode(&g, last | 1 | BIT_ULL(MAP_WORD_CLEAN_BIT)));
	EXPECT_EQ(-EUCLEAN, decode(&g, BIT_ULL(MAP_WORD_CLEAN_BIT)));
	EXPECT_EQ(-EUCLEAN, decode(&g, zero | BIT_ULL(MAP_WORD_CLEAN_BIT)));
	EXPECT_EQ(-EUCLEAN, decode(&g, last | 1 | BIT_ULL(18)));
	EXPECT_EQ(-EUCLEAN, decode(&g, last | 1 | BIT_ULL(19)));
	/* A chunk of 4 KiB has eight pieces. */
	ASSERT_EQ(0, cowstack_geometry_init(&g, GIB, 8));
	EXPECT_EQ(0, decode(&g, 1 << MAP_WORD_CHUNK_SHIFT | 0xff));
	EXPECT_EQ(-EUCLEAN, decode(&g, 1 << MAP_WORD_CHUNK_SHIFT | 0x100));
}

TEST(word_functions)
{
	map_word_t word = map_word_with_room(map_word_zeroes(), to_dchunk(41));

	EXPECT_TRUE(map_word_has_chunk(word));
	EXPECT_EQ(41, from_dchunk(map_word_chunk(word)));
	EXPECT_TRUE(map_word_is_zero(word));
	EXPECT_EQ(map_word_raw(map_word_zeroes()),
		  map_word_raw(map_word_durable(word)));
	word = map_word_with_pieces(word, 0x0f, 0xff);
	EXPECT_TRUE(map_word_is_zero(word));
	EXPECT_EQ(map_word_raw(word), map_word_raw(map_word_durable(word)));
	word = map_word_with_pieces(word, 0xf0, 0xff);
	EXPECT_FALSE(map_word_is_zero(word));
	EXPECT_EQ(0xff, map_word_mask(word));
	word = map_word_with_room(MAP_WORD_NONE, to_dchunk(0));
	EXPECT_FALSE(map_word_is_known(word));
	EXPECT_EQ(0, map_word_raw(map_word_durable(word)));
}

TEST(names)
{
	char field[COWSTACK_NAME_SIZE];
	char name[COWSTACK_NAME_SIZE + 1];

	memset(name, 'a', sizeof(name));
	name[COWSTACK_NAME_SIZE] = '\0';
	EXPECT_FALSE(cowstack_name_is_valid(name));
	name[COWSTACK_NAME_SIZE - 1] = '\0';
	EXPECT_TRUE(cowstack_name_is_valid(name));
	EXPECT_TRUE(cowstack_name_is_valid("a"));
	EXPECT_TRUE(cowstack_name_is_valid("Az09._+-"));
	EXPECT_FALSE(cowstack_name_is_valid(""));
	EXPECT_FALSE(cowstack_name_is_valid("-a"));
	EXPECT_FALSE(cowstack_name_is_valid("a b"));
	EXPECT_FALSE(cowstack_name_is_valid("a/b"));
	EXPECT_FALSE(cowstack_name_is_valid("\xc3\xa4"));
	cowstack_name_copy(field, name);
	EXPECT_EQ(0, strcmp(field, name));
	cowstack_name_copy(field, NULL);
	EXPECT_EQ('\0', field[0]);
}

TEST_HARNESS_MAIN
