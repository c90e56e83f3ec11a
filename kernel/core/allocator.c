// SPDX-License-Identifier: GPL-2.0
#include "allocator.h"
#include "fault.h"

#define MAX_CHUNK_BLOCKS (COWSTACK_MAX_CHUNK_SECTORS / COWSTACK_BLOCK_SECTORS)

/* Chunks kept back beside the metadata's, so that no estimate is too tight. */
#define SPARE_CHUNKS 2
/* And blocks: a snapshot is taken of a full store too, or it could not commit. */
#define SPARE_BLOCKS 16

struct metadata_chunk {
	struct list_head list;		/* in partial, or alone */
	dchunk_t chunk;
	u32 used;			/* blocks; 0: not a metadata chunk now */
	unsigned long blocks[BITS_TO_LONGS(MAX_CHUNK_BLOCKS)];
};

/*
 * Process context: a free must not fail, and there is no one to tell.  The
 * objects are small and short-lived.
 */
static void *allocate_surely(size_t bytes)
{
	return kzalloc(bytes, GFP_NOIO | __GFP_NOFAIL);
}

static u64 bitmap_bytes(u64 bits)
{
	return BITS_TO_LONGS(bits) * sizeof(long);
}

int cowstack_allocator_init(struct allocator *a,
			    const struct cowstack_geometry *geometry)
{
	memset(a, 0, sizeof(*a));
	spin_lock_init(&a->lock);
	INIT_LIST_HEAD(&a->partial);
	INIT_LIST_HEAD(&a->freed);
	INIT_LIST_HEAD(&a->durable);
	a->geometry = geometry;
	a->chunks = geometry->chunks;
	a->bits = a->chunks;
	a->free = a->chunks;
	a->index_blocks = 2;
	a->taken = kvcalloc(BITS_TO_LONGS(a->bits), sizeof(long),
			    GFP_KERNEL | __GFP_NOWARN);
	return a->taken ? 0 : -ENOMEM;
}

static void free_runs(struct list_head *runs)
{
	struct chunk_run *run, *next;

	list_for_each_entry_safe(run, next, runs, list) {
		list_del(&run->list);
		kfree(run);
	}
}

void cowstack_allocator_exit(struct allocator *a)
{
	struct metadata_chunk *m;
	u64 index;

	if (!a->taken)
		return;
	free_runs(&a->freed);
	free_runs(&a->durable);
	for (index = 0; (m = sparse_table_next(&a->metadata, &index)); index++)
		kfree(m);
	sparse_table_exit(&a->metadata);
	kvfree(a->taken);
	a->taken = NULL;
}

int cowstack_allocator_prepare_grow(struct allocator *a, u64 chunks)
{
	unsigned long *bigger, *old;

	if (chunks <= a->bits)
		return 0;
	bigger = kvcalloc(BITS_TO_LONGS(chunks), sizeof(long),
			  GFP_NOIO | __GFP_NOWARN);
	if (!bigger)
		return -ENOMEM;
	spin_lock(&a->lock);
	old = a->taken;
	memcpy(bigger, old, bitmap_bytes(a->bits));
	a->taken = bigger;
	a->bits = chunks;
	spin_unlock(&a->lock);
	kvfree(old);
	return 0;
}

void cowstack_allocator_grow(struct allocator *a, u64 chunks)
{
	spin_lock(&a->lock);
	if (chunks > a->chunks && chunks <= a->bits) {
		a->free += chunks - a->chunks;
		a->chunks = chunks;
	}
	spin_unlock(&a->lock);
}

/*
 * Chunks that metadata may still need: at the worst moment of a checkpoint each
 * page and each index block has its old and its new place.
 */
static u64 metadata_need(const struct allocator *a, u64 pages,
			 u64 index_blocks, u64 spare)
{
	u64 index = max(index_blocks, a->index_underway) + pages / 100 + 1;
	u64 old_index = max(index, a->index_on_disk);
	u64 need = DIV_ROUND_UP_ULL(2 * pages + index + old_index + spare,
				    a->geometry->chunk_blocks);

	return need > a->metadata_chunks ? need - a->metadata_chunks : 0;
}

static u64 kept_back(const struct allocator *a, u64 pages)
{
	return metadata_need(a, pages, a->index_blocks, SPARE_BLOCKS) +
	       SPARE_CHUNKS;
}

static u64 room(const struct allocator *a)
{
	u64 keep = kept_back(a, a->pages);

	return a->free > keep ? a->free - keep : 0;
}

bool cowstack_allocator_has_room(struct allocator *a)
{
	bool enough;

	spin_lock(&a->lock);
	enough = a->free > kept_back(a, a->pages + 1);
	spin_unlock(&a->lock);
	return enough;
}

u64 cowstack_allocator_room(struct allocator *a)
{
	u64 chunks;

	spin_lock(&a->lock);
	chunks = room(a);
	spin_unlock(&a->lock);
	return chunks;
}

/* First free chunk from @a->next on, round once; there is one. */
static u64 find_free(struct allocator *a)
{
	u64 found = find_next_zero_bit(a->taken, a->chunks, a->next);

	if (found >= a->chunks)
		found = find_next_zero_bit(a->taken, a->chunks, 0);
	return found;
}

static u64 take_run(struct allocator *a, u64 want, u64 *got)
{
	u64 first = find_free(a);
	u64 end = first;

	if (first >= a->chunks)
		return first;
	while (end < a->chunks && end - first < want &&
	       !test_bit(end, a->taken))
		__set_bit(end++, a->taken);
	*got = end - first;
	a->free -= *got;
	a->next = end;
	return first;
}

int cowstack_allocator_take(struct allocator *a, u64 want, dchunk_t *first,
			    u64 *got)
{
	u64 most, chunk;

	spin_lock(&a->lock);
	most = room(a);
	chunk = most ? take_run(a, min(want, most), got) : a->chunks;
	spin_unlock(&a->lock);
	if (!most || chunk >= a->chunks)
		return -ENOSPC;
	*first = to_dchunk(chunk);
	return 0;
}

static void make_free(struct allocator *a, u64 first, u64 count)
{
	u64 i;

	for (i = first; i < first + count; i++)
		__clear_bit(i, a->taken);
	a->free += count;
}

void cowstack_allocator_untake(struct allocator *a, dchunk_t first, u64 count)
{
	spin_lock(&a->lock);
	make_free(a, from_dchunk(first), count);
	spin_unlock(&a->lock);
}

int cowstack_allocator_add_page(struct allocator *a)
{
	int error = 0;

	spin_lock(&a->lock);
	if (a->free > kept_back(a, a->pages + 1))
		a->pages++;
	else
		error = -ENOSPC;
	spin_unlock(&a->lock);
	return error;
}

void cowstack_allocator_remove_pages(struct allocator *a, u64 count)
{
	spin_lock(&a->lock);
	a->pages -= count;
	spin_unlock(&a->lock);
}

void cowstack_allocator_set_index(struct allocator *a, u64 blocks)
{
	spin_lock(&a->lock);
	a->index_blocks = blocks;
	spin_unlock(&a->lock);
}

void cowstack_allocator_begin_index(struct allocator *a, u64 blocks)
{
	spin_lock(&a->lock);
	a->index_underway = blocks;
	spin_unlock(&a->lock);
}

void cowstack_allocator_set_index_on_disk(struct allocator *a, u64 blocks)
{
	spin_lock(&a->lock);
	a->index_on_disk = blocks;
	a->index_underway = 0;
	spin_unlock(&a->lock);
}

bool cowstack_allocator_has_index_room(struct allocator *a, u64 blocks)
{
	bool enough;

	spin_lock(&a->lock);
	enough = blocks <= a->index_blocks ||
		 a->free >= metadata_need(a, a->pages, blocks, 0);
	spin_unlock(&a->lock);
	return enough;
}

static void add_run(struct allocator *a, struct list_head *runs, dchunk_t first,
		    u64 count)
{
	struct chunk_run *run = allocate_surely(sizeof(*run));
	struct chunk_run *last;

	run->first = first;
	run->count = count;
	spin_lock(&a->lock);
	a->limbo += count;
	if (!list_empty(runs)) {
		last = list_last_entry(runs, struct chunk_run, list);
		if (from_dchunk(last->first) + last->count ==
		    from_dchunk(first)) {
			last->count += count;
			spin_unlock(&a->lock);
			kfree(run);
			return;
		}
	}
	list_add_tail(&run->list, runs);
	spin_unlock(&a->lock);
}

void cowstack_allocator_free(struct allocator *a, dchunk_t first, u64 count)
{
	if (cowstack_fault(FAULT_REUSE_BEFORE_DURABLE))
		add_run(a, &a->durable, first, count);
	else
		add_run(a, &a->freed, first, count);
}

void cowstack_allocator_free_durable(struct allocator *a, dchunk_t first,
				     u64 count)
{
	add_run(a, &a->durable, first, count);
}

void cowstack_allocator_collect(struct allocator *a, struct list_head *runs)
{
	spin_lock(&a->lock);
	list_splice_tail_init(&a->freed, runs);
	spin_unlock(&a->lock);
}

void cowstack_allocator_durable(struct allocator *a, struct list_head *runs)
{
	spin_lock(&a->lock);
	list_splice_tail_init(runs, &a->durable);
	spin_unlock(&a->lock);
}

static int compare_runs(void *priv, const struct list_head *a,
			const struct list_head *b)
{
	u64 x = from_dchunk(list_entry(a, struct chunk_run, list)->first);
	u64 y = from_dchunk(list_entry(b, struct chunk_run, list)->first);

	return x < y ? -1 : x > y;
}

void cowstack_allocator_take_durable(struct allocator *a,
				     struct list_head *runs)
{
	struct chunk_run *run, *next, *last = NULL;

	spin_lock(&a->lock);
	list_splice_tail_init(&a->durable, runs);
	spin_unlock(&a->lock);

	list_sort(NULL, runs, compare_runs);
	list_for_each_entry_safe(run, next, runs, list) {
		if (last && from_dchunk(last->first) + last->count ==
				    from_dchunk(run->first)) {
			last->count += run->count;
			list_del(&run->list);
			kfree(run);
		} else {
			last = run;
		}
	}
}

void cowstack_allocator_release(struct allocator *a, struct list_head *runs)
{
	struct chunk_run *run;

	list_for_each_entry(run, runs, list) {
		/* In pieces: a run may be the whole store. */
		u64 first = from_dchunk(run->first);
		u64 end = first + run->count;

		while (first < end) {
			u64 count = min_t(u64, end - first, 4096);

			spin_lock(&a->lock);
			make_free(a, first, count);
			a->limbo -= count;
			spin_unlock(&a->lock);
			first += count;
			cond_resched();
		}
	}
	free_runs(runs);
}

static mblock_t block_of(const struct allocator *a,
			 const struct metadata_chunk *m, u32 slot)
{
	return to_mblock(cowstack_chunk_sector(a->geometry, m->chunk) /
				 COWSTACK_BLOCK_SECTORS + slot);
}

/* The chunk and slot of @block, false if it lies in no chunk. */
static bool locate_block(const struct allocator *a, mblock_t block,
			 u64 *chunk, u32 *slot)
{
	const struct cowstack_geometry *g = a->geometry;
	u64 n = from_mblock(block);
	u64 data = g->data_start / COWSTACK_BLOCK_SECTORS;

	if (n < data)
		return false;
	*chunk = div_u64(n - data, g->chunk_blocks);
	*slot = n - data - *chunk * g->chunk_blocks;
	return *chunk < a->chunks;
}

/* The record of metadata chunk @chunk, made if need be. */
static struct metadata_chunk *find_metadata_chunk(struct allocator *a,
						  u64 chunk)
{
	struct metadata_chunk *m = sparse_table_get(&a->metadata, chunk);
	struct metadata_chunk *seen;

	if (m)
		return m;
	m = allocate_surely(sizeof(*m));
	m->chunk = to_dchunk(chunk);
	INIT_LIST_HEAD(&m->list);
	seen = sparse_table_insert(&a->metadata, chunk, m,
				   GFP_NOIO | __GFP_NOFAIL);
	if (seen != m)
		kfree(m);
	return seen;
}

static void use_slot(struct allocator *a, struct metadata_chunk *m, u32 slot)
{
	if (!m->used)
		a->metadata_chunks++;
	__set_bit(slot, m->blocks);
	a->metadata_blocks++;
	m->used++;
	list_del_init(&m->list);
	/* Blocks that follow each other are written and read together. */
	if (m->used < a->geometry->chunk_blocks)
		list_add(&m->list, &a->partial);
}

static mblock_t take_partial(struct allocator *a)
{
	struct metadata_chunk *m;
	u32 slot;

	if (list_empty(&a->partial))
		return COWSTACK_NO_BLOCK;
	m = list_first_entry(&a->partial, struct metadata_chunk, list);
	slot = find_next_zero_bit(m->blocks, a->geometry->chunk_blocks, 0);
	use_slot(a, m, slot);
	return block_of(a, m, slot);
}

mblock_t cowstack_allocator_take_block(struct allocator *a)
{
	struct metadata_chunk *m;
	mblock_t block;
	u64 chunk, got;

	spin_lock(&a->lock);
	block = take_partial(a);
	chunk = block == COWSTACK_NO_BLOCK && a->free ?
			take_run(a, 1, &got) : a->chunks;
	spin_unlock(&a->lock);
	if (block != COWSTACK_NO_BLOCK || chunk >= a->chunks)
		return block;

	m = find_metadata_chunk(a, chunk);
	spin_lock(&a->lock);
	use_slot(a, m, 0);
	spin_unlock(&a->lock);
	return block_of(a, m, 0);
}

void cowstack_allocator_put_block(struct allocator *a, mblock_t block)
{
	struct metadata_chunk *m;
	u64 chunk;
	u32 slot;

	if (!locate_block(a, block, &chunk, &slot))
		return;
	m = sparse_table_get(&a->metadata, chunk);
	if (!m)
		return;
	spin_lock(&a->lock);
	if (test_bit(slot, m->blocks)) {
		__clear_bit(slot, m->blocks);
		a->metadata_blocks--;
		m->used--;
		list_del_init(&m->list);
		if (m->used) {
			list_add_tail(&m->list, &a->partial);
		} else {
			a->metadata_chunks--;
			make_free(a, chunk, 1);
		}
	}
	spin_unlock(&a->lock);
}

int cowstack_allocator_claim(struct allocator *a, dchunk_t chunk)
{
	u64 n = from_dchunk(chunk);
	int error = 0;

	spin_lock(&a->lock);
	if (n >= a->chunks || test_bit(n, a->taken)) {
		error = -EUCLEAN;
	} else {
		__set_bit(n, a->taken);
		a->free--;
	}
	spin_unlock(&a->lock);
	return error;
}

int cowstack_allocator_claim_block(struct allocator *a, mblock_t block)
{
	struct metadata_chunk *m;
	u64 chunk;
	u32 slot;

	if (!locate_block(a, block, &chunk, &slot))
		return -EUCLEAN;
	m = sparse_table_get(&a->metadata, chunk);
	if (!m || !m->used) {
		int error = cowstack_allocator_claim(a, to_dchunk(chunk));

		if (error)
			return error;
		m = find_metadata_chunk(a, chunk);
	}
	if (test_bit(slot, m->blocks))
		return -EUCLEAN;
	spin_lock(&a->lock);
	use_slot(a, m, slot);
	spin_unlock(&a->lock);
	return 0;
}
