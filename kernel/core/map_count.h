/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a layer holds, in numbers: the volume is cut into parts of one length, and of
 * each it is counted how many chunks the layer has there.  For a picture of it.
 *
 * Counting takes no lock of its own and goes by slices, between which others may
 * change what is counted: a picture of what is written is never quite of one moment.
 */
#ifndef COWSTACK_CORE_MAP_COUNT_H
#define COWSTACK_CORE_MAP_COUNT_H

#include "commit_plan.h"

enum { COWSTACK_MAP_PARTS = 512 };

struct cowstack_map_part {
	u64 used;			/* chunks with room in the store */
	u64 pieces;			/* that lie in these: what else they have is waste */
	u64 clean;			/* of these chunks, those with a clean word */
	u64 zero;			/* chunks of zeroes alone, without room */
	u64 hidden;			/* chunks nothing of which shows from below */
};

struct cowstack_map_count {
	u64 chunks;			/* of the volume */
	u64 part_chunks;		/* the last part may have fewer */
	u32 parts;
	u64 next_page;
	struct cowstack_map_part part[COWSTACK_MAP_PARTS];
	u16 cover[COWSTACK_PAGE_CHUNKS];
};

/* @parts: 1 … COWSTACK_MAP_PARTS; a volume of fewer chunks has fewer. */
void cowstack_map_count_begin(struct cowstack_map_count *count,
			      const struct cowstack_geometry *g,
			      const struct cowstack_volume *volume, u32 parts);

/**
 * cowstack_map_count_pages() - some pages more.
 * @layers: of the chain, as it is now; the newest first.  .used, .pieces, .clean and
 *          .zero are those of all of them together
 *
 * The metadata lock is held, so that no layer goes meanwhile; it may be let go of
 * between two calls.
 *
 * Return: true while there is more.
 */
bool cowstack_map_count_pages(struct cowstack_map_count *count,
			      const struct cowstack_geometry *g,
			      const struct cowstack_range *layers);

#endif /* COWSTACK_CORE_MAP_COUNT_H */
