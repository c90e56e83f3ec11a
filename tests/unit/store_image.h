/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store's metadata as bytes in memory, for tests that look at single blocks.
 * No cache, no power: what is written is there.  Memory is taken where it is
 * written to, so a device may be larger than that.
 */
#ifndef COWSTACK_UNIT_STORE_IMAGE_H
#define COWSTACK_UNIT_STORE_IMAGE_H

#include "change.h"
#include "checkpoint.h"
#include "load.h"

struct store_image {
	struct cowstack_reader reader;
	u8 *bytes;
	u64 sectors;
	u64 most_sectors;
	struct disk_record_block *blocks[COWSTACK_MAX_STEP_BLOCKS];
	struct disk_record_block *block_memory;
	struct cowstack_load_report report;
	struct list_head queue;		/* transactions for the next step */
};

/* An empty store with @chunks chunks.  Exits where memory is short. */
void image_init(struct store_image *image, u32 chunk_sectors, u64 chunks);
void image_exit(struct store_image *image);
/* The device is of another size, up to 16 MiB more than at first. */
void image_resize(struct store_image *image, u64 sectors);

static inline void *image_block(struct store_image *image, u64 block)
{
	return image->bytes + block * COWSTACK_BLOCK_SIZE;
}

int image_load(struct store_image *image, struct cowstack_metadata *md);
void image_write_superblocks(struct store_image *image,
			     const struct cowstack_superblock *sb);

/* One step with what is dirty and queued; returns its blocks. */
u32 image_run_step(struct store_image *image, struct cowstack_metadata *md);
/* The same, but only blocks with their bit in @kept are written. */
u32 image_tear_step(struct store_image *image, struct cowstack_metadata *md,
		    u64 kept);
/* Prepares and writes a step with one transaction, and frees it. */
void image_run_change(struct store_image *image, struct cowstack_metadata *md,
		      struct cowstack_change *change);
void image_checkpoint(struct store_image *image, struct cowstack_metadata *md);

/* A step whose one block holds @records as they are. */
void image_write_raw_step(struct store_image *image,
			  struct cowstack_metadata *md, const void *records,
			  u32 used);

/* A volume with one layer, and its chunks' words set through its map. */
struct cowstack_volume *image_create_volume(struct store_image *image,
					    struct cowstack_metadata *md,
					    u32 id, u64 sectors);
void image_set_word(struct cowstack_metadata *md, struct cowstack_layer *layer,
		    u64 chunk, map_word_t word);

/* Are the volumes, layers and words of both the same? */
bool image_maps_are_equal(struct cowstack_metadata *a,
			  struct cowstack_metadata *b);

#endif /* COWSTACK_UNIT_STORE_IMAGE_H */
