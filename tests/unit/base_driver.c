// SPDX-License-Identifier: GPL-2.0
/*
 * Bases: who uses them, and what happens when something else puts other content
 * there and the volumes over it are told to accept that.
 */
#include "store_driver.h"

/* Volumes over @base, half made ones included. */
u32 base_users(const struct store_driver *d, const struct driver_base *base)
{
	u32 i, users = 0;

	for (i = 0; i < DRIVER_VOLUMES; i++)
		users += d->volumes[i].base == base &&
			 (d->volumes[i].volume || d->volumes[i].uncertain);
	return users;
}

/* There are as many as volumes. */
struct driver_base *base_unused(struct store_driver *d)
{
	struct driver_base *base = d->bases;

	while (base_users(d, base))
		base++;
	return base;
}

void base_fill(struct store_driver *d, struct driver_volume *v, u64 sectors)
{
	u64 counter = ++d->counter;
	u64 sector;

	device_reset(&v->base->device, sectors);
	for (sector = 0; sector < sectors; sector++) {
		u64 version = version_make(counter, v->number, sector);

		v->base->content[sector] = version;
		device_write_version(&v->base->device, sector, version, 0);
	}
	device_settle(&v->base->device);
}

struct base_size {
	u64 sectors;
};

static void set_base(struct cowstack_volume_info *info, const void *argument)
{
	const struct base_size *size = argument;

	info->base_sectors = size->sectors;
}

bool base_record(struct store_driver *d, struct driver_volume *v)
{
	const struct base_size size = { .sectors = v->base->device.sectors };

	return job_change_record(d, v, set_base, &size);
}

/* --- another content --- */

/* All that shows the base in a volume shows another from now on. */
static void replace_below(struct store_driver *d, struct driver_volume *v,
			  const struct cowstack_layer *layer, u64 sectors,
			  u64 *content)
{
	const struct driver_base *base = v->base;
	u64 sector;

	for (sector = 0; sector < sectors; sector++)
		if (!layer_decides(d, layer, sector))
			content[sector] = sector < base->device.sectors ?
						  base->content[sector] : 0;
}

static void replace_content(struct store_driver *d, struct driver_volume *v)
{
	struct volume_model *m = &v->model;
	u32 i;

	replace_below(d, v, v->volume->top, m->sectors, m->now);
	memcpy(m->durable, m->now, m->sectors * sizeof(u64));
	model_forget_log(m);
	for (i = 0; i < m->point_count; i++) {
		struct model_point *point = &m->points[i];
		layer_id_t id = to_layer_id(point->layer);

		replace_below(d, v, cowstack_layer_find(&d->md, id),
			      point->sectors, point->content);
	}
}

/* Nothing is in flight, and what was written is durable. */
static void go_down(struct store_driver *d, struct driver_volume *v)
{
	volume_drain(d, v);
	stream_finish_batch(d, v);
	driver_run_steps(d);
	job_settle(d, v);
	driver_flush(d);
}

static bool is_user(const struct driver_volume *v,
		    const struct driver_base *base)
{
	return v->base == base && v->volume;
}

/* The volume's size now, or when a layer was frozen that is still there. */
static u64 least_size(const struct driver_volume *v)
{
	u64 least = v->volume->info.sectors;
	u32 i;

	for (i = 0; i < v->model.point_count; i++)
		least = min(least, v->model.points[i].sectors);
	return least;
}

/* Of the same size, mostly; not larger than what is over it, or was. */
static u64 new_size(struct store_driver *d, const struct driver_base *base)
{
	u64 least = MODEL_MAX_SECTORS;
	bool at_work = false;
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		const struct driver_volume *v = &d->volumes[i];

		if (!is_user(v, base))
			continue;
		least = min(least, least_size(v));
		at_work |= v->commit.state != COMMIT_IDLE;
	}
	/* What a job takes was looked at when it began. */
	return at_work || random_percent(&d->random, 70) ?
		       base->device.sectors :
		       random_below(&d->random, least + 1);
}

void base_exchange(struct store_driver *d, struct driver_volume *v)
{
	struct driver_base *base = v->base;
	u32 i;

	for (i = 0; i < DRIVER_VOLUMES; i++) {
		if (d->volumes[i].base == base && d->volumes[i].uncertain)
			return;
		/* What was written at its end has taken in what lies behind. */
		if (is_user(&d->volumes[i], base) &&
		    least_size(&d->volumes[i]) < base->device.sectors)
			return;
		if (is_user(&d->volumes[i], base) && !driver_is_over(d))
			go_down(d, &d->volumes[i]);
	}
	if (driver_is_stuck(d))
		return;
	base_fill(d, v, new_size(d, base));
	driver_trace(d, "volume %u: another base, of %llu sectors", v->number,
		     (unsigned long long)base->device.sectors);
	d->counts.exchanges++;
	for (i = 0; i < DRIVER_VOLUMES; i++) {
		if (!is_user(&d->volumes[i], base))
			continue;
		replace_content(d, &d->volumes[i]);
		d->volumes[i].exchanged = true;
		job_drop(&d->volumes[i]);
		job_resume(d, &d->volumes[i]);
	}
	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++)
		if (is_user(&d->volumes[i], base))
			base_accept(d, &d->volumes[i]);
	for (i = 0; i < DRIVER_VOLUMES && !driver_is_stuck(d); i++)
		if (is_user(&d->volumes[i], base))
			volume_check(d, &d->volumes[i]);
}

void base_accept(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_change change;
	u64 clean = cowstack_volume_clean(v->volume);

	if (clean) {
		if (cowstack_change_drop_clean(&change, &d->md, v->volume))
			driver_fail(d, "clean words stay");
		if (!driver_carry_out(d, &change))
			return;
		d->counts.clean_dropped += clean;
		if (!d->power.dead && cowstack_volume_clean(v->volume))
			driver_fail(d, "volume %u: clean words are left",
				    v->number);
	}
	if (base_record(d, v) && !d->power.dead)
		v->exchanged = false;
}
