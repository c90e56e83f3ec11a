// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "cut_explorer.h"
#include "surely.h"

const char *const metadata_kind_name[METADATA_KINDS] = {
	"superblock", "step", "index", "page",
};

/* One sector that was written and is not durable. */
struct undurable {
	u32 device;
	u32 group;		/* sectors of one I/O are of one */
	struct cached_write write;
};

struct saved_volume {
	struct driver_volume v;
	struct volume_model model;
	u64 *base;
};

struct cut_explorer {
	struct store_driver *d;
	struct explorer_counts counts;
	struct undurable *writes;
	u32 count;
	u32 room;
	u32 groups;
	u8 *keep;			/* by index of writes */
	u8 *data[POWER_MAX_DEVICES];	/* that writes point into */
	struct saved_volume volumes[DRIVER_VOLUMES];
	struct driver_counts driver_counts;
	u64 recovery_ios;
};

struct cut_explorer *explorer_new(struct store_driver *d)
{
	struct cut_explorer *x = surely(calloc(1, sizeof(*x)));
	u32 i;

	x->d = d;
	for (i = 0; i < DRIVER_VOLUMES; i++) {
		model_init(&x->volumes[i].model, i + 1);
		x->volumes[i].base = surely(calloc(MODEL_MAX_SECTORS,
						   sizeof(u64)));
	}
	return x;
}

void explorer_delete(struct cut_explorer *x)
{
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		model_exit(&x->volumes[i].model);
		free(x->volumes[i].base);
	}
	free(x->writes);
	free(x->keep);
	free(x);
}

struct explorer_counts *explorer_counts(struct cut_explorer *x)
{
	return &x->counts;
}

/* --- what is before each state --- */

static void save_model(struct cut_explorer *x)
{
	struct store_driver *d = x->d;
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		struct saved_volume *s = &x->volumes[i];

		s->v = d->volumes[i];
		model_copy(&s->model, &d->volumes[i].model);
		memcpy(s->base, d->bases[i].content,
		       d->bases[i].device.sectors * sizeof(u64));
	}
	x->driver_counts = d->counts;
}

static void restore_model(struct cut_explorer *x)
{
	struct store_driver *d = x->d;
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		struct volume_model memory = d->volumes[i].model;
		struct saved_volume *s = &x->volumes[i];

		d->volumes[i] = s->v;
		d->volumes[i].model = memory;
		model_copy(&d->volumes[i].model, &s->model);
		memcpy(d->bases[i].content, s->base,
		       d->bases[i].device.sectors * sizeof(u64));
	}
	d->counts = x->driver_counts;
}

static void add_undurable(struct cut_explorer *x, u32 device,
			  const struct cached_write *write, bool new_group)
{
	struct undurable *u;

	if (x->count == x->room) {
		x->room = x->room * 2 + 256;
		x->writes = surely(realloc(x->writes, x->room * sizeof(*u)));
		x->keep = surely(realloc(x->keep, x->room));
	}
	x->groups += new_group;
	u = &x->writes[x->count++];
	u->device = device;
	u->group = x->groups - 1;
	u->write = *write;
}

static void take_caches(struct cut_explorer *x)
{
	struct power *power = &x->d->power;
	struct cached_write *cache;
	u32 device, count, i;

	x->count = 0;
	x->groups = 0;
	for (device = 0; device < power->device_count; device++) {
		u64 io = 0;

		device_take_cache(power->devices[device], &cache, &count,
				  &x->data[device]);
		for (i = 0; i < count; i++) {
			if (!cache[i].bytes)
				continue;
			add_undurable(x, device, &cache[i], cache[i].io != io);
			io = cache[i].io;
		}
		free(cache);
		device_mark(power->devices[device]);
	}
	x->counts.most_undurable = max(x->counts.most_undurable,
				       (u64)x->groups);
}

static void give_caches_up(struct cut_explorer *x)
{
	struct power *power = &x->d->power;
	u32 device;

	for (device = 0; device < power->device_count; device++) {
		device_unmark(power->devices[device]);
		free(x->data[device]);
	}
}

/* --- one state --- */

static void apply(struct cut_explorer *x)
{
	struct power *power = &x->d->power;
	u32 i;

	for (i = 0; i < x->count; i++)
		if (x->keep[i])
			device_keep(power->devices[x->writes[i].device],
				    &x->writes[i].write,
				    x->data[x->writes[i].device]);
}

static void rewind_all(struct cut_explorer *x)
{
	struct power *power = &x->d->power;
	u32 device;

	for (device = 0; device < power->device_count; device++)
		device_rewind(power->devices[device]);
	restore_model(x);
}

static void say_state(struct cut_explorer *x, u64 cut_at)
{
	u32 i, kept = 0;

	for (i = 0; i < x->count; i++)
		kept += !!x->keep[i];
	printf("# %u of %u sectors of %u writes had survived", kept, x->count,
	       x->groups);
	if (cut_at)
		printf(", and I/O %llu of the recovery was cut",
		       (unsigned long long)cut_at);
	printf("\n");
	fflush(stdout);
}

/*
 * Who has opened a store has mended its superblocks: a cut may spoil the good one when it
 * is written the next time, and what the older one leads to has come to other use by then.
 */
static void check_superblocks(struct store_driver *d)
{
	static const u64 places[] = { COWSTACK_SUPERBLOCK_A, COWSTACK_SUPERBLOCK_B };
	struct cowstack_superblock found[2];
	struct disk_superblock block;
	const char *why;
	int i;

	for (i = 0; i < 2; i++) {
		device_read_blocks(&d->store, places[i], 1, &block);
		if (cowstack_superblock_decode(&found[i], &block, places[i],
					       d->store.sectors, &why)) {
			driver_fail(d, "superblock %i is not mended: %s", i, why);
			return;
		}
	}
	if (found[0].sequence != found[1].sequence)
		driver_fail(d, "the older superblock is not mended");
}

static void open_once(struct cut_explorer *x, u64 cut_at)
{
	struct store_driver *d = x->d;

	power_restore(&d->power);
	d->power.keeps_caches = false;
	d->power.phase = PHASE_RECOVERY;
	d->power.countdown = cut_at;
	if (driver_open(d))
		check_superblocks(d);
	else if (!driver_is_over(d))
		driver_fail(d, "the load gives up");
}

/* The cut's chosen sectors survive, and @cut_at is an I/O of the recovery, or 0. */
static bool look(struct cut_explorer *x, u64 cut_at)
{
	struct store_driver *d = x->d;
	u64 ios = d->power.ios;

	apply(x);
	open_once(x, cut_at);
	if (cut_at && d->power.dead) {
		driver_close(d);
		open_once(x, 0);
		x->counts.recovered++;
	}
	driver_close(d);
	x->recovery_ios = d->power.ios - ios;
	/* Where nothing was undurable all states are one that other tests look at. */
	x->counts.states += x->count > 0;
	if (d->failed) {
		say_state(x, cut_at);
		return false;
	}
	rewind_all(x);
	return true;
}

/* --- which states --- */

static void keep_all(struct cut_explorer *x, bool kept)
{
	memset(x->keep, kept, x->count);
}

static void keep_some(struct cut_explorer *x)
{
	static const unsigned int chances[] = { 50, 10, 90 };
	struct random *r = &x->d->random;
	unsigned int chance = chances[random_below(r, ARRAY_SIZE(chances))];
	u32 i;

	for (i = 0; i < x->count; i++)
		x->keep[i] = random_percent(r, chance);
}

/* All of it, nothing; and each device alone, where it has anything. */
static bool look_at_devices(struct cut_explorer *x)
{
	u32 device, i, lost;

	for (lost = 0; lost < 2; lost++) {
		keep_all(x, !lost);
		if (!look(x, 0))
			return false;
		x->counts.alone++;
		for (device = 0; device < x->d->power.device_count; device++) {
			u32 has = 0;

			for (i = 0; i < x->count; i++) {
				bool is = x->writes[i].device == device;

				has += is;
				x->keep[i] = is ? lost : !lost;
			}
			if (!has || has == x->count)
				continue;
			if (!look(x, 0))
				return false;
			x->counts.alone++;
		}
	}
	return true;
}

static bool look_at_random(struct cut_explorer *x, u32 count)
{
	while (count--) {
		keep_some(x);
		if (!look(x, 0))
			return false;
		x->counts.random++;
	}
	return true;
}

/* Each sector for itself, or each write. */
static bool look_at_all(struct cut_explorer *x)
{
	bool sectors = x->count <= EXPLORER_MOST_WRITES;
	u32 bits = sectors ? x->count : x->groups;
	u32 subset, i;

	if (!bits || bits > EXPLORER_MOST_WRITES)
		return true;
	for (subset = 0; subset < 1u << bits; subset++) {
		for (i = 0; i < x->count; i++)
			x->keep[i] = subset >> (sectors ? i :
						x->writes[i].group) & 1;
		if (!look(x, 0))
			return false;
		x->counts.of_all++;
	}
	x->counts.all_subsets++;
	return true;
}

static enum metadata_kind kind_of(struct cut_explorer *x, u32 first)
{
	const struct disk_block_header *header = (void *)
		(x->data[x->writes[first].device] + x->writes[first].write.data);
	u32 block = x->writes[first].write.sector / COWSTACK_BLOCK_SECTORS;

	if (block < COWSTACK_RING_START)
		return METADATA_SUPERBLOCK;
	if (block < COWSTACK_MIN_METADATA_BLOCKS)
		return METADATA_STEP;
	return le32_to_cpu(header->magic) == COWSTACK_MAGIC_INDEX ?
		       METADATA_INDEX : METADATA_PAGE;
}

/* Do eight sectors of one block begin at @first? */
static bool is_block(struct cut_explorer *x, u32 first)
{
	u32 i;

	if (first + COWSTACK_BLOCK_SECTORS > x->count)
		return false;
	for (i = 0; i < COWSTACK_BLOCK_SECTORS; i++) {
		const struct undurable *u = &x->writes[first + i];

		if (u->write.bytes != 512 ||
		    u->write.sector != x->writes[first].write.sector + i)
			return false;
	}
	return !(x->writes[first].write.sector % COWSTACK_BLOCK_SECTORS);
}

/* Every mix of the block's sectors; of all else all, nothing, or some survives. */
static bool tear_block(struct cut_explorer *x, u32 first)
{
	u64 rest = random_below(&x->d->random, 4);
	u32 mix, i;

	if (rest < 2)
		keep_some(x);
	else
		keep_all(x, rest == 3);
	for (mix = 0; mix < 256; mix++) {
		for (i = 0; i < COWSTACK_BLOCK_SECTORS; i++)
			x->keep[first + i] = mix >> i & 1;
		if (!look(x, 0))
			return false;
		x->counts.torn++;
	}
	x->counts.torn_blocks[kind_of(x, first)]++;
	return true;
}

/*
 * What a superblock says lies in its first sector, so that no mix of sectors is bad.
 * Disks that write more than that at a time lose it, now and then.
 */
static bool look_at_destroyed(struct cut_explorer *x)
{
	u8 sector[512], *data;
	bool right = true;
	u32 i;

	for (i = 0; i < x->count && right; i++) {
		if (!is_block(x, i) || kind_of(x, i) != METADATA_SUPERBLOCK)
			continue;
		data = x->data[x->writes[i].device] + x->writes[i].write.data;
		memcpy(sector, data, sizeof(sector));
		memset(data, 0xff, sizeof(sector));
		keep_some(x);
		x->keep[i] = true;
		right = look(x, 0);
		memcpy(data, sector, sizeof(sector));
		x->counts.destroyed += right;
	}
	return right;
}

static bool look_at_torn(struct cut_explorer *x, u32 blocks)
{
	u32 first, found = 0, i;
	u32 from = x->count ? random_below(&x->d->random, x->count) : 0;

	for (i = 0; i < x->count && found < blocks; i++) {
		first = (from + i) % x->count;
		if (!is_block(x, first))
			continue;
		found++;
		if (!tear_block(x, first))
			return false;
	}
	return true;
}

/* Somewhere in as many I/Os as the recovery before has had. */
static bool look_at_recoveries(struct cut_explorer *x, u32 count)
{
	while (count--) {
		keep_some(x);
		if (!look(x, 1 + random_below(&x->d->random,
					      x->recovery_ios + 1)))
			return false;
	}
	return true;
}

bool explorer_run(struct cut_explorer *x, const struct exploration *how)
{
	bool right;

	save_model(x);
	take_caches(x);
	x->counts.cuts++;
	right = look_at_devices(x) && look_at_random(x, how->random) &&
		look_at_recoveries(x, how->recoveries) &&
		look_at_destroyed(x) && look_at_torn(x, how->torn_blocks) &&
		(!how->all || look_at_all(x));
	if (right) {
		keep_some(x);
		apply(x);
	}
	give_caches_up(x);
	power_restore(&x->d->power);
	return right;
}
