// SPDX-License-Identifier: GPL-2.0
#include "copy_engine.h"

/* Of the buffer, where memory has so much in a row: fewer pieces in each bio. */
enum {
	BUFFER_BLOCK_BYTES = 64 << 10,
	READ_VECTORS = 16,		/* one MiB, where the buffer is in such blocks */
};

/* Fills the buffer from page @i on; returns how many pages, 0: there is no memory. */
static u32 allocate_pages(struct copy_batch *batch, u32 i)
{
	unsigned int order = get_order(BUFFER_BLOCK_BYTES);
	u32 n = 1 << order, k;
	struct page *page = NULL;

	if (i + n <= COPY_BATCH_PAGES)
		page = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
				   order);
	if (page) {
		/* So that each can be given back by itself. */
		split_page(page, order);
	} else {
		page = alloc_page(GFP_KERNEL);
		n = 1;
	}
	for (k = 0; page && k < n; k++)
		batch->pages[i + k] = page + k;
	return page ? n : 0;
}

static void note_rows(struct copy_batch *batch)
{
	u32 i = COPY_BATCH_PAGES;

	batch->in_row[--i] = 1;
	while (i--)
		batch->in_row[i] = page_to_pfn(batch->pages[i]) + 1 ==
				   page_to_pfn(batch->pages[i + 1]) ?
					   batch->in_row[i + 1] + 1 : 1;
}

int copy_batch_init(struct copy_batch *batch, struct store *store)
{
	u32 i = 0;

	batch->store = store;
	copy_batch_reset(batch);
	if (!batch->pages)
		batch->pages = kvcalloc(COPY_BATCH_PAGES,
					sizeof(*batch->pages), GFP_KERNEL);
	if (!batch->in_row)
		batch->in_row = kvcalloc(COPY_BATCH_PAGES,
					 sizeof(*batch->in_row), GFP_KERNEL);
	if (!batch->runs)
		batch->runs = kvcalloc(COPY_BATCH_RUNS, sizeof(*batch->runs),
				       GFP_KERNEL);
	if (!batch->pages || !batch->in_row || !batch->runs)
		return -ENOMEM;
	while (i < COPY_BATCH_PAGES) {
		u32 n = batch->pages[i] ? 1 : allocate_pages(batch, i);

		if (!n)
			return -ENOMEM;
		i += n;
	}
	note_rows(batch);
	return 0;
}

void copy_batch_exit(struct copy_batch *batch)
{
	u32 i;

	for (i = 0; batch->pages && i < COPY_BATCH_PAGES; i++)
		if (batch->pages[i])
			__free_page(batch->pages[i]);
	kvfree(batch->pages);
	kvfree(batch->in_row);
	kvfree(batch->runs);
	batch->pages = NULL;
	batch->in_row = NULL;
	batch->runs = NULL;
}

void copy_batch_reset(struct copy_batch *batch)
{
	batch->used = 0;
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

/* Bytes of the buffer from byte @at on that lie in a row in memory. */
static u64 bytes_in_row(const struct copy_batch *batch, u64 at)
{
	return ((u64)batch->in_row[at >> PAGE_SHIFT] << PAGE_SHIFT) -
	       offset_in_page(at);
}

/* Adds what lies from byte @at of the buffer on; returns the bytes added. */
static u64 add_buffer(struct copy_batch *batch, struct bio *bio, u64 at,
		      u64 bytes)
{
	u64 done = 0;

	while (done < bytes) {
		u32 len = min(bytes - done, bytes_in_row(batch, at + done));

		if (bio_add_page(bio, batch->pages[(at + done) >> PAGE_SHIFT],
				 len, offset_in_page(at + done)) != len)
			break;
		done += len;
	}
	return done;
}

static u32 count_vectors(const struct copy_batch *batch, u64 at, u64 bytes)
{
	u64 end = at + bytes;
	u32 n = 0;

	for (; at < end && n < BIO_MAX_VECS; n++)
		at += bytes_in_row(batch, at);
	return n;
}

static struct bio *new_bio(struct copy_batch *batch, struct block_device *bdev,
			   blk_opf_t opf, u64 sector, u32 vectors)
{
	struct bio *bio = bio_alloc_bioset(bdev, vectors, opf, GFP_NOIO,
					   &batch->store->copy_bios);

	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = transfer_done;
	bio->bi_private = batch;
	atomic_inc(&batch->pending);
	return bio;
}

void copy_batch_transfer(struct copy_batch *batch, struct block_device *bdev,
			 blk_opf_t opf, u64 sector, u64 at, u64 bytes)
{
	/* What the device would cut anyway. */
	u64 most = (u64)queue_max_sectors(bdev_get_queue(bdev)) << SECTOR_SHIFT;

	while (bytes) {
		u64 part = min(bytes, most);
		struct bio *bio = new_bio(batch, bdev, opf, sector,
					  count_vectors(batch, at, part));
		u64 done = add_buffer(batch, bio, at, part);

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

u32 copy_batch_crc(const struct copy_batch *batch, u64 at, u64 bytes)
{
	u32 crc = 0;

	while (bytes) {
		u32 len = min(bytes, bytes_in_row(batch, at));

		crc = environment_crc32(crc,
					page_address(batch->pages[at >> PAGE_SHIFT]) +
						offset_in_page(at), len);
		at += len;
		bytes -= len;
	}
	return crc;
}

static u64 run_end(const struct copy_run *run)
{
	return run->at + (run->sectors << SECTOR_SHIFT);
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
	u64 start = joins ? run_end(last) : batch->used;

	if (!segment->zero && start + bytes > COPY_BATCH_BYTES)
		return NULL;
	if (joins)
		return last;
	if (batch->run_count == COPY_BATCH_RUNS)
		return NULL;
	last = &batch->runs[batch->run_count++];
	last->sector = segment->sector;
	last->sectors = 0;
	last->zero = segment->zero;
	last->at = batch->used;
	return last;
}

void copy_batch_send(struct copy_batch *batch)
{
	if (batch->read)
		submit_bio(batch->read);
	batch->read = NULL;
}

/* Of what lies in a row in the store as well as in the buffer. */
static u64 prolong_read(struct copy_batch *batch, u64 place, u64 at, u64 bytes)
{
	if (!batch->read || bio_end_sector(batch->read) != place ||
	    batch->read_end != at)
		return 0;
	return add_buffer(batch, batch->read, at, bytes);
}

static void begin_read(struct copy_batch *batch, u64 place, u64 at, u64 bytes)
{
	u64 done = prolong_read(batch, place, at, bytes);

	while (done < bytes) {
		copy_batch_send(batch);
		batch->read = new_bio(batch, batch->store->bdev, REQ_OP_READ,
				      place + (done >> SECTOR_SHIFT),
				      READ_VECTORS);
		done += add_buffer(batch, batch->read, at + done, bytes - done);
	}
	batch->read_end = at + bytes;
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
	batch->used = round_up(at + bytes, COWSTACK_BLOCK_SIZE);
	batch->bytes += bytes;
	/* A volume may end within a block of the store's, which is read as a whole. */
	begin_read(batch, segment->place, at,
		   round_up(bytes, batch->store->logical_block));
	return true;
}

int copy_batch_wait(struct copy_batch *batch)
{
	copy_batch_send(batch);
	put_pending(batch);
	wait_for_completion_io(&batch->done);
	atomic_set(&batch->pending, 1);
	reinit_completion(&batch->done);
	return READ_ONCE(batch->error);
}

/*
 * The first @sectors of the block that begins at @sector: a volume may end within one of
 * its base's.  What lies behind them stays; a block is written as a whole, or not at all.
 */
static int zero_part_of_block(struct copy_batch *batch,
			      struct block_device *bdev, u64 sector,
			      u32 sectors)
{
	unsigned int bytes = bdev_logical_block_size(bdev);
	u8 *block = kmalloc(bytes, GFP_NOIO | __GFP_NOFAIL);
	int error = block_io(batch->store, bdev, REQ_OP_READ, sector, block,
			     bytes);

	if (!error) {
		memset(block, 0, sectors << SECTOR_SHIFT);
		error = block_io(batch->store, bdev, REQ_OP_WRITE, sector,
				 block, bytes);
	}
	kfree(block);
	return error;
}

static void write_zeroes(struct copy_batch *batch, struct block_device *bdev,
			 const struct copy_run *run)
{
	u64 end = run->sector + run->sectors;
	u32 part = end & ((bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1);
	int error = 0;

	/*
	 * May unmap; where the device cannot, zeroes are written.  Never a bare
	 * discard, which promises nothing.
	 */
	if (run->sectors > part)
		error = blkdev_issue_zeroout(bdev, run->sector,
					     run->sectors - part, GFP_NOIO, 0);
	if (!error && part)
		error = zero_part_of_block(batch, bdev, end - part, part);
	if (error)
		note_error(batch, error);
}

void copy_batch_write(struct copy_batch *batch, struct block_device *bdev,
		      u32 run_number)
{
	const struct copy_run *run = &batch->runs[run_number];

	if (run->zero)
		write_zeroes(batch, bdev, run);
	else
		copy_batch_transfer(batch, bdev, REQ_OP_WRITE, run->sector,
				    run->at, run->sectors << SECTOR_SHIFT);
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
				  COPY_BATCH_BYTES);

		copy_batch_reset(check);
		copy_batch_transfer(check, bdev, REQ_OP_READ, sector, 0,
				    round_up(bytes,
					     bdev_logical_block_size(bdev)));
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
					    run->sector, run->at,
					    run->sectors << SECTOR_SHIFT);
	error = copy_batch_wait(check);
	for (run = batch->runs; run < batch->runs + batch->run_count && !error;
	     run++)
		if (!run->zero &&
		    !buffers_are_equal(batch, check, run->at,
				       run->sectors << SECTOR_SHIFT))
			error = -EILSEQ;
	for (run = batch->runs; run < batch->runs + batch->run_count && !error;
	     run++)
		if (run->zero)
			error = compare_zeroes(run, check, bdev);
	return error;
}
