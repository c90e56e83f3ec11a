// SPDX-License-Identifier: GPL-2.0
#include "format.h"
#include "map_word.h"

/* Every size and every offset of the format, asserted in this one place. */
#define ASSERT_SIZE(type, bytes) \
	static_assert(sizeof(struct type) == (bytes), #type)
#define ASSERT_OFFSET(type, field, bytes) \
	static_assert(offsetof(struct type, field) == (bytes), #type "." #field)

ASSERT_SIZE(disk_block_header, 48);
ASSERT_OFFSET(disk_block_header, magic, 0);
ASSERT_OFFSET(disk_block_header, crc, 4);
ASSERT_OFFSET(disk_block_header, uuid, 8);
ASSERT_OFFSET(disk_block_header, place, 24);
ASSERT_OFFSET(disk_block_header, sequence, 32);
ASSERT_OFFSET(disk_block_header, nonce, 40);
ASSERT_SIZE(disk_superblock, COWSTACK_BLOCK_SIZE);
ASSERT_OFFSET(disk_superblock, version, 48);
ASSERT_OFFSET(disk_superblock, chunk_sectors, 52);
ASSERT_OFFSET(disk_superblock, compat, 56);
ASSERT_OFFSET(disk_superblock, ro_compat, 64);
ASSERT_OFFSET(disk_superblock, incompat, 72);
ASSERT_OFFSET(disk_superblock, ring_start, 80);
ASSERT_OFFSET(disk_superblock, ring_blocks, 88);
ASSERT_OFFSET(disk_superblock, data_start, 96);
ASSERT_OFFSET(disk_superblock, chunks, 104);
ASSERT_OFFSET(disk_superblock, tail_step, 112);
ASSERT_OFFSET(disk_superblock, tail_position, 120);
ASSERT_OFFSET(disk_superblock, index_first, 128);
ASSERT_OFFSET(disk_superblock, index_blocks, 136);
ASSERT_OFFSET(disk_superblock, created, 144);
ASSERT_OFFSET(disk_superblock, name, 152);
ASSERT_OFFSET(disk_superblock, reserved, 216);
ASSERT_SIZE(disk_record_block, COWSTACK_BLOCK_SIZE);
ASSERT_OFFSET(disk_record_block, used, 48);
ASSERT_OFFSET(disk_record_block, number, 52);
ASSERT_OFFSET(disk_record_block, step_blocks, 56);
ASSERT_OFFSET(disk_record_block, step_crc, 60);
ASSERT_OFFSET(disk_record_block, next, 56);
ASSERT_OFFSET(disk_record_block, records, 64);
ASSERT_SIZE(disk_record, 8);
ASSERT_OFFSET(disk_record, type, 0);
ASSERT_OFFSET(disk_record, bytes, 2);
ASSERT_OFFSET(disk_record, id, 4);
ASSERT_SIZE(disk_store_record, 24);
ASSERT_OFFSET(disk_store_record, next_layer, 8);
ASSERT_OFFSET(disk_store_record, reserved, 12);
ASSERT_OFFSET(disk_store_record, chunks, 16);
ASSERT_SIZE(disk_words_record, 16);
ASSERT_OFFSET(disk_words_record, first, 8);
ASSERT_OFFSET(disk_words_record, words, 16);
ASSERT_SIZE(disk_run_record, 24);
ASSERT_OFFSET(disk_run_record, first, 8);
ASSERT_OFFSET(disk_run_record, count, 16);
ASSERT_SIZE(disk_page_record, 32);
ASSERT_OFFSET(disk_page_record, page, 8);
ASSERT_OFFSET(disk_page_record, block, 16);
ASSERT_OFFSET(disk_page_record, crc, 24);
ASSERT_OFFSET(disk_page_record, reserved, 28);
ASSERT_SIZE(disk_layer_record, 96);
ASSERT_OFFSET(disk_layer_record, parent, 8);
ASSERT_OFFSET(disk_layer_record, flags, 12);
ASSERT_OFFSET(disk_layer_record, created, 16);
ASSERT_OFFSET(disk_layer_record, reserved, 24);
ASSERT_OFFSET(disk_layer_record, name, 32);
ASSERT_SIZE(disk_job_record, 80);
ASSERT_OFFSET(disk_job_record, kind, 0);
ASSERT_OFFSET(disk_job_record, state, 1);
ASSERT_OFFSET(disk_job_record, on_error, 2);
ASSERT_OFFSET(disk_job_record, flags, 3);
ASSERT_OFFSET(disk_job_record, top, 4);
ASSERT_OFFSET(disk_job_record, base, 8);
ASSERT_OFFSET(disk_job_record, error, 12);
ASSERT_OFFSET(disk_job_record, speed, 16);
ASSERT_OFFSET(disk_job_record, until, 24);
ASSERT_OFFSET(disk_job_record, cursor, 32);
ASSERT_OFFSET(disk_job_record, done, 40);
ASSERT_OFFSET(disk_job_record, total, 48);
ASSERT_OFFSET(disk_job_record, errors, 56);
ASSERT_OFFSET(disk_job_record, first_error, 64);
ASSERT_OFFSET(disk_job_record, reserved, 72);
ASSERT_SIZE(disk_volume_record, 328);
ASSERT_OFFSET(disk_volume_record, top, 8);
ASSERT_OFFSET(disk_volume_record, flags, 12);
ASSERT_OFFSET(disk_volume_record, sectors, 16);
ASSERT_OFFSET(disk_volume_record, base_sectors, 24);
ASSERT_OFFSET(disk_volume_record, base_seed, 32);
ASSERT_OFFSET(disk_volume_record, base_crc, 40);
ASSERT_OFFSET(disk_volume_record, mixed_top, 44);
ASSERT_OFFSET(disk_volume_record, base_time, 48);
ASSERT_OFFSET(disk_volume_record, name, 56);
ASSERT_OFFSET(disk_volume_record, base_name, 120);
ASSERT_OFFSET(disk_volume_record, job, 184);
ASSERT_OFFSET(disk_volume_record, reserved, 264);

static bool chunk_size_is_valid(u32 sectors)
{
	return is_power_of_2(sectors) &&
	       sectors >= COWSTACK_MIN_CHUNK_SECTORS &&
	       sectors <= COWSTACK_MAX_CHUNK_SECTORS;
}

static void set_chunk_size(struct cowstack_geometry *g, u32 sectors)
{
	g->chunk_sectors = sectors;
	g->chunk_shift = ilog2(sectors);
	g->pieces = min_t(u32, sectors, COWSTACK_MAX_PIECES);
	g->piece_shift = g->chunk_shift - ilog2(g->pieces);
	g->full_mask = (1u << g->pieces) - 1;
	g->chunk_blocks = sectors / COWSTACK_BLOCK_SECTORS;
}

u64 cowstack_geometry_chunks(const struct cowstack_geometry *g,
			     u64 device_sectors)
{
	if (device_sectors < g->data_start)
		return 0;
	return (device_sectors - g->data_start) >> g->chunk_shift;
}

/*
 * Metadata takes 1 MiB or a thousandth of the device, whichever is more, up to
 * the largest ring that is of use; the rest grows with what is mapped.
 */
int cowstack_geometry_init(struct cowstack_geometry *g, u64 device_sectors,
			   u32 chunk_sectors)
{
	u64 blocks = device_sectors / COWSTACK_BLOCK_SECTORS;
	u64 metadata;

	if (!chunk_size_is_valid(chunk_sectors))
		return -EINVAL;
	set_chunk_size(g, chunk_sectors);

	/* Whole MiB, so that chunks of any size start aligned. */
	metadata = div_u64(blocks, 1024 * COWSTACK_MIN_METADATA_BLOCKS) *
		   COWSTACK_MIN_METADATA_BLOCKS;
	metadata = max_t(u64, metadata, COWSTACK_MIN_METADATA_BLOCKS);
	metadata = min_t(u64, metadata,
			 COWSTACK_MAX_RING_BLOCKS +
				 COWSTACK_MIN_METADATA_BLOCKS);
	g->ring_start = to_mblock(COWSTACK_RING_START);
	g->ring_blocks = min_t(u64, metadata - COWSTACK_RING_START,
			       COWSTACK_MAX_RING_BLOCKS);
	g->data_start = metadata * COWSTACK_BLOCK_SECTORS;
	g->chunks = cowstack_geometry_chunks(g, device_sectors);
	if (g->chunks < COWSTACK_MIN_CHUNKS)
		return -ENOSPC;
	if (g->chunks > MAP_WORD_MAX_CHUNKS)
		return -EFBIG;
	return 0;
}

u32 cowstack_block_crc(const void *block, size_t used)
{
	const struct disk_block_header *header = block;
	static const u8 no_crc[sizeof(header->crc)];
	const u8 *bytes = block;
	const size_t behind = offsetof(struct disk_block_header, uuid);
	u32 crc;

	crc = environment_crc32(0, bytes,
				offsetof(struct disk_block_header, crc));
	crc = environment_crc32(crc, no_crc, sizeof(no_crc));
	return environment_crc32(crc, bytes + behind, used - behind);
}

bool cowstack_name_is_valid(const char *name)
{
	size_t i;

	if (!name[0] || name[0] == '-')
		return false;
	for (i = 0; name[i]; i++) {
		char c = name[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '.' || c == '_' ||
			    c == '+' || c == '-';

		if (!good || i + 1 >= COWSTACK_NAME_SIZE)
			return false;
	}
	return true;
}

void cowstack_name_copy(char field[COWSTACK_NAME_SIZE], const char *name)
{
	memset(field, 0, COWSTACK_NAME_SIZE);
	if (name)
		memcpy(field, name,
		       min_t(size_t, strlen(name), COWSTACK_NAME_SIZE - 1));
}

void cowstack_superblock_encode(const struct cowstack_superblock *sb,
				u64 place, struct disk_superblock *block)
{
	const struct cowstack_geometry *g = &sb->geometry;

	memset(block, 0, sizeof(*block));
	block->header.magic = cpu_to_le32(COWSTACK_MAGIC_SUPERBLOCK);
	memcpy(block->header.uuid, sb->uuid, sizeof(sb->uuid));
	block->header.place = cpu_to_le64(place);
	block->header.sequence = cpu_to_le64(sb->sequence);
	block->version = cpu_to_le32(COWSTACK_FORMAT_VERSION);
	block->chunk_sectors = cpu_to_le32(g->chunk_sectors);
	block->compat = cpu_to_le64(sb->compat);
	block->ro_compat = cpu_to_le64(sb->ro_compat);
	block->incompat = cpu_to_le64(sb->incompat);
	block->ring_start = cpu_to_le64(from_mblock(g->ring_start));
	block->ring_blocks = cpu_to_le64(g->ring_blocks);
	block->data_start = cpu_to_le64(g->data_start);
	block->chunks = cpu_to_le64(g->chunks);
	block->tail_step = cpu_to_le64(sb->tail_step);
	block->tail_position = cpu_to_le64(sb->tail_position);
	block->index_first = cpu_to_le64(from_mblock(sb->index_first));
	block->index_blocks = cpu_to_le64(sb->index_blocks);
	block->created = cpu_to_le64(sb->created);
	memcpy(block->name, sb->name, sizeof(sb->name));
	block->header.crc = cpu_to_le32(cowstack_block_crc(block,
							   sizeof(*block)));
}

static const char *check_geometry(struct cowstack_geometry *g,
				  const struct disk_superblock *block,
				  u64 device_sectors)
{
	u64 ring_start = le64_to_cpu(block->ring_start);
	u64 ring_blocks = le64_to_cpu(block->ring_blocks);
	u64 data_start = le64_to_cpu(block->data_start);
	u64 chunks = le64_to_cpu(block->chunks);

	if (!chunk_size_is_valid(le32_to_cpu(block->chunk_sectors)))
		return "chunk size is not a power of two from 4 KiB to 1 MiB";
	set_chunk_size(g, le32_to_cpu(block->chunk_sectors));
	if (ring_start != COWSTACK_RING_START ||
	    ring_blocks < COWSTACK_MIN_METADATA_BLOCKS - COWSTACK_RING_START ||
	    ring_blocks > COWSTACK_MAX_RING_BLOCKS)
		return "journal ring is out of range";
	if (data_start % COWSTACK_MAX_CHUNK_SECTORS ||
	    data_start / COWSTACK_BLOCK_SECTORS < ring_start + ring_blocks ||
	    data_start > device_sectors)
		return "data area overlaps the metadata or the device's end";
	g->ring_start = to_mblock(ring_start);
	g->ring_blocks = ring_blocks;
	g->data_start = data_start;
	g->chunks = chunks;
	if (chunks < COWSTACK_MIN_CHUNKS || chunks > MAP_WORD_MAX_CHUNKS)
		return "number of chunks is out of range";
	if (chunks > cowstack_geometry_chunks(g, device_sectors))
		return "device is smaller than its superblock says";
	return NULL;
}

static const char *check_places(const struct cowstack_superblock *sb)
{
	const struct cowstack_geometry *g = &sb->geometry;
	u64 first = from_mblock(sb->index_first);
	u64 data = g->data_start / COWSTACK_BLOCK_SECTORS;
	u64 blocks = g->chunks * g->chunk_blocks;

	if (!first != !sb->index_blocks)
		return "index has a place without a length";
	if (first && (first < data || first - data >= blocks ||
		      sb->index_blocks > blocks))
		return "index is out of range";
	if (!sb->tail_step || sb->tail_step > U64_MAX / 2 ||
	    sb->tail_position > U64_MAX / 2 || sb->sequence > U64_MAX / 2)
		return "a sequence number is out of range";
	return NULL;
}

int cowstack_superblock_decode(struct cowstack_superblock *sb,
			       const struct disk_superblock *block, u64 place,
			       u64 device_sectors, const char **why)
{
	struct cowstack_superblock new = { };

	*why = "no store";
	if (le32_to_cpu(block->header.magic) != COWSTACK_MAGIC_SUPERBLOCK)
		return -EINVAL;
	*why = "superblock has a bad checksum";
	if (le32_to_cpu(block->header.crc) !=
	    cowstack_block_crc(block, sizeof(*block)))
		return -EUCLEAN;
	*why = "superblock is not in its place";
	if (le64_to_cpu(block->header.place) != place)
		return -EUCLEAN;
	*why = "format version is not known";
	if (le32_to_cpu(block->version) != COWSTACK_FORMAT_VERSION)
		return -EOPNOTSUPP;
	new.compat = le64_to_cpu(block->compat);
	new.ro_compat = le64_to_cpu(block->ro_compat);
	new.incompat = le64_to_cpu(block->incompat);
	*why = "an incompatible feature is not known";
	if (new.incompat & ~COWSTACK_FEATURES_INCOMPAT)
		return -EOPNOTSUPP;

	memcpy(new.uuid, block->header.uuid, sizeof(new.uuid));
	memcpy(new.name, block->name, sizeof(new.name));
	new.sequence = le64_to_cpu(block->header.sequence);
	new.created = le64_to_cpu(block->created);
	new.tail_step = le64_to_cpu(block->tail_step);
	new.tail_position = le64_to_cpu(block->tail_position);
	new.index_first = to_mblock(le64_to_cpu(block->index_first));
	new.index_blocks = le64_to_cpu(block->index_blocks);

	*why = "name is not a name";
	if (new.name[COWSTACK_NAME_SIZE - 1] ||
	    (new.name[0] && !cowstack_name_is_valid(new.name)))
		return -EUCLEAN;
	*why = check_geometry(&new.geometry, block, device_sectors);
	if (*why)
		return -EUCLEAN;
	*why = check_places(&new);
	if (*why)
		return -EUCLEAN;
	*sb = new;
	return 0;
}

int cowstack_word_decode(const struct cowstack_geometry *g, u64 raw,
			 map_word_t *word)
{
	map_word_t w = map_word_from_raw(raw);
	u16 mask = map_word_mask(w);

	if (raw & (BIT_ULL(MAP_WORD_RESERVED_BIT) |
		   BIT_ULL(MAP_WORD_RESERVED_BIT + 1)))
		return -EUCLEAN;
	/* A copy of nothing: letting go of it is what a writer would do. */
	if (map_word_is_clean(w) && !mask)
		return -EUCLEAN;
	if (mask & ~g->full_mask)
		return -EUCLEAN;
	if (!mask != !map_word_has_chunk(w))
		return -EUCLEAN;
	if (mask == g->full_mask && map_word_is_zero(w))
		return -EUCLEAN;
	if (mask && from_dchunk(map_word_chunk(w)) >= g->chunks)
		return -EUCLEAN;
	*word = w;
	return 0;
}
