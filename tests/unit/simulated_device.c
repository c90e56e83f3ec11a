// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "simulated_device.h"
#include "surely.h"

enum { SECTOR = 512, BLOCK_SECTORS = 8 };

const char *const crash_phase_name[PHASE_COUNT] = {
	"work", "snapshot", "gather", "write",
	"flush", "let go", "checkpoint", "recovery",
};

void device_init(struct simulated_device *device, struct power *power,
		 u32 stride, u64 room)
{
	memset(device, 0, sizeof(*device));
	device->power = power;
	device->stride = stride;
	device->room = room;
	device->landing = 100;
	device->thin_blocks = DEVICE_NOT_THIN;
	device->medium = surely(calloc(room, stride));
	device->view = surely(calloc(room, stride));
	device->touched = surely(calloc(room / BLOCK_SECTORS + 1, 1));
	device->touched_list = surely(calloc(room / BLOCK_SECTORS + 1,
					     sizeof(u32)));
	power->devices[power->device_count++] = device;
}

void device_exit(struct simulated_device *device)
{
	free(device->medium);
	free(device->view);
	free(device->cache);
	free(device->data);
	free(device->touched);
	free(device->touched_list);
	free(device->undo);
	memset(device, 0, sizeof(*device));
}

void device_reset(struct simulated_device *device, u64 sectors)
{
	const size_t block = (size_t)device->stride * BLOCK_SECTORS;
	u32 i;

	for (i = 0; i < device->touched_count; i++) {
		u32 n = device->touched_list[i];
		size_t bytes = block;

		/* The last block may be cut short by the device's end. */
		if ((u64)(n + 1) * BLOCK_SECTORS > device->room)
			bytes = (device->room - (u64)n * BLOCK_SECTORS) *
				device->stride;
		memset(device->medium + n * block, 0, bytes);
		memset(device->view + n * block, 0, bytes);
		device->touched[n] = 0;
	}
	device->touched_count = 0;
	device->cached = 0;
	device->data_used = 0;
	device->sectors = sectors;
	device->landing = 100;
	device->gone = false;
	device->thin_blocks = DEVICE_NOT_THIN;
}

static u8 *sector_in(const struct simulated_device *device, u8 *image,
		     u64 sector)
{
	return image + sector * device->stride;
}

static void put(const struct simulated_device *device, u8 *image,
		const struct cached_write *write)
{
	u8 *place = sector_in(device, image, write->sector);
	__le64 version = cpu_to_le64(write->version);

	if (write->bytes == sizeof(version))
		memcpy(place, &version, sizeof(version));
	else if (write->bytes)
		memcpy(place, device->data + write->data, write->bytes);
}

static void touch(struct simulated_device *device, u64 sector)
{
	u32 n = sector / BLOCK_SECTORS;

	if (device->touched[n])
		return;
	device->touched[n] = 1;
	device->touched_list[device->touched_count++] = n;
}

/* What the medium has at @sector is about to be lost. */
static void record(struct simulated_device *device, u64 sector)
{
	struct overwritten *o;

	if (!device->recording)
		return;
	if (device->undo_count == device->undo_room) {
		device->undo_room = device->undo_room * 2 + 256;
		device->undo = surely(realloc(device->undo, device->undo_room *
								   sizeof(*o)));
	}
	o = &device->undo[device->undo_count++];
	o->sector = sector;
	memcpy(o->bytes, sector_in(device, device->medium, sector),
	       device->stride);
}

/* NULL: it does not land. */
static struct cached_write *add_write(struct simulated_device *device,
				      u64 sector)
{
	struct cached_write *write;

	if (sector >= device->sectors) {
		fprintf(stderr, "write behind the device's end\n");
		abort();
	}
	if (device->landing < 100 &&
	    !random_percent(device->power->random, device->landing))
		return NULL;
	if (device->cached == device->cache_room) {
		device->cache_room = device->cache_room * 2 + 256;
		device->cache = surely(realloc(device->cache,
					       device->cache_room *
						       sizeof(*write)));
	}
	touch(device, sector);
	record(device, sector);
	write = &device->cache[device->cached++];
	memset(write, 0, sizeof(*write));
	write->sector = sector;
	write->io = device->power->ios;
	return write;
}

void device_write_version(struct simulated_device *device, u64 sector,
			  u64 version, u64 ticket)
{
	struct cached_write *write;

	if (device->power->dead)
		return;
	write = add_write(device, sector);
	if (!write)
		return;
	write->bytes = sizeof(version);
	write->version = version;
	write->ticket = ticket;
	put(device, device->view, write);
}

u64 device_read_version(const struct simulated_device *device, u64 sector)
{
	__le64 version;

	if (sector >= device->sectors)
		return ~0ULL;
	memcpy(&version, sector_in(device, device->view, sector),
	       sizeof(version));
	return le64_to_cpu(version);
}

static void add_sector(struct simulated_device *device, u64 sector,
		       const u8 *bytes)
{
	struct cached_write *write = add_write(device, sector);

	if (!write)
		return;
	if (device->data_used + SECTOR > device->data_room) {
		device->data_room = device->data_room * 2 + 64 * SECTOR;
		device->data = surely(realloc(device->data,
					      device->data_room));
	}
	write->bytes = SECTOR;
	write->data = device->data_used;
	memcpy(device->data + device->data_used, bytes, SECTOR);
	device->data_used += SECTOR;
	put(device, device->view, write);
}

void device_write_block(struct simulated_device *device, u64 block,
			const void *bytes)
{
	u64 i;

	if (device->power->dead)
		return;
	for (i = 0; i < BLOCK_SECTORS; i++)
		add_sector(device, block * BLOCK_SECTORS + i,
			   (const u8 *)bytes + i * SECTOR);
}

void device_read_blocks(const struct simulated_device *device, u64 first,
			u64 blocks, void *bytes)
{
	memcpy(bytes, sector_in(device, device->view, first * BLOCK_SECTORS),
	       blocks * BLOCK_SECTORS * SECTOR);
}

void device_complete(struct simulated_device *device, u64 ticket)
{
	u32 i;

	for (i = 0; i < device->cached; i++)
		if (device->cache[i].ticket == ticket)
			device->cache[i].ticket = 0;
}

static void drop_unused_data(struct simulated_device *device)
{
	u32 i;

	for (i = 0; i < device->cached; i++)
		if (device->cache[i].bytes == SECTOR)
			return;
	device->data_used = 0;
}

/* Takes complete writes from @first on to the medium; the others stay. */
static void harden(struct simulated_device *device, u32 first)
{
	u32 from, to = first;

	for (from = first; from < device->cached; from++) {
		struct cached_write *write = &device->cache[from];

		if (write->ticket)
			device->cache[to++] = *write;
		else
			put(device, device->medium, write);
	}
	device->cached = to;
	drop_unused_data(device);
}

/* --- I/Os, and those that fail --- */

/* The next one begins; how will it end? */
static int begin_io(struct simulated_device *device)
{
	struct power *power = device->power;

	power->ios++;
	device->landing = 100;
	if (power->dead)
		return 0;
	if (power->pulling_in && !--power->pulling_in)
		power->pulled->gone = true;
	if (power->failing_in && !--power->failing_in)
		device->landing = 50;
	if (device->gone)
		device->landing = 0;
	power->errors += device->landing < 100;
	return device->landing < 100 ? -EIO : 0;
}

/* A place where the power may be cut. */
static void tick(struct power *power)
{
	if (power->target != PHASE_COUNT && power->target != power->phase)
		return;
	if (!power->dead && power->countdown && !--power->countdown)
		power_cut(power);
}

int device_send(struct simulated_device *device)
{
	int error = begin_io(device);

	tick(device->power);
	return error;
}

/* Return: whether there is room for what has none yet. */
static bool take_thin_room(struct simulated_device *device, u64 sector,
			   u64 count)
{
	u64 n, blocks = 0;

	if (device->thin_blocks == DEVICE_NOT_THIN || device->power->dead)
		return true;
	for (n = sector / BLOCK_SECTORS;
	     n <= (sector + count - 1) / BLOCK_SECTORS; n++)
		blocks += !device->touched[n];
	if (blocks > device->thin_blocks)
		return false;
	device->thin_blocks -= blocks;
	return true;
}

void device_provision(struct simulated_device *device, u64 first, u64 count)
{
	for (; count; first++, count--)
		touch(device, first * BLOCK_SECTORS);
}

int device_send_write(struct simulated_device *device, u64 sector, u64 count)
{
	int error = device_send(device);

	if (error || take_thin_room(device, sector, count))
		return error;
	device->landing = 0;
	device->power->errors++;
	return -ENOSPC;
}

int device_flush(struct simulated_device *device)
{
	int error = device_send(device);

	device->landing = 100;
	if (!error && !device->power->dead)
		harden(device, 0);
	return error;
}

void device_settle(struct simulated_device *device)
{
	if (!device->power->dead)
		harden(device, 0);
}

/* What is in the cache for sectors that a later write made durable. */
static void forget_overtaken(struct simulated_device *device, u32 first)
{
	u32 i, k;

	for (i = 0; i < first; i++)
		for (k = first; k < device->cached; k++)
			if (device->cache[i].sector == device->cache[k].sector)
				device->cache[i].bytes = 0;
}

int device_write_durably(struct simulated_device *device, bool preflush,
			 const u64 *places, const void *const *blocks,
			 u32 count)
{
	int error = preflush ? device_flush(device) : 0;
	u32 first, i;

	if (error)
		return error;
	error = begin_io(device);
	for (i = 0; i < count && !error; i++)
		if (!take_thin_room(device, places[i] * BLOCK_SECTORS,
				    BLOCK_SECTORS)) {
			error = -ENOSPC;
			device->landing = 0;
			device->power->errors++;
		}
	first = device->cached;
	for (i = 0; i < count; i++)
		device_write_block(device, places[i], blocks[i]);
	device->landing = 100;
	if (device->power->long_step && count >= device->power->long_step)
		power_cut(device->power);
	tick(device->power);
	if (error || device->power->dead)
		return error;
	forget_overtaken(device, first);
	harden(device, first);
	return 0;
}

/* Reads see what is durable. */
static void drop_cache(struct simulated_device *device)
{
	u32 i;

	for (i = 0; i < device->cached; i++) {
		u64 sector = device->cache[i].sector;

		memcpy(sector_in(device, device->view, sector),
		       sector_in(device, device->medium, sector),
		       device->stride);
	}
	device->cached = 0;
	device->data_used = 0;
}

void device_return(struct simulated_device *device, bool keeps_cache)
{
	device->gone = false;
	device->landing = 100;
	if (!keeps_cache)
		drop_cache(device);
}

/* Any subset of the cache survives, and quite often all of it or nothing. */
static void cut_device(struct simulated_device *device, struct random *r)
{
	static const unsigned int chances[] = { 0, 100, 50, 10, 90 };
	unsigned int chance = chances[random_below(r, ARRAY_SIZE(chances))];
	u32 i;

	for (i = 0; i < device->cached; i++)
		if (random_percent(r, chance))
			put(device, device->medium, &device->cache[i]);
	drop_cache(device);
}

/* --- one medium after another --- */

void device_take_cache(struct simulated_device *device,
		       struct cached_write **cache, u32 *count, u8 **data)
{
	*count = device->cached;
	drop_cache(device);
	*cache = device->cache;
	*data = device->data;
	device->cache = NULL;
	device->cache_room = 0;
	device->data = NULL;
	device->data_room = 0;
}

void device_keep(struct simulated_device *device,
		 const struct cached_write *write, const u8 *data)
{
	u8 *place = sector_in(device, device->medium, write->sector);
	__le64 version = cpu_to_le64(write->version);

	if (!write->bytes)
		return;
	record(device, write->sector);
	if (write->bytes == sizeof(version))
		memcpy(place, &version, sizeof(version));
	else
		memcpy(place, data + write->data, write->bytes);
	memcpy(sector_in(device, device->view, write->sector), place,
	       device->stride);
}

void device_mark(struct simulated_device *device)
{
	device->recording = true;
	device->undo_count = 0;
}

void device_rewind(struct simulated_device *device)
{
	drop_cache(device);
	while (device->undo_count) {
		struct overwritten *o = &device->undo[--device->undo_count];

		memcpy(sector_in(device, device->medium, o->sector), o->bytes,
		       device->stride);
		memcpy(sector_in(device, device->view, o->sector), o->bytes,
		       device->stride);
	}
}

void device_unmark(struct simulated_device *device)
{
	device->recording = false;
	device->undo_count = 0;
}

void power_cut(struct power *power)
{
	unsigned int i;

	if (power->dead)
		return;
	power->dead = true;
	power->countdown = 0;
	power->cuts[power->phase]++;
	for (i = 0; i < power->device_count && !power->keeps_caches; i++)
		cut_device(power->devices[i], power->random);
}

void power_settle(struct power *power)
{
	unsigned int i;
	u32 k;

	for (i = 0; i < power->device_count; i++)
		for (k = 0; k < power->devices[i]->cached; k++)
			power->devices[i]->cache[k].ticket = 0;
	power->keeps_caches = false;
}

void power_restore(struct power *power)
{
	power->dead = false;
	power->countdown = 0;
	power->long_step = 0;
	power->failing_in = 0;
	power->pulling_in = 0;
	power->target = PHASE_COUNT;
}
