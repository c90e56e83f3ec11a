/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading what is left of a damaged store: a load that goes on past damage, then
 * what it left is mended until core's own checks pass.  Writes nothing.
 *
 * Nothing that can be kept is thrown away.  A word that is lost shows what lies
 * below, which is older; it never becomes zeroes, as a commit would carry those
 * down over what is still right.  So each loss is listed, with the sectors of the
 * volumes that it shows in.
 */
#ifndef DMCOMMIT_SALVAGE_H
#define DMCOMMIT_SALVAGE_H

#include "core/loader.h"

/* Chunks that a layer knew something of. */
struct lost_range {
	layer_id_t layer;
	bool below;			/* what lies below it, not its own */
	u64 first;
	u64 count;
};

/* Sectors of a volume that may show what is older, or another's. */
struct affected_range {
	volume_id_t volume;
	u64 first;
	u64 sectors;
};

struct salvage {
	struct loader loader;
	struct cowstack_load_report report;
	struct cowstack_metadata md;
	bool loaded;			/* md is to be freed */
	/* Of what was found, before anything was mended. */
	char damage[160];		/* as check says it; "": none */
	u64 damage_block;
	/* The superblock that counted, as it is on disk, leads to all there was. */
	struct cowstack_superblock superblock;
	bool sound;
	bool no_superblock;		/* neither is of use: salvage_superblock() may be */
	bool rewrite_both;		/* the newer one is not the one that counted */
	u64 greatest_sequence;		/* of the superblocks */
	u64 needed_sectors;		/* of a store that the device ends before; 0 */
	/* What was found and mended, sentences. */
	char **findings;
	size_t finding_count;
	/* What was lost, and where it shows. */
	struct lost_range *lost;
	size_t lost_count;
	struct affected_range *affected;
	size_t affected_count;
	bool lost_unknown;		/* more than the ranges say */
	bool clean_doubtful;		/* the clean words may not be any more */
	/* What the index is being looked for with. */
	u64 index_at;			/* where it breaks off */
	bool index_broken;
	u64 index_room;			/* entries that md.index has room for */
	u64 journal_step;		/* first that was lost; 0: none */
	u32 last_volume;		/* id of the last that was made anew */
	/* Chunks that lost steps name, each with whose it is then. */
	struct later_name {
		u64 place;
		u64 chunk;
	} *later;
	size_t later_count;
	int error;			/* -ENOMEM of a callback */
};

/*
 * Return: 0: s->md is what is left, and s->sound says if that is all; -EINVAL: no
 * store; -EOPNOTSUPP: a later version's; -EUCLEAN: nothing that could be kept;
 * -ENXIO: the device is smaller than its store; -ENOMEM, -EFBIG, -E2BIG.
 * salvage_exit() in any case.
 */
int salvage_load(struct salvage *s, struct cowstack_reader *reader);
void salvage_exit(struct salvage *s);

/*
 * Where that has found no superblock that is of use: looks for what is left of a
 * store on all of the device, and makes them anew.  The same is returned.
 */
int salvage_superblock(struct salvage *s);

/* --- for the parts of it --- */

/* A sentence; or s->error is set. */
void salvage_note(struct salvage *s, const char *format, ...)
	__printf(2, 3);
void salvage_lose(struct salvage *s, layer_id_t layer, u64 first, u64 count);
void salvage_lose_below(struct salvage *s, layer_id_t layer);

/* No more can be tried after it. */
bool salvage_is_final(int error);

/* As the module would load it, by @sb. */
int salvage_load_strictly(struct salvage *s,
			  const struct cowstack_superblock *sb);
/* What is left, by @sb. */
int salvage_load_rest(struct salvage *s, const struct cowstack_superblock *sb);

/* salvage_index.c: goes on behind where the index broke off. */
int salvage_index(struct salvage *s);

/* An array that is to have one entry more than @count; NULL: s->error is set. */
void *salvage_grow(struct salvage *s, void *array, size_t count, size_t size);

/* Do lost steps say of the store's chunk @place that it is not @chunk's? */
bool salvage_is_reused(const struct salvage *s, u64 place, u64 chunk);

/* salvage_journal.c: what the steps said that cannot be taken. */
int salvage_journal(struct salvage *s);

/* salvage_mend.c: layers, volumes and words come to make sense. */
int salvage_mend(struct salvage *s);

/* salvage_affected.c: where what was lost shows. */
int salvage_find_affected(struct salvage *s);

#endif /* DMCOMMIT_SALVAGE_H */
