/* SPDX-License-Identifier: GPL-2.0 */
/*
 * liburing, and nothing but it: reads and writes of any length, cut into pieces
 * of which many are under way at a time.
 */
#ifndef DMCOMMIT_IO_RING_H
#define DMCOMMIT_IO_RING_H

#include "core/environment.h"

struct io_ring;

/*
 * Never fails for want of a ring: without, pieces go one after the other.  So they
 * do when a ring has come to take nothing any more, after the transfer that it failed.
 */
struct io_ring *io_ring_open(int fd);
void io_ring_close(struct io_ring *ring);

/*
 * @buffer, @bytes and @offset as the descriptor wants them (O_DIRECT).
 * Return: 0 or -errno; -EIO also for an end of file before the last byte.
 */
int io_ring_read(struct io_ring *ring, void *buffer, size_t bytes, u64 offset);
int io_ring_write(struct io_ring *ring, const void *buffer, size_t bytes,
		  u64 offset);

/* Writes @bytes bytes of zeroes.  @buffer: @size bytes of them. */
int io_ring_write_zeroes(struct io_ring *ring, const void *buffer, size_t size,
			 u64 bytes, u64 offset);

struct io_ring_part {
	void *buffer;
	size_t bytes;
	u64 offset;
};

/* Parts that lie anywhere, in any order and beside each other. */
int io_ring_read_parts(struct io_ring *ring, const struct io_ring_part *parts,
		       size_t count);
int io_ring_write_parts(struct io_ring *ring, const struct io_ring_part *parts,
			size_t count);

/* Reads parts that were written; @scratch: as large as any.  -EILSEQ: one differs. */
int io_ring_compare_parts(struct io_ring *ring,
			  const struct io_ring_part *parts, size_t count,
			  void *scratch);

#endif /* DMCOMMIT_IO_RING_H */
