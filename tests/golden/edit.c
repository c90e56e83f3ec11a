// SPDX-License-Identifier: GPL-2.0
/*
 * usage: edit STORE PLACE.FIELD=VALUE…
 *
 * Changes a store that is a file, and makes checksums right again, but for what an
 * edit with "raw:" in front has changed.  Places:
 *
 *   a b ab             a superblock; both
 *   index:N            the Nth block of the index, from 0
 *   step:N             the Nth block of the journal from its tail, from 0
 *   index/TYPE:N       the Nth record of that type in the index, from 0
 *   journal/TYPE:N     … in the journal
 *   page:N             the page of words that the Nth PAGE record names; fields are
 *                      numbers of words
 *   block:N            any block; fields are numbers of 8 bytes
 *   wipe:N             zeroes over any blocks from the Nth on; the field is "count"
 *
 * An N of -1 is the last.
 *
 * A VALUE is a number, +N or -N for one that is so much more or less than what is
 * there, or 'TEXT, in which \xHH is a byte, with zero bytes behind it.
 */
#include <stdio.h>

#include "store_bytes.h"

struct field {
	const char *structure;
	const char *name;
	u32 offset;
	u32 bytes;
};

#define FIELD(s, field, bytes) \
	{ #s, #field, offsetof(struct disk_##s, field), bytes }

static const struct field fields[] = {
	FIELD(block_header, magic, 4), FIELD(block_header, crc, 4),
	FIELD(block_header, uuid, 16), FIELD(block_header, place, 8),
	FIELD(block_header, sequence, 8), FIELD(block_header, nonce, 8),
	FIELD(superblock, version, 4), FIELD(superblock, chunk_sectors, 4),
	FIELD(superblock, compat, 8), FIELD(superblock, ro_compat, 8),
	FIELD(superblock, incompat, 8), FIELD(superblock, ring_start, 8),
	FIELD(superblock, ring_blocks, 8), FIELD(superblock, data_start, 8),
	FIELD(superblock, chunks, 8), FIELD(superblock, tail_step, 8),
	FIELD(superblock, tail_position, 8), FIELD(superblock, index_first, 8),
	FIELD(superblock, index_blocks, 8), FIELD(superblock, created, 8),
	FIELD(superblock, name, COWSTACK_NAME_SIZE),
	FIELD(record_block, used, 4), FIELD(record_block, number, 4),
	FIELD(record_block, step_blocks, 4), FIELD(record_block, step_crc, 4),
	FIELD(record_block, next, 8),
	FIELD(record, type, 2), FIELD(record, bytes, 2), FIELD(record, id, 4),
	FIELD(store_record, next_layer, 4), FIELD(store_record, chunks, 8),
	FIELD(words_record, first, 8), { "words_record", "word", 16, 8 },
	FIELD(run_record, first, 8), FIELD(run_record, count, 8),
	FIELD(page_record, page, 8), FIELD(page_record, block, 8),
	FIELD(layer_record, parent, 4), FIELD(layer_record, flags, 4),
	FIELD(layer_record, created, 8),
	FIELD(layer_record, name, COWSTACK_NAME_SIZE),
	FIELD(volume_record, top, 4), FIELD(volume_record, flags, 4),
	FIELD(volume_record, sectors, 8), FIELD(volume_record, base_sectors, 8),
	FIELD(volume_record, base_seed, 8), FIELD(volume_record, base_crc, 4),
	FIELD(volume_record, mixed_top, 4), FIELD(volume_record, base_time, 8),
	FIELD(volume_record, name, COWSTACK_NAME_SIZE),
	FIELD(volume_record, base_name, COWSTACK_NAME_SIZE),
	FIELD(volume_record, job.kind, 1), FIELD(volume_record, job.state, 1),
	FIELD(volume_record, job.on_error, 1), FIELD(volume_record, job.flags, 1),
	FIELD(volume_record, job.top, 4), FIELD(volume_record, job.base, 4),
	FIELD(volume_record, job.error, 4), FIELD(volume_record, job.speed, 8),
	FIELD(volume_record, job.until, 8), FIELD(volume_record, job.cursor, 8),
	FIELD(volume_record, job.done, 8), FIELD(volume_record, job.total, 8),
	FIELD(volume_record, job.errors, 8),
	FIELD(volume_record, job.first_error, 8),
};

static const char *const structure_of_type[RECORD_TYPES] = {
	"", "store_record", "volume_record", "record", "layer_record", "record",
	"words_record", "run_record", "run_record", "page_record", "record",
};

/* The store as it is found, before anything is changed. */
enum { MAX_BLOCKS = 512 };

struct editor {
	struct store_bytes store;
	u64 index[MAX_BLOCKS];
	u32 index_count;
	u64 ring[MAX_BLOCKS];
	u32 ring_count;
};

/* Where an edit goes. */
struct place {
	const char *structure;		/* NULL: numbers of 8 bytes */
	u8 *bytes[2];
	u32 count;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "edit: %s: %s\n", what, why);
	exit(2);
}

static struct disk_record_block *record_block(struct editor *e, u64 block)
{
	return bytes_block(&e->store, block);
}

static void find_blocks(struct editor *e)
{
	const struct disk_superblock *sb = bytes_block(&e->store,
						       COWSTACK_SUPERBLOCK_A);
	u64 place = le64_to_cpu(sb->index_first);
	u64 position = le64_to_cpu(sb->tail_position);
	u64 step = le64_to_cpu(sb->tail_step);

	for (; place && e->index_count < MAX_BLOCKS; e->index_count++) {
		e->index[e->index_count] = place;
		place = le64_to_cpu(record_block(e, place)->next);
	}
	for (; e->ring_count < MAX_BLOCKS; position++) {
		const struct disk_record_block *b;

		place = bytes_ring_block(&e->store, position);
		b = record_block(e, place);
		if (!le32_to_cpu(b->number) && e->ring_count &&
		    le64_to_cpu(b->header.sequence) == step + 1)
			step++;
		if (le32_to_cpu(b->header.magic) != COWSTACK_MAGIC_STEP ||
		    le64_to_cpu(b->header.sequence) != step)
			return;
		e->ring[e->ring_count++] = place;
	}
}

/* --- places --- */

static struct disk_record *find_record(struct editor *e, const u64 *blocks,
				       u32 count, int type, long n)
{
	struct disk_record *found = NULL, *r;
	u32 i;

	for (i = 0; i < count; i++) {
		struct disk_record_block *b = record_block(e, blocks[i]);

		for (r = NULL; (r = bytes_next_record(b, r));) {
			if (le16_to_cpu(r->type) != type)
				continue;
			found = r;
			if (!n--)
				return found;
		}
	}
	return n < 0 ? found : NULL;
}

static int type_of_name(const char *name, size_t length)
{
	int type;

	for (type = 1; type < RECORD_TYPES; type++)
		if (strlen(record_type_name[type]) == length &&
		    !strncmp(record_type_name[type], name, length))
			return type;
	die(name, "no such type of record");
	return 0;
}

/* "index/TYPE" or "journal/TYPE", the Nth */
static void find_record_place(struct editor *e, const char *text, long n,
			      struct place *place)
{
	bool journal = !strncmp(text, "journal/", 8);
	const char *name = strchr(text, '/') + 1;
	int type = type_of_name(name, strcspn(name, ":"));
	struct disk_record *r;

	r = journal ? find_record(e, e->ring, e->ring_count, type, n) :
		      find_record(e, e->index, e->index_count, type, n);
	if (!r)
		die(text, "no such record");
	place->structure = structure_of_type[type];
	place->bytes[place->count++] = (u8 *)r;
}

static void add_block(struct editor *e, struct place *place,
		      const char *structure, u64 block)
{
	place->structure = structure;
	place->bytes[place->count++] = bytes_block(&e->store, block);
}

static void find_page(struct editor *e, const char *text, long n,
		      struct place *place)
{
	struct disk_page_record *r;

	r = (void *)find_record(e, e->index, e->index_count,
				COWSTACK_RECORD_PAGE, n);
	if (!r)
		die(text, "no such page");
	add_block(e, place, NULL, le64_to_cpu(r->block));
}

static void find_place(struct editor *e, const char *text, struct place *place)
{
	const char *colon = strchr(text, ':');
	long n = colon ? strtol(colon + 1, NULL, 0) : 0;

	if (*text == 'a')
		add_block(e, place, "superblock", COWSTACK_SUPERBLOCK_A);
	if (*text == 'b' && strncmp(text, "block:", 6))
		add_block(e, place, "superblock", COWSTACK_SUPERBLOCK_B);
	if (!strncmp(text, "ab", 2))
		add_block(e, place, "superblock", COWSTACK_SUPERBLOCK_B);
	if (place->count)
		return;
	if (strchr(text, '/')) {
		find_record_place(e, text, n, place);
		return;
	}
	if (n < 0)
		n += *text == 'i' ? e->index_count : e->ring_count;
	if (!strncmp(text, "index:", 6) && n >= 0 && n < e->index_count)
		add_block(e, place, "record_block", e->index[n]);
	else if (!strncmp(text, "step:", 5) && n >= 0 && n < e->ring_count)
		add_block(e, place, "record_block", e->ring[n]);
	else if (!strncmp(text, "page:", 5))
		find_page(e, text, n, place);
	else if (!strncmp(text, "block:", 6))
		add_block(e, place, NULL, n);
	else
		die(text, "no such place");
}

/* --- values --- */

static void put_text(u8 *bytes, u32 room, const char *text)
{
	u32 used = 0;
	unsigned int byte;

	memset(bytes, 0, room);
	while (*text && used < room) {
		if (sscanf(text, "\\x%2x", &byte) == 1) {
			bytes[used++] = byte;
			text += 4;
		} else {
			bytes[used++] = *text++;
		}
	}
}

/* A little-endian number of any width. */
static u64 get_number(const u8 *bytes, u32 width)
{
	u64 number = 0;

	while (width--)
		number = number << 8 | bytes[width];
	return number;
}

static void put_number(u8 *bytes, u32 width, u64 number)
{
	u32 i;

	for (i = 0; i < width; i++)
		bytes[i] = number >> 8 * i;
}

static void put_value(u8 *bytes, u32 width, const char *text)
{
	u64 number;

	if (*text == '\'') {
		put_text(bytes, width, text + 1);
		return;
	}
	width = min(width, 8);
	number = strtoull(text + (*text == '+' || *text == '-'), NULL, 0);
	if (*text == '+')
		number = get_number(bytes, width) + number;
	else if (*text == '-')
		number = get_number(bytes, width) - number;
	put_number(bytes, width, number);
}

/* Blocks and records begin with a header of their own; NULL: it has none such. */
static const struct field *find_field_of(const char *structure, const char *name)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].structure, structure) &&
		    !strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static const struct field *find_field(const char *structure, const char *name)
{
	const struct field *field = find_field_of(structure, name);
	bool record = strstr(structure, "record") &&
		      strcmp(structure, "record_block");

	if (!field && !strncmp(name, "header.", 7))
		field = find_field_of(record ? "record" : "block_header",
				      name + 7);
	if (!field)
		die(name, "no such field there");
	return field;
}

static void wipe(struct editor *e, u64 block, u64 count)
{
	for (; count--; block++)
		memset(bytes_block(&e->store, block), 0, COWSTACK_BLOCK_SIZE);
}

/* PLACE.FIELD=VALUE; a PLACE has no point in it. */
static void edit(struct editor *e, char *text)
{
	char *name = strchr(text, '.');
	char *value = name ? strchr(name, '=') : NULL;
	struct place place = { };
	u32 i, offset, width = 8;

	if (!value)
		die(text, "no PLACE.FIELD=VALUE");
	*name++ = 0;
	*value++ = 0;
	if (!strncmp(text, "wipe:", 5)) {
		wipe(e, strtoull(text + 5, NULL, 0), strtoull(value, NULL, 0));
		return;
	}
	find_place(e, text, &place);
	if (place.structure) {
		const struct field *field = find_field(place.structure, name);

		offset = field->offset;
		width = field->bytes;
	} else {
		offset = strtoul(name, NULL, 0) * 8;
		if (offset > COWSTACK_BLOCK_SIZE - 8)
			die(name, "is behind the block's end");
	}
	for (i = 0; i < place.count; i++)
		put_value(place.bytes[i] + offset, width, value);
}

/* --- checksums --- */

static u32 used_of(const struct disk_record_block *block)
{
	return min_t(u32, le32_to_cpu(block->used), sizeof(block->records));
}

static void seal_superblock(struct editor *e, u64 place)
{
	struct disk_superblock *sb = bytes_block(&e->store, place);

	sb->header.crc = cpu_to_le32(cowstack_block_crc(sb, sizeof(*sb)));
}

static void seal_block(struct disk_record_block *block)
{
	u32 used = offsetof(struct disk_record_block, records) + used_of(block);

	block->header.crc = cpu_to_le32(cowstack_block_crc(block, used));
}

static void seal_pages(struct editor *e)
{
	struct disk_record *r;
	u32 i, crc;

	for (i = 0; i < e->index_count; i++) {
		struct disk_record_block *b = record_block(e, e->index[i]);

		for (r = NULL; (r = bytes_next_record(b, r));) {
			struct disk_page_record *page = (void *)r;
			u64 place = le64_to_cpu(page->block);

			if (le16_to_cpu(r->type) != COWSTACK_RECORD_PAGE ||
			    place >= e->store.sectors / COWSTACK_BLOCK_SECTORS)
				continue;
			crc = environment_crc32(0, bytes_block(&e->store, place),
						COWSTACK_BLOCK_SIZE);
			page->crc = cpu_to_le32(crc);
		}
		seal_block(b);
	}
}

/* A step's blocks as they were found: from a number 0 to the next. */
static void seal_steps(struct editor *e, const u32 *numbers)
{
	u32 first, end, i, crc;

	for (first = 0; first < e->ring_count; first = end) {
		crc = 0;
		for (end = first; end < e->ring_count &&
		     (end == first || numbers[end]); end++) {
			struct disk_record_block *b = record_block(e, e->ring[end]);

			crc = environment_crc32(crc, b->records, used_of(b));
		}
		for (i = first; i < end; i++) {
			struct disk_record_block *b = record_block(e, e->ring[i]);

			b->step_crc = cpu_to_le32(crc);
			seal_block(b);
		}
	}
}

int main(int argc, char **argv)
{
	static struct editor e;
	static u32 numbers[MAX_BLOCKS];
	u32 i;

	if (argc < 3)
		die("usage", "edit STORE PLACE.FIELD=VALUE…");
	bytes_read(&e.store, argv[1]);
	find_blocks(&e);
	for (i = 0; i < e.ring_count; i++)
		numbers[i] = le32_to_cpu(record_block(&e, e.ring[i])->number);
	for (i = 2; i < argc; i++)
		if (strncmp(argv[i], "raw:", 4))
			edit(&e, argv[i]);
	seal_pages(&e);
	seal_steps(&e, numbers);
	seal_superblock(&e, COWSTACK_SUPERBLOCK_A);
	seal_superblock(&e, COWSTACK_SUPERBLOCK_B);
	for (i = 2; i < argc; i++)
		if (!strncmp(argv[i], "raw:", 4))
			edit(&e, argv[i] + 4);
	bytes_write(&e.store, argv[1]);
	bytes_free(&e.store);
	return 0;
}
