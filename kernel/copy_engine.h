/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Moves batches from the store to a destination: gathers scattered segments
 * into memory in parallel, then writes them out large and ascending.  A batch
 * is gathered while the one before it is being written.
 */
#ifndef COWSTACK_COPY_ENGINE_H
#define COWSTACK_COPY_ENGINE_H

#include "core/commit_plan.h"
#include "store.h"

enum {
	COPY_BATCH_BYTES = 4 << 20,	/* of buffer, however large a page is */
	COPY_BATCH_PAGES = COPY_BATCH_BYTES >> PAGE_SHIFT,
	COPY_BATCH_RUNS = 256,		/* two seconds of a slow disk's seeks */
};

/* Sectors in a row at the destination. */
struct copy_run {
	u64 sector;			/* of the destination */
	u64 sectors;
	bool zero;
	u32 at;				/* byte of the buffer, where the run starts */
};

struct copy_batch {
	struct store *store;
	struct page **pages;
	u16 *in_row;			/* for each page: in memory, from it on */
	u32 used;			/* bytes of the buffer: whole blocks */
	struct bio *read;		/* not sent yet: what adjoins is added */
	u64 read_end;			/* byte of the buffer behind it */
	struct copy_run *runs;
	u32 run_count;
	u64 bytes;			/* of data */
	u64 zero_bytes;			/* to be written as zeroes */
	/* I/O under way. */
	atomic_t pending;
	struct completion done;
	int error;			/* the first; set from interrupts */
};

/*
 * @batch is zeroed before the first call.  0, or -ENOMEM: what it got by then
 * stays, and the next call goes on.
 */
int copy_batch_init(struct copy_batch *batch, struct store *store);
void copy_batch_exit(struct copy_batch *batch);
void copy_batch_reset(struct copy_batch *batch);

/*
 * Adds @segment and, where it is data, begins to read it, once it is known what
 * adjoins it: copy_batch_send() sends the last.  Process context.
 * False: the batch is full, nothing was added.
 */
bool copy_batch_add(struct copy_batch *batch,
		    const struct cowstack_segment *segment);

void copy_batch_send(struct copy_batch *batch);

/*
 * Begins a transfer of @bytes between @sector of @bdev and byte @at of the buffer,
 * for who keeps account of the buffer himself.  Process context.
 */
void copy_batch_transfer(struct copy_batch *batch, struct block_device *bdev,
			 blk_opf_t opf, u64 sector, u64 at, u64 bytes);

/* Zeroes in the buffer, where no transfer is under way. */
void copy_batch_clear(struct copy_batch *batch, u64 at, u64 bytes);

/* CRC-32 of what lies in the buffer from byte @at on. */
u32 copy_batch_crc(const struct copy_batch *batch, u64 at, u64 bytes);

/* Waits until what was begun has ended; its first error or 0. */
int copy_batch_wait(struct copy_batch *batch);

/* Begins to write run @run_number to @bdev.  They ascend. */
void copy_batch_write(struct copy_batch *batch, struct block_device *bdev,
		      u32 run_number);

/*
 * Reads from @bdev, into @check, what @batch has written there, and compares.
 * 0; -EILSEQ: it is not the same; an I/O error.  Process context.
 */
int copy_batch_compare(const struct copy_batch *batch, struct copy_batch *check,
		       struct block_device *bdev);

#endif /* COWSTACK_COPY_ENGINE_H */
