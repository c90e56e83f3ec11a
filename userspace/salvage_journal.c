// SPDX-License-Identifier: GPL-2.0
/*
 * A journal that is damaged before its end.  All steps before that are kept: what
 * they say is one point in time.  Those behind it are not taken, as each builds on
 * the one before; what they would have changed is noted as lost.
 */
#include "salvage.h"
#include "core/step.h"
#include "size.h"
#include "core/record.h"

static void note_later(struct salvage *s, u64 chunk, u64 raw)
{
	struct later_name *bigger;

	if (!(raw >> MAP_WORD_CHUNK_SHIFT))
		return;
	bigger = salvage_grow(s, s->later, s->later_count, sizeof(*s->later));
	if (!bigger)
		return;
	s->later = bigger;
	s->later[s->later_count++] = (struct later_name){
		(raw >> MAP_WORD_CHUNK_SHIFT) - 1, chunk
	};
}

static void note_words(struct salvage *s, const struct disk_record *r, u32 bytes)
{
	const struct disk_words_record *words = (const void *)r;
	const struct disk_run_record *run = (const void *)r;
	u32 id = le32_to_cpu(r->id);
	u64 first = le64_to_cpu(words->first);
	u64 count, i;

	if (le16_to_cpu(r->type) == COWSTACK_RECORD_WORDS) {
		count = (bytes - sizeof(*words)) / sizeof(words->words[0]);
		for (i = 0; i < count; i++)
			note_later(s, first + i, le64_to_cpu(words->words[i]));
	} else {
		count = le64_to_cpu(run->count);
	}
	if (first < COWSTACK_MAX_VOLUME_CHUNKS &&
	    count <= COWSTACK_MAX_VOLUME_CHUNKS - first)
		salvage_lose(s, to_layer_id(id), first, count);
}

/*
 * A commit that lost steps speak of has written to the base: it is no state of the
 * volume, whatever the record that was kept says.
 */
static void note_volume(struct salvage *s, const struct disk_volume_record *r)
{
	struct cowstack_volume_info info;
	struct cowstack_volume *volume;
	layer_id_t top;

	if (record_read_volume(r, &info, &top))
		return;
	volume = cowstack_volume_find(&s->md, info.id);
	if (!volume || from_layer_id(info.mixed_top) <=
			       from_layer_id(volume->info.mixed_top))
		return;
	if (volume->info.mixed_top == COWSTACK_BASE_LAYER)
		salvage_note(s, "volume %u: its base is mixed, as lost steps committed into it",
			     from_volume_id(info.id));
	volume->info.mixed_top = info.mixed_top;
}

static void note_records(struct salvage *s, const u8 *records, u32 used)
{
	u32 at, bytes, type;

	for (at = 0; used - at >= sizeof(struct disk_run_record); at += bytes) {
		const struct disk_record *r = (const void *)(records + at);

		type = le16_to_cpu(r->type);
		bytes = le16_to_cpu(r->bytes);
		if (bytes < sizeof(*r) || bytes % 8 || bytes > used - at)
			return;
		if (bytes >= sizeof(struct disk_run_record) &&
		    (type == COWSTACK_RECORD_WORDS ||
		     type == COWSTACK_RECORD_CLEAR ||
		     type == COWSTACK_RECORD_ZERO))
			note_words(s, r, bytes);
		else if (type == COWSTACK_RECORD_VOLUME &&
			 bytes >= sizeof(struct disk_volume_record))
			note_volume(s, (const void *)r);
	}
}

/* Every block of a step that was lost, or comes behind one; the last of them. */
static int scan_ring(struct salvage *s, u64 *last)
{
	const struct cowstack_geometry *g = cowstack_geometry(&s->md);
	u64 start = from_mblock(g->ring_start), at;
	struct loader *l = &s->loader;
	struct disk_record_block block;
	u64 sequence;

	for (at = start; at < start + g->ring_blocks; at++) {
		if (l->reader->read(l->reader, at, 1, &block) ||
		    !cowstack_block_is_valid(l->md, &block, COWSTACK_MAGIC_STEP, at))
			continue;
		sequence = le64_to_cpu(block.header.sequence);
		if (sequence < s->md.next_step || sequence >> 62)
			continue;
		*last = max(*last, sequence);
		note_records(s, block.records, le32_to_cpu(block.used));
		if (load_pause(l))
			return -EINTR;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct later_name *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

/*
 * A chunk comes to another use only when the step that freed it is durable: then
 * its data is not any more what the words that were kept take it for.
 */
bool salvage_is_reused(const struct salvage *s, u64 place, u64 chunk)
{
	const struct later_name key = { .place = place }, *found, *end;

	if (!s->later_count)
		return false;
	end = s->later + s->later_count;
	found = bsearch(&key, s->later, s->later_count, sizeof(key),
			compare_names);
	if (!found)
		return false;
	while (found > s->later && found[-1].place == place)
		found--;
	for (; found < end && found->place == place; found++)
		if (found->chunk != chunk)
			return true;
	return false;
}

int salvage_journal(struct salvage *s)
{
	u64 last = 0;
	int error;

	if (!s->journal_step)
		return 0;
	error = scan_ring(s, &last);
	if (error || last < s->md.next_step)
		return error;
	if (s->later_count)
		qsort(s->later, s->later_count, sizeof(*s->later),
		      compare_names);
	salvage_note(s, "steps %llu to %llu of the journal are lost",
		     llu(s->md.next_step), llu(last));
	/* What is left of them in the ring must never count again. */
	s->md.next_step = last + 1;
	return 0;
}
