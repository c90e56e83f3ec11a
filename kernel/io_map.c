// SPDX-License-Identifier: GPL-2.0
/*
 * Where a bio goes.
 *
 * Reads, and writes into sixteenths that the top layer holds (rewrites), are
 * looked up and remapped in place: no lock, no allocation.  A write of whole
 * sixteenths that the top layer does not hold takes room under a shared range
 * lock and is remapped there; its words change when it has ended (io_end).
 * Everything else goes to a worker (io_defer.c, io_slow.c).
 *
 * map() cannot split what it postpones, so a write is cut before that to what
 * the worker takes as one: whole sixteenths of one chunk, or a part of one
 * sixteenth.
 */
#include "core/fault.h"
#include "stack.h"

static const struct cowstack_geometry *io_geometry(const struct cowstack_io *io)
{
	return store_geometry(io->stack->store);
}

bool io_enter_drain(struct cowstack_io *io)
{
	struct store *store = io->stack->store;

	io->drain = compat_srcu_down_read(&store->drain);
	/*
	 * After the section began: pairs with the wait in a store's suspend.  And
	 * before the device is looked at, which a resume may have exchanged.
	 */
	if (likely(!smp_load_acquire(&store->suspended)))
		return true;
	compat_srcu_up_read(&store->drain, io->drain);
	io->drain = -1;
	return false;
}

static void leave_drain(struct cowstack_io *io)
{
	if (io->drain >= 0)
		compat_srcu_up_read(&io->stack->store->drain, io->drain);
	io->drain = -1;
}

void io_leave(struct cowstack_io *io)
{
	if (io->locked) {
		io->locked = false;
		range_lock_release(&io->stack->ranges, &io->lock);
	}
	leave_drain(io);
	if (io->in_gate) {
		io->in_gate = false;
		io_gate_leave(&io->stack->writes);
	}
}

void io_complete(struct cowstack_io *io, int error)
{
	struct bio *bio = io_bio(io);

	if (error)
		bio->bi_status = errno_to_blk_status(error);
	bio_endio(bio);
}

/* --- reads --- */

static void remap(struct bio *bio, struct block_device *bdev, u64 sector)
{
	bio_set_dev(bio, bdev);
	bio->bi_iter.bi_sector = sector;
}

/*
 * Where the sectors from @sector on lie; what the base does not have reads as
 * zeroes.  Drain section.
 */
static void resolve_read(struct stack *stack, u64 sector, u64 sectors,
			 struct cowstack_extent *extent)
{
	rcu_read_lock_sched();
	cowstack_chain_resolve(store_geometry(stack->store), stack->volume,
			       cowstack_volume_chain(stack->volume), sector,
			       sectors, extent);
	rcu_read_unlock_sched();
	if (extent->kind != COWSTACK_EXTENT_BASE)
		return;
	if (sector >= stack->base_sectors)
		extent->kind = COWSTACK_EXTENT_ZERO;
	else
		extent->sectors = min(extent->sectors,
				      stack->base_sectors - sector);
}

/* Points @bio at @extent; false: it was filled with zeroes instead. */
static bool direct_read(struct stack *stack, struct bio *bio,
			const struct cowstack_extent *extent)
{
	switch (extent->kind) {
	case COWSTACK_EXTENT_DATA:
		remap(bio, stack->store->bdev, extent->place);
		return true;
	case COWSTACK_EXTENT_BASE:
		remap(bio, stack->base, bio->bi_iter.bi_sector);
		return true;
	default:
		zero_fill_bio(bio);
		return false;
	}
}

static int map_read(struct cowstack_io *io, struct bio *bio)
{
	struct stack *stack = io->stack;
	struct cowstack_extent extent;

	if (!io_enter_drain(io)) {
		defer_hold(stack->store, bio);
		return DM_MAPIO_SUBMITTED;
	}
	resolve_read(stack, bio->bi_iter.bi_sector, bio_sectors(bio), &extent);
	if (extent.sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, extent.sectors);
	/* A read of the base uses no chunk of the store: nobody waits for it. */
	if (extent.kind != COWSTACK_EXTENT_DATA)
		leave_drain(io);
	if (direct_read(stack, bio, &extent))
		return DM_MAPIO_REMAPPED;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

/* As map_read(), for a bio that was held: it is split here. */
static void read_deferred(struct cowstack_io *io, struct bio *bio)
{
	struct stack *stack = io->stack;
	struct cowstack_extent extent;

	if (!io_enter_drain(io)) {
		defer_hold(stack->store, bio);
		return;
	}
	for (;;) {
		struct bio *part = bio;

		resolve_read(stack, bio->bi_iter.bi_sector, bio_sectors(bio),
			     &extent);
		if (extent.sectors < bio_sectors(bio)) {
			part = bio_split(bio, extent.sectors, GFP_NOIO,
					 &stack->store->bios);
			bio_chain(part, bio);
		}
		if (direct_read(stack, part, &extent))
			submit_bio_noacct(part);
		else
			bio_endio(part);
		if (part == bio)
			return;
	}
}

/* --- writes --- */

u64 io_deferrable_sectors(const struct cowstack_geometry *g, u64 sector,
			  u64 sectors)
{
	u64 piece = 1ULL << g->piece_shift;
	u64 in_piece = sector & (piece - 1);
	u64 in_chunk = sector & (g->chunk_sectors - 1);

	if (in_piece || sectors < piece)
		return min(sectors, piece - in_piece);
	return min(sectors & ~(piece - 1), g->chunk_sectors - in_chunk);
}

static void cut_for_worker(struct cowstack_io *io, struct bio *bio)
{
	u64 sectors = io_deferrable_sectors(io_geometry(io),
					    bio->bi_iter.bi_sector,
					    bio_sectors(bio));

	if (sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, sectors);
}

/* Sectors from @sector on that @layer holds, in a row; *place: the first. */
static noinline u64 find_rewrite_run(const struct cowstack_geometry *g,
				     const struct cowstack_layer *layer,
				     u64 sector, u64 sectors, u64 *place)
{
	u64 done = 0;

	while (done < sectors) {
		u64 at = sector + done;
		u32 within = at & (g->chunk_sectors - 1);
		u32 piece = within >> g->piece_shift;
		map_word_t word = cowstack_layer_rewritable(layer,
						cowstack_sector_chunk(g, at));
		unsigned long mask = map_word_mask(word);
		u64 here;

		if (!test_bit(piece, &mask))
			break;
		here = cowstack_chunk_sector(g, map_word_chunk(word)) + within;
		if (!done)
			*place = here;
		else if (here != *place + done)
			break;
		done += (find_next_zero_bit(&mask, g->pieces, piece)
			 << g->piece_shift) - within;
	}
	return min(done, sectors);
}

/* The same; most rewrites are of one chunk, which holds all of it. */
static u64 find_rewrite(const struct cowstack_geometry *g,
			const struct cowstack_layer *layer, u64 sector,
			u64 sectors, u64 *place)
{
	u32 within = sector & (g->chunk_sectors - 1);
	map_word_t word;

	if (within + sectors > g->chunk_sectors)
		return find_rewrite_run(g, layer, sector, sectors, place);
	word = cowstack_layer_rewritable(layer, cowstack_sector_chunk(g, sector));
	if (!map_word_holds(g, word, within, sectors))
		return map_word_mask(word) ?
			       find_rewrite_run(g, layer, sector, sectors, place) :
			       0;
	*place = cowstack_chunk_sector(g, map_word_chunk(word)) + within;
	return sectors;
}

/*
 * A FUA write in place is one FUA write, unless its own word (or anything else,
 * which is cheaper to ask) is not durable yet, or the device has none.
 */
static void direct_rewrite(struct cowstack_io *io, struct bio *bio, u64 place)
{
	struct store *store = io->stack->store;

	if (bio->bi_opf & REQ_FUA &&
	    (journal_is_dirty(store) || flush_stands_for_fua(store))) {
		bio->bi_opf &= ~REQ_FUA;
		io->step_after = true;
	}
	remap(bio, store->bdev, place);
}

int io_add_pages(struct stack *stack, struct cowstack_layer *layer, u64 sector,
		 gfp_t gfp)
{
	struct store *store = stack->store;
	vchunk_t chunk = cowstack_sector_chunk(store_geometry(store), sector);
	u64 number = chunk_map_page_number(chunk);
	struct map_page *page;
	bool added;

	if (!cowstack_index_add_page(stack->volume, number, gfp))
		return -ENOMEM;
	if (chunk_map_page(&layer->map, number))
		return 0;
	/* Room for its home first: a page once made is there to stay. */
	if (cowstack_allocator_add_page(&store->metadata.allocator))
		return -ENOSPC;
	page = chunk_map_add_page(&layer->map, number, gfp, &added);
	if (!added)
		cowstack_allocator_remove_pages(&store->metadata.allocator, 1);
	return page ? 0 : -ENOMEM;
}

/* Gives @chunk the room @room unless it has some; what it has by then. */
static dchunk_t claim_word(struct cowstack_layer *layer, vchunk_t chunk,
			   dchunk_t room)
{
	struct map_page *page = chunk_map_page(&layer->map,
					       chunk_map_page_number(chunk));
	map_word_t *place = &page->words[chunk_map_page_slot(chunk)];
	map_word_t old = READ_ONCE(*place);

	while (!map_word_has_chunk(old)) {
		map_word_t seen = cmpxchg(place, old,
					  map_word_with_room(old, room));

		if (seen == old) {
			atomic64_inc(&layer->map.used);
			return room;
		}
		old = seen;
	}
	return map_word_chunk(old);
}

/* Chunks from @chunk on, at most @most, that have no room yet. */
static u64 count_roomless(struct cowstack_layer *layer, u64 chunk, u64 most)
{
	u64 n = 0;

	while (n < most &&
	       !map_word_has_chunk(chunk_map_get(&layer->map,
						 to_vchunk(chunk + n))))
		n++;
	return n;
}

/*
 * Room for the chunks from io's first to @last, as far as it lies in a row.
 * Shared holders of the range lock may do this side by side: words change by
 * compare-and-exchange, and who loses gives its chunk back.
 *
 * Return: chunks that have room, from 1; or a negative errno.
 */
static s64 admit_chunks(struct cowstack_io *io, u64 first, u64 last)
{
	struct store *store = io->stack->store;
	struct allocator *a = &store->metadata.allocator;
	struct cowstack_layer *layer = io->layer;
	u64 roomless = count_roomless(layer, first, last - first + 1);
	dchunk_t room;
	u64 got, n;
	map_word_t word;

	if (roomless) {
		if (cowstack_allocator_take(a, roomless, &room, &got))
			return -ENOSPC;
		for (n = 0; n < got; n++) {
			dchunk_t mine = to_dchunk(from_dchunk(room) + n);
			dchunk_t is = claim_word(layer, to_vchunk(first + n),
						 mine);

			if (is == mine)
				continue;
			cowstack_allocator_untake(a, mine, got - n);
			if (unlikely(atomic64_read(&store->parked_writes)))
				defer_admit_parked(store);
			if (!n) {
				io->chunk = is;
				return 1;
			}
			break;
		}
		io->chunk = room;
		return n;
	}
	word = chunk_map_get(&layer->map, to_vchunk(first));
	io->chunk = map_word_chunk(word);
	for (n = 1; first + n <= last; n++) {
		word = chunk_map_get(&layer->map, to_vchunk(first + n));
		if (!map_word_has_chunk(word) ||
		    from_dchunk(map_word_chunk(word)) !=
			    from_dchunk(io->chunk) + n)
			break;
	}
	return n;
}

/* Cuts io->sectors to what has room in a row. */
int io_admit(struct cowstack_io *io, gfp_t gfp)
{
	const struct cowstack_geometry *g = io_geometry(io);
	struct stack *stack = io->stack;
	u64 first = io->sector >> g->chunk_shift;
	u64 last = (io->sector + io->sectors - 1) >> g->chunk_shift;
	struct cowstack_chain *chain;
	s64 n, i;
	u8 slot;

	if (!store_is_rw(stack->store))
		return -EIO;
	n = io_add_pages(stack, io->layer, io->sector, gfp);
	if (n)
		return n;
	n = admit_chunks(io, first, last);
	if (n < 0)
		return n;
	rcu_read_lock_sched();
	chain = cowstack_volume_chain(stack->volume);
	slot = chain->slot[chain->count - 1];
	rcu_read_unlock_sched();
	for (i = 0; i < n; i++)
		cowstack_index_raise(stack->volume, to_vchunk(first + i), slot);
	io->sectors = min(io->sectors,
			  ((first + n) << g->chunk_shift) - io->sector);
	return 0;
}

static u64 admitted_place(const struct cowstack_io *io)
{
	const struct cowstack_geometry *g = io_geometry(io);

	return cowstack_chunk_sector(g, io->chunk) +
	       (io->sector & (g->chunk_sectors - 1));
}

static u16 piece_mask(const struct cowstack_geometry *g, u64 sector, u64 end)
{
	u32 first = (sector & (g->chunk_sectors - 1)) >> g->piece_shift;
	u32 count = (end - sector) >> g->piece_shift;

	return ((1u << count) - 1) << first;
}

void io_publish(struct cowstack_io *io)
{
	const struct cowstack_geometry *g = io_geometry(io);
	u64 end = io->sector + io->sectors;
	u64 sector = io->sector;
	u64 n = 0;

	while (sector < end) {
		vchunk_t chunk = cowstack_sector_chunk(g, sector);
		u64 stop = min(end, (from_vchunk(chunk) + 1) << g->chunk_shift);
		struct map_page *page;

		page = chunk_map_page(&io->layer->map,
				      chunk_map_page_number(chunk));
		map_page_publish(page, chunk_map_page_slot(chunk),
				 to_dchunk(from_dchunk(io->chunk) + n++),
				 piece_mask(g, sector, stop), g->full_mask);
		sector = stop;
	}
}

/* The lock that @io waited for is its own: a worker goes on with it. */
static void lock_granted(struct range_lock *lock)
{
	struct cowstack_io *io = container_of(lock, struct cowstack_io, lock);

	io->locked = true;
	defer_bio(io->stack->store, io_bio(io));
}

/* Asks for the chunks of [io->sector, +io->sectors); false: granted later. */
static bool lock_range(struct cowstack_io *io, bool exclusive)
{
	const struct cowstack_geometry *g = io_geometry(io);

	io->lock.first = io->sector >> g->chunk_shift;
	io->lock.last = (io->sector + io->sectors - 1) >> g->chunk_shift;
	io->lock.exclusive = exclusive;
	io->lock.on_grant = lock_granted;
	/* on_grant() may run before the call returns: io is its own then. */
	if (!range_lock_acquire(&io->stack->ranges, &io->lock))
		return false;
	io->locked = true;
	return true;
}

static void point_first_write(struct cowstack_io *io, struct bio *bio)
{
	if (bio->bi_opf & REQ_FUA) {
		bio->bi_opf &= ~REQ_FUA;
		io->step_after = true;
	}
	remap(bio, io->stack->store->bdev, admitted_place(io));
}

/* What to do with a write that has not got what it needs; leaves all it holds. */
static void set_aside(struct cowstack_io *io, struct bio *bio, int error)
{
	struct store *store = io->stack->store;

	io_leave(io);
	io->layer = NULL;
	switch (error) {
	case -ENOSPC:
		defer_park(store, bio);
		break;
	case -ENOMEM:
		defer_bio(store, bio);
		break;
	default:
		io_complete(io, error);
	}
}

/* Whole sixteenths, in map(): as much of them as can go at once. */
static int map_first_write(struct cowstack_io *io, struct bio *bio,
			   struct cowstack_layer *layer)
{
	const struct cowstack_geometry *g = io_geometry(io);
	struct stack *stack = io->stack;
	u64 sector = bio->bi_iter.bi_sector;
	u64 piece = 1ULL << g->piece_shift;
	u64 end = range_lock_region_end(&stack->ranges,
					sector >> g->chunk_shift)
		  << g->chunk_shift;
	int error;

	io->layer = layer;
	io->sector = sector;
	io->sectors = min_t(u64, bio_sectors(bio) & ~(piece - 1), end - sector);
	/*
	 * Should the lock have to wait, the worker takes the bio, so it is cut
	 * first where another holder is likely to be met.
	 */
	if (!range_lock_try(&stack->ranges, &io->lock,
			    sector >> g->chunk_shift,
			    (sector + io->sectors - 1) >> g->chunk_shift)) {
		cut_for_worker(io, bio);
		set_aside(io, bio, -ENOMEM);
		return DM_MAPIO_SUBMITTED;
	}
	io->locked = true;
	error = io_admit(io, GFP_NOWAIT | __GFP_NOWARN);
	if (error) {
		cut_for_worker(io, bio);
		set_aside(io, bio, error);
		return DM_MAPIO_SUBMITTED;
	}
	if (io->sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, io->sectors);
	point_first_write(io, bio);
	return DM_MAPIO_REMAPPED;
}

struct cowstack_layer *io_top_layer(struct stack *stack)
{
	struct cowstack_layer *layer;

	/* The write gate holds the top in its place. */
	rcu_read_lock_sched();
	layer = cowstack_chain_top(cowstack_volume_chain(stack->volume));
	rcu_read_unlock_sched();
	return layer;
}

static int map_write(struct cowstack_io *io, struct bio *bio)
{
	const struct cowstack_geometry *g = io_geometry(io);
	struct stack *stack = io->stack;
	u64 sector = bio->bi_iter.bi_sector;
	struct cowstack_layer *layer;
	u64 piece = 1ULL << g->piece_shift;
	u64 run, place;

	if (!io_gate_enter(&stack->writes)) {
		cut_for_worker(io, bio);
		defer_hold_write(stack, bio);
		return DM_MAPIO_SUBMITTED;
	}
	io->in_gate = true;
	if (!io_enter_drain(io)) {
		cut_for_worker(io, bio);
		io_leave(io);
		defer_hold(stack->store, bio);
		return DM_MAPIO_SUBMITTED;
	}
	layer = io_top_layer(stack);
	run = find_rewrite(g, layer, sector, bio_sectors(bio), &place);
	if (run) {
		if (run < bio_sectors(bio))
			dm_accept_partial_bio(bio, run);
		direct_rewrite(io, bio, place);
		return DM_MAPIO_REMAPPED;
	}
	if (!(sector & (piece - 1)) && bio_sectors(bio) >= piece &&
	    !journal_is_full(stack->store))
		return map_first_write(io, bio, layer);
	cut_for_worker(io, bio);
	io_leave(io);
	defer_bio(stack->store, bio);
	return DM_MAPIO_SUBMITTED;
}

/*
 * A write in the worker: whole sixteenths of one chunk, or a part of one.  It
 * may come here several times, with the range lock or without.
 */
static void write_deferred(struct cowstack_io *io, struct bio *bio)
{
	const struct cowstack_geometry *g = io_geometry(io);
	struct stack *stack = io->stack;
	u64 sector = bio->bi_iter.bi_sector;
	u64 sectors = bio_sectors(bio);
	u64 piece = 1ULL << g->piece_shift;
	bool part = (sector | sectors) & (piece - 1);
	struct cowstack_layer *layer;
	u64 place;
	int error;

	if (!io_gate_enter(&stack->writes)) {
		io_leave(io);
		defer_hold_write(stack, bio);
		return;
	}
	io->in_gate = true;
	if (!io_enter_drain(io)) {
		io_leave(io);
		defer_hold(stack->store, bio);
		return;
	}
	layer = io_top_layer(stack);
	if (find_rewrite(g, layer, sector, sectors, &place) == sectors) {
		direct_rewrite(io, bio, place);
		submit_bio_noacct(bio);
		return;
	}
	if (journal_is_full(stack->store) && store_is_rw(stack->store)) {
		io_leave(io);
		defer_postpone(stack->store, bio);
		return;
	}
	if (!io->locked) {
		io->sector = sector & ~(piece - 1);
		io->sectors = part ? piece : sectors;
		/* Waiting for the lock must not hold up a snapshot. */
		io_leave(io);
		if (lock_range(io, part))
			defer_bio(stack->store, bio);
		return;
	}
	io->layer = layer;
	error = io_admit(io, GFP_NOIO | __GFP_NOFAIL);
	if (error) {
		set_aside(io, bio, error);
	} else if (part) {
		io_fill_piece(io);
	} else {
		point_first_write(io, bio);
		submit_bio_noacct(bio);
	}
}

static void init_io(struct cowstack_io *io, struct stack *stack)
{
	io->stack = stack;
	io->drain = -1;
	io->in_gate = false;
	io->locked = false;
	io->of_job = false;
	io->step_after = false;
	io->stepped = false;
	io->direct_flush = false;
	io->parked_at = 0;
	io->layer = NULL;
}

/* What all processors read is written once a jiffy. */
static void note_use(struct store *store)
{
	unsigned long now = jiffies;

	if (unlikely(READ_ONCE(store->used_at) != now))
		WRITE_ONCE(store->used_at, now);
}

int io_map(struct stack *stack, struct dm_target *ti, struct bio *bio)
{
	struct cowstack_io *io = bio_io(bio);

	init_io(io, stack);
	/*
	 * dm lets us be polled where our devices can be.  But parts that a worker
	 * makes of a bio are none that anybody would poll for.
	 */
	bio->bi_opf &= ~REQ_POLLED;
	if (unlikely(READ_ONCE(stack->store->mode) == STORE_FAIL))
		return DM_MAPIO_KILL;
	note_use(stack->store);
	if (bio->bi_opf & REQ_PREFLUSH)
		return io_map_flush(io, ti, bio);
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return map_read(io, bio);
	case REQ_OP_WRITE:
		io->of_job = commit_sends_write();
		return map_write(io, bio);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		io->of_job = commit_sends_write();
		io->sector = bio->bi_iter.bi_sector;
		io->sectors = bio_sectors(bio);
		defer_bio(stack->store, bio);
		return DM_MAPIO_SUBMITTED;
	default:
		return DM_MAPIO_KILL;
	}
}

void io_map_deferred(struct bio *bio)
{
	struct cowstack_io *io = bio_io(bio);

	if (READ_ONCE(io->stack->store->mode) == STORE_FAIL) {
		io_leave(io);
		io_complete(io, -EIO);
	} else if (bio_op(bio) == REQ_OP_READ) {
		read_deferred(io, bio);
	} else {
		write_deferred(io, bio);
	}
}

/*
 * A write in place changes no word, so words alone do not tell the timer that there is
 * something to flush.  What all processors write to stays as it is while that is true.
 */
static void note_write(struct store *store, const struct bio *bio, bool failed)
{
	bool was_flush = bio->bi_opf & REQ_PREFLUSH;

	/* A write, or a flush that took the flag for nothing. */
	if (op_is_write(bio_op(bio)) && was_flush == failed &&
	    !(bio->bi_opf & REQ_FUA))
		flush_note_write(store);
}

int io_end(struct bio *bio, blk_status_t *error)
{
	struct cowstack_io *io = bio_io(bio);
	bool flush_failed;

	if (io->stepped)
		return DM_ENDIO_DONE;
	note_write(io->stack->store, bio, *error);
	/* Room whose data was not written stays room: readers look below. */
	if (io->layer && !*error)
		io_publish(io);
	io->layer = NULL;
	flush_failed = io->direct_flush && io_end_flush(io, *error);
	io_leave(io);
	if (!flush_failed &&
	    (!io->step_after || *error || cowstack_fault(FAULT_EARLY_FUA)))
		return DM_ENDIO_DONE;
	io_wait_for_step(io);
	return DM_ENDIO_INCOMPLETE;
}
