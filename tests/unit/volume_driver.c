// SPDX-License-Identifier: GPL-2.0
#include "store_driver.h"

/* --- where things are --- */

struct cowstack_layer *volume_top(const struct driver_volume *v)
{
	return cowstack_chain_top(cowstack_volume_chain(v->volume));
}

static u64 base_sectors(const struct driver_volume *v)
{
	return v->volume->info.base_sectors;
}

/* What @sector reads, where @extent begins at sector @from. */
u64 volume_read_sector(const struct store_driver *d,
		       const struct driver_volume *v,
		       const struct cowstack_extent *extent, u64 from,
		       u64 sector)
{
	switch (extent->kind) {
	case COWSTACK_EXTENT_DATA:
		return device_read_version(&d->store,
					   extent->place + sector - from);
	case COWSTACK_EXTENT_BASE:
		if (sector < base_sectors(v))
			return device_read_version(&v->base->device, sector);
		return 0;
	default:
		return 0;
	}
}

void volume_resolve(const struct store_driver *d, const struct driver_volume *v,
		    u64 sector, u64 count, struct cowstack_extent *extent)
{
	cowstack_chain_resolve(cowstack_geometry(&d->md), v->volume,
			       cowstack_volume_chain(v->volume), sector, count,
			       extent);
}

static u64 read_now(const struct store_driver *d, const struct driver_volume *v,
		    u64 sector)
{
	struct cowstack_extent extent;

	volume_resolve(d, v, sector, 1, &extent);
	return volume_read_sector(d, v, &extent, sector, sector);
}

/* --- map --- */

/* The page of the top layer's map; NULL: no room for it in the store, no memory. */
static struct map_page *top_page(struct store_driver *d,
				 struct driver_volume *v, vchunk_t chunk)
{
	struct allocator *a = &d->md.allocator;
	u64 number = chunk_map_page_number(chunk);
	struct map_page *page;
	bool added;

	if (!cowstack_index_add_page(v->volume, number, GFP_NOIO))
		return NULL;
	page = chunk_map_page(&volume_top(v)->map, number);
	if (page)
		return page;
	if (cowstack_allocator_add_page(a))
		return NULL;
	page = chunk_map_add_page(&volume_top(v)->map, number, GFP_NOIO, &added);
	if (!added)
		cowstack_allocator_remove_pages(a, 1);
	return page;
}

static void raise_index(struct driver_volume *v, vchunk_t chunk)
{
	const struct cowstack_chain *chain = cowstack_volume_chain(v->volume);

	cowstack_index_raise(v->volume, chunk, chain->slot[chain->count - 1]);
}

static void note_full(struct store_driver *d)
{
	int i;

	if (d->is_full)
		return;
	d->is_full = true;
	d->counts.full++;
	for (i = 0; i < DRIVER_VOLUMES; i++)
		if (d->volumes[i].volume &&
		    d->volumes[i].commit.state != COMMIT_IDLE) {
			d->counts.full_at_work++;
			return;
		}
}

static void note_room(struct store_driver *d)
{
	d->counts.room_again += d->is_full;
	d->is_full = false;
}

/* The chunk's word with room for data; false: the store is full. */
static bool make_room(struct store_driver *d, struct driver_volume *v,
		      vchunk_t chunk, map_word_t *word)
{
	struct map_page *page = top_page(d, v, chunk);
	unsigned int slot = chunk_map_page_slot(chunk);
	dchunk_t place;
	u64 got;

	if (!page)
		return false;
	*word = page->words[slot];
	if (map_word_has_chunk(*word))
		return true;
	if (cowstack_allocator_take(&d->md.allocator, 1, &place, &got)) {
		note_full(d);
		return false;
	}
	note_room(d);
	*word = map_word_with_room(*word, place);
	map_page_store(page, slot, *word);
	atomic64_inc(&page->map->used);
	raise_index(v, chunk);
	return true;
}

/* --- writes --- */

struct driver_write *volume_find_write(struct driver_volume *v, vchunk_t chunk)
{
	int i;

	for (i = 0; i < DRIVER_MAX_IN_FLIGHT; i++)
		if (v->writes[i].used && v->writes[i].chunk == chunk)
			return &v->writes[i];
	return NULL;
}

static struct driver_write *free_write(struct driver_volume *v)
{
	int i;

	for (i = 0; i < DRIVER_MAX_IN_FLIGHT; i++)
		if (!v->writes[i].used)
			return &v->writes[i];
	return NULL;
}

/* Pieces that @count sectors from @sector on touch. */
static u16 touched_pieces(const struct cowstack_geometry *g, u64 sector,
			  u32 count)
{
	u32 within = sector & (g->chunk_sectors - 1);
	u32 first = within >> g->piece_shift;
	u32 last = (within + count - 1) >> g->piece_shift;

	return (2u << last) - (1u << first);
}

/* Does a word hold all that is written, so that it is written in place? */
static bool find_rewrite(const struct cowstack_geometry *g,
			 const struct driver_volume *v, u64 sector, u32 count,
			 map_word_t *word)
{
	*word = cowstack_layer_rewritable(volume_top(v),
					  cowstack_sector_chunk(g, sector));
	return !(touched_pieces(g, sector, count) & ~map_word_mask(*word));
}

/* What of a piece that comes into being the guest does not write is read first. */
static int send_edge_reads(struct store_driver *d, struct driver_volume *v,
			   const struct driver_write *w)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u32 piece = (1u << g->piece_shift) - 1;
	bool whole = !(w->sector & piece) && !(w->count & piece);

	if (!w->publishes || whole || !v->base->device.sectors)
		return 0;
	return device_send(&v->base->device);
}

/*
 * Sends the data: the guest's sectors, and what else there is of the pieces that
 * come into being, as it reads now; behind the volume's end too, for the day when it
 * grows.
 */
static int send_data(struct store_driver *d, struct driver_volume *v,
		     const struct driver_write *w, u16 new_pieces)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 start = from_vchunk(w->chunk) << g->chunk_shift;
	u64 place = cowstack_chunk_sector(g, w->place);
	u64 sector;
	int error = send_edge_reads(d, v, w);

	if (error)
		return error;
	error = device_send_write(&d->store, place + w->sector - start,
				  w->count);
	for (sector = start; sector < start + g->chunk_sectors; sector++) {
		u64 version;

		if (sector >= w->sector && sector < w->sector + w->count)
			version = version_make(w->counter, v->number, sector);
		else if (new_pieces >> ((sector - start) >> g->piece_shift) & 1)
			version = read_now(d, v, sector);
		else
			continue;
		device_write_version(&d->store, place + sector - start, version,
				     w->ticket);
	}
	return error;
}

void volume_begin_write(struct store_driver *d, struct driver_volume *v,
			u64 sector, u32 count, bool fua)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	vchunk_t chunk = cowstack_sector_chunk(g, sector);
	struct driver_write *w = free_write(v);
	map_word_t word;

	if (!w || volume_find_write(v, chunk))
		return;
	count = min_t(u64, count, v->volume->info.sectors - sector);
	count = min(count, g->chunk_sectors -
				   (u32)(sector & (g->chunk_sectors - 1)));
	if (!find_rewrite(g, v, sector, count, &word)) {
		if (d->ro || stream_locks(v, chunk) ||
		    !make_room(d, v, chunk, &word))
			return;
	}
	*w = (struct driver_write){
		.used = true, .fua = fua, .sector = sector, .count = count,
		.chunk = chunk, .place = map_word_chunk(word),
		.ticket = ++d->tickets, .counter = ++d->counter,
	};
	w->mask = touched_pieces(g, sector, count);
	w->publishes = w->mask & ~map_word_mask(word);
	w->fails = !(w->mask & map_word_mask(word)) &&
		   random_percent(&d->random, 2);
	if (send_data(d, v, w, w->mask & ~map_word_mask(word)))
		w->fails = true;
	model_begin_write(&v->model, sector, count, w->counter, w->ticket);
	driver_trace(d, "volume %u: write %llu at %llu+%u, chunk %llu in %llu%s",
		     v->number, (unsigned long long)w->counter,
		     (unsigned long long)sector, count,
		     (unsigned long long)from_vchunk(chunk),
		     (unsigned long long)from_dchunk(w->place),
		     fua ? ", fua" : "");
}

/* Returns whether a discard or the like has overtaken the write. */
static bool publish_write(struct store_driver *d, struct driver_volume *v,
			  const struct driver_write *w)
{
	struct map_page *page = chunk_map_page(&volume_top(v)->map,
					       chunk_map_page_number(w->chunk));
	unsigned int slot = chunk_map_page_slot(w->chunk);
	/* In a build that writes to frozen layers in place the top may have no page. */
	map_word_t word = page ? page->words[slot] : MAP_WORD_NONE;

	if (w->publishes)
		return !map_page_publish(page, slot, w->place, w->mask,
					 cowstack_geometry(&d->md)->full_mask);
	return !map_word_has_chunk(word) || map_word_chunk(word) != w->place;
}

/*
 * Whatever of it landed where something was before shows now, and may be lost, as
 * nobody has acknowledged it.
 */
static void note_failed_write(struct store_driver *d, struct driver_volume *v,
			      const struct driver_write *w)
{
	u64 sector;

	model_drop_write(&v->model, w->ticket);
	for (sector = w->sector; sector < w->sector + w->count; sector++) {
		u64 ticket = ++d->tickets;

		if (read_now(d, v, sector) !=
		    version_make(w->counter, v->number, sector))
			continue;
		model_begin_write(&v->model, sector, 1, w->counter, ticket);
		model_end_write(&v->model, ticket, false);
	}
}

void volume_end_write(struct store_driver *d, struct driver_volume *v,
		      struct driver_write *w)
{
	w->used = false;
	device_complete(&d->store, w->ticket);
	driver_trace(d, "volume %u: write %llu ends", v->number,
		     (unsigned long long)w->counter);
	if (w->fails) {
		note_failed_write(d, v, w);
		return;
	}
	model_end_write(&v->model, w->ticket, publish_write(d, v, w));
	/* Acknowledged after that; if the power is cut before, no one can tell. */
	if (w->fua)
		driver_flush(d);
}

/* --- discards --- */

/* Does anything show at @chunk where the top layer knows nothing? */
static bool shows_below(const struct store_driver *d,
			const struct driver_volume *v, u64 chunk)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);

	return chunk << g->chunk_shift < base_sectors(v) ||
	       cowstack_chain_known_below(v->volume,
					  cowstack_volume_chain(v->volume),
					  to_vchunk(chunk));
}

static bool discard_chunk(struct store_driver *d, struct driver_volume *v,
			  u64 chunk)
{
	map_word_t old = chunk_map_get(&volume_top(v)->map, to_vchunk(chunk));
	map_word_t new = shows_below(d, v, chunk) ? map_word_zeroes() :
						    MAP_WORD_NONE;
	struct map_page *page;

	if (old == new)
		return true;
	if (d->ro || stream_locks(v, to_vchunk(chunk)))
		return false;
	page = top_page(d, v, to_vchunk(chunk));
	if (!page)
		return false;
	raise_index(v, to_vchunk(chunk));
	map_page_store(page, chunk_map_page_slot(to_vchunk(chunk)), new);
	if (map_word_has_chunk(old)) {
		atomic64_dec(&page->map->used);
		cowstack_allocator_free(&d->md.allocator, map_word_chunk(old),
					1);
	}
	return true;
}

void volume_discard(struct store_driver *d, struct driver_volume *v,
		    u64 chunk, u64 count)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 sectors = v->volume->info.sectors;

	for (; count && chunk << g->chunk_shift < sectors; chunk++, count--) {
		u64 first = chunk << g->chunk_shift;
		u64 ticket = ++d->tickets;

		/* Behind the volume's end, of the base. */
		if (first + g->chunk_sectors > sectors &&
		    base_sectors(v) > sectors)
			return;
		if (!discard_chunk(d, v, chunk))
			return;
		driver_trace(d, "volume %u: discard chunk %llu", v->number,
			     (unsigned long long)chunk);
		model_begin_write(&v->model, first,
				  min_t(u64, g->chunk_sectors, sectors - first),
				  0, ticket);
		model_end_write(&v->model, ticket, false);
		v->model.last_zeroing = ++d->counter;
	}
}

/* --- reads --- */

void volume_begin_read(struct store_driver *d, struct driver_volume *v,
		       u64 sector, u32 count)
{
	struct driver_read *r = NULL;
	u32 i;

	for (i = 0; i < DRIVER_MAX_IN_FLIGHT && !r; i++)
		if (!v->reads[i].used)
			r = &v->reads[i];
	if (!r)
		return;
	r->used = true;
	r->fails = false;
	r->sector = sector;
	r->count = min_t(u64, count, v->volume->info.sectors - sector);
	r->count = min_t(u32, r->count, DRIVER_MAX_IO_SECTORS);
	r->oldest = model_oldest_in_flight(&v->model, d->counter + 1);
	r->zeroing = v->model.last_zeroing;
	for (i = 0; i < r->count; i++) {
		volume_resolve(d, v, sector + i, 1, &r->extents[i]);
		r->expected[i] = v->model.now[sector + i];
	}
	r->fails = device_send(r->extents[0].kind == COWSTACK_EXTENT_BASE ?
				       &v->base->device : &d->store);
}

static bool read_may_see(const struct driver_volume *v,
			 const struct driver_read *r, u32 i, u64 version)
{
	if (version == r->expected[i])
		return true;
	if (!version)
		return v->model.last_zeroing > r->zeroing;
	return version_is_of(version, v->number, r->sector + i) &&
	       version_counter(version) >= r->oldest;
}

void volume_end_read(struct store_driver *d, struct driver_volume *v,
		     struct driver_read *r)
{
	u32 i;

	r->used = false;
	for (i = 0; i < r->count && !r->fails && !driver_is_over(d); i++) {
		u64 version = volume_read_sector(d, v, &r->extents[i],
						 r->sector + i, r->sector + i);

		if (!read_may_see(v, r, i, version))
			driver_fail(d, "volume %u: sector %llu reads %llx, not %llx",
				    v->number,
				    (unsigned long long)r->sector + i,
				    (unsigned long long)version,
				    (unsigned long long)r->expected[i]);
	}
}

bool volume_uses_chunks(const struct store_driver *d,
			const struct driver_volume *v, u64 first, u64 count)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 start = cowstack_chunk_sector(g, to_dchunk(first));
	u64 end = start + (count << g->chunk_shift);
	u32 i, k;

	for (i = 0; i < DRIVER_MAX_IN_FLIGHT; i++) {
		const struct driver_write *w = &v->writes[i];
		const struct driver_read *r = &v->reads[i];

		if (w->used && from_dchunk(w->place) >= first &&
		    from_dchunk(w->place) < first + count)
			return true;
		for (k = 0; r->used && k < r->count; k++)
			if (r->extents[k].kind == COWSTACK_EXTENT_DATA &&
			    r->extents[k].place >= start &&
			    r->extents[k].place < end)
				return true;
	}
	return false;
}

/* --- the volume as a whole --- */

void volume_drain(struct store_driver *d, struct driver_volume *v)
{
	int i;

	for (i = 0; i < DRIVER_MAX_IN_FLIGHT; i++) {
		if (v->writes[i].used)
			volume_end_write(d, v, &v->writes[i]);
		if (v->reads[i].used)
			volume_end_read(d, v, &v->reads[i]);
	}
}

static u64 random_size(struct store_driver *d)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 chunks = 4 + random_below(&d->random, 30);
	u64 sectors;

	/* Now and then several pages of the map. */
	if (g->chunk_sectors == 8 && random_percent(&d->random, 30))
		chunks += 512 * (1 + random_below(&d->random, 2));
	sectors = chunks << g->chunk_shift;
	if (random_percent(&d->random, 50))
		sectors -= random_below(&d->random, g->chunk_sectors);
	return min_t(u64, sectors, MODEL_MAX_SECTORS);
}

/*
 * A volume whose base's size is not recorded yet reads zeroes: as long as it is
 * being made nobody looks at it, and after a power cut it is taken away.
 */
void volume_create(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_change change;
	u64 sectors = random_size(d);
	u64 based = sectors;
	char name[] = "volume-0";
	int error;

	if (random_percent(&d->random, 25))
		based = random_below(&d->random, sectors + 1);
	else if (random_percent(&d->random, 10))
		based = min_t(u64, sectors + 1 + random_below(&d->random, 100),
			      MODEL_MAX_SECTORS);
	name[sizeof(name) - 2] += v->number;
	v->base = base_unused(d);
	base_fill(d, v, based);
	error = cowstack_change_create_volume(&change, &d->md,
					      to_volume_id(v->number), sectors,
					      name, 0);
	if (error) {
		if (error != -ENOSPC && error != -ENOMEM)
			driver_fail(d, "volume is not created: %d", error);
		return;
	}
	v->uncertain = true;
	v->exchanged = false;
	v->commit.ending = false;
	v->commit.state = COMMIT_IDLE;
	if (!driver_carry_out(d, &change))
		return;
	v->volume = cowstack_volume_find(&d->md, to_volume_id(v->number));
	if (!base_record(d, v))
		return;
	driver_trace(d, "volume %u: created with %llu sectors", v->number,
		     (unsigned long long)sectors);
	model_reset(&v->model, sectors, v->base->content, based);
	volume_bring_up(d, v);
	if (!d->power.dead)
		v->uncertain = false;
}

void volume_delete(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_change change;

	volume_drain(d, v);
	stream_finish_batch(d, v);
	driver_run_steps(d);	/* what its job has queued */
	if (driver_is_stuck(d))
		return;
	job_drop(v);
	cowstack_change_delete_volume(&change, &d->md, v->volume);
	v->uncertain = true;
	if (!driver_carry_out(d, &change))
		return;
	v->volume = NULL;
	if (!d->power.dead) {
		v->uncertain = false;
		model_reset(&v->model, 0, NULL, 0);
	}
	driver_trace(d, "volume %u: deleted", v->number);
}

static void set_size(struct cowstack_volume_info *info, const void *argument)
{
	info->sectors = *(const u64 *)argument;
}

void volume_grow(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_change change;
	u64 sectors = v->volume->info.sectors;

	sectors += 1 + random_below(&d->random, 100);
	if (sectors > MODEL_MAX_SECTORS)
		return;
	v->growing_to = sectors;
	cowstack_change_info(&change, &d->md, v->volume, set_size, &sectors);
	if (!driver_carry_out(d, &change))
		return;
	driver_trace(d, "volume %u: %llu sectors now", v->number,
		     (unsigned long long)sectors);
	if (!d->power.dead) {
		v->growing_to = 0;
		model_grow(&v->model, sectors, v->base->content,
			   v->base->device.sectors);
	}
}

bool volume_freeze_top(struct store_driver *d, struct driver_volume *v,
		       cowstack_update_fn update, const void *argument)
{
	enum crash_phase phase = d->power.phase;
	struct cowstack_change change;
	u32 covered;
	bool done;
	int error;

	stream_finish_batch(d, v);
	if (driver_is_stuck(d))
		return false;
	error = cowstack_change_snapshot(&change, &d->md, v->volume, NULL, 0,
					 update, argument);
	if (error) {
		if (error != -ENOMEM)
			driver_fail(d, "no snapshot");
		return false;
	}
	d->power.phase = PHASE_SNAPSHOT;
	v->freezing = from_layer_id(volume_top(v)->id);
	model_add_point(&v->model, v->freezing);
	covered = model_begin_flush(&v->model);
	done = driver_carry_out(d, &change);
	d->power.phase = phase;
	driver_trace(d, "volume %u: layer %u %s", v->number, v->freezing,
		     done ? "frozen" : "may be frozen");
	if (done && !d->power.dead) {
		v->freezing = 0;
		model_end_flush(&v->model, covered);
	}
	return done;
}

void volume_snapshot(struct store_driver *d, struct driver_volume *v)
{
	if (v->model.point_count == MODEL_MAX_POINTS)
		return;
	volume_drain(d, v);
	if (!driver_is_stuck(d))
		volume_freeze_top(d, v, NULL, NULL);
}

void volume_bring_up(struct store_driver *d, struct driver_volume *v)
{
	int error = cowstack_volume_bring_up(&d->md, v->volume);

	if (error == -ENOMEM) {
		d->counts.no_memory++;
		error = cowstack_volume_bring_up(&d->md, v->volume);
	}
	if (error)
		driver_fail(d, "volume %u: does not come up", v->number);
}

void volume_close(struct store_driver *d, struct driver_volume *v)
{
	job_drop(v);
	memset(v->writes, 0, sizeof(v->writes));
	memset(v->reads, 0, sizeof(v->reads));
	v->volume = NULL;
}
