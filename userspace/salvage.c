// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>

#include "salvage.h"
#include "core/record.h"
#include "size.h"

/* --- noting --- */

void *salvage_grow(struct salvage *s, void *array, size_t count, size_t size)
{
	void *bigger;

	/* At 0 and at each power of two there is no room left. */
	if (count & (count - 1))
		return array;
	bigger = realloc(array, max_t(size_t, 2 * count, 1) * size);
	if (!bigger)
		s->error = -ENOMEM;
	return bigger;
}

void salvage_note(struct salvage *s, const char *format, ...)
{
	va_list arguments;
	char **bigger, *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	bigger = length < 0 ? NULL : salvage_grow(s, s->findings,
						 s->finding_count,
						 sizeof(*s->findings));
	if (!bigger) {
		s->error = -ENOMEM;
		if (length >= 0)
			free(text);
		return;
	}
	s->findings = bigger;
	s->findings[s->finding_count++] = text;
}

static void add_lost(struct salvage *s, const struct lost_range *range)
{
	struct lost_range *last, *bigger;

	last = s->lost_count ? &s->lost[s->lost_count - 1] : NULL;
	if (last && last->layer == range->layer &&
	    last->below == range->below &&
	    last->first + last->count == range->first) {
		last->count += range->count;
		return;
	}
	bigger = salvage_grow(s, s->lost, s->lost_count, sizeof(*s->lost));
	if (!bigger)
		return;
	s->lost = bigger;
	s->lost[s->lost_count++] = *range;
}

void salvage_lose(struct salvage *s, layer_id_t layer, u64 first, u64 count)
{
	const struct lost_range range = {
		.layer = layer, .first = first, .count = count,
	};

	add_lost(s, &range);
}

void salvage_lose_below(struct salvage *s, layer_id_t layer)
{
	const struct lost_range range = {
		.layer = layer, .below = true,
		.count = COWSTACK_MAX_VOLUME_CHUNKS,
	};

	add_lost(s, &range);
}

/* --- damage, as the loader meets it --- */

static const char *record_name(u64 type)
{
	static const char * const names[] = {
		[COWSTACK_RECORD_STORE] = "store record",
		[COWSTACK_RECORD_VOLUME] = "record of volume",
		[COWSTACK_RECORD_VOLUME_GONE] = "removal of volume",
		[COWSTACK_RECORD_LAYER] = "record of layer",
		[COWSTACK_RECORD_LAYER_GONE] = "removal of layer",
		[COWSTACK_RECORD_WORDS] = "words of layer",
		[COWSTACK_RECORD_CLEAR] = "cleared run of layer",
		[COWSTACK_RECORD_ZERO] = "run of zeroes of layer",
		[COWSTACK_RECORD_PAGE] = "map page of layer",
		[COWSTACK_RECORD_CLEAN_GONE] = "clean words of layer",
	};

	return type && type < ARRAY_SIZE(names) ? names[type] : "record of";
}

static void clear_name(u8 name[COWSTACK_NAME_SIZE])
{
	memset(name, 0, COWSTACK_NAME_SIZE);
}

static bool name_is_good(const u8 name[COWSTACK_NAME_SIZE])
{
	return !name[COWSTACK_NAME_SIZE - 1] &&
	       (!name[0] || cowstack_name_is_valid((const char *)name));
}

/* A layer record whose fields make sense, as far as they can be made to. */
static bool mend_layer(struct disk_layer_record *r)
{
	u32 id = le32_to_cpu(r->header.id);

	if (!id || id == U32_MAX)
		return false;
	/* Over a layer that cannot be: which it was is to be found out. */
	if (le32_to_cpu(r->parent) >= id)
		r->parent = 0;
	r->flags &= cpu_to_le32(COWSTACK_LAYER_FLAGS);
	if (!name_is_good(r->name))
		clear_name(r->name);
	return true;
}

static bool mend_volume(const struct salvage *s, struct disk_volume_record *r)
{
	u64 most = min(COWSTACK_MAX_VOLUME_SECTORS,
		       COWSTACK_MAX_VOLUME_CHUNKS <<
			       cowstack_geometry(&s->md)->chunk_shift);
	struct cowstack_volume_info info;
	layer_id_t top;

	/* One sector grows to what the layers hold. */
	if (!le64_to_cpu(r->sectors) || le64_to_cpu(r->sectors) > most)
		r->sectors = cpu_to_le64(1);
	if (le64_to_cpu(r->base_sectors) > COWSTACK_MAX_VOLUME_SECTORS ||
	    le32_to_cpu(r->flags) & ~COWSTACK_VOLUME_FLAGS) {
		r->base_sectors = 0;
		r->flags = 0;
	}
	if (!name_is_good(r->name))
		clear_name(r->name);
	if (record_read_volume(r, &info, &top))
		clear_name(r->base_name);
	if (record_read_volume(r, &info, &top))
		memset(&r->job, 0, sizeof(r->job));
	return !record_read_volume(r, &info, &top);
}

/* Takes records as if nothing would be forgiven. */
static bool take_strictly(struct salvage *s, const void *record, u32 bytes)
{
	struct loader *l = &s->loader;
	void (*forgive)(struct loader *l, enum load_damage what, u64 first,
			u64 second) = l->forgive;
	bool in_index = l->in_index;
	int error;

	l->forgive = NULL;
	error = load_records(l, record, bytes);
	l->forgive = forgive;
	l->in_index = in_index;
	return !error;
}

/* What it lay on is not known; salvage_mend() looks for it. */
static void mark_parent_lost(struct salvage *s, u32 id)
{
	cowstack_layer_find(&s->md, to_layer_id(id))->reclaimed = true;
}

/* Once more, without what is wrong in it. */
static bool retry_object(struct salvage *s, u64 type)
{
	union {
		struct disk_record header;
		struct disk_layer_record layer;
		struct disk_volume_record volume;
	} copy;
	size_t bytes = type == COWSTACK_RECORD_LAYER ? sizeof(copy.layer) :
						       sizeof(copy.volume);

	if (s->loader.record_bytes < bytes)
		return false;
	memcpy(&copy, s->loader.record, bytes);
	copy.header.bytes = cpu_to_le16(bytes);
	if (!(type == COWSTACK_RECORD_LAYER ? mend_layer(&copy.layer) :
					      mend_volume(s, &copy.volume)))
		return false;
	if (!take_strictly(s, &copy, bytes))
		return false;
	if (type == COWSTACK_RECORD_LAYER && copy.layer.parent !=
	    ((const struct disk_layer_record *)s->loader.record)->parent)
		mark_parent_lost(s, le32_to_cpu(copy.header.id));
	return true;
}

/*
 * Once more, of a layer whose own record is lost: what it lay on is not known, but
 * what it holds is kept.
 */
static bool retry_words(struct salvage *s, u64 id)
{
	const struct disk_record *record = s->loader.record;
	u32 bytes = s->loader.record_bytes;
	struct disk_layer_record layer = {
		.header.type = cpu_to_le16(COWSTACK_RECORD_LAYER),
		.header.bytes = cpu_to_le16(sizeof(layer)),
		.header.id = cpu_to_le32(id),
		.flags = cpu_to_le32(COWSTACK_LAYER_FROZEN),
	};
	/* Without the index nobody knows which there were. */
	u64 most = s->index_broken || s->lost_unknown ? max(s->md.next_layer, BIT(24)) :
				     s->md.next_layer;

	if (!id || id >= most || bytes != le16_to_cpu(record->bytes) ||
	    cowstack_layer_find(&s->md, to_layer_id(id)))
		return false;
	if (!take_strictly(s, &layer, sizeof(layer)))
		return false;
	salvage_note(s, "layer %llu is made anew: its record is lost, and words of it are there",
		     llu(id));
	mark_parent_lost(s, id);
	return take_strictly(s, record, bytes);
}

static bool retry_record(struct salvage *s, u64 type, u64 id)
{
	switch (type) {
	case COWSTACK_RECORD_LAYER:
	case COWSTACK_RECORD_VOLUME:
		return retry_object(s, type);
	/* Not for zeroes: a run may be as long as it likes, and holds nothing. */
	case COWSTACK_RECORD_WORDS:
	case COWSTACK_RECORD_PAGE:
		return retry_words(s, id);
	default:
		return false;
	}
}

static void note_record(struct salvage *s, u64 type, u64 id)
{
	const char *why = s->report.why;
	u64 block = s->report.where;

	if (retry_record(s, type, id)) {
		if (type != COWSTACK_RECORD_LAYER &&
		    type != COWSTACK_RECORD_VOLUME)
			return;
		salvage_note(s, "block %llu: %s %llu is taken without what is wrong in it (%s)",
			     llu(block), record_name(type), llu(id), why);
		return;
	}
	salvage_note(s, "block %llu: %s %llu left out: %s", llu(block),
		     record_name(type), llu(id), why);
	s->clean_doubtful |= type == COWSTACK_RECORD_CLEAN_GONE;
	/* A removal of what is not there leaves nothing out. */
	if (type != COWSTACK_RECORD_VOLUME_GONE &&
	    type != COWSTACK_RECORD_LAYER_GONE &&
	    type != COWSTACK_RECORD_CLEAN_GONE && type != COWSTACK_RECORD_STORE)
		s->lost_unknown = true;
}

static void forgive(struct loader *l, enum load_damage what, u64 first,
		    u64 second)
{
	struct salvage *s = container_of(l, struct salvage, loader);
	layer_id_t layer = to_layer_id(first);
	const char *why = s->report.why ? s->report.why : "it cannot be read";

	switch (what) {
	case LOAD_DAMAGE_INDEX:
		s->index_broken = true;
		s->index_at = first;
		break;
	case LOAD_DAMAGE_PAGE:
		salvage_note(s, "block %llu: a map page of layer %llu is lost: %s",
			     llu(s->report.where), llu(first), why);
		salvage_lose(s, layer, second * COWSTACK_PAGE_CHUNKS,
			     COWSTACK_PAGE_CHUNKS);
		break;
	case LOAD_DAMAGE_WORD:
		salvage_note(s, "block %llu: a word of layer %llu is lost: %s",
			     llu(s->report.where), llu(first), why);
		salvage_lose(s, layer, second, 1);
		break;
	case LOAD_DAMAGE_RECORD:
		note_record(s, first, second);
		break;
	case LOAD_DAMAGE_RECORDS:
		salvage_note(s, "block %llu: its last %llu bytes of records are left out: %s",
			     llu(s->report.where), llu(first), why);
		s->lost_unknown = true;
		break;
	case LOAD_DAMAGE_JOURNAL:
		salvage_note(s, "the journal ends before step %llu: %s",
			     llu(first), why);
		s->journal_step = first;
		s->lost_unknown = true;
		break;
	}
}

/* --- superblocks --- */

enum { CANDIDATES = 4 };

struct candidates {
	struct cowstack_superblock list[CANDIDATES];
	unsigned int count;
	bool repaired[CANDIDATES];	/* its checksum, or its magic, was wrong */
};

static void add_candidate(struct candidates *c,
			  const struct cowstack_superblock *sb, bool repaired)
{
	c->list[c->count] = *sb;
	c->repaired[c->count++] = repaired;
}

/* As if magic, place and checksum were what they should be. */
static int decode_anyway(struct cowstack_superblock *sb,
			 const struct disk_superblock *block, u64 place,
			 u64 device_sectors)
{
	struct disk_superblock copy = *block;
	const char *why;

	copy.header.magic = cpu_to_le32(COWSTACK_MAGIC_SUPERBLOCK);
	copy.header.place = cpu_to_le64(place);
	if (!name_is_good(copy.name))
		clear_name(copy.name);
	copy.header.crc = cpu_to_le32(cowstack_block_crc(&copy, sizeof(copy)));
	return cowstack_superblock_decode(sb, &copy, place, device_sectors,
					  &why);
}

/* One that is right, but for a device that is larger. */
static void note_needed(struct salvage *s, const struct disk_superblock *block,
			u64 place)
{
	struct cowstack_superblock sb;
	const struct cowstack_geometry *g = &sb.geometry;
	const char *why;

	if (!cowstack_superblock_decode(&sb, block, place, U64_MAX / 2, &why))
		s->needed_sectors = max(s->needed_sectors, g->data_start +
					(g->chunks << g->chunk_shift));
}

/* The right ones first, of these the newer; 0, or why there is none. */
static int find_candidates(struct salvage *s, struct candidates *c)
{
	static const u64 places[] = {
		COWSTACK_SUPERBLOCK_A, COWSTACK_SUPERBLOCK_B
	};
	struct cowstack_reader *reader = s->loader.reader;
	struct disk_superblock blocks[2];
	struct cowstack_superblock sb[2], swap;
	const char *why = NULL;
	int error[2], i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < 2; i++) {
		error[i] = reader->read(reader, places[i], 1, &blocks[i]);
		if (error[i])
			memset(&blocks[i], 0, sizeof(blocks[i]));
		else
			error[i] = cowstack_superblock_decode(&sb[i], &blocks[i],
							      places[i],
							      reader->device_sectors,
							      &why);
		if (error[i] && error[i] != -EINVAL && why) {
			snprintf(s->damage, sizeof(s->damage), "%s", why);
			s->report.why = why;
		}
		if (error[i] == -EOPNOTSUPP)
			return error[i];
		if (!error[i])
			s->greatest_sequence = max(s->greatest_sequence,
						   sb[i].sequence);
		else
			note_needed(s, &blocks[i], places[i]);
	}
	if (!error[0] && !error[1] && sb[1].sequence > sb[0].sequence) {
		swap = sb[0];
		sb[0] = sb[1];
		sb[1] = swap;
	}
	for (i = 0; i < 2; i++)
		if (!error[i])
			add_candidate(c, &sb[i], false);
	for (i = 0; i < 2; i++)
		if (error[i] && !decode_anyway(&sb[i], &blocks[i], places[i],
					       reader->device_sectors))
			add_candidate(c, &sb[i], true);
	if (s->needed_sectors && (!c->count || c->repaired[0]))
		return -ENXIO;
	if (c->count && !c->repaired[0])
		s->damage[0] = '\0';
	if (c->count)
		return 0;
	return error[0] == -EINVAL ? error[1] : error[0];
}

/* --- loading --- */

static int load_parts(struct salvage *s)
{
	struct loader *l = &s->loader;
	int error = load_index(l);

	if (!error && s->index_broken)
		error = salvage_index(s);
	if (!error)
		error = load_pages(l);
	if (!error)
		error = load_journal(l);
	return error;
}

static void forget_load(struct salvage *s)
{
	struct loader *l = &s->loader;

	if (s->loaded)
		cowstack_metadata_exit(&s->md);
	s->loaded = false;
	kvfree(l->places);
	l->places = NULL;
	l->place_count = 0;
	l->place_room = 0;
	l->pages = 0;
	l->objects = 0;
	l->most_chunks = 0;
	l->where = 0;
	l->in_index = false;
	memset(&s->report, 0, sizeof(s->report));
}

static int begin_load(struct salvage *s, const struct cowstack_superblock *sb)
{
	int error;

	forget_load(s);
	error = cowstack_metadata_init(&s->md, sb);
	s->loaded = !error;
	return error;
}

bool salvage_is_final(int error)
{
	return error == -ENOMEM || error == -EFBIG || error == -EINTR;
}

/* As the module would load it, by @sb. */
int salvage_load_strictly(struct salvage *s,
			  const struct cowstack_superblock *sb)
{
	int error = begin_load(s, sb);

	if (!error)
		error = load_parts(s);
	if (!error)
		error = load_finish(&s->loader);
	if (error && !s->damage[0]) {
		snprintf(s->damage, sizeof(s->damage), "%s",
			 s->report.why ? s->report.why : "it cannot be read");
		s->damage_block = s->report.where;
	}
	return error;
}

/* Both are right, and of two stores: which is this one nobody can say. */
static bool are_of_two_stores(const struct candidates *c)
{
	return c->count > 1 && !c->repaired[1] &&
	       memcmp(c->list[0].uuid, c->list[1].uuid,
		      sizeof(c->list[0].uuid));
}

/* What any of the superblocks leads to, whole; 1: none does. */
static int load_whole(struct salvage *s, const struct candidates *c)
{
	unsigned int i;
	int error;

	for (i = 0; i < c->count; i++) {
		error = salvage_load_strictly(s, &c->list[i]);
		if (salvage_is_final(error))
			return error;
		/* One in doubt must lead to something that is of its store. */
		if (error || ((c->repaired[i] || are_of_two_stores(c)) &&
			      !s->md.index_count && !s->report.steps))
			continue;
		s->sound = true;
		s->superblock = c->list[i];
		s->rewrite_both = i || c->repaired[0];
		if (i)
			salvage_note(s,
				     "the newer superblock leads to damage, and the other to a whole store");
		else if (c->repaired[0])
			salvage_note(s,
				     "both superblocks are damaged; what one says leads to a whole store");
		return 0;
	}
	return 1;
}

int salvage_load_rest(struct salvage *s, const struct cowstack_superblock *sb)
{
	struct loader *l = &s->loader;
	int error = begin_load(s, sb);

	if (error)
		return error;
	l->forgive = forgive;
	error = load_parts(s);
	if (!error)
		error = salvage_journal(s);
	if (!error)
		error = salvage_mend(s);
	l->forgive = NULL;
	if (!error)
		error = s->error;
	if (!error)
		error = load_finish(l);
	if (!error)
		error = salvage_find_affected(s);
	return error ? error : s->error;
}

int salvage_load(struct salvage *s, struct cowstack_reader *reader)
{
	struct candidates c;
	int error;

	memset(s, 0, sizeof(*s));
	s->loader.md = &s->md;
	s->loader.reader = reader;
	s->loader.report = &s->report;
	error = load_begin(&s->loader);
	if (!error)
		error = find_candidates(s, &c);
	s->no_superblock = error == -EINVAL || error == -EUCLEAN;
	if (!error && are_of_two_stores(&c))
		snprintf(s->damage, sizeof(s->damage),
			 "superblocks are of two stores");
	if (!error)
		error = load_whole(s, &c);
	if (error <= 0)
		return error;
	/* The one that is right may be the older; what it leads to may be overwritten by now. */
	if (s->needed_sectors)
		return -ENXIO;
	s->no_superblock = c.repaired[0];
	if (c.repaired[0] || are_of_two_stores(&c))
		return -EUCLEAN;
	return salvage_load_rest(s, &c.list[0]);
}

void salvage_exit(struct salvage *s)
{
	size_t i;

	forget_load(s);
	load_end(&s->loader);
	for (i = 0; i < s->finding_count; i++)
		free(s->findings[i]);
	free(s->findings);
	free(s->lost);
	free(s->affected);
	free(s->later);
}
