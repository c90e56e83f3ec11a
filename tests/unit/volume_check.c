// SPDX-License-Identifier: GPL-2.0
/*
 * What volumes read, against the model: at work, and after a load.
 */
#include "store_driver.h"

/* --- checks --- */

typedef void (*sector_fn)(struct store_driver *d, struct driver_volume *v,
			  u64 sector, u64 version);

/* Reads the whole volume in extents as long as they come. */
static void visit_sectors(struct store_driver *d, struct driver_volume *v,
			  sector_fn look)
{
	struct cowstack_extent extent;
	u64 first, sector, end;

	for (first = 0; first < v->model.sectors && !driver_is_over(d);
	     first = end) {
		volume_resolve(d, v, first, v->model.sectors - first, &extent);
		end = first + extent.sectors;
		if (end == first || end > v->model.sectors) {
			driver_fail(d, "an extent of a wrong length");
			return;
		}
		for (sector = first; sector < end; sector++)
			look(d, v, sector,
			     volume_read_sector(d, v, &extent, first, sector));
	}
}

static void check_sector(struct store_driver *d, struct driver_volume *v,
			 u64 sector, u64 version)
{
	const struct volume_model *m = &v->model;

	if (version == m->now[sector])
		return;
	/* Overwritten in place, and not acknowledged yet. */
	if (model_oldest_in_flight(m, ~0ULL) != ~0ULL &&
	    model_allows(m, sector, version))
		return;
	driver_fail(d, "volume %u: sector %llu reads %llx, not %llx",
		    v->number, (unsigned long long)sector,
		    (unsigned long long)version,
		    (unsigned long long)m->now[sector]);
}

static void check_frozen(struct store_driver *d, struct driver_volume *v)
{
	struct volume_model *m = &v->model;
	u32 i;

	for (i = 0; i < m->point_count && !driver_is_over(d); i++)
		layer_check_content(d, v, &m->points[i]);
}

void volume_check_content(struct store_driver *d, struct driver_volume *v)
{
	visit_sectors(d, v, check_sector);
}

void volume_check(struct store_driver *d, struct driver_volume *v)
{
	struct volume_model *m = &v->model;

	job_settle(d, v);
	if (driver_is_stuck(d))
		return;
	volume_check_content(d, v);
	layers_check_newest(d, v);
	layers_check_clean(d, v);
	if (v->commit.ending)
		return;		/* it may have ended, or not */
	base_check(d, v);
	if (m->point_count)
		layer_check_content(d, v,
				    &m->points[random_below(&d->random,
							    m->point_count)]);
}

/* --- after a load --- */

static void adopt_sector(struct store_driver *d, struct driver_volume *v,
			 u64 sector, u64 version)
{
	struct volume_model *m = &v->model;

	if (!model_allows(m, sector, version))
		driver_fail(d, "volume %u: after the cut sector %llu reads %llx, not %llx or %llx",
			    v->number, (unsigned long long)sector,
			    (unsigned long long)version,
			    (unsigned long long)m->durable[sector],
			    (unsigned long long)m->now[sector]);
	else
		model_adopt(m, sector, version);
}

static void adopt_content(struct store_driver *d, struct driver_volume *v)
{
	visit_sectors(d, v, adopt_sector);
	model_forget_log(&v->model);
}

/* Which of the changes that were under way took place? */
static void settle_changes(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_layer *layer;
	struct volume_model *m = &v->model;

	if (v->growing_to && v->volume->info.sectors == v->growing_to)
		model_grow(m, v->growing_to, v->base->content,
			   v->base->device.sectors);
	v->growing_to = 0;
	if (v->volume->info.sectors != m->sectors)
		driver_fail(d, "volume %u: has a wrong size", v->number);
	if (v->freezing) {
		layer = cowstack_layer_find(&d->md, to_layer_id(v->freezing));
		if (layer && layer->flags & COWSTACK_LAYER_FROZEN)
			model_end_flush(m, m->logged);
		else
			model_drop_last_point(m);
	}
	v->freezing = 0;
}

static void take_away(struct store_driver *d, struct driver_volume *v)
{
	struct cowstack_change change;

	cowstack_change_delete_volume(&change, &d->md, v->volume);
	if (driver_carry_out(d, &change))
		v->volume = NULL;
}

static void check_opened(struct store_driver *d, struct driver_volume *v)
{
	adopt_content(d, v);
	layers_check_newest(d, v);
	check_frozen(d, v);
	layers_check_clean(d, v);
	base_check(d, v);
}

void volume_open(struct store_driver *d, struct driver_volume *v)
{
	bool expected = v->model.sectors;

	v->volume = cowstack_volume_find(&d->md, to_volume_id(v->number));
	if (v->uncertain && v->volume) {
		/* Being made or being deleted: there, and nobody cares. */
		expected = true;
	} else if (v->uncertain) {
		v->uncertain = false;
		model_reset(&v->model, 0, NULL, 0);
		return;
	}
	if (expected != !!v->volume) {
		driver_fail(d, "volume %u: %s", v->number,
			    expected ? "was lost" : "came back");
		return;
	}
	if (!v->volume || v->uncertain)
		return;
	job_resume(d, v);
	layers_settle(d, v);
	settle_changes(d, v);
	layers_check(d, v);
	volume_bring_up(d, v);
	/* Nobody looks at it before what is left of the other base has gone. */
	if (!driver_is_over(d) && !v->exchanged)
		check_opened(d, v);
}

static void accept_and_check(struct store_driver *d, struct driver_volume *v)
{
	base_accept(d, v);
	if (!driver_is_stuck(d))
		check_opened(d, v);
}

void volume_finish_open(struct store_driver *d, struct driver_volume *v)
{
	if (v->uncertain && v->volume)
		take_away(d, v);
	else if (v->exchanged)
		accept_and_check(d, v);
	if (v->uncertain && !driver_is_stuck(d)) {
		v->uncertain = false;
		model_reset(&v->model, 0, NULL, 0);
	}
}
