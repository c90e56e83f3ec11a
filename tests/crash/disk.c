// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "disk_server.h"

/* A write that lies in a cache; without data: a discard. */
struct cached_write {
	u64 sector;
	u64 sectors;
	u32 number;
	u8 *data;
};

static struct {
	pthread_mutex_t lock;		/* over all requests of all disks */
	bool on;
	bool erred;			/* a request has failed, as it was told to */
	struct random random;
	disk_watch_fn watch;
	disk_fault_fn fails;
	disk_record_fn record;
	u32 losers;
	bool stops;			/* the machine alone: no cut */
	u32 stopped_at;			/* the last write before such a stop; 0: none was */
	struct power_cut cut;
	struct disk *disks[MAX_DISKS];
	unsigned int disk_count;
	u32 writes;			/* numbers them over all disks */
	unsigned int tearing_percent;
} power = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- the medium and the cache --- */

static u8 *sector_of(u8 *image, u64 sector)
{
	return image + sector * DISK_SECTOR;
}

void disk_poison(u8 *to, u64 sector)
{
	memset(to, 0xdb, DISK_SECTOR);
	memcpy(to + DISK_SECTOR - sizeof(sector), &sector, sizeof(sector));
}

static void put_sector(u8 *image, const struct cached_write *w, u64 i)
{
	u8 *to = sector_of(image, w->sector + i);

	if (w->data)
		memcpy(to, w->data + i * DISK_SECTOR, DISK_SECTOR);
	else
		disk_poison(to, w->sector + i);
}

static void make_durable(struct disk *disk, const struct cached_write *w, u64 i)
{
	u32 *at = &disk->durable_at[w->sector + i];

	/* A later one may have gone past the cache. */
	if (w->number < *at)
		return;
	*at = w->number;
	put_sector(disk->durable, w, i);
}

static void add_to_cache(struct disk *disk, const struct cached_write *w)
{
	struct cached_write *c;

	if (disk->cached == disk->cache_room) {
		disk->cache_room = 2 * disk->cache_room + 64;
		disk->cache = realloc(disk->cache,
				      disk->cache_room * sizeof(*disk->cache));
	}
	c = &disk->cache[disk->cached++];
	*c = *w;
	if (w->data) {
		c->data = malloc(w->sectors * DISK_SECTOR);
		memcpy(c->data, w->data, w->sectors * DISK_SECTOR);
	}
}

static void empty_cache(struct disk *disk)
{
	u32 i;

	for (i = 0; i < disk->cached; i++)
		free(disk->cache[i].data);
	disk->cached = 0;
}

static void flush_cache(struct disk *disk)
{
	u32 i;
	u64 s;

	for (i = 0; i < disk->cached; i++)
		for (s = 0; s < disk->cache[i].sectors; s++)
			make_durable(disk, &disk->cache[i], s);
	empty_cache(disk);
}

/* It is as the medium is. */
static void forget_cache(struct disk *disk)
{
	u32 i;

	for (i = 0; i < disk->cached; i++)
		memcpy(sector_of(disk->image, disk->cache[i].sector),
		       sector_of(disk->durable, disk->cache[i].sector),
		       disk->cache[i].sectors * DISK_SECTOR);
	empty_cache(disk);
}

/* @percent of the sectors, or of the writes, have reached the medium. */
static void lose_cache(struct disk *disk, unsigned int percent, bool torn)
{
	u32 i;
	u64 s;

	for (i = 0; i < disk->cached; i++) {
		const struct cached_write *w = &disk->cache[i];
		bool survives = random_percent(&power.random, percent);

		for (s = 0; s < w->sectors; s++) {
			if (torn && !(s % disk->block))
				survives = random_percent(&power.random,
							  percent);
			if (survives)
				make_durable(disk, w, s);
		}
	}
	forget_cache(disk);
}

/* What the machine had written before it stopped is lost, and what came then is not. */
static void lose_older(struct disk *disk, u32 last)
{
	u32 i;
	u64 s;

	for (i = 0; i < disk->cached; i++)
		for (s = 0; s < disk->cache[i].sectors; s++)
			if (disk->cache[i].number > last)
				make_durable(disk, &disk->cache[i], s);
	forget_cache(disk);
}

/* More often than not all of it. */
static void lose_some_of_cache(struct disk *disk)
{
	static const unsigned int percents[] = { 0, 0, 10, 50, 90 };
	unsigned int percent = percents[random_below(&power.random,
						     ARRAY_SIZE(percents))];

	if (power.stopped_at && random_percent(&power.random, 50))
		lose_older(disk, power.stopped_at);
	else
		lose_cache(disk, percent, random_percent(&power.random, 50));
}

/* --- power --- */

/* lock held. */
static void cut_power(void)
{
	unsigned int i;

	power.on = false;
	power.cut.stop = power.stops;
	power.cut.losers = power.stops ? 0 : power.losers;
	power.cut.applied = "-";
	power.cut.torn = false;
	for (i = 0; i < power.disk_count; i++) {
		struct disk *disk = power.disks[i];

		power.cut.cached[i] = disk->cached;
		if (power.cut.losers >> i & 1)
			lose_some_of_cache(disk);
		else if (!power.stops)
			flush_cache(disk);
	}
	power.stopped_at = power.stops ? power.writes : 0;
}

void power_init(u64 seed, disk_watch_fn watch)
{
	power.random.state = seed;
	power.watch = watch;
	power.losers = ~0u;
	power.on = true;
}

u32 disk_cached(struct disk *disk)
{
	u32 cached;

	pthread_mutex_lock(&power.lock);
	cached = disk->cached;
	pthread_mutex_unlock(&power.lock);
	return cached;
}

void disk_set_faults(disk_fault_fn fails)
{
	pthread_mutex_lock(&power.lock);
	power.fails = fails;
	pthread_mutex_unlock(&power.lock);
}

bool power_is_on(void)
{
	bool on;

	pthread_mutex_lock(&power.lock);
	on = power.on;
	pthread_mutex_unlock(&power.lock);
	return on;
}

void power_on(void)
{
	pthread_mutex_lock(&power.lock);
	power.on = true;
	pthread_mutex_unlock(&power.lock);
}

void power_set_losers(u32 losers)
{
	pthread_mutex_lock(&power.lock);
	power.losers = losers;
	pthread_mutex_unlock(&power.lock);
}

void power_set_stop(bool stops)
{
	pthread_mutex_lock(&power.lock);
	power.stops = stops;
	pthread_mutex_unlock(&power.lock);
}

void power_forget_stop(void)
{
	pthread_mutex_lock(&power.lock);
	power.stopped_at = 0;
	pthread_mutex_unlock(&power.lock);
}

void power_set_loser_in_watch(const struct disk *disk)
{
	power.losers = 1u << disk->number;
}

void power_set_tearing(unsigned int percent)
{
	pthread_mutex_lock(&power.lock);
	power.tearing_percent = percent;
	pthread_mutex_unlock(&power.lock);
}

void power_fail(void)
{
	pthread_mutex_lock(&power.lock);
	if (power.on)
		cut_power();
	pthread_mutex_unlock(&power.lock);
}

const struct power_cut *power_last_cut(void)
{
	return &power.cut;
}

/* --- requests --- */

static void write_sectors(struct disk *disk, const struct disk_request *r)
{
	struct cached_write w = {
		.sector = r->sector, .sectors = r->sectors,
		.number = ++power.writes, .data = (u8 *)r->data,
	};
	u64 s;

	for (s = 0; s < r->sectors; s++) {
		put_sector(disk->image, &w, s);
		if (r->fua)
			make_durable(disk, &w, s);
	}
	if (!r->fua)
		add_to_cache(disk, &w);
}

/* At least one block is written, and at least one is not. */
static void tear(struct disk *disk, const struct disk_request *r)
{
	u64 blocks = r->sectors / disk->block;
	u64 sure = random_below(&power.random, blocks);
	u64 never = (sure + 1 + random_below(&power.random, blocks - 1)) % blocks;
	struct disk_request one = *r;
	u64 b;

	one.sectors = disk->block;
	for (b = 0; b < blocks; b++) {
		one.sector = r->sector + b * disk->block;
		one.data = r->data + b * disk->block * DISK_SECTOR;
		if (b == sure ||
		    (b != never && random_percent(&power.random, 50)))
			write_sectors(disk, &one);
	}
}

static bool is_to_be_torn(struct disk *disk, const struct disk_request *r,
			  bool tearing)
{
	if (r->op != DISK_WRITE || r->sectors < 2 * disk->block)
		return false;
	return random_percent(&power.random,
			      tearing ? power.tearing_percent : 33);
}

/*
 * A request that is under way when the power fails has any effect, or none.  Where the
 * machine alone stops, what a write with FUA has brought may be in the cache by then, and
 * not on the medium.
 */
static const char *serve_partly(struct disk *disk, const struct disk_request *r,
				bool tearing)
{
	struct disk_request begun = *r;

	begun.fua = r->fua && !power.stops;
	if (r->op == DISK_READ)
		return "read";
	if (is_to_be_torn(disk, r, tearing)) {
		tear(disk, &begun);
		return "torn";
	}
	if (random_percent(&power.random, 50))
		return "not done";
	if (r->op == DISK_FLUSH)
		flush_cache(disk);
	else
		write_sectors(disk, &begun);
	return "done";
}

static void serve_wholly(struct disk *disk, const struct disk_request *r,
			 u8 *buffer)
{
	switch (r->op) {
	case DISK_READ:
		disk->reads++;
		memcpy(buffer, sector_of(disk->image, r->sector),
		       r->sectors * DISK_SECTOR);
		break;
	case DISK_FLUSH:
		disk->flushes++;
		flush_cache(disk);
		break;
	case DISK_WRITE:
		disk->writes++;
		write_sectors(disk, r);
		break;
	case DISK_DISCARD:
		disk->discards++;
		write_sectors(disk, r);
		break;
	}
}

static bool request_is_sound(const struct disk_request *r)
{
	return r->sector <= r->disk->sectors &&
	       r->sectors <= r->disk->sectors - r->sector;
}

static void fail_in_the_midst(struct disk *disk, const struct disk_request *r,
			      enum disk_cut cut)
{
	const char *applied;

	if (cut == CUT_ERROR) {
		power.erred = true;
		return;
	}
	applied = serve_partly(disk, r, cut == CUT_TEARING);

	cut_power();
	power.cut.applied = applied;
	power.cut.torn = !strcmp(applied, "torn");
}

static void serve_and_record(struct disk *disk, const struct disk_request *r,
			     u8 *buffer)
{
	serve_wholly(disk, r, buffer);
	if (power.record && r->op != DISK_READ)
		power.record(r);
}

int disk_serve(struct disk *disk, const struct disk_request *r, u8 *buffer)
{
	int error = 0;

	pthread_mutex_lock(&power.lock);
	if (!power.on || disk->pulled || !request_is_sound(r)) {
		error = EIO;
	} else if (r->op == DISK_FLUSH && disk->loses_flush) {
		disk->loses_flush = false;
		lose_cache(disk, 0, false);
		error = EIO;
	} else if (power.fails && power.fails(r)) {
		serve_partly(disk, r, false);
		error = EIO;
	} else {
		enum disk_cut cut = power.watch ? power.watch(r) : CUT_NOT;

		if (!disk->pulled && cut == CUT_NOT)
			serve_and_record(disk, r, buffer);
		else
			error = EIO;
		if (cut != CUT_NOT)
			fail_in_the_midst(disk, r, cut);
	}
	pthread_mutex_unlock(&power.lock);
	return error;
}

int disk_open(struct disk *disk, const char *name, unsigned int number,
	      u64 sectors, unsigned int block_bytes)
{
	memset(disk, 0, sizeof(*disk));
	disk->name = name;
	disk->number = number;
	disk->random.state = number;
	disk->node = number;
	disk->sectors = sectors;
	disk->block = block_bytes / DISK_SECTOR;
	disk->image = calloc(sectors, DISK_SECTOR);
	disk->durable = calloc(sectors, DISK_SECTOR);
	disk->durable_at = calloc(sectors, sizeof(u32));
	disk->buffer = aligned_alloc(4096, MAX_TRANSFER);
	if (!disk->image || !disk->durable || !disk->durable_at ||
	    !disk->buffer)
		return -ENOMEM;
	power.disks[power.disk_count++] = disk;
	return disk_start_serving(disk);
}

void disk_close(struct disk *disk)
{
	ioctl(disk->fd, NBD_DISCONNECT);
	disk_stop_serving(disk);
}

void disk_pull_in_watch(struct disk *disk)
{
	if (disk->pulled)
		return;
	disk->pulled = true;
	lose_some_of_cache(disk);
	/* Whatever the kernel has sent or will send ends with an error. */
	shutdown(disk->socket, SHUT_RDWR);
}

void disk_pull(struct disk *disk)
{
	pthread_mutex_lock(&power.lock);
	disk_pull_in_watch(disk);
	pthread_mutex_unlock(&power.lock);
}

/* A device of the kernel's comes to an end only when nobody has it open. */
int disk_plug(struct disk *disk)
{
	disk_stop_serving(disk);
	disk->node = (disk->node + MAX_DISKS) % (2 * MAX_DISKS);
	disk->hold = HOLDS_NONE;
	pthread_mutex_lock(&power.lock);
	disk->pulled = false;
	pthread_mutex_unlock(&power.lock);
	return disk_start_serving(disk);
}

bool disk_has_erred(void)
{
	unsigned int i;
	bool any;

	pthread_mutex_lock(&power.lock);
	any = power.erred;
	for (i = 0; i < power.disk_count; i++)
		any |= power.disks[i]->pulled;
	pthread_mutex_unlock(&power.lock);
	return any;
}

void disk_forget_pages(struct disk *disk)
{
	ioctl(disk->fd, BLKFLSBUF, 0);
}

void disk_hold(struct disk *disk, enum disk_op op, unsigned int passing)
{
	disk->held_op = op;
	disk->passing = passing;
	__atomic_store_n(&disk->hold, HOLDS_NEXT, __ATOMIC_RELEASE);
}

bool disk_holds(struct disk *disk)
{
	return READ_ONCE(disk->hold) == HOLDS_ONE;
}

void disk_lose_flush(struct disk *disk)
{
	pthread_mutex_lock(&power.lock);
	disk->loses_flush = true;
	pthread_mutex_unlock(&power.lock);
}

void disk_release(struct disk *disk)
{
	WRITE_ONCE(disk->hold, HOLDS_NONE);
}

void disk_poke(struct disk *disk, u64 sector, const void *data, u64 sectors)
{
	pthread_mutex_lock(&power.lock);
	memcpy(sector_of(disk->image, sector), data, sectors * DISK_SECTOR);
	memcpy(sector_of(disk->durable, sector), data, sectors * DISK_SECTOR);
	pthread_mutex_unlock(&power.lock);
}

const u8 *disk_peek(const struct disk *disk, u64 sector)
{
	return sector_of(disk->image, sector);
}

void disk_restore(struct disk *disk, const u8 *content)
{
	pthread_mutex_lock(&power.lock);
	empty_cache(disk);
	memcpy(disk->image, content, disk->sectors * DISK_SECTOR);
	memcpy(disk->durable, content, disk->sectors * DISK_SECTOR);
	pthread_mutex_unlock(&power.lock);
}

void power_record(disk_record_fn record)
{
	unsigned int i;

	pthread_mutex_lock(&power.lock);
	for (i = 0; record && i < power.disk_count; i++)
		flush_cache(power.disks[i]);
	power.record = record;
	pthread_mutex_unlock(&power.lock);
}

void disk_forget_error(void)
{
	pthread_mutex_lock(&power.lock);
	power.erred = false;
	pthread_mutex_unlock(&power.lock);
}
