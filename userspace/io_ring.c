// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <liburing.h>
#include <unistd.h>

#include "io_ring.h"

enum {
	DEPTH = 32,
	PIECE = 128 << 10,
	/* What is refused for the moment is tried again for two seconds. */
	MOST_REFUSALS = 200,
	PAUSE_MICROSECONDS = 10000,
};

struct piece {
	char *buffer;
	size_t bytes;
	u64 offset;
};

struct io_ring {
	struct io_uring uring;
	bool usable;
	int fd;
	struct piece pieces[DEPTH];
	unsigned int idle[DEPTH];	/* numbers of pieces not under way */
	unsigned int idle_count;
	unsigned int refusals;		/* since a piece last went on */
};

/* What is to be transferred, as far as no piece was made of it. */
struct transfer {
	bool write;
	char *buffer;
	size_t buffer_bytes;		/* 0: the buffer goes on with the offset */
	u64 bytes;
	u64 offset;
	const struct io_ring_part *parts; /* after these bytes */
	size_t part_count;
};

struct io_ring *io_ring_open(int fd)
{
	struct io_ring *ring = calloc(1, sizeof(*ring));
	unsigned int i;

	if (!ring)
		return NULL;
	ring->fd = fd;
	/* Containers and careful administrators forbid io_uring. */
	ring->usable = !io_uring_queue_init(DEPTH, &ring->uring, 0);
	for (i = 0; i < DEPTH; i++)
		ring->idle[ring->idle_count++] = i;
	return ring;
}

void io_ring_close(struct io_ring *ring)
{
	if (!ring)
		return;
	if (ring->usable)
		io_uring_queue_exit(&ring->uring);
	free(ring);
}

/* Where all bytes have been taken, those of the next part are there. */
static void next_part(struct transfer *t)
{
	while (!t->bytes && t->part_count) {
		t->buffer = t->parts->buffer;
		t->bytes = t->parts->bytes;
		t->offset = t->parts->offset;
		t->parts++;
		t->part_count--;
	}
}

static void next_piece(struct transfer *t, struct piece *piece)
{
	size_t most = t->buffer_bytes ? min_t(size_t, t->buffer_bytes, PIECE) :
					PIECE;

	piece->buffer = t->buffer;
	piece->bytes = min_t(u64, t->bytes, most);
	piece->offset = t->offset;
	t->bytes -= piece->bytes;
	t->offset += piece->bytes;
	if (!t->buffer_bytes)
		t->buffer += piece->bytes;
	next_part(t);
}

static void send_piece(struct io_ring *ring, unsigned int number, bool write)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	struct piece *piece = &ring->pieces[number];

	/* There are as many entries as pieces. */
	if (write)
		io_uring_prep_write(sqe, ring->fd, piece->buffer, piece->bytes,
				    piece->offset);
	else
		io_uring_prep_read(sqe, ring->fd, piece->buffer, piece->bytes,
				   piece->offset);
	io_uring_sqe_set_data64(sqe, number);
}

/* Waits a little; false: @error is none that passes, or lasts too long. */
static bool should_try_again(struct io_ring *ring, int error)
{
	if (error != -EINTR && error != -EAGAIN && error != -EBUSY)
		return false;
	if (ring->refusals == MOST_REFUSALS)
		return false;
	ring->refusals++;
	usleep(PAUSE_MICROSECONDS);
	return true;
}

/* Takes in what came of a piece; true: the rest of it must be sent again. */
static bool advance_piece(struct io_ring *ring, struct piece *piece, int result,
			  int *error)
{
	if (should_try_again(ring, result))
		return true;
	if (result <= 0) {
		if (!*error)
			*error = result ? result : -EIO;
		return false;
	}
	ring->refusals = 0;
	piece->buffer += result;
	piece->bytes -= result;
	piece->offset += result;
	return piece->bytes && !*error;
}

static int wait_for_result(struct io_ring *ring, struct io_uring_cqe **cqe)
{
	int error;

	do {
		error = io_uring_submit_and_wait(&ring->uring, 1);
		/* A signal may have ended the waiting, with none. */
		if (error >= 0)
			error = io_uring_peek_cqe(&ring->uring, cqe);
	} while (error && should_try_again(ring, error));
	return error;
}

static int take_result(struct io_ring *ring, struct io_uring_cqe *cqe,
		       bool write)
{
	unsigned int number = io_uring_cqe_get_data64(cqe);
	int error = 0;

	if (advance_piece(ring, &ring->pieces[number], cqe->res, &error))
		send_piece(ring, number, write);
	else
		ring->idle[ring->idle_count++] = number;
	io_uring_cqe_seen(&ring->uring, cqe);
	return error;
}

/*
 * It takes nothing any more.  What it has taken still owns the buffer; what it has
 * not goes with it.
 */
static void give_up_ring(struct io_ring *ring)
{
	unsigned int taken = DEPTH - ring->idle_count -
			     io_uring_sq_ready(&ring->uring);
	struct io_uring_cqe *cqe;
	int error = 0;

	ring->refusals = 0;
	while (taken && (!error || should_try_again(ring, error))) {
		error = io_uring_wait_cqe(&ring->uring, &cqe);
		if (error)
			continue;
		io_uring_cqe_seen(&ring->uring, cqe);
		taken--;
	}
	io_uring_queue_exit(&ring->uring);
	ring->usable = false;
}

static int run_in_ring(struct io_ring *ring, struct transfer *t)
{
	struct io_uring_cqe *cqe;
	int error = 0, result;

	while (t->bytes || ring->idle_count < DEPTH) {
		while (t->bytes && !error && ring->idle_count) {
			unsigned int number = ring->idle[--ring->idle_count];

			next_piece(t, &ring->pieces[number]);
			send_piece(ring, number, t->write);
		}
		if (ring->idle_count == DEPTH)
			break;
		/* After an error the pieces under way still own the buffer. */
		result = wait_for_result(ring, &cqe);
		if (result) {
			give_up_ring(ring);
			return error ? error : result;
		}
		result = take_result(ring, cqe, t->write);
		if (!error)
			error = result;
	}
	return error;
}

static int run_in_turn(struct io_ring *ring, struct transfer *t)
{
	struct piece piece = { };
	int error = 0;
	ssize_t result;

	while ((t->bytes || piece.bytes) && !error) {
		if (!piece.bytes)
			next_piece(t, &piece);
		if (t->write)
			result = pwrite(ring->fd, piece.buffer, piece.bytes,
					piece.offset);
		else
			result = pread(ring->fd, piece.buffer, piece.bytes,
				       piece.offset);
		advance_piece(ring, &piece, result < 0 ? -errno : (int)result,
			      &error);
	}
	return error;
}

static int run_transfer(struct io_ring *ring, struct transfer *t)
{
	ring->refusals = 0;
	return ring->usable ? run_in_ring(ring, t) : run_in_turn(ring, t);
}

int io_ring_read(struct io_ring *ring, void *buffer, size_t bytes, u64 offset)
{
	struct transfer t = {
		.buffer = buffer, .bytes = bytes, .offset = offset,
	};

	return run_transfer(ring, &t);
}

int io_ring_write(struct io_ring *ring, const void *buffer, size_t bytes,
		  u64 offset)
{
	struct transfer t = {
		.write = true, .buffer = (void *)buffer, .bytes = bytes,
		.offset = offset,
	};

	return run_transfer(ring, &t);
}

int io_ring_write_zeroes(struct io_ring *ring, const void *buffer, size_t size,
			 u64 bytes, u64 offset)
{
	struct transfer t = {
		.write = true, .buffer = (void *)buffer, .buffer_bytes = size,
		.bytes = bytes, .offset = offset,
	};

	return run_transfer(ring, &t);
}

static int run_parts(struct io_ring *ring, struct transfer *t)
{
	next_part(t);
	return run_transfer(ring, t);
}

int io_ring_read_parts(struct io_ring *ring, const struct io_ring_part *parts,
		       size_t count)
{
	struct transfer t = { .parts = parts, .part_count = count };

	return run_parts(ring, &t);
}

int io_ring_write_parts(struct io_ring *ring, const struct io_ring_part *parts,
			size_t count)
{
	struct transfer t = {
		.write = true, .parts = parts, .part_count = count,
	};

	return run_parts(ring, &t);
}

int io_ring_compare_parts(struct io_ring *ring,
			  const struct io_ring_part *parts, size_t count,
			  void *scratch)
{
	int error = 0;
	size_t i;

	for (i = 0; i < count && !error; i++) {
		error = io_ring_read(ring, scratch, parts[i].bytes,
				     parts[i].offset);
		if (!error && memcmp(scratch, parts[i].buffer, parts[i].bytes))
			error = -EILSEQ;
	}
	return error;
}
