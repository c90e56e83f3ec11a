// SPDX-License-Identifier: GPL-2.0
#include "copy_engine.h"

int copy_batch_init(struct copy_batch *batch, struct store *store)
{
	u32 i;

	batch->store = store;
	if (!batch->pages)
		batch->pages = kvcalloc(COPY_BATCH_PAGES,
					sizeof(*batch->pages), GFP_KERNEL);
	if (!batch->runs)
		batch->runs = kvcalloc(COPY_BATCH_RUNS, sizeof(*batch->runs),
				       GFP_KERNEL);
	if (!batch->pages || !batch->runs)
		return -ENOMEM;
	for (i = 0; i < COPY_BATCH_PAGES; i++) {
		if (!batch->pages[i])
			batch->pages[i] = alloc_page(GFP_KERNEL);
		if (!batch->pages[i])
			return -ENOMEM;
	}
	copy_batch_reset(batch);
	return 0;
}

void copy_batch_exit(struct copy_batch *batch)
{
	u32 i;

	for (i = 0; batch->pages && i < COPY_BATCH_PAGES; i++)
		if (batch->pages[i])
			__free_page(batch->pages[i]);
	kvfree(batch->pages);
	kvfree(batch->runs);
	batch->pages = NULL;
	batch->runs = NULL;
}

void copy_batch_reset(struct copy_batch *batch)
{
	batch->pages_used = 0;
	batch->run_count = 0;
	batch->bytes = 0;
	batch->zero_bytes = 0;
	batch->error = 0;
	/* One for the caller, until it waits. */
	atomic_set(&batch->pending, 1);
	init_completion(&batch->done);
}

static void put_pending(struct copy_batch *batch)
{
	if (atomic_dec_and_test(&batch->pending))
		complete(&batch->done);
}

static void note_error(struct copy_batch *batch, int error)
{
	/* Which one stays, of several, does not matter. */
	if (!READ_ONCE(batch->error))
		WRITE_ONCE(batch->error, error);
}

static void transfer_done(struct bio *bio)
{
	struct copy_batch *batch = bio->bi_private;

	if (bio->bi_status)
		note_error(batch, blk_status_to_errno(bio->bi_status));
	bio_put(bio);
	put_pending(batch);
}

/* Adds pages from byte @at of the buffer on; returns the bytes added. */
static u64 add_buffer_pages(struct copy_batch *batch, struct bio *bio, u64 at,
			    u64 bytes)
{
	u64 done = 0;

	while (done < bytes) {
		u32 offset = offset_in_page(at + done);
		u32 len = min_t(u64, bytes - done, PAGE_SIZE - offset);

		if (bio_add_page(bio, batch->pages[(at + done) >> PAGE_SHIFT],
				 len, offset) != len)
			break;
		done += len;
	}
	return done;
}

void copy_batch_transfer(struct copy_batch *batch, struct block_device *bdev,
			 blk_opf_t opf, u64 sector, u64 at, u64 bytes)
{
	while (bytes) {
		struct bio *bio;
		u64 done;

		bio = bio_alloc_bioset(bdev,
				       min_t(u64, BIO_MAX_VECS,
					     (bytes >> PAGE_SHIFT) + 2),
				       opf, GFP_NOIO,
				       &batch->store->copy_bios);
		bio->bi_iter.bi_sector = sector;
		bio->bi_end_io = transfer_done;
		bio->bi_private = batch;
		done = add_buffer_pages(batch, bio, at, bytes);
		atomic_inc(&batch->pending);
		submit_bio(bio);
		sector += done >> SECTOR_SHIFT;
		at += done;
		bytes -= done;
	}
}

void copy_batch_clear(struct copy_batch *batch, u64 at, u64 bytes)
{
	while (bytes) {
		u32 offset = offset_in_page(at);
		u32 len = min_t(u64, bytes, PAGE_SIZE - offset);

		memset(page_address(batch->pages[at >> PAGE_SHIFT]) + offset, 0,
		       len);
		at += len;
		bytes -= len;
	}
}

static u64 run_end(const struct copy_run *run)
{
	return ((u64)run->page << PAGE_SHIFT) + (run->sectors << SECTOR_SHIFT);
}

/* The run that @segment prolongs, or a new one; NULL: there is no room. */
static struct copy_run *find_run(struct copy_batch *batch,
				 const struct cowstack_segment *segment)
{
	struct copy_run *last = batch->run_count ?
					&batch->runs[batch->run_count - 1] :
					NULL;
	u64 bytes = segment->zero ? 0 : segment->sectors << SECTOR_SHIFT;
	bool joins = last && last->zero == segment->zero &&
		     last->sector + last->sectors == segment->sector;
	u64 start = joins ? run_end(last) :
			    (u64)batch->pages_used << PAGE_SHIFT;

	if (!segment->zero &&
	    start + bytes > (u64)COPY_BATCH_PAGES << PAGE_SHIFT)
		return NULL;
	if (joins)
		return last;
	if (batch->run_count == COPY_BATCH_RUNS)
		return NULL;
	last = &batch->runs[batch->run_count++];
	last->sector = segment->sector;
	last->sectors = 0;
	last->zero = segment->zero;
	last->page = batch->pages_used;
	return last;
}

bool copy_batch_add(struct copy_batch *batch,
		    const struct cowstack_segment *segment)
{
	struct copy_run *run = find_run(batch, segment);
	u64 bytes = segment->sectors << SECTOR_SHIFT;
	u64 at;

	if (!run)
		return false;
	at = run_end(run);
	run->sectors += segment->sectors;
	if (segment->zero) {
		batch->zero_bytes += bytes;
		return true;
	}
	batch->pages_used = DIV_ROUND_UP_ULL(at + bytes, PAGE_SIZE);
	batch->bytes += bytes;
	copy_batch_transfer(batch, batch->store->bdev, REQ_OP_READ,
			    segment->place, at, bytes);
	return true;
}

int copy_batch_wait(struct copy_batch *batch)
{
	put_pending(batch);
	wait_for_completion_io(&batch->done);
	atomic_set(&batch->pending, 1);
	reinit_completion(&batch->done);
	return READ_ONCE(batch->error);
}

static void write_zeroes(struct copy_batch *batch, struct block_device *bdev,
			 const struct copy_run *run)
{
	/*
	 * May unmap; where the device cannot, zeroes are written.  Never a bare
	 * discard, which promises nothing.
	 */
	int error = blkdev_issue_zeroout(bdev, run->sector, run->sectors,
					 GFP_NOIO, 0);

	if (error)
		note_error(batch, error);
}

void copy_batch_write(struct copy_batch *batch, struct block_device *bdev)
{
	u32 i;

	/*
	 * Not plugged: what adjoins is one run already, and a plug without a
	 * scheduler behind it is emptied from its end.
	 */
	for (i = 0; i < batch->run_count; i++) {
		const struct copy_run *run = &batch->runs[i];

		if (run->zero)
			write_zeroes(batch, bdev, run);
		else
			copy_batch_transfer(batch, bdev, REQ_OP_WRITE,
					    run->sector,
					    (u64)run->page << PAGE_SHIFT,
					    run->sectors << SECTOR_SHIFT);
	}
}

/* Are the @bytes from byte @at of both buffers the same? */
static bool buffers_are_equal(const struct copy_batch *a,
			      const struct copy_batch *b, u64 at, u64 bytes)
{
	while (bytes) {
		u32 offset = offset_in_page(at);
		u32 len = min_t(u64, bytes, PAGE_SIZE - offset);

		if (memcmp(page_address(a->pages[at >> PAGE_SHIFT]) + offset,
			   page_address(b->pages[at >> PAGE_SHIFT]) + offset,
			   len))
			return false;
		at += len;
		bytes -= len;
	}
	return true;
}

static bool buffer_is_zero(const struct copy_batch *batch, u64 bytes)
{
	u64 at;

	for (at = 0; at < bytes; at += PAGE_SIZE)
		if (memchr_inv(page_address(batch->pages[at >> PAGE_SHIFT]), 0,
			       min_t(u64, bytes - at, PAGE_SIZE)))
			return false;
	return true;
}

/* A run of zeroes may be longer than the buffer. */
static int compare_zeroes(const struct copy_run *run, struct copy_batch *check,
			  struct block_device *bdev)
{
	u64 sector = run->sector;
	u64 end = run->sector + run->sectors;
	int error = 0;

	while (sector < end && !error) {
		u64 bytes = min_t(u64, (end - sector) << SECTOR_SHIFT,
				  (u64)COPY_BATCH_PAGES << PAGE_SHIFT);

		copy_batch_reset(check);
		copy_batch_transfer(check, bdev, REQ_OP_READ, sector, 0, bytes);
		error = copy_batch_wait(check);
		if (!error && !buffer_is_zero(check, bytes))
			error = -EILSEQ;
		sector += bytes >> SECTOR_SHIFT;
		cond_resched();
	}
	return error;
}

int copy_batch_compare(const struct copy_batch *batch, struct copy_batch *check,
		       struct block_device *bdev)
{
	const struct copy_run *run;
	int error;

	copy_batch_reset(check);
	for (run = batch->runs; run < batch->runs + batch->run_count; run++)
		if (!run->zero)
			copy_batch_transfer(check, bdev, REQ_OP_READ,
					    run->sector,
					    (u64)run->page << PAGE_SHIFT,
					    run->sectors << SECTOR_SHIFT);
	error = copy_batch_wait(check);
	for (run = batch->runs; run < batch->runs + batch->run_count && !error;
	     run++)
		if (!run->zero &&
		    !buffers_are_equal(batch, check,
				       (u64)run->page << PAGE_SHIFT,
				       run->sectors << SECTOR_SHIFT))
			error = -EILSEQ;
	for (run = batch->runs; run < batch->runs + batch->run_count && !error;
	     run++)
		if (run->zero)
			error = compare_zeroes(run, check, bdev);
	return error;
}
