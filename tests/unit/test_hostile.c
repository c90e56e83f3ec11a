// SPDX-License-Identifier: GPL-2.0
/*
 * Loading what an enemy wrote: valid stores with fields changed and checksums
 * made right again.  A load refuses, or gives a store that can be worked with;
 * it never crashes, hangs, or takes more memory than the device could justify.
 *
 *   COWSTACK_LOADS=N  how many mutated stores (default: see below)
 *   COWSTACK_SEED=N   seed of the first store
 */
#include "chain_store.h"
#include "stream_plan.h"
#include "workload.h"

#include "harness.h"

enum {
	DEFAULT_LOADS = 20000,
	LOADS_PER_STORE = 300,
	MAX_TARGETS = 2000,
	MAX_PAGES = 512,
	MAX_COMMITTED = 256,		/* chunks */
};

/* With sanitizers a single allocation may not be larger than this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_allocation_size_mb=32:quarantine_size_mb=16";
}

enum target_kind { TARGET_SUPERBLOCK, TARGET_STEP, TARGET_INDEX, TARGET_PAGE };

struct target {
	enum target_kind kind;
	u64 block;
	u64 first;		/* block of the step that it is in */
	u32 count;		/* of that step, or of the index */
	u64 position;
};

struct hostile {
	struct store_driver driver;
	struct store_image image;	/* only bytes and reader are used */
	u8 *good;
	u64 bytes;
	struct target targets[MAX_TARGETS];
	u32 target_count;
	u64 ring_blocks;
	u64 index[MAX_TARGETS];
	u32 index_count;
	struct random r;
	const char *wrong;
	bool leads_out;			/* a plan or a copy, of the store */
	u64 accepted;
	u64 refused;
	u64 pulled;			/* chunks that streams have */
};

/* --- stores to begin with --- */

static void add_target(struct hostile *h, enum target_kind kind, u64 block)
{
	struct target *t;

	if (h->target_count == MAX_TARGETS)
		return;
	t = &h->targets[h->target_count++];
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	t->block = block;
}

static void *block_at(struct hostile *h, u64 block)
{
	return h->image.bytes + block * COWSTACK_BLOCK_SIZE;
}

static u64 ring_block(struct hostile *h, u64 position)
{
	return COWSTACK_RING_START + position % h->ring_blocks;
}

static void find_steps(struct hostile *h, const struct cowstack_metadata *md)
{
	u64 position, first;
	u32 count, i;

	for (position = md->tail; position < md->head; position += count) {
		struct disk_record_block *block;

		first = position;
		block = block_at(h, ring_block(h, position));
		count = le32_to_cpu(block->step_blocks);
		for (i = 0; i < count; i++) {
			add_target(h, TARGET_STEP, ring_block(h, position + i));
			h->targets[h->target_count - 1].position = first;
			h->targets[h->target_count - 1].count = count;
		}
	}
}

static void find_index(struct hostile *h, const struct cowstack_metadata *md)
{
	u64 i;

	h->index_count = 0;
	for (i = 0; i < md->index_count; i++) {
		h->index[h->index_count++] = from_mblock(md->index[i]);
		add_target(h, TARGET_INDEX, from_mblock(md->index[i]));
	}
}

static void find_pages(struct hostile *h, struct cowstack_metadata *md)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number;

	list_for_each_entry(layer, &md->layers, list)
		for (number = 0; (page = sparse_table_next(&layer->map.pages,
							   &number)); number++)
			if (from_mblock(page->home))
				add_target(h, TARGET_PAGE,
					   from_mblock(page->home));
}

/* Random work, then the bytes of the store as a power cut would leave them. */
static void make_store(struct hostile *h, u64 seed)
{
	struct store_driver *d = &h->driver;
	u64 i, length;

	driver_format(d, seed);
	d->commit_percent = 10;
	driver_open(d);
	length = 50 + random_below(&d->random, 400);
	for (i = 0; i < length; i++)
		workload_do_something(d);
	driver_flush(d);
	if (d->failed)
		printf("# seed %llu: %s\n", (unsigned long long)seed,
		       d->failure);
	driver_close(d);
	device_flush(&d->store);

	h->bytes = d->store.sectors * 512;
	memcpy(h->image.bytes, d->store.medium, h->bytes);
	memcpy(h->good, d->store.medium, h->bytes);
	h->image.sectors = d->store.sectors;
	h->image.reader.device_sectors = d->store.sectors;
}

static int find_targets(struct hostile *h)
{
	struct cowstack_metadata md;
	int error = image_load(&h->image, &md);

	h->target_count = 0;
	if (error)
		return error;
	h->ring_blocks = cowstack_geometry(&md)->ring_blocks;
	add_target(h, TARGET_SUPERBLOCK, COWSTACK_SUPERBLOCK_A);
	find_index(h, &md);
	find_pages(h, &md);
	find_steps(h, &md);
	cowstack_metadata_exit(&md);
	return 0;
}

/* --- mutations --- */

static u64 interesting_number(struct random *r)
{
	static const u64 numbers[] = {
		0, 1, 2, 3, 8, 15, 16, 255, 256, 4032, 4096, 65535, 65536,
		0x7fffffff, 0x80000000, U32_MAX, 1ULL << 32, 1ULL << 43,
		1ULL << 52, 1ULL << 63, U64_MAX, U64_MAX - 1,
	};

	if (random_percent(r, 40))
		return numbers[random_below(r, ARRAY_SIZE(numbers))];
	return random_next(r) >> random_below(r, 64);
}

/* Bits, numbers, small steps up and down, and pieces copied over others. */
static void mutate_bytes(struct random *r, u8 *bytes, u32 length)
{
	u32 width = 1u << random_below(r, 4);
	u32 at = random_below(r, length / width) * width;
	u64 number = 0;

	memcpy(&number, bytes + at, width);
	switch (random_below(r, 5)) {
	case 0:
		number ^= 1ULL << random_below(r, 8 * width);
		break;
	case 1:
		number = interesting_number(r);
		break;
	case 2:
		number += random_below(r, 9) - 4;
		break;
	case 3:
		memcpy(&number, bytes + random_below(r, length / width) * width,
		       width);
		break;
	default:
		memmove(bytes + at, bytes + random_below(r, length - at),
			min_t(u32, length - at, 64) / 2);
		return;
	}
	memcpy(bytes + at, &number, width);
}

static void seal_block(struct disk_record_block *block)
{
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	used += offsetof(struct disk_record_block, records);
	block->header.crc = cpu_to_le32(cowstack_block_crc(block, used));
}

static void seal_step(struct hostile *h, const struct target *t)
{
	struct disk_record_block *block;
	u32 crc = 0, i;

	for (i = 0; i < t->count; i++) {
		block = block_at(h, ring_block(h, t->position + i));
		crc = environment_crc32(crc, block->records,
					min_t(u32, le32_to_cpu(block->used),
					      sizeof(block->records)));
	}
	for (i = 0; i < t->count; i++) {
		block = block_at(h, ring_block(h, t->position + i));
		block->step_crc = cpu_to_le32(crc);
		seal_block(block);
	}
}

static void mutate_records(struct hostile *h, const struct target *t)
{
	struct disk_record_block *block = block_at(h, t->block);
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));

	/* Mostly the records that are there; else the block's head. */
	if (used >= 8 && random_percent(&h->r, 90))
		mutate_bytes(&h->r, block->records, used);
	else
		mutate_bytes(&h->r, (u8 *)block + 32, 32);
	if (t->kind == TARGET_STEP)
		seal_step(h, t);
	else
		seal_block(block);
}

/* The page's record in the index gets the new checksum. */
static void seal_page_in(struct hostile *h, struct disk_record_block *block,
			 u64 place)
{
	u32 crc = environment_crc32(0, block_at(h, place), COWSTACK_BLOCK_SIZE);
	/* Both lengths may have been mutated. */
	u32 used = min_t(u32, le32_to_cpu(block->used), sizeof(block->records));
	struct disk_page_record *r;
	u32 at;

	for (at = 0; at + sizeof(*r) <= used;
	     at += max(8, le16_to_cpu(r->header.bytes) & ~7)) {
		r = (void *)(block->records + at);
		if (le16_to_cpu(r->header.type) == COWSTACK_RECORD_PAGE &&
		    le64_to_cpu(r->block) == place)
			r->crc = cpu_to_le32(crc);
	}
	seal_block(block);
}

static void seal_page(struct hostile *h, u64 place)
{
	u32 i;

	for (i = 0; i < h->index_count; i++)
		seal_page_in(h, block_at(h, h->index[i]), place);
}

static void mutate_superblock(struct hostile *h)
{
	struct disk_superblock *a = block_at(h, COWSTACK_SUPERBLOCK_A);
	struct disk_superblock *b = block_at(h, COWSTACK_SUPERBLOCK_B);

	mutate_bytes(&h->r, (u8 *)a + 24,
		     offsetof(struct disk_superblock, reserved) - 24);
	if (random_percent(&h->r, 70)) {
		*b = *a;
		b->header.place = cpu_to_le64(COWSTACK_SUPERBLOCK_B);
		b->header.crc = cpu_to_le32(cowstack_block_crc(b, sizeof(*b)));
	}
	a->header.crc = cpu_to_le32(cowstack_block_crc(a, sizeof(*a)));
}

static void mutate(struct hostile *h, const struct target *t)
{
	switch (t->kind) {
	case TARGET_SUPERBLOCK:
		mutate_superblock(h);
		break;
	case TARGET_STEP:
	case TARGET_INDEX:
		mutate_records(h, t);
		break;
	case TARGET_PAGE:
		mutate_bytes(&h->r, block_at(h, t->block), COWSTACK_BLOCK_SIZE);
		seal_page(h, t->block);
		break;
	}
}

static void mutate_store(struct hostile *h)
{
	u64 count = 1 + random_below(&h->r, 4);
	u32 first_page = 1 + h->index_count;

	memcpy(h->image.bytes, h->good, h->bytes);
	while (count--) {
		u32 i = random_below(&h->r, h->target_count);

		/* Pages are many, index and superblock few. */
		if (random_percent(&h->r, 40))
			i = random_below(&h->r, first_page);
		mutate(h, &h->targets[i]);
	}
}

/* --- what was accepted has to be usable --- */

static bool volume_is_usable(struct hostile *h, struct cowstack_metadata *md,
			     struct cowstack_volume *volume)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u64 size = volume->info.sectors, sector = 0;
	struct cowstack_extent extent;
	u32 i;

	if (cowstack_volume_bring_up(md, volume))
		return false;
	for (i = 0; i < 2000 && sector < size; i++) {
		cowstack_chain_resolve(g, volume, cowstack_volume_chain(volume),
				       sector, min_t(u64, size - sector, 4096),
				       &extent);
		if (!extent.sectors)
			return false;
		if (extent.kind == COWSTACK_EXTENT_DATA &&
		    (extent.place < g->data_start ||
		     extent.place + extent.sectors > h->image.sectors))
			return false;
		sector += extent.sectors;
	}
	return true;
}

/* A second load after a checkpoint finds what the first one found. */
static bool checkpoint_keeps_all(struct hostile *h,
				 struct cowstack_metadata *md)
{
	struct cowstack_metadata again;
	bool equal;

	if (cowstack_ring_room(md) < 2 * md->max_step_blocks)
		return true;
	image_checkpoint(&h->image, md);
	if (image_load(&h->image, &again)) {
		h->wrong = h->image.report.why;
		return false;
	}
	equal = image_maps_are_equal(md, &again);
	if (!equal)
		h->wrong = "a checkpoint changes what is loaded";
	cowstack_metadata_exit(&again);
	return equal;
}

/* Does a checkpoint surely find room?  An enemy may have taken all of it. */
static bool has_room(struct cowstack_metadata *md)
{
	return cowstack_allocator_room(&md->allocator) > 0;
}

/* What @chunk comes to where it is let go of; false: nothing. */
static bool find_replacement(struct hostile *h, struct cowstack_metadata *md,
			     const struct cowstack_range *range, vchunk_t chunk,
			     struct cowstack_layer *destination,
			     struct cowstack_replacement *r)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	struct cowstack_merge merge;
	u32 i, n = cowstack_range_plan(g, range, chunk, segments);

	for (i = 0; i < n; i++)
		if (!segments[i].zero &&
		    segments[i].place + segments[i].sectors > h->image.sectors)
			h->leads_out = true;
	r->chunk = chunk;
	r->word = cowstack_range_newest(range, chunk, &r->layer);
	if (!destination) {
		r->word = map_word_as_clean(r->word);
		return map_word_mask(r->word);
	}
	cowstack_range_merge(g, range, chunk, &merge);
	for (i = 0; i < merge.count; i++)
		if (merge.copies[i].sector + merge.copies[i].sectors >
		    h->image.sectors)
			h->leads_out = true;
	r->word = merge.word;
	r->layer = destination;
	return merge.word != MAP_WORD_NONE;
}

/* All frozen layers of a volume, kept as clean copies or moved to the lowest. */
static int commit_volume(struct hostile *h, struct cowstack_metadata *md,
			 struct cowstack_volume *volume)
{
	static struct cowstack_replacement r[MAX_COMMITTED];
	struct cowstack_let_go what = { .top = volume->top->parent,
					.replacements = r };
	struct cowstack_layer *lowest = what.top;
	struct cowstack_layer *destination = NULL;
	vchunk_t chunk = to_vchunk(0);
	struct cowstack_range range;
	struct cowstack_change c;
	int error;

	while (lowest && lowest->parent)
		lowest = lowest->parent;
	if (!lowest || cowstack_layer_is_shared(volume, lowest))
		return 0;
	if (lowest != what.top && random_percent(&h->r, 50))
		destination = lowest;
	what.bottom = cowstack_layer_above(destination, what.top);
	cowstack_range_fill(&range, what.top, NULL);
	while (what.replacement_count < MAX_COMMITTED &&
	       cowstack_range_next(&range, &chunk)) {
		if (find_replacement(h, md, &range, chunk, destination,
				     &r[what.replacement_count]))
			what.replacement_count++;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	what.count = from_vchunk(chunk);
	if (!what.count)
		return 0;
	error = cowstack_change_let_go(&c, md, volume, &what, NULL, NULL);
	if (!error)
		image_run_change(&h->image, md, &c);
	return error;
}

/* --- streams --- */

static void look_at_copies(struct hostile *h, struct cowstack_metadata *md,
			   const struct cowstack_pull *pull)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	u32 i;

	if (map_word_has_chunk(pull->word) &&
	    from_dchunk(map_word_chunk(pull->word)) >= g->chunks)
		h->leads_out = true;
	for (i = 0; i < pull->count; i++) {
		const struct cowstack_pull_copy *c = &pull->copies[i];
		u64 sectors = (u64)c->count << g->piece_shift;

		if (c->first + c->count > g->pieces ||
		    (!c->from_base && (c->place < g->data_start ||
				       c->place + sectors > h->image.sectors)))
			h->leads_out = true;
	}
}

/* What @chunk comes to in the layer that takes it: how many words; or no room. */
static int pull_chunk(struct hostile *h, struct cowstack_metadata *md,
		      const struct cowstack_stream *stream, vchunk_t chunk,
		      struct cowstack_replacement *r, bool *took)
{
	struct cowstack_layer *taker = stream->range.layer[0];
	struct cowstack_pull pull;
	dchunk_t room;
	u64 got;

	cowstack_stream_plan(cowstack_geometry(md), stream, chunk, &pull);
	look_at_copies(h, md, &pull);
	r->chunk = chunk;
	r->layer = taker;
	r->word = pull.word;
	if (pull.word == MAP_WORD_NONE ||
	    (!pull.copied && pull.word == chunk_map_get(&taker->map, chunk)))
		return 0;
	*took = pull.needs_chunk;
	if (pull.needs_chunk) {
		if (cowstack_allocator_take(&md->allocator, 1, &room, &got))
			return -ENOSPC;
		r->word = map_word_at(pull.word, room);
	}
	h->pulled++;
	return 1;
}

static void give_back(struct cowstack_metadata *md,
		      const struct cowstack_let_go *what, const bool *took)
{
	map_word_t word;
	u32 i;

	for (i = 0; i < what->replacement_count; i++) {
		word = what->replacements[i].word;
		if (took[i])
			cowstack_allocator_untake(&md->allocator,
						  map_word_chunk(word), 1);
	}
}

/* The lowest layer below the top that is the volume's alone; NULL: none is. */
static struct cowstack_layer *own_bottom(const struct cowstack_volume *volume,
					 struct cowstack_stream *stream)
{
	struct cowstack_layer *layer, *bottom = NULL;

	stream->own = 1;
	for (layer = volume->top->parent;
	     layer && !cowstack_layer_is_shared(volume, layer);
	     layer = layer->parent) {
		bottom = layer;
		stream->own++;
	}
	return bottom;
}

/* All that lies below the top moves into it, and its layers leave. */
static int stream_volume(struct hostile *h, struct cowstack_metadata *md,
			 struct cowstack_volume *volume)
{
	const struct cowstack_geometry *g = cowstack_geometry(md);
	static struct cowstack_replacement r[MAX_COMMITTED];
	static bool took[MAX_COMMITTED];
	static struct cowstack_stream stream;
	struct cowstack_let_go what = { .upward = true, .replacements = r };
	vchunk_t chunk = to_vchunk(0);
	struct cowstack_change c;
	int error, n;

	if (!volume->top->parent ||
	    cowstack_layer_is_shared(volume, volume->top))
		return 0;
	cowstack_range_fill(&stream.range, volume->top, NULL);
	what.bottom = own_bottom(volume, &stream);
	what.top = what.bottom ? volume->top->parent : NULL;
	stream.base_sectors = random_percent(&h->r, 30) ?
		min(volume->info.base_sectors, volume->info.sectors) : 0;
	if (cowstack_stream_room(g, &stream) >
	    cowstack_allocator_room(&md->allocator))
		return 0;
	while (what.replacement_count < MAX_COMMITTED &&
	       cowstack_stream_next(g, &stream, &chunk)) {
		n = what.replacement_count;
		n = pull_chunk(h, md, &stream, chunk, &r[n], &took[n]);
		if (n < 0)
			break;
		what.replacement_count += n;
		chunk = to_vchunk(from_vchunk(chunk) + 1);
	}
	what.count = from_vchunk(chunk);
	error = cowstack_change_let_go(&c, md, volume, &what, NULL, NULL);
	if (error) {
		give_back(md, &what, took);
		return error;
	}
	image_run_change(&h->image, md, &c);
	if (!cowstack_stream_next(g, &stream, &chunk) &&
	    !cowstack_change_pull(&c, md, volume, volume->top, NULL, NULL, NULL))
		image_run_change(&h->image, md, &c);
	return 0;
}

/* Whatever a layer holds it can be asked to leave, and a volume to go. */
static void change_layers(struct hostile *h, struct cowstack_metadata *md,
			  struct cowstack_volume *volume)
{
	struct cowstack_layer *layer = volume->top->parent;
	struct cowstack_change c;

	if (!layer)
		return;
	if (!cowstack_change_clone_volume(&c, md, to_volume_id(77), volume,
					  layer, NULL, 0))
		image_run_change(&h->image, md, &c);
	if (!cowstack_change_empty_layer(&c, md, volume, layer))
		image_run_change(&h->image, md, &c);
	layer = volume->top->parent;
	if (!cowstack_change_remove_layers(&c, md, volume, layer, layer, NULL,
					   NULL))
		image_run_change(&h->image, md, &c);
	if (random_percent(&h->r, 30) &&
	    !cowstack_change_delete_volume(&c, md, volume))
		image_run_change(&h->image, md, &c);
}

static bool layers_are_usable(struct hostile *h, struct cowstack_metadata *md)
{
	struct cowstack_volume *volume, *next;
	struct cowstack_change c;
	int error;

	list_for_each_entry_safe(volume, next, &md->volumes, list) {
		if (cowstack_ring_room(md) < 8 * md->max_step_blocks)
			break;
		if (random_percent(&h->r, 20) &&
		    !cowstack_change_drop_clean(&c, md, volume))
			image_run_change(&h->image, md, &c);
		error = random_percent(&h->r, 50) ?
				commit_volume(h, md, volume) :
				stream_volume(h, md, volume);
		if (error && error != -ENOSPC)
			return false;
		change_layers(h, md, volume);
	}
	if (h->leads_out)
		h->wrong = "a commit or stream that leads out of the store";
	else if (!chain_chunks_have_owners(md))
		h->wrong = "a chunk has two owners, or none";
	else
		return true;
	return false;
}

static bool store_is_usable(struct hostile *h, struct cowstack_metadata *md)
{
	struct cowstack_volume *volume;
	dchunk_t first;
	u64 got;

	list_for_each_entry(volume, &md->volumes, list)
		if (!volume_is_usable(h, md, volume))
			return false;
	if (has_room(md) && (!layers_are_usable(h, md) ||
			     !checkpoint_keeps_all(h, md)))
		return false;
	while (!cowstack_allocator_take(&md->allocator, 8, &first, &got))
		if (from_dchunk(first) + got > cowstack_geometry(md)->chunks)
			return false;
	return true;
}

static bool load_is_right(struct hostile *h)
{
	struct cowstack_metadata md;
	bool right, room;
	int error = image_load(&h->image, &md);

	h->wrong = "refused with an odd error, or not usable";
	if (error) {
		h->refused++;
		return error == -EUCLEAN || error == -EINVAL ||
		       error == -EOPNOTSUPP || error == -EFBIG;
	}
	h->accepted++;
	room = has_room(&md);
	right = (!room || checkpoint_keeps_all(h, &md)) &&
		store_is_usable(h, &md);
	cowstack_metadata_exit(&md);
	return right;
}

static void init(struct hostile *h)
{
	driver_init(&h->driver);
	image_init(&h->image, 8, 16);
	image_resize(&h->image, DRIVER_STORE_SECTORS);
	h->good = malloc(DRIVER_STORE_SECTORS * 512ULL);
	h->image.reader.max_pages = MAX_PAGES;
}

static void exit_all(struct hostile *h)
{
	driver_exit(&h->driver);
	image_exit(&h->image);
	free(h->good);
}

TEST(mutated_stores)
{
	u64 seed = number_from_environment("COWSTACK_SEED", 1);
	u64 loads = number_from_environment("COWSTACK_LOADS", DEFAULT_LOADS);
	static struct hostile h;
	u64 i;

	init(&h);
	for (i = 0; i < loads; i++) {
		if (i % LOADS_PER_STORE == 0) {
			make_store(&h, seed + i / LOADS_PER_STORE);
			ASSERT_EQ(0, find_targets(&h));
		}
		h.r.state = (seed + i / LOADS_PER_STORE) << 20 |
			    i % LOADS_PER_STORE;
		mutate_store(&h);
		ASSERT_TRUE(load_is_right(&h))
			TH_LOG("store of seed %llu, mutation %llu: %s",
			       (unsigned long long)(seed + i / LOADS_PER_STORE),
			       (unsigned long long)(i % LOADS_PER_STORE),
			       h.wrong);
	}
	printf("# %llu mutated stores: %llu refused, %llu accepted; %llu chunks pulled up\n",
	       (unsigned long long)loads, (unsigned long long)h.refused,
	       (unsigned long long)h.accepted,
	       (unsigned long long)h.pulled);
	fflush(stdout);
	exit_all(&h);
}

/* Noise where blocks should be, with and without our magic numbers. */
TEST(noise)
{
	static struct hostile h;
	u64 i, n;

	init(&h);
	make_store(&h, 1);
	ASSERT_EQ(0, find_targets(&h));
	for (n = 0; n < 300; n++) {
		const struct target *t =
			&h.targets[random_below(&h.r, h.target_count)];
		u8 *bytes = block_at(&h, t->block);

		memcpy(h.image.bytes, h.good, h.bytes);
		for (i = random_below(&h.r, 4096); i < 4096; i++)
			bytes[i] = random_next(&h.r);
		EXPECT_TRUE(load_is_right(&h));
	}
	exit_all(&h);
}

/* A record out of range is refused for that, not for what comes of it. */
TEST(ranges_are_checked)
{
	const u64 most = COWSTACK_MAX_VOLUME_SECTORS / 8;
	const u64 bad[][2] = {
		{ 0, 0 }, { most, 1 }, { 1, most }, { 5, U64_MAX },
		{ U64_MAX, 1 }, { 1ULL << 60, 1 },
	};
	static struct store_image image;
	struct cowstack_metadata md, copy;
	u32 i;

	image_init(&image, 8, 100);
	ASSERT_EQ(0, image_load(&image, &md));
	image_create_volume(&image, &md, 1, 1000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct disk_run_record r = {
			.header.type = cpu_to_le16(COWSTACK_RECORD_CLEAR),
			.header.bytes = cpu_to_le16(sizeof(r)),
			.header.id = cpu_to_le32(1),
			.first = cpu_to_le64(bad[i][0]),
			.count = cpu_to_le64(bad[i][1]),
		};

		image_write_raw_step(&image, &md, &r, sizeof(r));
		EXPECT_EQ(-EUCLEAN, image_load(&image, &copy));
		EXPECT_NE(NULL, image.report.why);
	}
	cowstack_metadata_exit(&md);
	image_exit(&image);
}

TEST_HARNESS_MAIN
