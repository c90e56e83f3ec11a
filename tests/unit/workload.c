// SPDX-License-Identifier: GPL-2.0
#include "workload.h"

static struct driver_volume *random_volume(struct store_driver *d)
{
	return &d->volumes[random_below(&d->random, DRIVER_VOLUMES)];
}

/*
 * Mostly in a few chunks, so that the same ones are met again and again, and
 * these spread over all pages of the map.
 */
static u64 random_sector(struct store_driver *d, const struct driver_volume *v)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 sectors = v->volume->info.sectors;
	u64 chunks = cowstack_chunks_of(g, sectors);
	u64 sector;

	if (random_percent(&d->random, 20))
		return random_below(&d->random, sectors);
	sector = chunks * random_below(&d->random, 3) / 3;
	sector += random_below(&d->random, 3);
	sector = (sector << g->chunk_shift) +
		 random_below(&d->random, g->chunk_sectors);
	return min(sector, sectors - 1);
}

static u32 random_count(struct store_driver *d)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);

	if (random_percent(&d->random, 40))
		return g->chunk_sectors;
	return 1 + random_below(&d->random, g->chunk_sectors);
}

void workload_write(struct store_driver *d, struct driver_volume *v)
{
	u64 sector = random_sector(d, v);
	bool fua;

	if (random_percent(&d->random, 40))
		sector &= ~(u64)(cowstack_geometry(&d->md)->chunk_sectors - 1);
	/* Not among the arguments: compilers choose in which order those are drawn. */
	fua = random_percent(&d->random, 10);
	volume_begin_write(d, v, sector, random_count(d), fua);
}

static void do_read(struct store_driver *d, struct driver_volume *v)
{
	u32 count = random_count(d);

	volume_begin_read(d, v, random_sector(d, v), count);
}

/* A few chunks, or as many words as no short step can take. */
static void do_discard(struct store_driver *d, struct driver_volume *v)
{
	const struct cowstack_geometry *g = cowstack_geometry(&d->md);
	u64 chunk = random_sector(d, v) >> g->chunk_shift;

	if (random_percent(&d->random, 90))
		volume_discard(d, v, chunk, 1 + random_below(&d->random, 4));
	else
		for (chunk = 0; chunk << g->chunk_shift < v->volume->info.sectors;
		     chunk += 2)
			volume_discard(d, v, chunk, 1);
}

static void end_something(struct store_driver *d, struct driver_volume *v)
{
	u64 i = random_below(&d->random, DRIVER_MAX_IN_FLIGHT);

	if (v->writes[i].used)
		volume_end_write(d, v, &v->writes[i]);
	i = random_below(&d->random, DRIVER_MAX_IN_FLIGHT);
	if (v->reads[i].used && !driver_is_over(d))
		volume_end_read(d, v, &v->reads[i]);
}

static void begin_job(struct store_driver *d, struct driver_volume *v)
{
	if (random_percent(&d->random, 35))
		stream_begin(d, v);
	else
		commit_begin(d, v);
}

/* The next thing on the way to the end of a commit. */
static void further_commit(struct store_driver *d, struct driver_volume *v)
{
	if (v->commit.state == COMMIT_STANDING)
		job_steer(d, v);
	else if (v->commit.state != COMMIT_IDLE)
		job_tick(d, v);
	else if (v->model.point_count > random_below(&d->random, 3))
		begin_job(d, v);
	else
		volume_snapshot(d, v);
}

static void work_on_layers(struct store_driver *d, struct driver_volume *v)
{
	u64 dice = random_below(&d->random, 10);

	if (dice < 1 && cowstack_volume_clean(v->volume))
		base_exchange(d, v);
	else if (dice < 2)
		layer_pin(d, v);
	else if (dice < 5)
		layer_drop(d, v);
	else
		layer_empty(d, v);
}

/* Most of the time where there is something to forget. */
static void work_on_base(struct store_driver *d, struct driver_volume *v)
{
	if (cowstack_volume_clean(v->volume) || random_percent(&d->random, 30))
		base_exchange(d, v);
}

static void work_on_volume(struct store_driver *d, struct driver_volume *v)
{
	u64 dice = random_below(&d->random, 200);

	if (random_percent(&d->random, d->commit_percent))
		further_commit(d, v);
	else if (dice < 76)
		workload_write(d, v);
	else if (dice < 110)
		end_something(d, v);
	else if (dice < 124)
		do_discard(d, v);
	else if (dice < 138)
		do_read(d, v);
	else if (dice < 147)
		volume_snapshot(d, v);
	else if (dice < 156)
		begin_job(d, v);
	else if (dice < 184)
		job_tick(d, v);
	else if (dice < 187)
		job_steer(d, v);
	else if (dice < 195)
		work_on_layers(d, v);
	else if (dice < 197)
		volume_grow(d, v);
	else if (dice < 198)
		work_on_base(d, v);
	/* Those that share a base keep each other from committing into it. */
	else if (dice < 199 || base_users(d, v->base) > 1)
		volume_delete(d, v);
}

/* The store goes down in order, and comes up with all that it had. */
static void reload(struct store_driver *d)
{
	enum crash_phase phase = d->power.phase;
	int i;

	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++) {
		if (!d->volumes[i].volume)
			continue;
		volume_drain(d, &d->volumes[i]);
		stream_finish_batch(d, &d->volumes[i]);
	}
	driver_flush(d);
	if (driver_is_stuck(d))
		return;
	driver_trace(d, "reload");
	d->counts.reloads++;
	driver_close(d);
	d->power.phase = PHASE_RECOVERY;
	driver_open(d);
	d->power.phase = phase;
}

static void work_on_store(struct store_driver *d)
{
	u64 dice = random_below(&d->random, 200);

	if (dice == 0) {
		reload(d);
		return;
	}
	dice /= 2;

	if (dice < 25)
		driver_flush(d);
	else if (dice < 45)
		driver_run_steps(d);
	else if (dice < 65)
		driver_reclaim(d);
	else if (dice < 97)
		driver_checkpoint_tick(d);
	else
		driver_grow(d);
}

static void make_volume(struct store_driver *d, struct driver_volume *v)
{
	if (random_percent(&d->random, 50) || !volume_clone(d, v))
		volume_create(d, v);
}

void workload_do_something(struct store_driver *d)
{
	struct driver_volume *v = random_volume(d);
	bool first = !d->volumes[0].volume;

	if (first)
		v = &d->volumes[0];
	d->power.phase = PHASE_WORK;
	if (random_percent(&d->random, 20))
		work_on_store(d);
	else if (!v->volume && (first || random_percent(&d->random, 10)))
		make_volume(d, v);
	else if (v->volume)
		work_on_volume(d, v);
	if (v->volume && !driver_is_stuck(d) &&
	    random_percent(&d->random, 3))
		volume_check(d, v);
}

void workload_quiesce(struct store_driver *d)
{
	int i;

	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++) {
		struct driver_volume *v = &d->volumes[i];

		if (!v->volume)
			continue;
		volume_drain(d, v);
		if (!driver_is_stuck(d) && random_percent(&d->random, 50))
			job_run(d, v);
		stream_finish_batch(d, v);
	}
	if (driver_is_stuck(d))
		return;
	driver_flush(d);
	driver_reclaim(d);
	driver_checkpoint_whole(d);
	driver_checkpoint_whole(d);
	driver_reclaim(d);
	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++)
		if (d->volumes[i].volume)
			volume_check(d, &d->volumes[i]);
	if (!driver_is_stuck(d))
		driver_check_leaks(d);
}

/* --- until the power is cut --- */

static u64 random_length(struct store_driver *d)
{
	u64 dice = random_below(&d->random, 1000);

	if (dice < 2)
		return 4000;
	if (dice < 30)
		return 100 + random_below(&d->random, 400);
	return 1 + random_below(&d->random, 250);
}

/*
 * The cut comes at any I/O; or in a phase that has few of them.  Some fall into
 * the recovery, which reads first.
 */
static void plan_cut(struct store_driver *d, u64 length)
{
	if (random_percent(&d->random, 10))
		return;
	if (random_percent(&d->random, 5)) {
		d->power.long_step = 2;
	} else if (random_percent(&d->random, 50)) {
		d->power.target = random_below(&d->random, PHASE_COUNT);
		d->power.countdown = 1 + random_below(&d->random, 6);
		d->commit_percent = 50;
	} else {
		d->power.countdown = 1 + random_below(&d->random,
						      20 + 2 * length);
	}
}

void workload_until_cut(struct store_driver *d)
{
	u64 length = random_length(d);
	u64 i;

	d->commit_percent = random_below(&d->random, 3) * 20;
	plan_cut(d, length);
	d->power.phase = PHASE_RECOVERY;
	driver_open(d);
	for (i = 0; i < length && !driver_is_over(d); i++)
		workload_do_something(d);
	if (!driver_is_over(d) && random_percent(&d->random, 20))
		workload_quiesce(d);
	d->power.phase = PHASE_WORK;
	if (!d->failed)
		power_cut(&d->power);
	driver_close(d);
}

u64 number_from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}
