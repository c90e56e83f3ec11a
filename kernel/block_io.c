// SPDX-License-Identifier: GPL-2.0
#include <linux/highmem.h>
#include <linux/vmalloc.h>

#include "store.h"

static struct page *buffer_page(const void *p)
{
	return is_vmalloc_addr(p) ? vmalloc_to_page(p) : virt_to_page(p);
}

/* Adds as much of [buffer, buffer + bytes) as @bio takes; returns how much. */
static size_t add_buffer(struct bio *bio, u8 *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		unsigned int offset = offset_in_page(buffer + done);
		unsigned int len = min_t(size_t, bytes - done,
					 PAGE_SIZE - offset);

		if (bio_add_page(bio, buffer_page(buffer + done), len,
				 offset) != len)
			break;
		done += len;
	}
	return done;
}

static int block_io_once(struct store *store, struct block_device *bdev,
			 blk_opf_t opf, u64 sector, u8 *buffer, size_t bytes,
			 size_t *done)
{
	unsigned int pages = min_t(size_t, BIO_MAX_VECS,
				   bytes / PAGE_SIZE + 2);
	struct bio *bio;
	int error;

	bio = bio_alloc_bioset(bdev, pages, opf, GFP_NOIO, &store->bios);
	bio->bi_iter.bi_sector = sector;
	*done = add_buffer(bio, buffer, bytes);
	error = submit_bio_wait(bio);
	bio_put(bio);
	return error;
}

int block_io(struct store *store, struct block_device *bdev, blk_opf_t opf,
	     u64 sector, void *buffer, size_t bytes)
{
	bool vmapped = is_vmalloc_addr(buffer);
	u8 *p = buffer;
	size_t left = bytes, done;
	int error = 0;

	if (vmapped && op_is_write(opf & REQ_OP_MASK))
		flush_kernel_vmap_range(buffer, bytes);
	while (left && !error) {
		error = block_io_once(store, bdev, opf, sector, p, left, &done);
		sector += done >> SECTOR_SHIFT;
		p += done;
		left -= done;
	}
	if (vmapped && !op_is_write(opf & REQ_OP_MASK))
		invalidate_kernel_vmap_range(buffer, bytes);
	return error;
}

int block_flush(struct block_device *bdev)
{
	return blkdev_issue_flush(bdev);
}

/*
 * From a bio of the store's own: what others hold of the kernel's few may wait for the
 * room that comes of this.
 */
int block_discard(struct store *store, u64 sector, u64 sectors)
{
	struct bio *bio = bio_alloc_bioset(store->bdev, 0, REQ_OP_DISCARD,
					   GFP_NOIO, &store->bios);
	int error;

	bio->bi_iter.bi_sector = sector;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	error = submit_bio_wait(bio);
	bio_put(bio);
	return error;
}
