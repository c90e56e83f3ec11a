/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a commit would write and free, found by looking at what it would take.
 */
#ifndef COWSTACK_CORE_COMMIT_ESTIMATE_H
#define COWSTACK_CORE_COMMIT_ESTIMATE_H

#include "commit_plan.h"

struct cowstack_estimate {
	u64 chunks;			/* that the range knows */
	u64 data_bytes;			/* to be written */
	u64 zero_bytes;
	u64 requests;			/* runs at the destination */
	u64 freed;			/* chunks that come free */
};

struct cowstack_estimator {
	const struct cowstack_geometry *geometry;
	struct cowstack_range range;	/* what is taken */
	struct cowstack_range merged;	/* and the destination, where it is a layer */
	bool into_layer;
	u64 next_sector;		/* where the last run ended */
	bool next_zero;
	struct cowstack_estimate estimate;
};

/* The ranges are the caller's to fill. */
void cowstack_estimate_begin(struct cowstack_estimator *e,
			     const struct cowstack_geometry *geometry,
			     bool into_layer);

/* Chunks that the range knows, ascending. */
void cowstack_estimate_add(struct cowstack_estimator *e, vchunk_t chunk);

#endif /* COWSTACK_CORE_COMMIT_ESTIMATE_H */
