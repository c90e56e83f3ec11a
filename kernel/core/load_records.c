// SPDX-License-Identifier: GPL-2.0
/*
 * Taking over the records of steps and of the index.  A record says how things
 * are, so the later one counts and twice the same does no harm.
 */
#include "fault.h"
#include "loader.h"
#include "record.h"
#include "step.h"

static struct cowstack_layer *known_layer(struct loader *l, u32 id)
{
	return id ? cowstack_layer_find(l->md, to_layer_id(id)) : NULL;
}

/* Eight volumes or layers take about what a page of a map takes. */
int load_check_memory(struct loader *l, u64 chunks)
{
	const u64 allocator = chunks / (8 * COWSTACK_BLOCK_SIZE);

	if (l->pages + l->objects / 8 + allocator <= l->reader->max_pages)
		return 0;
	l->report->why = "map does not fit in memory";
	return -EFBIG;
}

static int memory_error(struct loader *l)
{
	return load_check_memory(l, cowstack_geometry(l->md)->chunks);
}

/* Each page has, or had room kept back for, a home of one block (allocator.h). */
static u64 page_room(struct loader *l)
{
	const struct cowstack_geometry *g = cowstack_geometry(l->md);

	return g->chunks * g->chunk_blocks;
}

static int page_error(struct loader *l)
{
	if (l->pages > page_room(l))
		return damaged(l, "more map pages than the store has room for");
	return memory_error(l);
}

static int count_object(struct loader *l)
{
	l->objects++;
	return memory_error(l);
}

static int apply_store(struct loader *l, const struct disk_store_record *r)
{
	struct cowstack_metadata *md = l->md;
	struct cowstack_geometry *g = &md->superblock.geometry;
	u64 chunks = le64_to_cpu(r->chunks);
	u32 next_layer = le32_to_cpu(r->next_layer);

	if (chunks < COWSTACK_MIN_CHUNKS || chunks > MAP_WORD_MAX_CHUNKS ||
	    chunks > cowstack_geometry_chunks(g, l->reader->device_sectors))
		return damaged(l, "store is larger than its device");
	if (!next_layer)
		return damaged(l, "layer ids are used up");
	md->next_layer = max(md->next_layer, next_layer);
	if (chunks <= g->chunks)
		return 0;
	if (load_check_memory(l, chunks))
		return -EFBIG;
	if (cowstack_allocator_prepare_grow(&md->allocator, chunks))
		return -ENOMEM;
	g->chunks = chunks;
	cowstack_allocator_grow(&md->allocator, chunks);
	return 0;
}

static int apply_volume(struct loader *l, const struct disk_volume_record *r)
{
	struct cowstack_volume_info info;
	struct cowstack_volume *volume;
	layer_id_t top;

	if (record_read_volume(r, &info, &top) ||
	    cowstack_chunks_of(cowstack_geometry(l->md), info.sectors) >
		    COWSTACK_MAX_VOLUME_CHUNKS)
		return damaged(l, "volume record makes no sense");
	volume = cowstack_volume_find(l->md, info.id);
	if (!volume) {
		volume = cowstack_volume_new();
		if (!volume)
			return -ENOMEM;
		volume->info.id = info.id;
		cowstack_volume_add(l->md, volume, NULL);
		if (count_object(l))
			return -EFBIG;
	}
	volume->info = info;
	volume->top_id = top;
	l->most_chunks = max(l->most_chunks,
			     cowstack_chunks_of(cowstack_geometry(l->md),
						info.sectors));
	return 0;
}

static int apply_volume_gone(struct loader *l, u32 id)
{
	struct cowstack_volume *volume;

	volume = cowstack_volume_find(l->md, to_volume_id(id));
	if (!volume)
		return damaged(l, "journal removes a volume that is not there");
	cowstack_volume_remove(l->md, volume);
	return 0;
}

static int apply_layer(struct loader *l, const struct disk_layer_record *r)
{
	u32 id = le32_to_cpu(r->header.id);
	u32 parent = le32_to_cpu(r->parent);
	u32 flags = le32_to_cpu(r->flags);
	struct cowstack_layer *layer = known_layer(l, id);

	/* A layer is made above its parent: ids grow upward, no cycle can be. */
	if (!id || id == U32_MAX || parent >= id ||
	    flags & ~COWSTACK_LAYER_FLAGS)
		return damaged(l, "layer record makes no sense");
	if (r->name[COWSTACK_NAME_SIZE - 1] ||
	    (r->name[0] && !cowstack_name_is_valid((const char *)r->name)))
		return damaged(l, "layer has a name that is none");
	if (!layer) {
		layer = cowstack_layer_new(l->md, to_layer_id(id));
		if (!layer)
			return -ENOMEM;
		cowstack_layer_add(l->md, layer);
		if (count_object(l))
			return -EFBIG;
	}
	layer->parent_id = to_layer_id(parent);
	layer->flags = flags;
	layer->created = le64_to_cpu(r->created);
	memcpy(layer->name, r->name, sizeof(layer->name));
	return 0;
}

static int apply_layer_gone(struct loader *l, u32 id)
{
	struct cowstack_layer *layer = known_layer(l, id);

	if (!layer)
		return damaged(l, "journal removes a layer that is not there");
	/*
	 * Until the next checkpoint the index on disk still names its pages,
	 * so their blocks stay taken; its words name nothing any more.
	 */
	cowstack_layer_remove(l->md, layer);
	layer->reclaimed = true;
	return 0;
}

static struct map_page *add_page(struct loader *l, struct cowstack_layer *layer,
				 u64 number)
{
	struct map_page *page;
	bool added;

	page = chunk_map_add_page(&layer->map, number, GFP_KERNEL, &added);
	if (page && added)
		l->pages++;
	return page;
}

/* Is [first, first + count) a range that any volume could have? */
static bool run_is_possible(struct loader *l, u64 first, u64 count)
{
	u64 most = min(COWSTACK_MAX_VOLUME_SECTORS >>
			       cowstack_geometry(l->md)->chunk_shift,
		       COWSTACK_MAX_VOLUME_CHUNKS);

	if (cowstack_fault(FAULT_NO_RANGE_CHECK))
		return true;
	return count && first < most && count <= most - first;
}

static int set_replayed(struct loader *l, struct cowstack_layer *layer,
			u64 chunk, map_word_t word)
{
	struct map_page *page;

	/* Nothing is there to be forgotten: no page is made for it. */
	if (word == MAP_WORD_NONE &&
	    !chunk_map_page(&layer->map, chunk / COWSTACK_PAGE_CHUNKS))
		return 0;
	page = add_page(l, layer, chunk / COWSTACK_PAGE_CHUNKS);
	if (!page)
		return -ENOMEM;
	map_page_store_clean(page, chunk % COWSTACK_PAGE_CHUNKS, word);
	cowstack_page_mark_home(l->md, page);
	return page_error(l);
}

/* What was there before is not true any more, also where this is forgiven. */
static int read_word(struct loader *l, const struct cowstack_layer *layer,
		     u64 chunk, u64 raw, map_word_t *word)
{
	if (!cowstack_word_decode(cowstack_geometry(l->md), raw, word))
		return 0;
	*word = MAP_WORD_NONE;
	return load_forgive(l, damaged(l, "map word makes no sense"),
			    LOAD_DAMAGE_WORD, from_layer_id(layer->id), chunk);
}

static int apply_words(struct loader *l, const struct disk_words_record *r,
		       u32 bytes)
{
	struct cowstack_layer *layer = known_layer(l,
						   le32_to_cpu(r->header.id));
	u64 first = le64_to_cpu(r->first);
	u64 count = (bytes - sizeof(*r)) / sizeof(r->words[0]);
	map_word_t word;
	int error;
	u64 i;

	if (!layer || !run_is_possible(l, first, count))
		return damaged(l, "words of no layer, or out of range");
	for (i = 0; i < count; i++) {
		error = read_word(l, layer, first + i, le64_to_cpu(r->words[i]),
				  &word);
		if (!error)
			error = set_replayed(l, layer, first + i, word);
		if (error)
			return error;
	}
	return 0;
}

/* Chunks [@first, @end), which are all on page @number, have @word from now on. */
static int set_run_on_page(struct loader *l, struct cowstack_layer *layer,
			   u64 number, u64 first, u64 end, map_word_t word)
{
	struct map_page *page = add_page(l, layer, number);
	u64 chunk;

	if (!page)
		return -ENOMEM;
	/* Nobody looks words up yet. */
	for (chunk = first; chunk < end; chunk++)
		page->words[chunk % COWSTACK_PAGE_CHUNKS] = word;
	cowstack_page_mark_home(l->md, page);
	return page_error(l);
}

/*
 * A run of zeroes makes pages, and a record of 24 bytes could ask for any number of
 * them: see load.h.  A repair has to take what there is, where the record of the
 * volume may be what is lost; it leaves out what lies behind the end later.
 */
static int check_zeroes(struct loader *l, u64 first, u64 end)
{
	u64 pages = DIV_ROUND_UP(end, COWSTACK_PAGE_CHUNKS) -
		    first / COWSTACK_PAGE_CHUNKS;

	if (cowstack_fault(FAULT_NO_RANGE_CHECK))
		return 0;
	if (!l->forgive && end > l->most_chunks)
		return damaged(l, "run goes behind the end of every volume");
	if (pages > page_room(l))
		return damaged(l, "more map pages than the store has room for");
	return 0;
}

static int apply_run(struct loader *l, const struct disk_run_record *r,
		     map_word_t word)
{
	struct cowstack_layer *layer = known_layer(l,
						   le32_to_cpu(r->header.id));
	u64 first = le64_to_cpu(r->first);
	u64 count = le64_to_cpu(r->count);
	u64 end, number;
	int error = 0;

	if (!layer || !run_is_possible(l, first, count))
		return damaged(l, "run of no layer, or out of range");
	end = first + count;
	if (word != MAP_WORD_NONE)
		error = check_zeroes(l, first, end);
	/* Millions of chunks may be in one record: a page at a time. */
	for (number = first / COWSTACK_PAGE_CHUNKS;
	     number * COWSTACK_PAGE_CHUNKS < end && !error; number++) {
		u64 start;

		/* Clearing passes over what was never touched. */
		if (word == MAP_WORD_NONE &&
		    !sparse_table_next(&layer->map.pages, &number))
			break;
		start = number * COWSTACK_PAGE_CHUNKS;
		if (start >= end)
			break;
		error = set_run_on_page(l, layer, number, max(first, start),
					min(end, start + COWSTACK_PAGE_CHUNKS),
					word);
		if (!error)
			error = load_pause(l);
	}
	return error;
}

static int apply_clean_gone(struct loader *l, u32 id)
{
	struct cowstack_layer *layer = known_layer(l, id);
	struct map_page *page;
	u64 number;

	if (!layer)
		return damaged(l, "clean words of no layer");
	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		unsigned int slot;

		for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
			if (map_word_is_clean(page->words[slot]))
				map_page_store_clean(page, slot, MAP_WORD_NONE);
		cowstack_page_mark_home(l->md, page);
		if (load_pause(l))
			return -EINTR;
	}
	return 0;
}

static int remember_place(struct loader *l, struct map_page *page, u64 block)
{
	struct page_place *bigger;
	u64 room;

	if (l->place_count == l->place_room) {
		room = max_t(u64, 1024, l->place_room * 2);
		bigger = kvcalloc(room, sizeof(*bigger),
				  GFP_KERNEL | __GFP_NOWARN);
		if (!bigger)
			return -ENOMEM;
		if (l->place_count)
			memcpy(bigger, l->places,
			       l->place_count * sizeof(*bigger));
		kvfree(l->places);
		l->places = bigger;
		l->place_room = room;
	}
	l->places[l->place_count].page = page;
	l->places[l->place_count++].block = block;
	return 0;
}

static int apply_page(struct loader *l, const struct disk_page_record *r)
{
	struct cowstack_layer *layer = known_layer(l,
						   le32_to_cpu(r->header.id));
	u64 number = le64_to_cpu(r->page);
	u64 block = le64_to_cpu(r->block);
	struct map_page *page;

	if (!l->in_index || !layer ||
	    number > COWSTACK_MAX_VOLUME_SECTORS / COWSTACK_PAGE_CHUNKS ||
	    !run_is_possible(l, number * COWSTACK_PAGE_CHUNKS, 1))
		return damaged(l, "map page of no layer, or out of range");
	if (chunk_map_page(&layer->map, number))
		return damaged(l, "map page is named twice");
	/* Claimed at once: each read costs a block that is really there. */
	if (cowstack_allocator_claim_block(&l->md->allocator,
					   to_mblock(block)))
		return damaged_at(l, block, "block is named twice, or is none");
	page = add_page(l, layer, number);
	if (!page)
		return -ENOMEM;
	page->home = to_mblock(block);
	page->crc = le32_to_cpu(r->crc);
	if (memory_error(l))
		return -EFBIG;
	return remember_place(l, page, block);
}

/* The least bytes of a record of @type; 0: there is no such type. */
static u32 least_bytes(u32 type)
{
	switch (type) {
	case COWSTACK_RECORD_STORE:
		return sizeof(struct disk_store_record);
	case COWSTACK_RECORD_VOLUME:
		return sizeof(struct disk_volume_record);
	case COWSTACK_RECORD_VOLUME_GONE:
	case COWSTACK_RECORD_LAYER_GONE:
	case COWSTACK_RECORD_CLEAN_GONE:
		return sizeof(struct disk_record);
	case COWSTACK_RECORD_LAYER:
		return sizeof(struct disk_layer_record);
	case COWSTACK_RECORD_WORDS:
		return sizeof(struct disk_words_record) + sizeof(__le64);
	case COWSTACK_RECORD_CLEAR:
	case COWSTACK_RECORD_ZERO:
		return sizeof(struct disk_run_record);
	case COWSTACK_RECORD_PAGE:
		return sizeof(struct disk_page_record);
	}
	return 0;
}

static int apply_record(struct loader *l, const struct disk_record *r,
			u32 bytes)
{
	const void *p = r;

	switch (le16_to_cpu(r->type)) {
	case COWSTACK_RECORD_STORE:
		return apply_store(l, p);
	case COWSTACK_RECORD_VOLUME:
		return apply_volume(l, p);
	case COWSTACK_RECORD_VOLUME_GONE:
		return apply_volume_gone(l, le32_to_cpu(r->id));
	case COWSTACK_RECORD_LAYER:
		return apply_layer(l, p);
	case COWSTACK_RECORD_LAYER_GONE:
		return apply_layer_gone(l, le32_to_cpu(r->id));
	case COWSTACK_RECORD_WORDS:
		return apply_words(l, p, bytes);
	case COWSTACK_RECORD_CLEAR:
		return apply_run(l, p, MAP_WORD_NONE);
	case COWSTACK_RECORD_ZERO:
		return apply_run(l, p, map_word_zeroes());
	case COWSTACK_RECORD_CLEAN_GONE:
		return apply_clean_gone(l, le32_to_cpu(r->id));
	default:
		return apply_page(l, p);
	}
}

/* The bytes of the record that is next; 0: there is none that makes sense. */
static u32 record_bytes(struct loader *l, const struct disk_record *r, u32 room)
{
	u32 bytes, least;

	if (room < sizeof(*r)) {
		damaged(l, "record is cut off");
		return 0;
	}
	bytes = le16_to_cpu(r->bytes);
	least = least_bytes(le16_to_cpu(r->type));
	if (least && bytes >= least && !(bytes % 8) && bytes <= room)
		return bytes;
	damaged(l, "record has a bad type or length");
	return 0;
}

/* Where the one behind may begin, which makes no sense itself; 0: who knows. */
static u32 skip_record(const struct disk_record *r, u32 room)
{
	u32 bytes;

	if (room < sizeof(*r))
		return 0;
	/* Most types have one length. */
	bytes = least_bytes(le16_to_cpu(r->type));
	if (!bytes)
		bytes = le16_to_cpu(r->bytes);
	return bytes >= sizeof(*r) && !(bytes % 8) && bytes <= room ? bytes : 0;
}

int load_records(struct loader *l, const u8 *records, u32 used)
{
	u32 at, bytes;

	for (at = 0; at < used; at += bytes) {
		const struct disk_record *r = (const void *)(records + at);
		int error;

		bytes = record_bytes(l, r, used - at);
		error = bytes ? apply_record(l, r, bytes) : -EUCLEAN;
		if (!error)
			continue;
		if (!bytes)
			bytes = skip_record(r, used - at);
		l->record = r;
		l->record_bytes = bytes;
		error = load_forgive(l, error, bytes ? LOAD_DAMAGE_RECORD :
						       LOAD_DAMAGE_RECORDS,
				     bytes ? le16_to_cpu(r->type) : used - at,
				     bytes ? le32_to_cpu(r->id) : 0);
		if (error || !bytes)
			return error;
	}
	return 0;
}
