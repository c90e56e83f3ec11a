// SPDX-License-Identifier: GPL-2.0
/*
 * Superblocks made anew, where neither is of use.  What they say stands elsewhere
 * too: the blocks of the journal and of the index have the store's UUID, their own
 * places and numbers in them; how many chunks there are is one of their records, and
 * from that and the device's size follow the chunk size and where data begins.  Only
 * the name and the time of creation are nowhere else.
 *
 * The ring is read first: whose store it is its steps say, as format cleared all
 * others'.  Blocks of an index that a guest has written as data would need the
 * store's UUID, which no guest is told, and their own places.
 */
#include <stdio.h>

#include "salvage.h"
#include "size.h"

enum {
	MOST_BLOCKS = 1 << 20,		/* of an index; more are a hostile device's */
	MOST_TRIES = 64,
};

/* A block of the journal, or of an index. */
struct seen_block {
	u8 uuid[COWSTACK_UUID_SIZE];
	u64 sequence;
	u64 place;
	u64 next;			/* of an index; of a step: blocks that follow */
	u32 number;			/* of a step's block */
	bool led_to;
};

struct seen {
	struct seen_block *blocks;
	size_t count;
};

struct search {
	struct salvage *s;
	struct seen steps;
	struct seen index;
	u8 uuid[COWSTACK_UUID_SIZE];
	bool uuid_known;
	u64 chunks;			/* as the last record of the store has them */
	u64 chunks_step;		/* the step that this is of */
	struct disk_superblock old[2];	/* as they are; only for name and time */
};

static u64 device_blocks(const struct search *f)
{
	return f->s->loader.reader->device_sectors / COWSTACK_BLOCK_SECTORS;
}

/* --- finding --- */

static bool is_ours(const struct disk_record_block *block, u32 magic, u64 place)
{
	const u32 at = offsetof(struct disk_record_block, records);
	u32 used = le32_to_cpu(block->used);

	return le32_to_cpu(block->header.magic) == magic &&
	       le64_to_cpu(block->header.place) == place &&
	       used <= sizeof(block->records) &&
	       !(le64_to_cpu(block->header.sequence) >> 62) &&
	       le32_to_cpu(block->header.crc) ==
		       cowstack_block_crc(block, at + used);
}

static int note_seen(struct search *f, struct seen *seen,
		     const struct disk_record_block *block, u64 place, u64 next)
{
	struct seen_block *bigger;

	if (seen->count == MOST_BLOCKS)
		return -EUCLEAN;
	bigger = salvage_grow(f->s, seen->blocks, seen->count, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	seen->blocks = bigger;
	bigger += seen->count++;
	memset(bigger, 0, sizeof(*bigger));
	memcpy(bigger->uuid, block->header.uuid, sizeof(bigger->uuid));
	bigger->sequence = le64_to_cpu(block->header.sequence);
	bigger->place = place;
	bigger->next = next;
	bigger->number = le32_to_cpu(block->number);
	return 0;
}

/* What the block, of a step or of the index, says of the store's size. */
static void note_chunks(struct search *f, const struct disk_record_block *block)
{
	u32 used = le32_to_cpu(block->used), at, bytes;
	u64 step = le64_to_cpu(block->header.sequence);

	for (at = 0; used - at >= sizeof(struct disk_store_record); at += bytes) {
		const struct disk_store_record *r =
			(const void *)(block->records + at);

		bytes = le16_to_cpu(r->header.bytes);
		if (bytes < sizeof(r->header) || bytes % 8 || bytes > used - at)
			return;
		if (le16_to_cpu(r->header.type) != COWSTACK_RECORD_STORE ||
		    bytes < sizeof(*r) || step < f->chunks_step)
			continue;
		f->chunks = le64_to_cpu(r->chunks);
		f->chunks_step = step;
	}
}

static int look_at_block(struct search *f, const struct disk_record_block *block,
			 u64 place)
{
	const u64 ring_end = COWSTACK_RING_START + COWSTACK_MAX_RING_BLOCKS;

	if (place < ring_end && is_ours(block, COWSTACK_MAGIC_STEP, place))
		return note_seen(f, &f->steps, block, place,
				 le32_to_cpu(block->step_blocks));
	if (place >= COWSTACK_MIN_METADATA_BLOCKS &&
	    is_ours(block, COWSTACK_MAGIC_INDEX, place))
		return note_seen(f, &f->index, block, place,
				 le64_to_cpu(block->next));
	return 0;
}

static int look_at(struct search *f, u64 first, u64 blocks)
{
	struct loader *l = &f->s->loader;
	const struct disk_record_block *block = (void *)l->buffer;
	int error = l->reader->read(l->reader, first, blocks, l->buffer);
	u64 i;

	/* One that cannot be read must not take others with it. */
	for (i = 0; error && blocks > 1 && i < blocks; i++)
		if (look_at(f, first + i, 1) == -ENOMEM)
			return -ENOMEM;
	if (error)
		return 0;
	for (i = 0; i < blocks && !error; i++)
		error = look_at_block(f, &block[i], first + i);
	return error;
}

static int look_everywhere(struct search *f)
{
	u64 first, n, end = device_blocks(f);
	int error = 0;

	for (first = COWSTACK_RING_START; first < end && !error; first += n) {
		n = min_t(u64, LOAD_BUFFER_BLOCKS, end - first);
		error = look_at(f, first, n);
		if (!error)
			error = load_pause(&f->s->loader);
	}
	return error;
}

/* --- whose --- */

static bool is_of_store(const struct search *f, const struct seen_block *b)
{
	return !memcmp(b->uuid, f->uuid, sizeof(f->uuid));
}

/* All below @end are of one store, or it is not known whose this is. */
static bool take_uuid(struct search *f, const struct seen *seen, u64 end)
{
	size_t i;

	for (i = 0; i < seen->count; i++) {
		if (seen->blocks[i].place >= end)
			continue;
		if (f->uuid_known && !is_of_store(f, &seen->blocks[i]))
			return false;
		memcpy(f->uuid, seen->blocks[i].uuid, sizeof(f->uuid));
		f->uuid_known = true;
	}
	return true;
}

static int give_up(struct search *f, const char *why)
{
	snprintf(f->s->damage, sizeof(f->s->damage), "%s", why);
	return -EUCLEAN;
}

static int choose_uuid(struct search *f)
{
	/* These are the ring's, however small it is. */
	bool one = take_uuid(f, &f->steps, COWSTACK_MIN_METADATA_BLOCKS);

	if (!f->uuid_known)
		one = take_uuid(f, &f->steps, U64_MAX);
	/* What is left of earlier stores is in the index's places, too. */
	if (!f->uuid_known)
		one = take_uuid(f, &f->index, U64_MAX);
	if (!one)
		return give_up(f,
			       "no superblock is of use, and there are blocks of several stores");
	if (f->uuid_known)
		return 0;
	return f->s->damage[0] ? -EUCLEAN : -EINVAL;
}

/* Of the store alone, those with the greatest numbers first; by place then. */
static int compare_seen(const void *a, const void *b)
{
	const struct seen_block *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence > y->sequence ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void keep_own(struct search *f, struct seen *seen)
{
	size_t i, kept = 0;

	for (i = 0; i < seen->count; i++)
		if (is_of_store(f, &seen->blocks[i]))
			seen->blocks[kept++] = seen->blocks[i];
	seen->count = kept;
	if (kept)
		qsort(seen->blocks, kept, sizeof(*seen->blocks), compare_seen);
}

static struct seen_block *find_seen(const struct seen *seen, u64 sequence,
				    u64 place)
{
	const struct seen_block key = { .sequence = sequence, .place = place };

	if (!seen->count)
		return NULL;
	return bsearch(&key, seen->blocks, seen->count, sizeof(key),
		       compare_seen);
}

static void mark_led_to(struct seen *index)
{
	struct seen_block *next;
	size_t i;

	for (i = 0; i < index->count; i++) {
		next = find_seen(index, index->blocks[i].sequence,
				 index->blocks[i].next);
		if (next)
			next->led_to = true;
	}
}

/* --- how large --- */

static void read_chunks(struct search *f, const struct seen *seen, u32 magic)
{
	struct loader *l = &f->s->loader;
	struct disk_record_block block;
	size_t i;

	for (i = 0; i < seen->count; i++)
		if (!l->reader->read(l->reader, seen->blocks[i].place, 1, &block) &&
		    is_ours(&block, magic, seen->blocks[i].place))
			note_chunks(f, &block);
}

/* Metadata was cut by the device's size at format, which may have been less. */
static bool fit_geometry(const struct search *f, struct cowstack_geometry *g)
{
	const u64 mib = COWSTACK_MIN_METADATA_BLOCKS * COWSTACK_BLOCK_SECTORS;
	u64 device_sectors = f->s->loader.reader->device_sectors;
	u64 formatted;
	u32 chunk;

	for (chunk = COWSTACK_MIN_CHUNK_SECTORS;
	     chunk <= COWSTACK_MAX_CHUNK_SECTORS; chunk *= 2)
		for (formatted = device_sectors; formatted > mib;
		     formatted -= min(formatted, 1024 * mib))
			if (!cowstack_geometry_init(g, formatted, chunk) &&
			    cowstack_geometry_chunks(g, device_sectors) ==
				    f->chunks) {
				g->chunks = f->chunks;
				return true;
			}
	return false;
}

/* --- a superblock --- */

/* The number of a step's first block in the ring, or of the one behind its last. */
static bool find_position(const struct search *f, u64 ring_blocks, u64 step,
			  bool behind, u64 *position)
{
	const struct seen_block *b;
	size_t i;

	for (i = 0; i < f->steps.count; i++) {
		b = &f->steps.blocks[i];
		if (b->sequence != step || b->number ||
		    b->place >= COWSTACK_RING_START + ring_blocks)
			continue;
		*position = b->place - COWSTACK_RING_START +
			    (behind ? b->next : 0);
		return true;
	}
	return false;
}

/*
 * Where the journal goes on behind the checkpoint; false: what it was is gone.  Of
 * the step before it nothing is overwritten as long as it has not.
 */
static bool find_tail(const struct search *f, struct cowstack_superblock *sb)
{
	u64 blocks = sb->geometry.ring_blocks;

	sb->tail_position = 0;
	return find_position(f, blocks, sb->tail_step, false,
			     &sb->tail_position) ||
	       find_position(f, blocks, sb->tail_step - 1, true,
			     &sb->tail_position);
}

/* Name and time, from one of the old ones if that is ours in the least. */
static void take_old(const struct search *f, struct cowstack_superblock *sb)
{
	const struct disk_superblock *old;
	char name[COWSTACK_NAME_SIZE];
	int i;

	sb->created = 0;
	for (i = 0; i < 2; i++) {
		old = &f->old[i];
		if (memcmp(old->header.uuid, f->uuid, sizeof(f->uuid)))
			continue;
		memcpy(name, old->name, sizeof(name));
		sb->created = le64_to_cpu(old->created);
		if (!name[sizeof(name) - 1] && cowstack_name_is_valid(name))
			memcpy(sb->name, name, sizeof(name));
	}
}

static u64 count_chain(const struct seen *index, const struct seen_block *head)
{
	u64 count = 0;

	/* One that runs in a circle ends, too. */
	for (; head && count < index->count; count++)
		head = find_seen(index, head->sequence, head->next);
	return count;
}

/* @head: the index's first block, or NULL: nothing was checkpointed yet. */
static bool make_superblock(const struct search *f,
			    const struct seen_block *head,
			    struct cowstack_superblock *sb)
{
	memset(sb, 0, sizeof(*sb));
	if (!fit_geometry(f, &sb->geometry))
		return false;
	memcpy(sb->uuid, f->uuid, sizeof(sb->uuid));
	take_old(f, sb);
	sb->sequence = f->s->greatest_sequence + 1;
	sb->tail_step = head ? head->sequence : 1;
	sb->index_first = to_mblock(head ? head->place : 0);
	sb->index_blocks = head ? count_chain(&f->index, head) : 0;
	return true;
}

static void note_made(struct salvage *s, const struct cowstack_superblock *sb,
		      bool journal)
{
	if (sb->index_blocks)
		salvage_note(s,
			     "neither superblock is of use; both are made anew, of the index at block %llu",
			     llu(from_mblock(sb->index_first)));
	else
		salvage_note(s, "neither superblock is of use; both are made anew, of the journal");
	if (!sb->name[0])
		salvage_note(s, "the store's name is lost, if it had one");
	if (!journal)
		salvage_note(s, "the journal is lost: what came after step %llu is not known",
			     llu(sb->tail_step - 1));
}

/* Sound, if there is a journal behind it; else what it leads to is older. */
static int try_head(struct search *f, const struct seen_block *head)
{
	struct salvage *s = f->s;
	struct cowstack_superblock sb;
	bool journal;
	int error;

	if (!make_superblock(f, head, &sb) && f->chunks)
		return give_up(f,
			       "no superblock is of use, and the store's chunks do not go with the device's size, which may have changed");
	if (!f->chunks)
		return give_up(f,
			       "no superblock is of use, and the size of a chunk is not known");
	journal = find_tail(f, &sb);
	if (!head && !journal)
		return give_up(f, "no superblock is of use, and no block of the index");
	error = salvage_load_strictly(s, &sb);
	if (error)
		return error;
	note_made(s, &sb, journal);
	s->superblock = sb;
	s->sound = journal;
	s->rewrite_both = true;
	if (journal)
		return 0;
	s->lost_unknown = true;
	return salvage_load_rest(s, &sb);
}

/* The newest index that leads to something whole, and then the journal alone. */
static int try_all(struct search *f)
{
	int error = -EUCLEAN, tries = 0;
	size_t i;

	for (i = 0; i < f->index.count && tries < MOST_TRIES; i++) {
		if (f->index.blocks[i].led_to)
			continue;
		tries++;
		error = try_head(f, &f->index.blocks[i]);
		if (!error || salvage_is_final(error))
			return error;
	}
	return try_head(f, NULL);
}

/* What is left of the newest, damaged as it is. */
static int take_newest(struct search *f)
{
	const struct seen_block *head = f->index.blocks;
	struct cowstack_superblock sb;
	bool journal;
	size_t i;

	for (i = 0; i < f->index.count && head[i].led_to; i++)
		;
	if (i == f->index.count || !make_superblock(f, &head[i], &sb))
		return -EUCLEAN;
	journal = find_tail(f, &sb);
	note_made(f->s, &sb, journal);
	f->s->lost_unknown = true;
	return salvage_load_rest(f->s, &sb);
}

static int search(struct search *f)
{
	struct salvage *s = f->s;
	struct cowstack_reader *reader = s->loader.reader;
	int error = look_everywhere(f);

	if (!error)
		error = choose_uuid(f);
	if (error)
		return error;
	if (!s->damage[0])
		snprintf(s->damage, sizeof(s->damage), "no superblock is there");
	keep_own(f, &f->steps);
	keep_own(f, &f->index);
	mark_led_to(&f->index);
	read_chunks(f, &f->index, COWSTACK_MAGIC_INDEX);
	read_chunks(f, &f->steps, COWSTACK_MAGIC_STEP);
	if (reader->read(reader, COWSTACK_SUPERBLOCK_A, 1, &f->old[0]))
		memset(&f->old[0], 0, sizeof(f->old[0]));
	if (reader->read(reader, COWSTACK_SUPERBLOCK_B, 1, &f->old[1]))
		memset(&f->old[1], 0, sizeof(f->old[1]));
	error = try_all(f);
	return error && !salvage_is_final(error) ? take_newest(f) : error;
}

int salvage_superblock(struct salvage *s)
{
	struct search f = { .s = s };
	int error = search(&f);

	free(f.steps.blocks);
	free(f.index.blocks);
	return error;
}
