/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sample of a base's content: CRC-32 of its first 2 MiB, its last MiB, and 64 blocks
 * at places of the store's choosing, in this order.
 *
 * It is kept in blocks of 4 KiB, so that a commit, which knows what it writes, need not
 * read all of that again from a slow disk. What of it is known is right as long as
 * nobody else writes to the base.
 */
#ifndef COWSTACK_BASE_SAMPLE_H
#define COWSTACK_BASE_SAMPLE_H

#include "copy_engine.h"

struct base_sample;
struct job;

/* Nothing is known yet.  NULL: no memory. */
struct base_sample *base_sample_new(struct block_device *bdev, u64 seed);
void base_sample_free(struct base_sample *sample);

/* Is it of a base of this size, at the places that @seed chooses? */
bool base_sample_fits(const struct base_sample *sample,
		      struct block_device *bdev, u64 seed);

/*
 * Reads what is not known, and has the CRC of all.  0, -ENOMEM: what was read stays
 * known; an I/O error.  Process context.
 */
int base_sample_read(struct base_sample *sample, struct store *store,
		     struct block_device *bdev, u32 *crc);

/*
 * What @job writes to the base with @batch, and that it has failed to: nobody knows
 * what is there.
 */
void base_sample_learn(struct base_sample *sample,
		       const struct copy_batch *batch, struct job *job);
void base_sample_forget(struct base_sample *sample,
			const struct copy_batch *batch);

#endif /* COWSTACK_BASE_SAMPLE_H */
