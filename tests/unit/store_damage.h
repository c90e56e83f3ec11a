/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Damages a store's metadata, any that loads: fields of superblocks, records, pages are
 * changed, and checksums made right again.
 */
#ifndef COWSTACK_UNIT_STORE_DAMAGE_H
#define COWSTACK_UNIT_STORE_DAMAGE_H

#include "random.h"
#include "store_image.h"

enum { DAMAGE_MAX_TARGETS = 2000 };

enum damage_kind { DAMAGE_SUPERBLOCK, DAMAGE_STEP, DAMAGE_INDEX, DAMAGE_PAGE };

struct damage_target {
	enum damage_kind kind;
	u64 block;
	u64 position;		/* of a step: where in the ring it begins */
	u32 count;		/* its blocks */
};

struct store_damage {
	struct store_image *image;
	u8 *good;		/* the image's bytes, undamaged */
	u64 bytes;
	struct damage_target targets[DAMAGE_MAX_TARGETS];
	u32 target_count;
	u64 ring_blocks;
	u64 index[DAMAGE_MAX_TARGETS];
	u32 index_count;
};

/*
 * Takes the image's first @bytes as they are, and finds what can be damaged; once for
 * each store.  0, or what a load says of it.
 */
int store_damage_begin(struct store_damage *d, struct store_image *image,
		       u64 bytes);
void store_damage_exit(struct store_damage *d);

/* The image is as it was at first. */
void store_damage_undo(struct store_damage *d);
/* … and then damaged, at one to four places. */
void store_damage_do(struct store_damage *d, struct random *r);
/* A block of metadata, any. */
void *store_damage_block(struct store_damage *d, struct random *r);

#endif /* COWSTACK_UNIT_STORE_DAMAGE_H */
