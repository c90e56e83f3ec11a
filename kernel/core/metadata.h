/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that memory holds of a store: layers with their maps, volumes, allocator,
 * journal ring.  One struct, opened by load (load.h), changed by steps (step.h),
 * written home by checkpoints (checkpoint.h).  No I/O happens here.
 *
 * "The metadata lock" is one lock of the caller's, which may sleep.  It protects
 * lists and records below unless a comment says otherwise; map words have rules
 * of their own (chunk_map.h), and lookups take no lock at all (chain.h).
 */
#ifndef COWSTACK_CORE_METADATA_H
#define COWSTACK_CORE_METADATA_H

#include "allocator.h"
#include "chunk_map.h"
#include "format.h"

struct cowstack_layer {
	struct list_head list;		/* in metadata.layers or .zombies */
	struct cowstack_layer *hash_next;
	layer_id_t id;
	struct cowstack_layer *parent;	/* NULL: the base */
	layer_id_t parent_id;		/* while loading */
	u32 children;			/* layers and volumes right above */
	u32 flags;			/* COWSTACK_LAYER_* */
	bool gone;			/* left its chain; a step said so */
	bool old_enough;		/* zombie before the checkpoint began */
	bool reclaimed;			/* zombie whose chunks are all freed */
	u64 reclaim_cursor;		/* chunk from which on it has to be */
	u64 limit;			/* chunks of the largest volume it is in */
	u64 created;			/* seconds since 1970 */
	char name[COWSTACK_NAME_SIZE];
	struct chunk_map map;
};

struct cowstack_job {
	enum cowstack_job_kind kind;
	enum cowstack_job_state state;
	u8 on_error;
	u8 flags;
	layer_id_t top;
	layer_id_t base;
	u32 error;
	u64 speed;
	u64 until;
	u64 cursor;
	u64 done;
	u64 total;
	u64 errors;
	u64 first_error;
};

/* What a volume record holds, without the chain. */
struct cowstack_volume_info {
	volume_id_t id;
	u32 flags;			/* COWSTACK_VOLUME_* */
	u64 sectors;
	u64 base_sectors;
	u64 base_seed;
	u32 base_crc;
	layer_id_t mixed_top;
	u64 base_time;
	char name[COWSTACK_NAME_SIZE];
	char base_name[COWSTACK_NAME_SIZE];
	struct cowstack_job job;
};

struct cowstack_chain;

struct cowstack_volume {
	struct list_head list;
	struct cowstack_volume *hash_next;
	struct cowstack_volume *name_next;	/* while loading */
	struct cowstack_volume_info info;
	struct cowstack_layer *top;
	layer_id_t top_id;		/* while loading */
	bool changing;			/* a record of it is in this step */
	u32 moves;			/* words that moved up; see chain.h */
	/* Only while the volume is up (chain.h): */
	struct cowstack_chain *chain;	/* read without lock; metadata lock */
	struct sparse_table topmost;	/* page number -> u8[512], slots */
	atomic64_t topmost_pages;
};

enum { COWSTACK_LAYER_BUCKETS = 1024, COWSTACK_VOLUME_BUCKETS = 256 };

struct cowstack_metadata {
	struct cowstack_superblock superblock;
	struct allocator allocator;
	struct list_head layers;
	struct list_head volumes;
	u64 object_bytes;		/* of their records in the index */
	struct list_head zombies;	/* gone, until a checkpoint forgets them */
	bool reshaping;			/* this step decides who uses a layer */
	struct cowstack_layer *buckets[COWSTACK_LAYER_BUCKETS];
	struct cowstack_volume *volume_buckets[COWSTACK_VOLUME_BUCKETS];
	u32 next_layer;

	/* The journal.  One step at a time; step.c. */
	u64 nonce;
	u64 next_step;			/* sequence of the next step */
	u64 head;			/* position of the next step, in blocks */
	u64 tail_step;			/* first step that replay would need */
	u64 tail;			/* its position */
	u32 max_step_blocks;

	struct llist_head dirty;	/* pages with words no step has yet */
	struct llist_node *collecting;	/* taken from dirty, not all encoded */
	struct map_page *home_dirty;	/* pages whose home is out of date */
	u64 home_dirty_count;
	struct list_head freed_waiting;	/* chunk runs no step covers yet */
	mblock_t *index;		/* blocks of the index on disk */
	u64 index_count;
};

/* @superblock: of the store; 0 or -ENOMEM. */
int cowstack_metadata_init(struct cowstack_metadata *md,
			   const struct cowstack_superblock *superblock);

/* Frees everything, once.  Nobody may look anything up any more. */
void cowstack_metadata_exit(struct cowstack_metadata *md);

static inline const struct cowstack_geometry *
cowstack_geometry(const struct cowstack_metadata *md)
{
	return &md->superblock.geometry;
}

/* --- lookup by name; metadata lock held --- */

struct cowstack_layer *cowstack_layer_find(struct cowstack_metadata *md,
					   layer_id_t id);
struct cowstack_volume *cowstack_volume_find(struct cowstack_metadata *md,
					     volume_id_t id);
struct cowstack_volume *cowstack_volume_find_name(struct cowstack_metadata *md,
						  const char *name);
/* Layers in the chain. */
unsigned int cowstack_volume_depth(const struct cowstack_volume *volume);

/* The layer right above @below (NULL: the base) in the chain that ends in @top. */
struct cowstack_layer *cowstack_layer_above(const struct cowstack_layer *below,
					    struct cowstack_layer *top);

/*
 * Is @layer, which is in @volume's chain, in another volume's too?  So is all
 * that lies below a layer with two children.
 */
bool cowstack_layer_is_shared(const struct cowstack_volume *volume,
			      const struct cowstack_layer *layer);

/*
 * Does @layer, in @volume's chain, show a point in time by itself?  Not while a
 * commit has taken from it what it has not given to all that lies below, nor in
 * a range that was committed and kept, but for its top.
 */
bool cowstack_layer_is_whole(const struct cowstack_volume *volume,
			     const struct cowstack_layer *layer);

/*
 * Does an unfinished job of @volume take from or put into @layer, or one below
 * it?  Whoever shares @layer would share those too, and the job could not end.
 */
bool cowstack_layer_has_job(const struct cowstack_volume *volume,
			    const struct cowstack_layer *layer);

/* Is @layer's map empty, but for room that was never written? */
bool cowstack_layer_is_empty(const struct cowstack_layer *layer);
/* Does it hold nothing but clean words? */
bool cowstack_layer_is_clean(const struct cowstack_layer *layer);

/* --- changing the tree; metadata lock held, process context --- */

/* A layer over @parent (NULL: the base), in no list yet.  NULL: no memory. */
struct cowstack_layer *cowstack_layer_new(struct cowstack_metadata *md,
					  layer_id_t id);
/* Enters a new layer; next_layer is raised above its id. */
void cowstack_layer_add(struct cowstack_metadata *md,
			struct cowstack_layer *layer);
/*
 * Takes a layer out of the tree for good: a zombie until the next checkpoint.
 * Nothing may be above it.  Its chunks come back in the background, see
 * cowstack_zombies_free_chunks().
 */
void cowstack_layer_remove(struct cowstack_metadata *md,
			   struct cowstack_layer *layer);
/* Has the next checkpoint room for one more layer's record? */
bool cowstack_metadata_has_layer_room(struct cowstack_metadata *md);
void cowstack_layer_set_parent(struct cowstack_layer *layer,
			       struct cowstack_layer *parent);
/* Frees a layer that was never added. */
void cowstack_layer_delete(struct cowstack_layer *layer);

/**
 * cowstack_zombies_free_chunks() - free some of what gone layers hold.
 *
 * A page's worth at most, and few runs of chunks: the metadata lock is held, and
 * users' steps wait for it.
 *
 * The steps that removed them are durable.  A lookup that began before may still have
 * found a chunk there: before it is used anew the caller lets a grace period pass, and
 * what reads it end (reclaim.c).
 *
 * Return: true while there may be more.
 */
bool cowstack_zombies_free_chunks(struct cowstack_metadata *md);

struct cowstack_volume *cowstack_volume_new(void);
/* Enters a new volume, whose id is set and stays. */
void cowstack_volume_add(struct cowstack_metadata *md,
			 struct cowstack_volume *volume,
			 struct cowstack_layer *top);
void cowstack_volume_set_top(struct cowstack_volume *volume,
			     struct cowstack_layer *top);
/* Takes a volume out and frees it; its layers are the caller's. */
void cowstack_volume_remove(struct cowstack_metadata *md,
			    struct cowstack_volume *volume);
void cowstack_volume_delete(struct cowstack_volume *volume);

/* Sets every layer's limit from the volumes' sizes. */
void cowstack_volume_set_limits(struct cowstack_metadata *md,
				struct cowstack_volume *volume);

/* Chunks that the layers of @volume hold in the store. */
u64 cowstack_volume_used(const struct cowstack_volume *volume);
/* Of these, and of all that the store holds, those that are clean copies. */
u64 cowstack_volume_clean(const struct cowstack_volume *volume);
u64 cowstack_metadata_clean(struct cowstack_metadata *md);
/* Chunks that nothing names any more, and that are not free yet. */
u64 cowstack_metadata_freeing(struct cowstack_metadata *md);

/* Bytes of memory that maps and indexes take. */
u64 cowstack_metadata_memory(struct cowstack_metadata *md);

#endif /* COWSTACK_CORE_METADATA_H */
