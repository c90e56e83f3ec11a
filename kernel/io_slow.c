// SPDX-License-Identifier: GPL-2.0
/*
 * The work that map() cannot do: completing a partial sixteenth from what lies
 * below, discards, write-zeroes.
 */
#include "pace.h"
#include "stack.h"

/* Whole chunks that a discard takes as one piece: the smallest are many. */
enum { MOST_CHUNKS = 32 };

/* --- pieces --- */

/* Reads the sectors of a piece as they show now, from wherever they lie. */
static int read_shown(struct stack *stack, u64 sector, u64 sectors, u8 *buffer)
{
	struct store *store = stack->store;
	struct cowstack_extent extent;
	int error = 0;

	while (sectors && !error) {
		size_t bytes;

		rcu_read_lock();
		cowstack_chain_resolve(store_geometry(store), stack->volume,
				       cowstack_volume_chain(stack->volume),
				       sector, sectors, &extent);
		rcu_read_unlock();
		if (extent.kind == COWSTACK_EXTENT_BASE) {
			if (sector >= stack->base_sectors)
				extent.kind = COWSTACK_EXTENT_ZERO;
			else
				extent.sectors = min(extent.sectors,
						     stack->base_sectors -
							     sector);
		}
		bytes = extent.sectors << SECTOR_SHIFT;
		if (extent.kind == COWSTACK_EXTENT_ZERO)
			memset(buffer, 0, bytes);
		else if (extent.kind == COWSTACK_EXTENT_DATA)
			error = block_io(store, store->bdev, REQ_OP_READ,
					 extent.place, buffer, bytes);
		else
			error = block_io(store, stack->base, REQ_OP_READ,
					 sector, buffer, bytes);
		buffer += bytes;
		sector += extent.sectors;
		sectors -= extent.sectors;
	}
	return error;
}

/* Copies the data of @bio to @to. */
static void copy_from_bio(u8 *to, struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		memcpy_from_bvec(to, &bv);
		to += bv.bv_len;
	}
}

static u64 place_of(const struct cowstack_io *io, u64 sector)
{
	const struct cowstack_geometry *g = store_geometry(io->stack->store);

	return cowstack_chunk_sector(g, io->chunk) +
	       (sector & (g->chunk_sectors - 1));
}

/*
 * Writes the one piece that io names, which has room and is not in the mask:
 * @sectors from @sector on are new (from @bio, or zeroes), the rest of it as it
 * shows.  Range lock held exclusively, so nothing else enters the mask.
 */
static int write_piece(struct cowstack_io *io, u64 sector, u64 sectors,
		       struct bio *bio)
{
	struct stack *stack = io->stack;
	struct store *store = stack->store;
	size_t bytes = io->sectors << SECTOR_SHIFT;
	u8 *buffer = mempool_alloc(&store->piece_buffers, GFP_NOIO);
	u8 *new = buffer + ((sector - io->sector) << SECTOR_SHIFT);
	int error = 0;

	if (sectors < io->sectors) {
		error = read_shown(stack, io->sector, io->sectors, buffer);
		atomic64_inc(&store->fills);
	}
	if (!error) {
		if (bio)
			copy_from_bio(new, bio);
		else
			memset(new, 0, sectors << SECTOR_SHIFT);
		error = block_io(store, store->bdev, REQ_OP_WRITE,
				 place_of(io, io->sector), buffer, bytes);
	}
	mempool_free(buffer, &store->piece_buffers);
	if (!error)
		io_publish(io);
	return error;
}

/* The write of io's bio, a part of a piece; all that it needs is held. */
void io_fill_piece(struct cowstack_io *io)
{
	struct bio *bio = io_bio(io);
	int error = write_piece(io, bio->bi_iter.bi_sector, bio_sectors(bio),
				bio);

	io->layer = NULL;
	if (bio->bi_opf & REQ_FUA)
		io->step_after = true;
	io_complete(io, error);
}

/* --- zeroes --- */

struct zero_lock {
	struct range_lock lock;
	struct completion granted;
};

static void zero_lock_granted(struct range_lock *lock)
{
	complete(&container_of(lock, struct zero_lock, lock)->granted);
}

/*
 * Waits: this is the discards' own workqueue, and whoever holds the lock is
 * helped on by others.
 */
static void lock_chunks(struct stack *stack, struct zero_lock *zl, u64 first,
			u64 last)
{
	zl->lock.first = first;
	zl->lock.last = last;
	zl->lock.exclusive = true;
	zl->lock.on_grant = zero_lock_granted;
	init_completion(&zl->granted);
	if (!range_lock_acquire(&stack->ranges, &zl->lock))
		wait_for_completion(&zl->granted);
}

/* Gate and drain section.  -EAGAIN: the store is suspended; -EIO: it has failed. */
static int enter_all(struct cowstack_io *io)
{
	struct stack *stack = io->stack;

	if (READ_ONCE(stack->store->mode) == STORE_FAIL)
		return -EIO;
	io_gate_enter_wait(&stack->writes);
	io->in_gate = true;
	if (io_enter_drain(io))
		return 0;
	io_leave(io);
	return -EAGAIN;
}

/*
 * Does anything but zeroes show below the top at @chunk?  The chain may change
 * below the top at any time (a commit ends), but for the better only: what it
 * showed, the base shows then.
 */
static bool shows_below(struct stack *stack, u64 chunk, u8 *top_slot)
{
	const struct cowstack_geometry *g = store_geometry(stack->store);
	struct cowstack_chain *chain;
	bool shown;

	rcu_read_lock();
	chain = cowstack_volume_chain(stack->volume);
	*top_slot = chain->slot[chain->count - 1];
	shown = chunk << g->chunk_shift < stack->base_sectors ||
		cowstack_chain_known_below(stack->volume, chain,
					   to_vchunk(chunk));
	rcu_read_unlock();
	return shown;
}

/*
 * The whole chunk reads as zeroes from now on.  The word first, then the room
 * that it named: the order that cowstack_step_collect() relies on.
 */
static int zero_chunk(struct stack *stack, struct cowstack_layer *layer,
		      u64 chunk)
{
	struct store *store = stack->store;
	u8 slot;
	bool shown = shows_below(stack, chunk, &slot);
	map_word_t old = chunk_map_get(&layer->map, to_vchunk(chunk));
	map_word_t new = shown ? map_word_zeroes() : MAP_WORD_NONE;
	struct map_page *page;
	int error;

	if (old == new)
		return 0;
	error = io_add_pages(stack, layer,
			     chunk << store_geometry(store)->chunk_shift,
			     GFP_NOIO | __GFP_NOFAIL);
	if (error)
		return error;
	if (shown)
		cowstack_index_raise(stack->volume, to_vchunk(chunk), slot);
	page = chunk_map_page(&layer->map,
			      chunk_map_page_number(to_vchunk(chunk)));
	map_page_store(page, chunk_map_page_slot(to_vchunk(chunk)), new);
	if (map_word_has_chunk(old)) {
		atomic64_dec(&layer->map.used);
		cowstack_allocator_free(&store->metadata.allocator,
					map_word_chunk(old), 1);
	}
	return 0;
}

/* Is the piece at io->sector in the mask, so that it is written in place? */
static bool piece_is_held(const struct cowstack_io *io)
{
	const struct cowstack_geometry *g = store_geometry(io->stack->store);
	map_word_t word = chunk_map_get(&io->layer->map,
					cowstack_sector_chunk(g, io->sector));
	u32 within = io->sector & (g->chunk_sectors - 1);
	unsigned long mask = map_word_mask(word);

	return test_bit(within >> g->piece_shift, &mask);
}

/* Zeroes over sectors of a piece that is held: its others may be written now. */
static int zero_in_place(struct cowstack_io *io, u64 sector, u64 sectors)
{
	struct store *store = io->stack->store;
	u8 *buffer = mempool_alloc(&store->piece_buffers, GFP_NOIO);
	int error;

	memset(buffer, 0, sectors << SECTOR_SHIFT);
	error = block_io(store, store->bdev, REQ_OP_WRITE,
			 place_of(io, sector), buffer, sectors << SECTOR_SHIFT);
	mempool_free(buffer, &store->piece_buffers);
	return error;
}

/*
 * Part of a chunk, for write-zeroes: zeroes go down piece by piece, or by what
 * the store's device takes as the least; then pieces come and go together.
 */
static int zero_pieces(struct cowstack_io *io, u64 sector, u64 sectors)
{
	const struct cowstack_geometry *g = store_geometry(io->stack->store);
	u64 piece = max_t(u64, 1ULL << g->piece_shift,
			  io->stack->store->logical_block >> SECTOR_SHIFT);
	u64 end = sector + sectors;
	int error = 0;

	while (sector < end && !error) {
		u64 start = sector & ~(piece - 1);
		u64 stop = min(end, start + piece);

		io->sector = start;
		io->sectors = piece;
		error = io_admit(io, GFP_NOIO | __GFP_NOFAIL);
		if (!error)
			error = piece_is_held(io) ?
					zero_in_place(io, sector,
						      stop - sector) :
					write_piece(io, sector, stop - sector,
						    NULL);
		sector = stop;
	}
	return error;
}

/* [sector, end) lies in one region; its range lock and all else are held. */
static int zero_region(struct cowstack_io *io, u64 sector, u64 end)
{
	struct stack *stack = io->stack;
	const struct cowstack_geometry *g = store_geometry(stack->store);
	bool whole_only = bio_op(io_bio(io)) == REQ_OP_DISCARD;
	u64 size = stack->volume->info.sectors;
	/* With nothing of a base behind it, the volume's end ends a chunk. */
	bool end_is_whole = stack->base_sectors <= size;
	int error = 0;

	if (!store_is_rw(stack->store))
		return -EIO;
	io->layer = io_top_layer(stack);
	while (sector < end && !error) {
		u64 chunk = sector >> g->chunk_shift;
		u64 start = chunk << g->chunk_shift;
		u64 next = start + g->chunk_sectors;
		u64 stop = min(end, next);

		if (sector == start &&
		    (stop == next || (stop == size && end_is_whole)))
			error = zero_chunk(stack, io->layer, chunk);
		else if (!whole_only)
			error = zero_pieces(io, sector, stop - sector);
		sector = stop;
	}
	io->layer = NULL;
	return error;
}

/* The end of what is taken as one, from @sector on: of one region, and not long. */
static u64 piece_end(struct stack *stack, u64 sector, u64 end)
{
	const struct cowstack_geometry *g = store_geometry(stack->store);
	u64 chunk = sector >> g->chunk_shift;
	u64 most = min(chunk + MOST_CHUNKS,
		       range_lock_region_end(&stack->ranges, chunk));

	return min(end, most << g->chunk_shift);
}

/*
 * Users' discards give way to users' steps, unless others wait for them: a suspend of
 * their stack, or those of several stacks for which there are not workers enough.
 */
static bool may_rest(struct stack *stack)
{
	int all = atomic_read(&stack->store->zeroing);

	return !READ_ONCE(stack->hurried) &&
	       (all <= DISCARD_WORKERS || all == atomic_read(&stack->zeroing));
}

/*
 * A discard makes whole chunks zero and leaves the edges as they are; it is
 * advice, so one that finds no room is done all the same.  Write-zeroes are
 * done to the sector.  A bio that must wait, for room or for a suspended store,
 * begins anew: zeroes twice are zeroes.
 */
void io_zero_range(struct cowstack_io *io)
{
	struct stack *stack = io->stack;
	struct store *store = stack->store;
	const struct cowstack_geometry *g = store_geometry(store);
	struct bio *bio = io_bio(io);
	u64 sector = bio->bi_iter.bi_sector;
	u64 end = sector + bio_sectors(bio);
	struct pace pace;
	int error = 0;

	pace_begin(&pace, &store->asked_at);
	while (sector < end && !error) {
		u64 stop = piece_end(stack, sector, end);
		struct zero_lock zl;

		error = enter_all(io);
		if (error)
			break;
		lock_chunks(stack, &zl, sector >> g->chunk_shift,
			    (stop - 1) >> g->chunk_shift);
		error = zero_region(io, sector, stop);
		range_lock_release(&stack->ranges, &zl.lock);
		io_leave(io);
		sector = stop;
		cond_resched();
		if (sector < end && may_rest(stack))
			pace_give_way(store, &pace);
	}
	atomic_dec(&stack->zeroing);
	atomic_dec(&store->zeroing);
	if (error == -ENOSPC && bio_op(bio) == REQ_OP_DISCARD)
		error = 0;
	if (error == -EAGAIN) {
		defer_hold(store, bio);
		return;
	}
	if (error == -ENOSPC) {
		defer_park(store, bio);
		return;
	}
	if (bio->bi_opf & REQ_FUA)
		io->step_after = true;
	io_complete(io, error);
}
