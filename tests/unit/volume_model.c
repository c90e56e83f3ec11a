// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "volume_model.h"
#include "surely.h"

static u64 *new_content(void)
{
	return surely(calloc(MODEL_MAX_SECTORS, sizeof(u64)));
}

void model_init(struct volume_model *m, u32 volume)
{
	int i;

	memset(m, 0, sizeof(*m));
	m->volume = volume;
	m->now = new_content();
	m->durable = new_content();
	for (i = 0; i < MODEL_MAX_POINTS; i++)
		m->points[i].content = new_content();
}

void model_exit(struct volume_model *m)
{
	int i;

	free(m->now);
	free(m->durable);
	free(m->log);
	for (i = 0; i < MODEL_MAX_POINTS; i++)
		free(m->points[i].content);
	memset(m, 0, sizeof(*m));
}

void model_reset(struct volume_model *m, u64 sectors, const u64 *base,
		 u64 base_sectors)
{
	u64 based = min(sectors, base_sectors);

	m->sectors = sectors;
	m->logged = 0;
	m->point_count = 0;
	m->last_zeroing = 0;
	if (based)
		memcpy(m->now, base, based * sizeof(u64));
	memset(m->now + based, 0, (sectors - based) * sizeof(u64));
	memcpy(m->durable, m->now, sectors * sizeof(u64));
}

static void copy_point(struct model_point *to, const struct model_point *from)
{
	to->sectors = from->sectors;
	memcpy(to->content, from->content, from->sectors * sizeof(u64));
}

void model_clone(struct volume_model *m, const struct volume_model *from,
		 u32 layer)
{
	u32 i;

	for (i = 0; i < from->point_count && from->points[i].layer <= layer;
	     i++) {
		copy_point(&m->points[i], &from->points[i]);
		m->points[i].layer = from->points[i].layer;
		m->points[i].pinned = from->points[i].pinned;
		m->points[i].pin_changing = false;
		m->points[i].leaving = false;
		m->points[i].upward = false;
	}
	model_reset(m, from->points[i - 1].sectors, from->points[i - 1].content,
		    from->points[i - 1].sectors);
	m->point_count = i;
}

void model_grow(struct volume_model *m, u64 sectors, const u64 *base,
		u64 base_sectors)
{
	u64 sector;

	for (sector = m->sectors; sector < sectors; sector++) {
		m->now[sector] = sector < base_sectors ? base[sector] : 0;
		m->durable[sector] = m->now[sector];
	}
	m->sectors = sectors;
}

void model_copy(struct volume_model *to, const struct volume_model *from)
{
	struct volume_model mine = *to;
	u32 i;

	*to = *from;
	to->now = mine.now;
	to->durable = mine.durable;
	to->log = mine.log;
	to->log_room = mine.log_room;
	if (to->log_room < from->logged) {
		to->log_room = from->log_room;
		to->log = surely(realloc(to->log, to->log_room *
							  sizeof(*to->log)));
	}
	memcpy(to->now, from->now, from->sectors * sizeof(u64));
	memcpy(to->durable, from->durable, from->sectors * sizeof(u64));
	if (from->logged)
		memcpy(to->log, from->log, from->logged * sizeof(*to->log));
	for (i = 0; i < MODEL_MAX_POINTS; i++) {
		to->points[i].content = mine.points[i].content;
		if (i < from->point_count)
			copy_point(&to->points[i], &from->points[i]);
	}
}

static u64 written_version(const struct volume_model *m,
			   const struct model_write *write, u64 sector)
{
	return write->counter ?
		       version_make(write->counter, m->volume, sector) : 0;
}

static void write_content(const struct volume_model *m, u64 *content,
			  const struct model_write *write)
{
	u64 sector;

	for (sector = write->sector; sector < write->sector + write->count;
	     sector++)
		content[sector] = written_version(m, write, sector);
}

void model_begin_write(struct volume_model *m, u64 sector, u64 count,
		       u64 counter, u64 ticket)
{
	struct model_write *write;

	if (m->logged == m->log_room) {
		m->log_room = m->log_room * 2 + 64;
		m->log = surely(realloc(m->log, m->log_room *
							sizeof(*m->log)));
	}
	write = &m->log[m->logged++];
	write->sector = sector;
	write->count = count;
	write->counter = counter;
	write->ticket = ticket;
	write->overtaken = false;
}

static struct model_write *find_write(struct volume_model *m, u64 ticket)
{
	u32 i;

	for (i = 0; i < m->logged; i++)
		if (m->log[i].ticket == ticket)
			return &m->log[i];
	fprintf(stderr, "the model knows no such write\n");
	abort();
}

void model_end_write(struct volume_model *m, u64 ticket, bool overtaken)
{
	struct model_write *write = find_write(m, ticket);

	write->ticket = 0;
	write->overtaken = overtaken;
	if (!overtaken)
		write_content(m, m->now, write);
}

void model_drop_write(struct volume_model *m, u64 ticket)
{
	struct model_write *write = find_write(m, ticket);

	write->ticket = 0;
	write->overtaken = true;
	write->count = 0;
}

void model_end_flush(struct volume_model *m, u32 covered)
{
	u32 from, to = 0;

	for (from = 0; from < m->logged; from++) {
		struct model_write *write = &m->log[from];

		if (from >= covered || write->ticket)
			m->log[to++] = *write;
		else if (!write->overtaken)
			write_content(m, m->durable, write);
	}
	m->logged = to;
}

u64 model_oldest_in_flight(const struct volume_model *m, u64 counter)
{
	u32 i;

	for (i = 0; i < m->logged; i++)
		if (m->log[i].ticket)
			counter = min(counter, m->log[i].counter);
	return counter;
}

bool model_allows(const struct volume_model *m, u64 sector, u64 version)
{
	u32 i;

	if (version == m->durable[sector])
		return true;
	for (i = 0; i < m->logged; i++) {
		const struct model_write *write = &m->log[i];

		if (sector >= write->sector &&
		    sector < write->sector + write->count &&
		    version == written_version(m, write, sector))
			return true;
	}
	return false;
}

void model_adopt(struct volume_model *m, u64 sector, u64 version)
{
	m->now[sector] = version;
	m->durable[sector] = version;
}

void model_forget_log(struct volume_model *m)
{
	m->logged = 0;
}

void model_add_point(struct volume_model *m, u32 layer)
{
	struct model_point *point = &m->points[m->point_count++];

	point->layer = layer;
	point->sectors = m->sectors;
	point->pinned = false;
	point->pin_changing = false;
	point->leaving = false;
	point->upward = false;
	memcpy(point->content, m->now, m->sectors * sizeof(u64));
}

struct model_point *model_find_point(struct volume_model *m, u32 layer)
{
	u32 i;

	for (i = 0; i < m->point_count; i++)
		if (m->points[i].layer == layer)
			return &m->points[i];
	return NULL;
}

void model_commit_base(struct volume_model *m, u32 layer, u64 *base)
{
	struct model_point *point = model_find_point(m, layer);
	struct model_point *below;

	if (!point) {
		fprintf(stderr, "the model knows no such layer\n");
		abort();
	}
	memcpy(base, point->content, point->sectors * sizeof(u64));
	for (below = m->points; below < point; below++)
		copy_point(below, point);
}

void model_remove_point(struct volume_model *m, u32 i)
{
	struct model_point gone = m->points[i];

	if (i && !gone.upward)
		copy_point(&m->points[i - 1], &gone);
	memmove(m->points + i, m->points + i + 1,
		(m->point_count - i - 1) * sizeof(gone));
	/* The memory is kept. */
	m->points[--m->point_count] = gone;
}

void model_drop_last_point(struct volume_model *m)
{
	m->point_count--;
}
