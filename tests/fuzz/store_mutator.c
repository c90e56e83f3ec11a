// SPDX-License-Identifier: GPL-2.0
/*
 * Mutations that know what an input is: records are changed as records, words as
 * words, and the rest of a store stays what it is.
 */
#include "fuzz.h"
#include "mutation.h"
#include "store_mutator.h"
#include "store_parts.h"

#define RECORD_ROOM sizeof(((struct disk_record_block *)NULL)->records)

/* A part under change, with room to grow. */
struct draft {
	struct random *r;
	u8 bytes[PART_MAX_BYTES];
	u32 used;
	u32 header;
};

/* --- numbers --- */

static u64 get(const u8 *at, u32 bytes)
{
	u64 number = 0;

	memcpy(&number, at, bytes);
	return number;
}

static void put(u8 *at, u64 number, u32 bytes)
{
	memcpy(at, &number, bytes);
}

/* What stands at @at, a little or wholly different. */
static void change_number(struct random *r, u8 *at, u32 bytes)
{
	u64 number = get(at, bytes);

	switch (random_below(r, 5)) {
	case 0:
		number ^= 1ULL << random_below(r, 8 * bytes);
		break;
	case 1:
		number = interesting_number(r);
		break;
	case 2:
		number += random_below(r, 9) - 4;
		break;
	case 3:		/* ids, chunks, blocks, layers: such are small */
		number = random_below(r, 16);
		break;
	default:
		number = random_below(r, FUZZ_STORE_BLOCKS);
	}
	put(at, number, bytes);
}

/* --- records --- */

/* Where record @n of the draft begins; the end where there are fewer. */
static u32 record_at(const struct draft *d, u32 n)
{
	u32 at = d->header;

	while (at + 8 <= d->used && n--)
		at += max(8u, (u32)get(d->bytes + at + 2, 2) & ~7u);
	return min(at, d->used);
}

static u32 count_records(const struct draft *d)
{
	u32 n = 0;

	while (record_at(d, n) + 8 <= d->used)
		n++;
	return n;
}

static void insert_bytes(struct draft *d, u32 at, const u8 *bytes, u32 count)
{
	if (d->used + count > min((u32)PART_MAX_BYTES,
				  d->header + (u32)RECORD_ROOM))
		return;
	memmove(d->bytes + at + count, d->bytes + at, d->used - at);
	memcpy(d->bytes + at, bytes, count);
	d->used += count;
}

static void remove_bytes(struct draft *d, u32 at, u32 count)
{
	memmove(d->bytes + at, d->bytes + at + count, d->used - at - count);
	d->used -= count;
}

/* A record that says that a run of chunks is zeroes, or nothing, or is gone. */
static void insert_short_record(struct draft *d, u32 at)
{
	static const u8 types[] = {
		COWSTACK_RECORD_CLEAR, COWSTACK_RECORD_ZERO,
		COWSTACK_RECORD_VOLUME_GONE, COWSTACK_RECORD_LAYER_GONE,
		COWSTACK_RECORD_CLEAN_GONE, COWSTACK_RECORD_STORE,
	};
	u8 record[sizeof(struct disk_run_record)] = { };
	u32 kind = random_below(d->r, ARRAY_SIZE(types));
	u32 bytes = kind >= 2 && kind < 5 ? 8 : sizeof(record);

	record[0] = types[kind];
	record[2] = bytes;
	record[4] = random_below(d->r, 12);
	change_number(d->r, record + 8, 8);
	change_number(d->r, record + 16, 8);
	insert_bytes(d, at, record, bytes);
}

/* The word of a chunk: at its start the chunk's number, at its end the flags. */
static void change_word(struct random *r, u8 *word)
{
	u32 byte = random_below(r, 3) * 2;

	if (random_percent(r, 30))
		change_number(r, word, 8);
	else
		change_number(r, word + byte, 2);
}

static void change_record(struct draft *d, u32 at, u32 bytes)
{
	u32 type = get(d->bytes + at, 2);
	u32 width = 1u << random_below(d->r, 4);
	u32 place;

	if (type == COWSTACK_RECORD_WORDS && bytes >= 24 &&
	    random_percent(d->r, 60)) {
		place = 16 + 8 * random_below(d->r, bytes / 8 - 2);
		change_word(d->r, d->bytes + at + place);
		return;
	}
	/* Of the header the id, most of the time. */
	if (random_percent(d->r, 30))
		place = random_percent(d->r, 80) ? 4 : 0;
	else
		place = random_below(d->r, bytes);
	width = min(width, place == 4 ? 4 : width);
	place &= ~(width - 1);
	if (place + width <= bytes)
		change_number(d->r, d->bytes + at + place, width);
}

static void mutate_records(struct draft *d)
{
	u32 count = count_records(d);
	u32 at = record_at(d, random_below(d->r, count + 1));
	u32 other = record_at(d, random_below(d->r, count + 1));
	u32 bytes = 0;
	u8 copy[RECORD_ROOM];

	if (at + 8 <= d->used)
		bytes = min(d->used - at,
			    max(8u, (u32)get(d->bytes + at + 2, 2) & ~7u));
	if (!bytes || random_percent(d->r, 15)) {
		insert_short_record(d, at);
	} else if (random_percent(d->r, 75)) {
		change_record(d, at, bytes);
	} else if (random_percent(d->r, 30)) {
		remove_bytes(d, at, bytes);
	} else if (bytes <= sizeof(copy)) {
		/* Again, or elsewhere. */
		memcpy(copy, d->bytes + at, bytes);
		if (random_percent(d->r, 50)) {
			remove_bytes(d, at, bytes);
			other = other > at ? max(at, other - bytes) : other;
		}
		insert_bytes(d, other, copy, bytes);
	}
}

/* --- pages --- */

static void mutate_page(struct draft *d)
{
	u32 count = (d->used - d->header) / PAGE_ENTRY;
	u32 at = d->header + PAGE_ENTRY * random_below(d->r, count + 1);
	u8 entry[PAGE_ENTRY] = { 0, 0, 1 };

	if (random_percent(d->r, 5)) {
		change_number(d->r, d->bytes, 4);
	} else if (at + PAGE_ENTRY > d->used || random_percent(d->r, 15)) {
		if (at + PAGE_ENTRY <= d->used)
			memcpy(entry, d->bytes + at, PAGE_ENTRY);
		put(entry, random_below(d->r, COWSTACK_PAGE_CHUNKS), 2);
		change_word(d->r, entry + 4);
		insert_bytes(d, at, entry, PAGE_ENTRY);
	} else if (random_percent(d->r, 10)) {
		remove_bytes(d, at, PAGE_ENTRY);
	} else if (random_percent(d->r, 25)) {
		change_number(d->r, d->bytes + at + 2 * random_below(d->r, 2),
			      2);
	} else {
		change_word(d->r, d->bytes + at + 4);
	}
}

/* --- parts --- */

static void mutate_superblock(struct draft *d)
{
	static const u32 widths[] = { 4, 8 };
	u32 width = widths[random_below(d->r, 2)];
	u32 at = random_below(d->r, d->used / width) * width;

	if (at + width <= d->used)
		change_number(d->r, d->bytes + at, width);
}

/* Bytes that libFuzzer thinks of, where it has seen what they are compared with. */
static void mutate_blindly(struct draft *d)
{
	u32 room = min((u32)PART_MAX_BYTES, d->header + (u32)RECORD_ROOM);

	if (d->used < room)
		d->used = fuzzer_mutate(d->bytes, d->used, room);
}

static void mutate_part(struct random *r, struct part *part, u8 *place)
{
	static struct draft d;

	d.r = r;
	d.used = part->bytes;
	d.header = min(part_header_bytes(part->kind), d.used);
	memcpy(d.bytes, part->data, part->bytes);
	if (random_percent(r, 20) || d.used <= d.header)
		mutate_blindly(&d);
	else if (part->kind == PART_SUPERBLOCK)
		mutate_superblock(&d);
	else if (part->kind == PART_PAGE)
		mutate_page(&d);
	else if (part->kind == PART_EDIT)
		change_number(r, d.bytes + random_below(r, d.used), 1);
	else
		mutate_records(&d);
	memcpy(place, d.bytes, d.used);
	part->data = place;
	part->bytes = d.used;
}

static u32 choose_part(struct random *r, const struct parts *parts,
		       u32 kinds)
{
	u32 tries, i;

	for (tries = 0; tries < 64; tries++) {
		i = random_below(r, parts->count);
		if (kinds & 1u << parts->part[i].kind)
			return i;
	}
	return random_below(r, parts->count);
}

/* Something in a block that no record is: its header, or what lies behind. */
static void add_edit(struct random *r, struct parts *parts, u32 kinds,
		     u8 *place)
{
	u32 places[FUZZ_MAX_PARTS + 2], count = 0, kind, offset, tries;
	struct part *part = &parts->part[parts->count];

	for (tries = 0; tries < 64 && !count; tries++) {
		kind = random_below(r, PART_EDIT);
		if (kinds & 1u << kind)
			count = parts_places(parts, kind, places);
	}
	if (!count || parts->count == FUZZ_MAX_PARTS)
		return;
	offset = random_below(r, 20) * 4;
	if (kind == PART_PAGE || random_percent(r, 10))
		offset = random_below(r, COWSTACK_BLOCK_SIZE / 4) * 4;
	if (kind == PART_SUPERBLOCK)
		offset = random_below(r, SUPERBLOCK_END / 4) * 4;
	put(place, places[random_below(r, count)], 4);
	put(place + 4, offset, 2);
	put(place + 6, 0, 8);
	change_number(r, place + 6, 8);
	part->kind = PART_EDIT;
	part->flags = random_percent(r, 10) ? PART_NO_REPAIR : 0;
	part->bytes = 6 + (random_percent(r, 50) ? 4 : 8);
	part->data = place;
	parts->count++;
}

static void remove_part(struct parts *parts, u32 i)
{
	parts->count--;
	memmove(&parts->part[i], &parts->part[i + 1],
		(parts->count - i) * sizeof(*parts->part));
}

static void insert_part(struct parts *parts, u32 i, const struct part *part)
{
	if (parts->count == FUZZ_MAX_PARTS)
		return;
	memmove(&parts->part[i + 1], &parts->part[i],
		(parts->count - i) * sizeof(*parts->part));
	parts->part[i] = *part;
	parts->count++;
}

static void mutate_parts(struct random *r, struct parts *parts, u32 kinds,
			 u8 *place)
{
	struct part copy;
	u32 i;

	if (!parts->count)
		return;
	i = choose_part(r, parts, kinds);
	switch (random_below(r, 16)) {
	case 0:
	case 1:
		add_edit(r, parts, kinds, place);
		break;
	case 2:
		parts->part[i].flags ^= random_percent(r, 50) ? 1 : 2;
		break;
	case 3:
		copy = parts->part[i];
		insert_part(parts, random_below(r, parts->count + 1), &copy);
		break;
	case 4:
		remove_part(parts, i);
		break;
	default:
		mutate_part(r, &parts->part[i], place);
	}
}

size_t store_mutate(u8 *data, size_t size, size_t room, unsigned int seed,
		    u32 kinds)
{
	static u8 drafts[4][PART_MAX_BYTES];
	static u8 result[FUZZ_MAX_INPUT];
	struct random r = { .state = seed };
	static struct parts parts;
	u32 count = 1 + random_below(&r, ARRAY_SIZE(drafts)), i;

	if (random_percent(&r, 50))
		count = 1;
	parts_parse(&parts, data, size);
	for (i = 0; i < count; i++)
		mutate_parts(&r, &parts, kinds | 1u << PART_EDIT, drafts[i]);
	size = parts_print(&parts, result, min(room, sizeof(result)));
	memcpy(data, result, size);
	return size;
}

size_t store_cross_over(const u8 *a, size_t a_size, const u8 *b, size_t b_size,
			u8 *data, size_t room, unsigned int seed, u32 kinds)
{
	static struct parts parts, others;
	struct random r = { .state = seed };
	const struct part *taken;

	parts_parse(&parts, a, a_size);
	parts_parse(&others, b, b_size);
	if (!parts.count || !others.count)
		return 0;
	taken = &others.part[choose_part(&r, &others, kinds)];
	if (random_percent(&r, 50))
		insert_part(&parts, random_below(&r, parts.count + 1), taken);
	else
		parts.part[choose_part(&r, &parts, kinds)] = *taken;
	return parts_print(&parts, data, room);
}
