// SPDX-License-Identifier: GPL-2.0
/*
 * An index that breaks off.  A block whose header is right though its checksum is
 * not is taken as far as its records make sense: pages have checksums of their own
 * there.  Blocks that nothing leads to any more are looked for on all of the device.
 */
#include "salvage.h"
#include "core/step.h"
#include "size.h"

/* A block of an index, of which the device decides how many there are. */
struct found_block {
	u64 place;
	u64 next;
	bool led_to;			/* by another that was found */
};

struct search {
	struct found_block *found;	/* by place */
	size_t count;
};

/* Behind those that loading has taken, which has made room for what is wanted. */
static int add_to_index(struct salvage *s, u64 place)
{
	u64 room = 2 * s->index_room;
	mblock_t *bigger;

	if (s->md.index_count == s->index_room) {
		bigger = realloc(s->md.index, room * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		s->md.index = bigger;
		s->index_room = room;
	}
	s->md.index[s->md.index_count++] = to_mblock(place);
	return 0;
}

/* Only its checksum, or how much of it is used, is wrong. */
static bool has_right_header(const struct salvage *s,
			     const struct disk_record_block *block, u64 place)
{
	return le32_to_cpu(block->header.magic) == COWSTACK_MAGIC_INDEX &&
	       !memcmp(block->header.uuid, s->md.superblock.uuid,
		       COWSTACK_UUID_SIZE) &&
	       le64_to_cpu(block->header.place) == place &&
	       le64_to_cpu(block->header.sequence) ==
		       s->md.superblock.tail_step;
}

static int take_records(struct salvage *s, const struct disk_record_block *block,
			u64 place)
{
	struct loader *l = &s->loader;
	int error;

	l->in_index = true;
	l->where = place;
	error = load_records(l, block->records,
			     min_t(u32, le32_to_cpu(block->used),
				   sizeof(block->records)));
	l->in_index = false;
	l->where = 0;
	return error;
}

/*
 * Takes the block at *@place, and leads to the next; false: it is none.  Claiming ends
 * a chain that runs in a circle, and is undone where it is somebody's data.
 */
static bool follow(struct salvage *s, u64 *place, int *error)
{
	mblock_t claimed = to_mblock(*place);
	struct loader *l = &s->loader;
	struct disk_record_block block;

	*error = load_pause(l);
	if (*error || cowstack_allocator_claim_block(&s->md.allocator, claimed))
		return false;
	if (l->reader->read(l->reader, *place, 1, &block) ||
	    !has_right_header(s, &block, *place)) {
		cowstack_allocator_put_block(&s->md.allocator, claimed);
		return false;
	}
	*error = add_to_index(s, *place);
	if (*error)
		return false;
	if (!cowstack_block_is_valid(l->md, &block, COWSTACK_MAGIC_INDEX, *place)) {
		salvage_note(s,
			     "block %llu: a block of the index has a bad checksum; what makes sense in it is taken, and may still be wrong",
			     llu(*place));
		s->lost_unknown = true;
	}
	*error = take_records(s, &block, *place);
	*place = le64_to_cpu(block.next);
	return !*error;
}

/* --- looking for blocks --- */

static int note_found(struct salvage *s, struct search *search, u64 place,
		      u64 next)
{
	struct found_block *bigger = salvage_grow(s, search->found,
						  search->count,
						  sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	search->found = bigger;
	search->found[search->count++] = (struct found_block){ place, next, false };
	return 0;
}

static int look_at(struct salvage *s, struct search *search, u64 first,
		   u64 blocks)
{
	struct loader *l = &s->loader;
	const struct disk_record_block *block = (void *)l->buffer;
	int error = 0;
	u64 i;

	if (l->reader->read(l->reader, first, blocks, l->buffer))
		return 0;
	for (i = 0; i < blocks && !error; i++)
		if (has_right_header(s, &block[i], first + i) &&
		    cowstack_block_is_valid(l->md, &block[i],
					    COWSTACK_MAGIC_INDEX, first + i))
			error = note_found(s, search, first + i,
					   le64_to_cpu(block[i].next));
	return error;
}

static int compare_found(const void *a, const void *b)
{
	const struct found_block *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

static void mark_led_to(struct search *search)
{
	struct found_block key, *next;
	size_t i;

	for (i = 0; i < search->count; i++) {
		key.place = search->found[i].next;
		next = bsearch(&key, search->found, search->count, sizeof(key),
			       compare_found);
		if (next)
			next->led_to = true;
	}
}

static int look_everywhere(struct salvage *s, struct search *search)
{
	const struct cowstack_geometry *g = cowstack_geometry(&s->md);
	u64 first = g->data_start / COWSTACK_BLOCK_SECTORS;
	u64 end = s->loader.reader->device_sectors / COWSTACK_BLOCK_SECTORS;
	int error;
	u64 n;

	for (; first < end; first += n) {
		n = min_t(u64, LOAD_BUFFER_BLOCKS, end - first);
		error = look_at(s, search, first, n);
		if (!error)
			error = load_pause(&s->loader);
		if (error)
			return error;
	}
	mark_led_to(search);
	return 0;
}

static int take_found(struct salvage *s, struct search *search)
{
	int error = 0;
	u64 place;
	size_t i;

	/* Each that no other leads to, and what it leads to. */
	for (i = 0; i < search->count && !error; i++) {
		place = search->found[i].place;
		if (search->found[i].led_to)
			continue;
		while (place && follow(s, &place, &error))
			;
	}
	return error;
}

static int search_index(struct salvage *s)
{
	struct search search = { };
	u64 before = s->md.index_count;
	int error = look_everywhere(s, &search);

	if (!error)
		error = take_found(s, &search);
	if (!error && s->md.index_count > before)
		salvage_note(s, "%llu blocks of the index were found where nothing leads to",
			     llu(s->md.index_count - before));
	free(search.found);
	return error;
}

/* The block at which loading it stopped was claimed before it was looked at. */
static void return_last(struct salvage *s)
{
	u64 last = s->md.index_count - 1;

	if (!s->md.index_count || from_mblock(s->md.index[last]) != s->index_at)
		return;
	s->md.index_count--;
	cowstack_allocator_put_block(&s->md.allocator, to_mblock(s->index_at));
}

int salvage_index(struct salvage *s)
{
	u64 wanted = s->md.superblock.index_blocks;
	u64 place = s->index_at;
	int error = 0;

	if (!s->loader.forgive)
		return -EUCLEAN;
	s->index_room = wanted + 1;
	return_last(s);
	while (place && follow(s, &place, &error))
		;
	if (error)
		return error;
	if (place)
		salvage_note(s, "the index breaks off: block %llu is none of it",
			     llu(place));
	if (s->md.index_count < wanted)
		error = search_index(s);
	if (s->md.index_count == wanted || error)
		return error;
	salvage_note(s, "the superblock counts %llu blocks of the index, and there are %llu",
		     llu(wanted), llu(s->md.index_count));
	s->lost_unknown |= s->md.index_count < wanted;
	return 0;
}
