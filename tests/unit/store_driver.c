// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "store_driver.h"

enum {
	MAX_PAGES = 4096,
	MOST_STEP_BLOCKS = 28,		/* an eighth of the smallest ring */
};

void driver_fail(struct store_driver *d, const char *format, ...)
{
	va_list arguments;

	if (driver_is_over(d))
		return;
	d->failed = true;
	va_start(arguments, format);
	vsnprintf(d->failure, sizeof(d->failure), format, arguments);
	va_end(arguments);
}

void driver_trace(struct store_driver *d, const char *format, ...)
{
	va_list arguments;

	if (!d->verbose)
		return;
	va_start(arguments, format);
	printf("# %6llu ", (unsigned long long)d->power.ios);
	vprintf(format, arguments);
	printf("%s\n", d->power.dead ? " (without power)" : "");
	va_end(arguments);
}

void driver_init(struct store_driver *d)
{
	u32 i;

	memset(d, 0, sizeof(*d));
	d->power.random = &d->random;
	INIT_LIST_HEAD(&d->queue);
	INIT_LIST_HEAD(&d->draining);
	device_init(&d->store, &d->power, 512, DRIVER_STORE_SECTORS);
	for (i = 0; i < DRIVER_BASES; i++) {
		device_init(&d->bases[i].device, &d->power, 8,
			    MODEL_MAX_SECTORS);
		d->bases[i].content = calloc(MODEL_MAX_SECTORS, sizeof(u64));
	}
	for (i = 0; i < DRIVER_VOLUMES; i++) {
		struct driver_volume *v = &d->volumes[i];

		v->number = i + 1;
		model_init(&v->model, v->number);
		v->commit.sectors = calloc(DRIVER_GROUP_CHUNKS *
					   DRIVER_MAX_CHUNK_SECTORS,
					   sizeof(struct commit_sector));
		v->commit.pulls = calloc(DRIVER_GROUP_CHUNKS,
					 sizeof(struct driver_pull));
	}
	d->block_memory = calloc(COWSTACK_MAX_STEP_BLOCKS, COWSTACK_BLOCK_SIZE);
	for (i = 0; i < COWSTACK_MAX_STEP_BLOCKS; i++)
		d->blocks[i] = &d->block_memory[i];
}

void driver_exit(struct store_driver *d)
{
	int i;

	driver_close(d);
	device_exit(&d->store);
	for (i = 0; i < DRIVER_BASES; i++) {
		device_exit(&d->bases[i].device);
		free(d->bases[i].content);
	}
	for (i = 0; i < DRIVER_VOLUMES; i++) {
		model_exit(&d->volumes[i].model);
		free(d->volumes[i].commit.sectors);
		free(d->volumes[i].commit.pulls);
	}
	free(d->block_memory);
}

/* --- superblocks --- */

static int write_superblock(struct store_driver *d,
			    const struct cowstack_superblock *sb, u64 place)
{
	struct disk_superblock block;
	const void *blocks[] = { &block };

	cowstack_superblock_encode(sb, place, &block);
	return device_write_durably(&d->store, false, &place, blocks, 1);
}

static void random_geometry(struct store_driver *d, struct cowstack_geometry *g)
{
	static const u32 chunk_sectors[] = { 8, 8, 16, 32, 128 };
	struct random *r = &d->random;
	u32 chunk = chunk_sectors[random_below(r, ARRAY_SIZE(chunk_sectors))];
	/* Often so few that the store is full most of the time. */
	u64 chunks = COWSTACK_MIN_CHUNKS +
		     random_below(r, random_percent(r, 50) ? 100 : 20);

	device_reset(&d->store, 2048 + chunks * chunk);
	if (cowstack_geometry_init(g, d->store.sectors, chunk))
		driver_fail(d, "no geometry");
}

void driver_format(struct store_driver *d, u64 seed)
{
	static const u8 uuid[COWSTACK_UUID_SIZE] = { 1, 2, 3 };
	struct cowstack_superblock sb;
	struct cowstack_geometry g;
	int i;

	driver_close(d);
	power_restore(&d->power);
	d->random.state = seed;
	d->failed = false;
	d->counter = 0;
	d->tickets = 0;
	d->is_full = false;
	/* Short steps, so that words often do not fit into one. */
	d->step_blocks = random_percent(&d->random, 40) ? MOST_STEP_BLOCKS :
				1 + random_below(&d->random, 2);
	random_geometry(d, &g);
	cowstack_format(&sb, &g, uuid, "test", 0);
	/* The ring comes to its end early, or late. */
	sb.tail_position = random_below(&d->random, 1000);
	write_superblock(d, &sb, COWSTACK_SUPERBLOCK_A);
	write_superblock(d, &sb, COWSTACK_SUPERBLOCK_B);
	for (i = 0; i < DRIVER_VOLUMES; i++) {
		struct driver_volume *v = &d->volumes[i];

		model_reset(&v->model, 0, NULL, 0);
		v->volume = NULL;
		v->base = NULL;
		v->uncertain = false;
		v->growing_to = 0;
		v->freezing = 0;
		v->streamed_into = 0;
		v->exchanged = false;
		v->commit.state = COMMIT_IDLE;
		v->commit.ending = false;
	}
}

/* --- opening and closing --- */

static void driver_set_ro(struct store_driver *d)
{
	d->ro = true;
	driver_trace(d, "the store is read-only from now on");
}

struct device_reader {
	struct cowstack_reader reader;
	struct store_driver *driver;
};

static int read_store(struct cowstack_reader *reader, u64 first, u64 blocks,
		      void *buffer)
{
	struct store_driver *d =
		container_of(reader, struct device_reader, reader)->driver;

	if ((first + blocks) * COWSTACK_BLOCK_SECTORS > d->store.sectors) {
		driver_fail(d, "read behind the store's end");
		return -EIO;
	}
	device_read_blocks(&d->store, first, blocks, buffer);
	return device_send(&d->store);
}

/* The first thing that is written; see load.h. */
static void mend_superblock(struct store_driver *d,
			    const struct cowstack_load_report *report)
{
	if (report->other_superblock &&
	    write_superblock(d, &d->md.superblock, report->other_place))
		driver_set_ro(d);
}

/* The last step may lie in a cache: what came free by it is not to be written before. */
static void make_loaded_durable(struct store_driver *d)
{
	if (device_flush(&d->store))
		driver_set_ro(d);
}

bool driver_open(struct store_driver *d)
{
	struct device_reader reader = {
		.reader = {
			.read = read_store,
			.device_sectors = d->store.sectors,
			.max_pages = MAX_PAGES,
		},
		.driver = d,
	};
	struct cowstack_load_report report;
	u64 errors = d->power.errors;
	int error, i;

	error = cowstack_load(&d->md, &reader.reader, &report);
	if (error == -ENOMEM || (error && d->power.errors != errors))
		return false;
	if (error) {
		driver_fail(d, "load: %s, block %llu, error %d",
			    report.why ? report.why : "?",
			    (unsigned long long)report.where, error);
		return false;
	}
	d->ro = false;
	make_loaded_durable(d);
	if (!d->ro)
		mend_superblock(d, &report);
	if (d->power.dead) {
		cowstack_metadata_exit(&d->md);
		return false;
	}
	d->open = true;
	d->words_lost = false;
	d->md.nonce = random_next(&d->random);
	d->md.max_step_blocks = d->step_blocks;
	d->checkpoint_state = CHECKPOINT_IDLE;
	driver_trace(d, "open: %llu steps, %llu pages, %llu words%s",
		     (unsigned long long)report.steps,
		     (unsigned long long)report.pages,
		     (unsigned long long)report.words,
		     report.other_superblock ? ", one superblock" : "");
	for (i = 0; i < DRIVER_VOLUMES; i++)
		volume_open(d, &d->volumes[i]);
	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++)
		volume_finish_open(d, &d->volumes[i]);
	return true;
}

static void give_up_checkpoint(struct store_driver *d)
{
	if (d->checkpoint_state != CHECKPOINT_IDLE)
		cowstack_checkpoint_free(&d->checkpoint);
	d->checkpoint_state = CHECKPOINT_IDLE;
}

void driver_close(struct store_driver *d)
{
	int i;

	if (!d->open)
		return;
	give_up_checkpoint(d);
	d->checkpointing = false;
	for (i = 0; i < DRIVER_VOLUMES; i++)
		volume_close(d, &d->volumes[i]);
	INIT_LIST_HEAD(&d->queue);
	cowstack_allocator_release(&d->md.allocator, &d->draining);
	cowstack_metadata_exit(&d->md);
	d->open = false;
}

/* --- steps --- */

void driver_submit(struct store_driver *d, struct cowstack_change *change)
{
	list_add_tail(&change->transaction.list, &d->queue);
}

bool driver_breaks(const struct store_driver *d, enum cowstack_fault n,
		   bool stream)
{
	return cowstack_fault(n) && (stream || !d->stream_faults);
}

/* Does a stream's batch go into the next step? */
static bool is_step_of_stream(const struct store_driver *d)
{
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++)
		if (d->volumes[i].commit.stream &&
		    job_change_is_waiting(&d->volumes[i].commit))
			return true;
	return false;
}

static int write_step(struct store_driver *d, struct cowstack_step *step)
{
	u64 places[COWSTACK_MAX_STEP_BLOCKS];
	u32 i;

	for (i = 0; i < step->blocks; i++)
		places[i] = from_mblock(cowstack_step_place(&d->md, step, i));
	return device_write_durably(&d->store,
				    !driver_breaks(d, FAULT_SKIP_STORE_FLUSH,
						   is_step_of_stream(d)),
				    places, (const void *const *)d->blocks,
				    step->blocks);
}

/* What was in it is in memory as before, and stays there. */
static void fail_step(struct store_driver *d, struct cowstack_step *step)
{
	d->words_lost = true;
	list_splice_tail_init(&step->transactions, &d->queue);
	list_splice_tail_init(&step->freed, &d->md.freed_waiting);
	driver_set_ro(d);
}

/* Returns whether no other step is to follow. */
static bool run_step(struct store_driver *d)
{
	struct cowstack_transaction *t, *next;
	struct cowstack_step step;
	struct list_head applied;
	bool taken = true;

	if (d->ro)
		return true;
	INIT_LIST_HEAD(&applied);
	cowstack_step_begin(&d->md, &step, d->blocks);
	cowstack_step_collect(&d->md, &step);
	list_for_each_entry_safe(t, next, &d->queue, list)
		if (!cowstack_step_add(&step, t))
			taken = false;
	cowstack_step_seal(&d->md, &step);
	if (step.blocks > cowstack_ring_room(&d->md))
		driver_fail(d, "the step runs over the journal's tail");
	if (step.blocks && write_step(d, &step)) {
		fail_step(d, &step);
		return true;
	}
	cowstack_step_finish(&d->md, &step, &applied);
	/* Out of every list: whoever waits for a transaction looks at that. */
	list_for_each_entry_safe(t, next, &applied, list)
		list_del_init(&t->list);
	d->counts.steps += !!step.blocks;
	d->counts.partial_steps += !step.complete;
	return taken && step.complete;
}

/* A checkpoint needs steps itself: room for them is left to it. */
void driver_run_steps(struct store_driver *d)
{
	bool done;

	do {
		if (!d->checkpointing &&
		    cowstack_ring_room(&d->md) < 3 * MOST_STEP_BLOCKS)
			driver_checkpoint_whole(d);
		done = run_step(d);
	} while (!done && !d->failed);
}

bool driver_carry_out(struct store_driver *d, struct cowstack_change *change)
{
	bool applied;

	driver_submit(d, change);
	driver_run_steps(d);
	applied = list_empty(&change->transaction.list);
	list_del_init(&change->transaction.list);
	cowstack_change_free(change);
	d->counts.changes += applied;
	return applied;
}

/* Returns whether all that was acknowledged before is durable. */
static bool make_durable(struct store_driver *d)
{
	bool dirty = d->words_lost || cowstack_words_are_dirty(&d->md) ||
		     !list_empty(&d->queue);

	if (dirty && cowstack_fault(FAULT_EARLY_FUA))
		return true;
	if (dirty) {
		driver_run_steps(d);
		return !d->ro;
	}
	if (!device_flush(&d->store))
		return true;
	if (!d->ro)
		driver_set_ro(d);
	d->words_lost = true;
	return false;
}

void driver_flush(struct store_driver *d)
{
	u32 covered[DRIVER_VOLUMES];
	bool durable;
	int i;

	for (i = 0; i < DRIVER_VOLUMES; i++)
		covered[i] = model_begin_flush(&d->volumes[i].model);
	durable = make_durable(d);
	driver_trace(d, "flush%s", durable ? "" : " fails");
	if (!durable || driver_is_over(d))
		return;
	for (i = 0; i < DRIVER_VOLUMES; i++)
		model_end_flush(&d->volumes[i].model, covered[i]);
}

/* --- chunks that came free --- */

static bool chunks_are_used(struct store_driver *d, const struct chunk_run *run)
{
	int i;

	if (cowstack_fault(FAULT_REUSE_BEFORE_DRAINED))
		return false;
	for (i = 0; i < DRIVER_VOLUMES; i++)
		if (volume_uses_chunks(d, &d->volumes[i],
				       from_dchunk(run->first), run->count))
			return true;
	return false;
}

/* A discard may do anything to what is there. */
static void discard_run(struct store_driver *d, const struct chunk_run *run)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 sector = cowstack_chunk_sector(g, run->first);
	u64 sectors = run->count << g->chunk_shift;

	device_send(&d->store);
	for (; sectors; sectors--)
		device_write_version(&d->store, sector++, ~0ULL, 0);
}

void driver_reclaim(struct store_driver *d)
{
	struct list_head idle, durable;
	struct chunk_run *run, *next;

	INIT_LIST_HEAD(&idle);
	INIT_LIST_HEAD(&durable);
	while (cowstack_zombies_free_chunks(&d->md))
		;
	cowstack_allocator_take_durable(&d->md.allocator, &durable);
	list_splice_tail_init(&durable, &d->draining);
	list_for_each_entry_safe(run, next, &d->draining, list) {
		if (chunks_are_used(d, run))
			continue;
		list_move_tail(&run->list, &idle);
		if (random_percent(&d->random, 30))
			discard_run(d, run);
	}
	cowstack_allocator_release(&d->md.allocator, &idle);
	driver_trace(d, "reclaim: %llu chunks free",
		     (unsigned long long)d->md.allocator.free);
}

/* --- checkpoints --- */

static void write_metadata(struct store_driver *d, mblock_t block,
			   const void *bytes)
{
	u64 sector = from_mblock(block) * COWSTACK_BLOCK_SECTORS;

	if (d->ro)
		return;
	if (device_send_write(&d->store, sector, COWSTACK_BLOCK_SECTORS))
		driver_set_ro(d);
	device_write_block(&d->store, from_mblock(block), bytes);
}

static void write_page(struct store_driver *d)
{
	__le64 image[COWSTACK_PAGE_CHUNKS];
	mblock_t block;
	int more;

	more = cowstack_checkpoint_next_page(&d->md, &d->checkpoint, image,
					     &block);
	if (more < 0)
		driver_fail(d, "no room for a page: %d", more);
	else if (more)
		write_metadata(d, block, image);
	else
		d->checkpoint_state = CHECKPOINT_STEP;
}

static void write_index(struct store_driver *d)
{
	struct cowstack_index_block *b;

	list_for_each_entry(b, &d->checkpoint.index, list)
		write_metadata(d, b->place, b->block);
}

static void make_index(struct store_driver *d)
{
	int error = cowstack_checkpoint_make_index(&d->md, &d->checkpoint);

	if (error)
		driver_fail(d, "no room for the index: %d", error);
}

/* Without memory it is put off. */
static void begin_checkpoint(struct store_driver *d)
{
	if (!cowstack_checkpoint_begin(&d->md, &d->checkpoint))
		return;
	d->counts.no_memory++;
	d->checkpoint_state = CHECKPOINT_IDLE;
}

static void place_superblock(struct store_driver *d, u64 place)
{
	if (write_superblock(d, &d->checkpoint.superblock, place))
		driver_set_ro(d);
}

static void end_checkpoint(struct store_driver *d)
{
	/* Zombies that it may forget have to be empty by then. */
	while (cowstack_zombies_free_chunks(&d->md))
		;
	cowstack_checkpoint_end(&d->md, &d->checkpoint);
	cowstack_checkpoint_free(&d->checkpoint);
	d->counts.checkpoints++;
}

void driver_checkpoint_tick(struct store_driver *d)
{
	enum crash_phase phase = d->power.phase;
	enum checkpoint_state state = d->checkpoint_state;

	if (d->ro) {
		give_up_checkpoint(d);
		return;
	}
	if (phase == PHASE_WORK)
		d->power.phase = PHASE_CHECKPOINT;
	d->checkpoint_state = state == CHECKPOINT_END ? CHECKPOINT_IDLE :
							state + 1;
	switch (state) {
	case CHECKPOINT_IDLE:
		begin_checkpoint(d);
		break;
	case CHECKPOINT_PAGES:
		d->checkpoint_state = CHECKPOINT_PAGES;
		write_page(d);
		break;
	case CHECKPOINT_STEP:
		driver_run_steps(d);
		break;
	case CHECKPOINT_INDEX:
		make_index(d);
		break;
	case CHECKPOINT_WRITE_INDEX:
		write_index(d);
		break;
	case CHECKPOINT_FLUSH:
		if (device_flush(&d->store))
			driver_set_ro(d);
		break;
	case CHECKPOINT_SUPERBLOCK_A:
		cowstack_checkpoint_superblock(&d->md, &d->checkpoint);
		place_superblock(d, COWSTACK_SUPERBLOCK_A);
		break;
	case CHECKPOINT_SUPERBLOCK_B:
		place_superblock(d, COWSTACK_SUPERBLOCK_B);
		break;
	case CHECKPOINT_END:
		end_checkpoint(d);
		break;
	}
	driver_trace(d, "checkpoint, state %d", state);
	d->power.phase = phase;
}

/* Finishes one that is under way and does another, so that the tail is new. */
void driver_checkpoint_whole(struct store_driver *d)
{
	d->checkpointing = true;
	while (d->checkpoint_state != CHECKPOINT_IDLE && !d->failed)
		driver_checkpoint_tick(d);
	do {
		driver_checkpoint_tick(d);
	} while (d->checkpoint_state != CHECKPOINT_IDLE && !d->failed);
	d->checkpointing = false;
}

/* --- the rest --- */

void driver_grow(struct store_driver *d)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 chunks = g->chunks + 1 + random_below(&d->random, 8);
	struct cowstack_change change;

	if (chunks > DRIVER_MAX_CHUNKS)
		return;
	d->store.sectors = g->data_start + (chunks << g->chunk_shift);
	if (cowstack_change_grow(&change, &d->md, chunks)) {
		d->counts.no_memory++;
		return;
	}
	if (driver_carry_out(d, &change))
		driver_trace(d, "store grows to %llu chunks",
			     (unsigned long long)chunks);
}

/* Chunks that words name without holding anything: a write failed. */
static u64 count_empty_rooms(struct store_driver *d)
{
	struct cowstack_layer *layer;
	struct map_page *page;
	u64 number, count = 0;
	unsigned int slot;

	list_for_each_entry(layer, &d->md.layers, list)
		for (number = 0; (page = sparse_table_next(&layer->map.pages,
							   &number)); number++)
			for (slot = 0; slot < COWSTACK_PAGE_CHUNKS; slot++)
				count += map_word_has_chunk(page->words[slot]) &&
					 !map_word_mask(page->words[slot]);
	return count;
}

/* Is what memory thinks free what a load finds free? */
void driver_check_leaks(struct store_driver *d)
{
	const struct allocator *a = &d->md.allocator;
	u64 free = a->free + count_empty_rooms(d);
	u64 blocks = a->metadata_blocks, pages = a->pages;

	if (a->limbo)
		driver_fail(d, "%llu chunks are in limbo",
			    (unsigned long long)a->limbo);
	driver_close(d);
	if (!driver_open(d) || driver_is_stuck(d))
		return;
	if (a->metadata_blocks != blocks || a->pages > pages)
		driver_fail(d, "memory: %llu pages, %llu blocks; disk: %llu, %llu",
			    (unsigned long long)pages,
			    (unsigned long long)blocks,
			    (unsigned long long)a->pages,
			    (unsigned long long)a->metadata_blocks);
	if (a->free != free)
		driver_fail(d, "memory: %llu chunks free; disk: %llu",
			    (unsigned long long)free,
			    (unsigned long long)a->free);
}
