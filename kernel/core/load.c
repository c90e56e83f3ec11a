// SPDX-License-Identifier: GPL-2.0
#include "loader.h"
#include "step.h"

static int forgive_word(struct loader *l, const struct cowstack_layer *layer,
			u64 chunk)
{
	return load_forgive(l, -EUCLEAN, LOAD_DAMAGE_WORD,
			    from_layer_id(layer->id), chunk);
}

/* Which of the blocks of a read that failed it was: the first that fails alone, too. */
static u64 find_unreadable(struct loader *l, u64 first, u64 blocks, void *buffer)
{
	u64 i;

	for (i = 0; i < blocks; i++)
		if (l->reader->read(l->reader, first + i, 1, buffer))
			return first + i;
	return first;
}

/* Reads blocks; the report says where that failed. */
static int read_blocks(struct loader *l, u64 first, u64 blocks, void *buffer)
{
	int error = l->reader->read(l->reader, first, blocks, buffer);

	if (error)
		l->report->where = blocks == 1 ? first :
				   find_unreadable(l, first, blocks, buffer);
	return error;
}

/* --- superblocks --- */

/* Which of the two the store is refused for; -1: neither. */
static int find_refused(const int error[2])
{
	/*
	 * A later version's counts, also beside one that is understood: that may
	 * be from before, and would be made the store's again.
	 */
	if (error[0] == -EOPNOTSUPP)
		return 0;
	if (error[1] == -EOPNOTSUPP)
		return 1;
	if (!error[0] || !error[1])
		return -1;
	/* The one that has our magic says more than the other. */
	return error[0] == -EINVAL;
}

int load_superblock(struct loader *l, struct cowstack_superblock *sb)
{
	static const u64 places[] = {
		COWSTACK_SUPERBLOCK_A, COWSTACK_SUPERBLOCK_B
	};
	const struct disk_superblock *block = (void *)l->buffer;
	struct cowstack_superblock found[2];
	const char *why[2];
	int error[2];
	int i;

	for (i = 0; i < 2; i++) {
		error[i] = l->reader->read(l->reader, places[i], 1, l->buffer);
		why[i] = "superblock cannot be read";
		if (!error[i])
			error[i] = cowstack_superblock_decode(&found[i], block,
							      places[i],
							      l->reader->device_sectors,
							      &why[i]);
	}
	i = find_refused(error);
	if (i >= 0) {
		l->report->why = why[i];
		l->report->where = places[i];
		return error[i];
	}
	if (error[0] || error[1]) {
		i = !!error[0];
	} else {
		if (memcmp(found[0].uuid, found[1].uuid,
			   sizeof(found[0].uuid)))
			return damaged(l, "superblocks are of two stores");
		i = found[1].sequence > found[0].sequence;
	}
	l->report->other_superblock = error[!i] ||
				      found[0].sequence != found[1].sequence;
	l->report->other_place = places[!i];
	*sb = found[i];
	return load_check_memory(l, sb->geometry.chunks);
}

/* --- index --- */

/* One block of the index; *place is that of the next one then. */
static int load_index_block(struct loader *l, u64 *place)
{
	struct cowstack_metadata *md = l->md;
	struct disk_record_block *block = (void *)l->buffer;
	int error;

	/* Claiming ends a chain that runs in a circle. */
	if (cowstack_allocator_claim_block(&md->allocator, to_mblock(*place)))
		return damaged_at(l, *place, "index block is out of range, or named twice");
	md->index[md->index_count++] = to_mblock(*place);
	error = read_blocks(l, *place, 1, block);
	if (error)
		return error;
	if (!cowstack_block_is_valid(l->md, block, COWSTACK_MAGIC_INDEX, *place) ||
	    le64_to_cpu(block->header.sequence) != md->superblock.tail_step)
		return damaged_at(l, *place, "index block is damaged");
	l->where = *place;
	error = load_records(l, block->records, le32_to_cpu(block->used));
	*place = le64_to_cpu(block->next);
	return error;
}

int load_index(struct loader *l)
{
	struct cowstack_metadata *md = l->md;
	u64 count = md->superblock.index_blocks;
	u64 place = from_mblock(md->superblock.index_first);
	int error = 0;

	/* What memory has room for takes fewer blocks than it has pages, but for two. */
	if (count > 2 && count - 2 > l->reader->max_pages) {
		l->report->why = "map does not fit in memory";
		return -EFBIG;
	}
	l->in_index = true;
	md->index = kvcalloc(count + 1, sizeof(*md->index),
			     GFP_KERNEL | __GFP_NOWARN);
	if (!md->index)
		return -ENOMEM;
	while (md->index_count < count && !error) {
		error = load_index_block(l, &place);
		if (!error)
			error = load_pause(l);
	}
	if (!error && place)
		error = damaged(l, "index is longer than its superblock says");
	cowstack_allocator_set_index_on_disk(&md->allocator, md->index_count);
	l->in_index = false;
	l->where = 0;
	return load_forgive(l, error, LOAD_DAMAGE_INDEX, place, 0);
}

/* --- pages --- */

static int compare_places(const void *a, const void *b)
{
	const struct page_place *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

/* The words of a page, of which none is known yet. */
static int fill_words(struct loader *l, const struct page_place *place,
		      const __le64 *image)
{
	const struct cowstack_geometry *g = cowstack_geometry(l->md);
	struct map_page *page = place->page;
	unsigned int slot;
	int error;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
		map_word_t word;

		if (!cowstack_word_decode(g, le64_to_cpu(image[slot]), &word)) {
			page->words[slot] = word;
			continue;
		}
		damaged_at(l, place->block, "map word makes no sense");
		error = forgive_word(l, page->map->layer,
				     (u64)page->number * COWSTACK_PAGE_CHUNKS +
					     slot);
		if (error)
			return error;
		cowstack_page_mark_home(l->md, page);
	}
	return 0;
}

static int fill_page(struct loader *l, const struct page_place *place,
		     const __le64 *image)
{
	if (environment_crc32(0, image, COWSTACK_BLOCK_SIZE) == place->page->crc)
		return fill_words(l, place, image);
	return damaged_at(l, place->block, "map page is damaged");
}

static int forgive_page(struct loader *l, const struct page_place *place,
			int error)
{
	if (!error)
		return 0;
	error = load_forgive(l, error, LOAD_DAMAGE_PAGE,
			     from_layer_id(place->page->map->layer->id),
			     place->page->number);
	if (!error)
		cowstack_page_mark_home(l->md, place->page);
	return error;
}

/* Pages that were read into the buffer, in the order of @place. */
static int take_pages(struct loader *l, const struct page_place *place,
		      u64 count)
{
	int error = 0;
	u64 k;

	for (k = 0; k < count && !error; k++)
		error = forgive_page(l, place + k,
				     fill_page(l, place + k,
					       (void *)(l->buffer + k *
							COWSTACK_BLOCK_SIZE)));
	return error;
}

/* Pages that lie in a row, from @place on. */
static int load_page_run(struct loader *l, const struct page_place *place,
			 u64 count)
{
	int error = read_blocks(l, place->block, count, l->buffer);
	u64 k;

	/* One that cannot be read must not take others with it. */
	if (error && l->forgive && count > 1) {
		for (k = 0, error = 0; k < count && !error; k++)
			error = load_page_run(l, place + k, 1);
		return error;
	}
	return error ? forgive_page(l, place, error) :
		       take_pages(l, place, count);
}

/* Cuts pages into runs, which lie behind each other in the buffer. */
static u32 cut_into_runs(struct loader *l, const struct page_place *place,
			 u64 count)
{
	struct cowstack_run_read *run = l->runs;
	u64 k;

	for (k = 0; k < count; k++) {
		if (k && place[k].block == run->first + run->blocks) {
			run->blocks++;
			continue;
		}
		run += !!k;
		run->first = place[k].block;
		run->blocks = 1;
		run->buffer = l->buffer + k * COWSTACK_BLOCK_SIZE;
	}
	return run - l->runs + 1;
}

/* As many pages as the buffer has room for. */
static int load_some_pages(struct loader *l, const struct page_place *place,
			   u64 count)
{
	u32 runs = cut_into_runs(l, place, count), i;
	int error = 0;

	if (runs > 1 && l->reader->read_runs &&
	    !l->reader->read_runs(l->reader, l->runs, runs))
		return take_pages(l, place, count);
	for (i = 0; i < runs && !error; i++) {
		error = load_page_run(l, place, l->runs[i].blocks);
		place += l->runs[i].blocks;
	}
	return error;
}

/* Reads the pages in the order in which they lie, as much at once as there is. */
int load_pages(struct loader *l)
{
	u64 i, n;
	int error;

	sort(l->places, l->place_count, sizeof(*l->places), compare_places,
	     NULL);
	for (i = 0; i < l->place_count; i += n) {
		n = min_t(u64, LOAD_BUFFER_BLOCKS, l->place_count - i);
		error = load_some_pages(l, &l->places[i], n);
		if (!error)
			error = load_pause(l);
		if (error)
			return error;
	}
	return 0;
}

/* --- journal --- */

static u64 ring_place(struct loader *l, u64 position)
{
	const struct cowstack_geometry *g = cowstack_geometry(l->md);
	u64 offset;

	div64_u64_rem(position, g->ring_blocks, &offset);
	return from_mblock(g->ring_start) + offset;
}

static int read_ring(struct loader *l, u64 position, u64 blocks)
{
	u64 i;
	int error = 0;

	for (i = 0; i < blocks && !error; i++)
		error = read_blocks(l, ring_place(l, position + i), 1,
				    l->buffer + i * COWSTACK_BLOCK_SIZE);
	return error;
}

static struct disk_record_block *buffered(struct loader *l, u64 i)
{
	return (void *)(l->buffer + i * COWSTACK_BLOCK_SIZE);
}

/* Is block @i of the buffer block @i of the step that is next? */
static bool belongs_to_step(struct loader *l, u64 i)
{
	const struct disk_record_block *first = buffered(l, 0);
	const struct disk_record_block *block = buffered(l, i);

	return cowstack_block_is_valid(l->md, block, COWSTACK_MAGIC_STEP,
				   ring_place(l, l->md->head + i)) &&
	       le64_to_cpu(block->header.sequence) == l->md->next_step &&
	       block->header.nonce == first->header.nonce &&
	       block->step_blocks == first->step_blocks &&
	       block->step_crc == first->step_crc &&
	       le32_to_cpu(block->number) == i;
}

/* Reads the next step into the buffer; *blocks is 0 where there is none. */
static int read_step(struct loader *l, u32 *blocks)
{
	struct cowstack_metadata *md = l->md;
	u32 count, crc = 0, i;
	int error;

	*blocks = 0;
	error = read_ring(l, md->head, 1);
	if (error || !belongs_to_step(l, 0))
		return error;
	count = le32_to_cpu(buffered(l, 0)->step_blocks);
	if (!count || count > md->max_step_blocks ||
	    md->head + count - md->tail > cowstack_geometry(md)->ring_blocks)
		return damaged_at(l, ring_place(l, md->head),
				  "step has an impossible length");
	error = read_ring(l, md->head, count);
	if (error)
		return error;
	for (i = 0; i < count; i++) {
		struct disk_record_block *block = buffered(l, i);

		if (!belongs_to_step(l, i))
			return 0;
		crc = environment_crc32(crc, block->records,
					le32_to_cpu(block->used));
	}
	if (crc == le32_to_cpu(buffered(l, 0)->step_crc))
		*blocks = count;
	return 0;
}

/*
 * A step is sent when the one before it is durable.  So a step that cannot be
 * read is the end of the journal, unless a later one is there: that is damage,
 * and going on without it would lose what was acknowledged.
 */
static int check_ring_end(struct loader *l)
{
	struct cowstack_metadata *md = l->md;
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u64 start = from_mblock(g->ring_start);
	u64 at, n, i;
	int error;

	for (at = 0; at < g->ring_blocks; at += n) {
		n = min_t(u64, LOAD_BUFFER_BLOCKS, g->ring_blocks - at);
		error = read_blocks(l, start + at, n, l->buffer);
		if (!error)
			error = load_pause(l);
		if (error)
			return error;
		for (i = 0; i < n; i++) {
			struct disk_record_block *block = buffered(l, i);

			if (le64_to_cpu(block->header.sequence) >
				    md->next_step &&
			    cowstack_block_is_valid(l->md, block,
						    COWSTACK_MAGIC_STEP,
						    start + at + i))
				return damaged_at(l, ring_place(l, md->head),
						  "journal is damaged before its end");
		}
	}
	return 0;
}

int load_journal(struct loader *l)
{
	struct cowstack_metadata *md = l->md;
	u32 blocks, i;
	int error;

	for (;;) {
		error = read_step(l, &blocks);
		if (!error)
			error = load_pause(l);
		if (!error && !blocks)
			error = check_ring_end(l);
		if (error || !blocks)
			return load_forgive(l, error, LOAD_DAMAGE_JOURNAL,
					    md->next_step, 0);
		for (i = 0; i < blocks; i++) {
			l->where = ring_place(l, md->head + i);
			error = load_records(l, buffered(l, i)->records,
					     le32_to_cpu(buffered(l, i)->used));
			if (error)
				return error;
		}
		l->where = 0;
		md->head += blocks;
		md->next_step++;
		l->report->steps++;
	}
}

/* --- what it all amounts to --- */

static int link_layers(struct loader *l)
{
	struct cowstack_layer *layer, *parent;

	list_for_each_entry(layer, &l->md->layers, list) {
		if (layer->parent_id == COWSTACK_BASE_LAYER)
			continue;
		parent = cowstack_layer_find(l->md, layer->parent_id);
		if (!parent || !(parent->flags & COWSTACK_LAYER_FROZEN))
			return damaged(l, "layer lies on none, or on one that is not frozen");
		cowstack_layer_set_parent(layer, parent);
		if (load_pause(l))
			return -EINTR;
	}
	return 0;
}

/*
 * A layer holds nothing behind the end of any volume that it is in: it was frozen
 * before there was a second one, and volumes only grow.  Were it the largest that
 * counts here, this store would be refused when that one is deleted.
 */
static void limit_layers(struct loader *l, const struct cowstack_volume *volume)
{
	u64 chunks = cowstack_chunks_of(cowstack_geometry(l->md),
					volume->info.sectors);
	struct cowstack_layer *layer;

	for (layer = volume->top; layer; layer = layer->parent)
		layer->limit = layer->limit ? min(layer->limit, chunks) : chunks;
}

/* In the buffer, which is done with. */
enum { NAME_BUCKETS = 4096 };

static_assert(NAME_BUCKETS * sizeof(struct cowstack_volume *) <=
	      LOAD_BUFFER_BLOCKS * COWSTACK_BLOCK_SIZE, "buckets in the buffer");

/* Has one of those before it its name?  In buckets, as there may be many. */
static bool name_is_taken(struct cowstack_volume **buckets,
			  struct cowstack_volume *volume)
{
	const char *name = volume->info.name;
	u32 hash = environment_crc32(0, name, strlen(name));
	struct cowstack_volume **bucket = &buckets[hash % NAME_BUCKETS];
	struct cowstack_volume *other = *bucket;

	if (!name[0])
		return false;
	while (other && strcmp(other->info.name, name))
		other = other->name_next;
	volume->name_next = *bucket;
	*bucket = volume;
	return other;
}

static int link_volumes(struct loader *l)
{
	struct cowstack_volume **names = (void *)l->buffer;
	struct cowstack_volume *volume;
	struct cowstack_layer *top;

	memset(names, 0, NAME_BUCKETS * sizeof(*names));
	list_for_each_entry(volume, &l->md->volumes, list) {
		top = cowstack_layer_find(l->md, volume->top_id);
		if (!top || top->children ||
		    top->flags & COWSTACK_LAYER_FROZEN)
			return damaged(l, "volume has no top layer of its own");
		if (from_layer_id(volume->info.mixed_top) >= l->md->next_layer)
			return damaged(l, "commit of a layer that never was");
		if (name_is_taken(names, volume))
			return damaged(l, "two volumes have one name");
		cowstack_volume_set_top(volume, top);
		if (cowstack_volume_depth(volume) > COWSTACK_MAX_LAYERS)
			return damaged(l, "chain has more than 250 layers");
		limit_layers(l, volume);
		if (load_pause(l))
			return -EINTR;
	}
	return 0;
}

static int claim_page(struct loader *l, struct cowstack_layer *layer,
		      struct map_page *page)
{
	u64 first = (u64)page->number * COWSTACK_PAGE_CHUNKS;
	unsigned int slot;

	for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++) {
		map_word_t word = page->words[slot];

		if (word == MAP_WORD_NONE)
			continue;
		if (first + slot >= layer->limit)
			return damaged(l, "layer holds what lies behind its volume's end");
		/* Guests write to a top in place, and never to a clean copy. */
		if (map_word_is_clean(word) &&
		    !(layer->flags & COWSTACK_LAYER_FROZEN))
			return damaged(l, "layer that is written holds a clean copy");
		l->report->words++;
		if (!map_word_has_chunk(word))
			continue;
		if (cowstack_allocator_claim(&l->md->allocator,
					     map_word_chunk(word)))
			return damaged(l, "a chunk is named twice, or is out of range");
		atomic64_inc(&layer->map.used);
		if (map_word_is_clean(word))
			atomic64_inc(&layer->map.clean);
	}
	return 0;
}

static int claim_layer(struct loader *l, struct cowstack_layer *layer)
{
	struct map_page *page;
	u64 number;
	int error;

	if (!layer->children)
		return damaged(l, "layer belongs to no volume");
	for (number = 0;
	     (page = sparse_table_next(&layer->map.pages, &number)); number++) {
		error = claim_page(l, layer, page);
		if (!error)
			error = load_pause(l);
		if (error)
			return error;
	}
	return 0;
}

static int claim_all(struct loader *l)
{
	struct cowstack_metadata *md = l->md;
	struct cowstack_volume *volume;
	struct cowstack_layer *layer;
	int error;

	list_for_each_entry(layer, &md->layers, list) {
		error = claim_layer(l, layer);
		if (error)
			return error;
	}
	list_for_each_entry(volume, &md->volumes, list)
		cowstack_volume_set_limits(md, volume);
	/* Zombies' pages count too: their homes are taken until a checkpoint. */
	md->allocator.pages = l->pages;
	l->report->pages = l->pages;
	return 0;
}

int load_finish(struct loader *l)
{
	int error = link_layers(l);

	if (!error)
		error = link_volumes(l);
	if (!error)
		error = claim_all(l);
	return error;
}

int load_begin(struct loader *l)
{
	memset(l->report, 0, sizeof(*l->report));
	l->buffer = kvcalloc(LOAD_BUFFER_BLOCKS, COWSTACK_BLOCK_SIZE, GFP_KERNEL);
	l->runs = kvcalloc(LOAD_BUFFER_BLOCKS, sizeof(*l->runs), GFP_KERNEL);
	return l->buffer && l->runs ? 0 : -ENOMEM;
}

void load_end(struct loader *l)
{
	kvfree(l->places);
	kvfree(l->runs);
	kvfree(l->buffer);
}

int cowstack_load(struct cowstack_metadata *md, struct cowstack_reader *reader,
		  struct cowstack_load_report *report)
{
	struct loader l = { .md = md, .reader = reader, .report = report };
	struct cowstack_superblock sb;
	int error = load_begin(&l);

	if (!error)
		error = load_superblock(&l, &sb);
	if (!error)
		error = cowstack_metadata_init(md, &sb);
	if (!error) {
		error = load_index(&l);
		if (!error)
			error = load_pages(&l);
		if (!error)
			error = load_journal(&l);
		if (!error)
			error = load_finish(&l);
		if (error)
			cowstack_metadata_exit(md);
	}
	load_end(&l);
	return error;
}

void cowstack_format(struct cowstack_superblock *sb,
		     const struct cowstack_geometry *g, const u8 *uuid,
		     const char *name, u64 now)
{
	memset(sb, 0, sizeof(*sb));
	memcpy(sb->uuid, uuid, sizeof(sb->uuid));
	cowstack_name_copy(sb->name, name);
	sb->sequence = 1;
	sb->created = now;
	sb->tail_step = 1;
	sb->geometry = *g;
}
