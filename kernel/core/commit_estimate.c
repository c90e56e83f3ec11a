// SPDX-License-Identifier: GPL-2.0
#include "commit_estimate.h"

void cowstack_estimate_begin(struct cowstack_estimator *e,
			     const struct cowstack_geometry *geometry,
			     bool into_layer)
{
	memset(&e->estimate, 0, sizeof(e->estimate));
	e->geometry = geometry;
	e->into_layer = into_layer;
	e->next_sector = U64_MAX;
	e->next_zero = false;
}

static void add_segment(struct cowstack_estimator *e,
			const struct cowstack_segment *s)
{
	if (s->sector != e->next_sector || s->zero != e->next_zero)
		e->estimate.requests++;
	e->next_sector = s->sector + s->sectors;
	e->next_zero = s->zero;
	if (s->zero)
		e->estimate.zero_bytes += s->sectors << COWSTACK_SECTOR_SHIFT;
	else
		e->estimate.data_bytes += s->sectors << COWSTACK_SECTOR_SHIFT;
}

/* Data chunks that the layers hold of @chunk. */
static u32 count_held(const struct cowstack_range *range, vchunk_t chunk)
{
	u32 i, held = 0;

	for (i = 0; i < range->count; i++)
		held += map_word_has_chunk(chunk_map_get(&range->layer[i]->map,
							 chunk));
	return held;
}

void cowstack_estimate_add(struct cowstack_estimator *e, vchunk_t chunk)
{
	struct cowstack_segment segments[COWSTACK_MAX_PIECES];
	struct cowstack_merge merge;
	u32 i, n;

	e->estimate.chunks++;
	if (!e->into_layer) {
		n = cowstack_range_plan(e->geometry, &e->range, chunk, segments);
		for (i = 0; i < n; i++)
			add_segment(e, &segments[i]);
		e->estimate.freed += count_held(&e->range, chunk);
		return;
	}
	cowstack_range_merge(e->geometry, &e->merged, chunk, &merge);
	for (i = 0; i < merge.count; i++)
		add_segment(e, &merge.copies[i]);
	e->estimate.freed += count_held(&e->merged, chunk) -
			     map_word_has_chunk(merge.word);
}
