// SPDX-License-Identifier: GPL-2.0
#include "store_parts.h"

#define RECORDS_AT offsetof(struct disk_record_block, records)
#define RECORD_ROOM (COWSTACK_BLOCK_SIZE - RECORDS_AT)

/* What a block was built as, to be sealed again after it was edited. */
struct built_block {
	enum part_kind kind;
	u32 first;		/* of a step: its first block, by part */
	u32 place;
};

struct builder {
	const struct parts *parts;
	struct store_image *image;
	struct disk_superblock truth;	/* the first superblock part's fields */
	u64 ring_blocks;
	struct built_block blocks[FUZZ_MAX_PARTS + 2];
	u32 count;
};

/* --- inputs --- */

void parts_parse(struct parts *parts, const u8 *data, size_t size)
{
	size_t at = 0;

	parts->count = 0;
	while (size - at >= PART_HEADER && parts->count < FUZZ_MAX_PARTS) {
		struct part *part = &parts->part[parts->count++];
		size_t bytes = data[at + 2] | data[at + 3] << 8;

		part->kind = data[at] % PART_KINDS;
		part->flags = data[at + 1];
		at += PART_HEADER;
		part->data = data + at;
		bytes = min(bytes, size - at);
		part->bytes = min_t(size_t, bytes, PART_MAX_BYTES);
		at += part->bytes;
	}
}

size_t parts_print(const struct parts *parts, u8 *data, size_t room)
{
	size_t at = 0;
	u32 i;

	for (i = 0; i < parts->count; i++) {
		const struct part *part = &parts->part[i];

		if (room - at < (size_t)PART_HEADER + part->bytes)
			continue;
		data[at] = part->kind;
		data[at + 1] = part->flags;
		data[at + 2] = part->bytes;
		data[at + 3] = part->bytes >> 8;
		if (part->bytes)
			memcpy(data + at + PART_HEADER, part->data,
			       part->bytes);
		at += PART_HEADER + part->bytes;
	}
	return at;
}

/* --- building --- */

static void *block_at(struct builder *b, u32 place)
{
	return image_block(b->image, place);
}

/* A block's place is its writer's choice, but for those of superblocks and ring. */
static bool place_is_possible(u64 place)
{
	return place >= COWSTACK_RING_START && place < FUZZ_STORE_BLOCKS;
}

static struct built_block *add_block(struct builder *b, enum part_kind kind,
				     u32 place)
{
	struct built_block *block = &b->blocks[b->count];

	block->kind = kind;
	block->place = place;
	block->first = b->count++;
	return block;
}

static const struct part *find_part(const struct parts *parts,
				    enum part_kind kind)
{
	u32 i;

	for (i = 0; i < parts->count; i++)
		if (parts->part[i].kind == kind)
			return &parts->part[i];
	return NULL;
}

static void read_superblock(const struct parts *parts,
			    struct disk_superblock *sb)
{
	const struct part *part = find_part(parts, PART_SUPERBLOCK);
	u32 bytes;

	memset(sb, 0, sizeof(*sb));
	sb->header.magic = cpu_to_le32(COWSTACK_MAGIC_SUPERBLOCK);
	memset(sb->header.uuid, 7, sizeof(sb->header.uuid));
	if (!part || part->bytes < 8)
		return;
	sb->header.sequence = cpu_to_le64(part_number(part, 0, 8));
	bytes = min_t(u32, part->bytes - 8, SUPERBLOCK_END - SUPERBLOCK_FIRST);
	memcpy((u8 *)sb + SUPERBLOCK_FIRST, part->data + 8, bytes);
}

static u64 ring_blocks_of(const struct disk_superblock *sb)
{
	u64 blocks = le64_to_cpu(sb->ring_blocks);

	return blocks && blocks < FUZZ_STORE_BLOCKS - COWSTACK_RING_START ?
		       blocks : 1;
}

static u32 ring_place(const struct disk_superblock *sb, u64 number)
{
	return COWSTACK_RING_START +
	       (le64_to_cpu(sb->tail_position) + number) % ring_blocks_of(sb);
}

static void build_superblocks(struct builder *b)
{
	static const u32 places[] = {
		COWSTACK_SUPERBLOCK_A, COWSTACK_SUPERBLOCK_B
	};
	const struct part *part = find_part(b->parts, PART_SUPERBLOCK);
	u32 i;

	for (i = 0; i < 2; i++) {
		struct disk_superblock *sb = block_at(b, places[i]);

		if (part && part->flags & (i ? PART_ONLY_A : PART_ONLY_B))
			continue;
		*sb = b->truth;
		sb->header.place = cpu_to_le64(places[i]);
		add_block(b, PART_SUPERBLOCK, places[i]);
	}
}

static struct disk_record_block *begin_block(struct builder *b, u32 magic,
					     u32 place, u64 sequence)
{
	struct disk_record_block *block = block_at(b, place);

	memset(block, 0, sizeof(*block));
	block->header.magic = cpu_to_le32(magic);
	memcpy(block->header.uuid, b->truth.header.uuid,
	       sizeof(block->header.uuid));
	block->header.place = cpu_to_le64(place);
	block->header.sequence = cpu_to_le64(sequence);
	return block;
}

static void fill_records(struct disk_record_block *block,
			 const struct part *part, u32 from)
{
	u32 bytes = part->bytes > from ? part->bytes - from : 0;

	bytes = min_t(u32, bytes, RECORD_ROOM);
	if (bytes)
		memcpy(block->records, part->data + from, bytes);
	block->used = cpu_to_le32(bytes);
}

static void build_index(struct builder *b)
{
	struct disk_record_block *block = NULL;
	u32 i;

	for (i = 0; i < b->parts->count; i++) {
		const struct part *part = &b->parts->part[i];
		u64 place = part_number(part, 0, 4);

		if (part->kind != PART_INDEX || !place_is_possible(place))
			continue;
		if (block)
			block->next = cpu_to_le64(place);
		block = begin_block(b, COWSTACK_MAGIC_INDEX, place,
				    le64_to_cpu(b->truth.tail_step));
		fill_records(block, part, 4);
		add_block(b, PART_INDEX, place);
	}
}

static void build_page(struct builder *b, const struct part *part)
{
	u64 place = part_number(part, 0, 4);
	__le64 *words;
	u32 at;

	if (!place_is_possible(place))
		return;
	words = block_at(b, place);
	memset(words, 0, COWSTACK_BLOCK_SIZE);
	for (at = 4; at + PAGE_ENTRY <= part->bytes; at += PAGE_ENTRY) {
		u32 slot = part_number(part, at, 2);
		u32 count = part_number(part, at + 2, 2);

		for (; count && slot < COWSTACK_PAGE_CHUNKS; count--, slot++)
			memcpy(&words[slot], part->data + at + 4, 8);
	}
	add_block(b, PART_PAGE, place);
}

static void build_steps(struct builder *b)
{
	u64 sequence = le64_to_cpu(b->truth.tail_step), number = 0;
	u32 first = 0, i;
	bool begun = false;

	for (i = 0; i < b->parts->count; i++) {
		const struct part *part = &b->parts->part[i];
		struct disk_record_block *block;
		u32 place = ring_place(&b->truth, number);

		if (part->kind != PART_STEP || number == b->ring_blocks)
			continue;
		number++;
		if (begun && !(part->flags & PART_CONTINUES))
			sequence++;
		if (!begun || !(part->flags & PART_CONTINUES))
			first = b->count;
		begun = true;
		block = begin_block(b, COWSTACK_MAGIC_STEP, place, sequence);
		fill_records(block, part, 0);
		block->header.nonce = cpu_to_le64(1);
		block->number = cpu_to_le32(b->count - first);
		add_block(b, PART_STEP, place)->first = first;
	}
}

/* --- checksums --- */

static u32 used_bytes(const struct disk_record_block *block)
{
	return min_t(u32, le32_to_cpu(block->used), RECORD_ROOM);
}

static void seal_block(struct disk_record_block *block)
{
	block->header.crc = cpu_to_le32(cowstack_block_crc(block, RECORDS_AT +
							   used_bytes(block)));
}

/* @edited: the number of blocks is what it says. */
static void seal_step(struct builder *b, u32 first, bool edited)
{
	u32 end = first, crc = 0, i;

	while (end < b->count && b->blocks[end].kind == PART_STEP &&
	       b->blocks[end].first == first) {
		struct disk_record_block *block = block_at(b, b->blocks[end++].place);

		crc = environment_crc32(crc, block->records, used_bytes(block));
	}
	for (i = first; i < end; i++) {
		struct disk_record_block *block = block_at(b, b->blocks[i].place);

		if (!edited)
			block->step_blocks = cpu_to_le32(end - first);
		block->step_crc = cpu_to_le32(crc);
		seal_block(block);
	}
}

/* The records that name the page at @place get its checksum. */
static void seal_page_in(struct builder *b, struct disk_record_block *block,
			 u64 place)
{
	u32 crc = environment_crc32(0, block_at(b, place), COWSTACK_BLOCK_SIZE);
	u32 used = used_bytes(block), at;

	for (at = 0; at + sizeof(struct disk_page_record) <= used;) {
		struct disk_page_record *r = (void *)(block->records + at);

		if (le16_to_cpu(r->header.type) == COWSTACK_RECORD_PAGE &&
		    le64_to_cpu(r->block) == place)
			r->crc = cpu_to_le32(crc);
		at += max(8, le16_to_cpu(r->header.bytes) & ~7);
	}
}

static void seal_pages(struct builder *b)
{
	u32 i, k;

	for (i = 0; i < b->count; i++) {
		struct disk_record_block *block = block_at(b, b->blocks[i].place);

		if (b->blocks[i].kind != PART_INDEX)
			continue;
		for (k = 0; k < b->count; k++)
			if (b->blocks[k].kind == PART_PAGE)
				seal_page_in(b, block, b->blocks[k].place);
		seal_block(block);
	}
}

static void seal_superblock(struct builder *b, u32 place)
{
	struct disk_superblock *sb = block_at(b, place);

	sb->header.crc = cpu_to_le32(cowstack_block_crc(sb, sizeof(*sb)));
}

static void seal(struct builder *b, u32 i, bool edited)
{
	switch (b->blocks[i].kind) {
	case PART_SUPERBLOCK:
		seal_superblock(b, b->blocks[i].place);
		break;
	case PART_STEP:
		seal_step(b, b->blocks[i].first, edited);
		break;
	default:
		seal_pages(b);
	}
}

static void edit(struct builder *b, const struct part *part)
{
	u64 place = part_number(part, 0, 4);
	u32 offset = part_number(part, 4, 2) % COWSTACK_BLOCK_SIZE;
	u32 bytes, i;

	if (place >= FUZZ_STORE_BLOCKS || part->bytes < 6)
		return;
	bytes = min_t(u32, part->bytes - 6, COWSTACK_BLOCK_SIZE - offset);
	memcpy((u8 *)block_at(b, place) + offset, part->data + 6, bytes);
	if (part->flags & PART_NO_REPAIR)
		return;
	for (i = 0; i < b->count; i++)
		if (b->blocks[i].place == place)
			seal(b, i, true);
}

void parts_build(const struct parts *parts, struct store_image *image)
{
	struct builder b = { .parts = parts, .image = image };
	u32 i;

	memset(image->bytes, 0, FUZZ_STORE_SECTORS * 512);
	read_superblock(parts, &b.truth);
	b.ring_blocks = ring_blocks_of(&b.truth);
	build_superblocks(&b);
	build_index(&b);
	for (i = 0; i < parts->count; i++)
		if (parts->part[i].kind == PART_PAGE)
			build_page(&b, &parts->part[i]);
	build_steps(&b);
	for (i = 0; i < b.count; i++)
		if (b.blocks[i].kind == PART_SUPERBLOCK ||
		    (b.blocks[i].kind == PART_STEP && b.blocks[i].first == i))
			seal(&b, i, false);
	seal_pages(&b);
	for (i = 0; i < parts->count; i++)
		if (parts->part[i].kind == PART_EDIT)
			edit(&b, &parts->part[i]);
}

u32 parts_places(const struct parts *parts, enum part_kind kind, u32 *places)
{
	struct disk_superblock sb;
	u32 count = 0, i;

	if (kind == PART_SUPERBLOCK) {
		places[0] = COWSTACK_SUPERBLOCK_A;
		places[1] = COWSTACK_SUPERBLOCK_B;
		return 2;
	}
	read_superblock(parts, &sb);
	for (i = 0; i < parts->count; i++) {
		const struct part *part = &parts->part[i];

		if (part->kind != kind)
			continue;
		places[count] = kind == PART_STEP ? ring_place(&sb, count) :
						    part_number(part, 0, 4);
		count++;
	}
	return count;
}
