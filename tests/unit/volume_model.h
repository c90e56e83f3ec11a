/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a volume must read: the naive model.
 *
 * For each sector the version written last, the one that the last flush made
 * durable, and a log of what came between.  After a power cut a sector may hold
 * the durable version or any from the log.
 */
#ifndef COWSTACK_UNIT_VOLUME_MODEL_H
#define COWSTACK_UNIT_VOLUME_MODEL_H

#include "environment.h"

enum {
	VERSION_SECTOR_BITS = 24,
	VERSION_VOLUME_BITS = 4,
	MODEL_MAX_SECTORS = 10240,
	MODEL_MAX_POINTS = 8,
};

/* A version says who wrote it; 0 is zeroes, and the counter is never 0. */
static inline u64 version_make(u64 counter, u32 volume, u64 sector)
{
	return counter << (VERSION_SECTOR_BITS + VERSION_VOLUME_BITS) |
	       (u64)volume << VERSION_SECTOR_BITS | sector;
}

static inline u64 version_counter(u64 version)
{
	return version >> (VERSION_SECTOR_BITS + VERSION_VOLUME_BITS);
}

static inline bool version_is_of(u64 version, u32 volume, u64 sector)
{
	return (version & (BIT_ULL(VERSION_SECTOR_BITS +
				   VERSION_VOLUME_BITS) - 1)) ==
	       version_make(0, volume, sector);
}

struct model_write {
	u32 sector;
	u32 count;
	u64 counter;		/* 0: zeroes */
	u64 ticket;		/* 0: acknowledged */
	bool overtaken;		/* counts as done before a later write */
};

/* What a frozen layer shows, where it shows a point in time. */
struct model_point {
	u32 layer;
	u64 sectors;
	u64 *content;
	bool pinned;
	bool pin_changing;	/* to the other state */
	bool leaving;		/* the step that removes it is sent */
	bool upward;		/* what it showed goes with it */
};

struct volume_model {
	u32 volume;
	u64 sectors;
	u64 *now;
	u64 *durable;
	struct model_write *log;
	u32 logged;
	u32 log_room;
	u64 last_zeroing;	/* counter at the last zeroing write */
	struct model_point points[MODEL_MAX_POINTS];
	u32 point_count;
};

void model_init(struct volume_model *m, u32 volume);
void model_exit(struct volume_model *m);

/* The content is @base's first @base_sectors sectors and zeroes. */
void model_reset(struct volume_model *m, u64 sectors, const u64 *base,
		 u64 base_sectors);
/* That of @from at @layer, with its points up to there. */
void model_clone(struct volume_model *m, const struct volume_model *from,
		 u32 layer);
/* What comes shows the base, or zeroes where that is shorter. */
void model_grow(struct volume_model *m, u64 sectors, const u64 *base,
		u64 base_sectors);
/* All of it; each has been through model_init(). */
void model_copy(struct volume_model *to, const struct volume_model *from);

/* A write is sent; @counter 0 writes zeroes. */
void model_begin_write(struct volume_model *m, u64 sector, u64 count,
		       u64 counter, u64 ticket);
/* It is acknowledged. */
void model_end_write(struct volume_model *m, u64 ticket, bool overtaken);
/* It failed, and wrote nothing that anyone could see. */
void model_drop_write(struct volume_model *m, u64 ticket);

/* A flush is sent: what it covers is the log up to here. */
static inline u32 model_begin_flush(const struct volume_model *m)
{
	return m->logged;
}

void model_end_flush(struct volume_model *m, u32 covered);

/* Lowest counter that a read beginning now may see beside what is there. */
u64 model_oldest_in_flight(const struct volume_model *m, u64 counter);

/* May a sector read @version after a power cut? */
bool model_allows(const struct volume_model *m, u64 sector, u64 version);
/* It was read: from now on it is what counts. */
void model_adopt(struct volume_model *m, u64 sector, u64 version);
void model_forget_log(struct volume_model *m);

/* The content now belongs to @layer, which is being frozen. */
void model_add_point(struct volume_model *m, u32 layer);
struct model_point *model_find_point(struct volume_model *m, u32 layer);
/*
 * A commit of all up to @layer into the base has ended: the base shows that, and
 * so do the layers that are kept, as what they hold is clean.
 */
void model_commit_base(struct volume_model *m, u32 layer, u64 *base);
/*
 * The point @i leaves, and what it showed shows at the one below it; not if it goes
 * with it.
 */
void model_remove_point(struct volume_model *m, u32 i);
/* The last point was none. */
void model_drop_last_point(struct volume_model *m);

#endif /* COWSTACK_UNIT_VOLUME_MODEL_H */
