// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes at depth, with a ring of the test's own in place of the kernel's:
 * it refuses what it is asked, for a while or for good.  What lasts has to end in an
 * error, and nothing that was taken may still be under way then.
 */
#define _GNU_SOURCE
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

#include "io_ring.h"

#include "harness.h"

enum {
	DISK_BYTES = 6 << 20,
	MOST_ENTRIES = 64,
	MOST_CALLS = 20000,		/* in each test: more is a loop that does not end */
	FOR_EVER = 1 << 30,
};

static char disk[DISK_BYTES];

static struct {
	unsigned int sq_head, sq_tail, cq_head, cq_tail, flags;
	unsigned int array[MOST_ENTRIES];
	struct io_uring_sqe sqes[MOST_ENTRIES];
	struct io_uring_cqe cqes[2 * MOST_ENTRIES];
	struct io_uring_sqe under_way[MOST_ENTRIES];
	unsigned int under_way_count;
	unsigned int calls;
	unsigned int pauses;
	bool forbidden;
	/* Calls that fail, and results, after so many that do not. */
	int refuse_after, refuse, refuse_with;
	int result_after, result_fails, result;
	int interrupted;
	unsigned int most_taken;	/* at a call */
} ring;

static void count_call(void)
{
	if (++ring.calls <= MOST_CALLS)
		return;
	fprintf(stderr, "# it goes round for ever\n");
	abort();
}

/* Is this one of *@count that fail, after *@after others? */
static bool is_due(int *after, int *count)
{
	if ((*after)-- > 0 || *count <= 0)
		return false;
	(*count)--;
	return true;
}

int usleep(useconds_t microseconds)
{
	ring.pauses++;
	count_call();
	return 0;
}

int io_uring_queue_init(unsigned int entries, struct io_uring *uring,
			unsigned int flags)
{
	memset(uring, 0, sizeof(*uring));
	if (ring.forbidden)
		return -EPERM;
	uring->sq.khead = &ring.sq_head;
	uring->sq.ktail = &ring.sq_tail;
	uring->sq.kflags = &ring.flags;
	uring->sq.array = ring.array;
	uring->sq.sqes = ring.sqes;
	uring->sq.ring_mask = entries - 1;
	uring->sq.ring_entries = entries;
	uring->cq.khead = &ring.cq_head;
	uring->cq.ktail = &ring.cq_tail;
	uring->cq.kflags = &ring.flags;
	uring->cq.cqes = ring.cqes;
	uring->cq.ring_mask = 2 * entries - 1;
	uring->cq.ring_entries = 2 * entries;
	uring->features = IORING_FEAT_EXT_ARG;
	return 0;
}

void io_uring_queue_exit(struct io_uring *uring)
{
}

static int transfer(const struct io_uring_sqe *sqe)
{
	char *buffer = (char *)(uintptr_t)sqe->addr;

	if (is_due(&ring.result_after, &ring.result_fails))
		return ring.result;
	if (sqe->opcode == IORING_OP_WRITE)
		memcpy(disk + sqe->off, buffer, sqe->len);
	else
		memcpy(buffer, disk + sqe->off, sqe->len);
	return sqe->len;
}

static void complete_oldest(struct io_uring *uring)
{
	struct io_uring_cqe *cqe = &ring.cqes[ring.cq_tail &
					      uring->cq.ring_mask];

	cqe->user_data = ring.under_way[0].user_data;
	cqe->res = transfer(&ring.under_way[0]);
	ring.cq_tail++;
	memmove(ring.under_way, ring.under_way + 1,
		--ring.under_way_count * sizeof(ring.under_way[0]));
}

static int take_entries(struct io_uring *uring)
{
	int taken = 0;

	for (; ring.sq_head != uring->sq.sqe_tail; ring.sq_head++, taken++) {
		if (taken == ring.most_taken)
			break;
		ring.under_way[ring.under_way_count++] =
			ring.sqes[ring.sq_head & uring->sq.ring_mask];
	}
	return taken;
}

int io_uring_submit_and_wait(struct io_uring *uring, unsigned int wait)
{
	int taken;

	count_call();
	if (is_due(&ring.refuse_after, &ring.refuse))
		return ring.refuse_with;
	taken = take_entries(uring);
	if (ring.interrupted > 0) {
		ring.interrupted--;
		return taken;
	}
	if (ring.cq_head == ring.cq_tail)
		complete_oldest(uring);
	return taken;
}

int __io_uring_get_cqe(struct io_uring *uring, struct io_uring_cqe **cqe,
		       unsigned int submit, unsigned int wait, sigset_t *mask)
{
	count_call();
	if (ring.cq_head == ring.cq_tail && (!wait || !ring.under_way_count))
		return -EAGAIN;
	if (ring.cq_head == ring.cq_tail)
		complete_oldest(uring);
	*cqe = &ring.cqes[ring.cq_head & uring->cq.ring_mask];
	return 0;
}

/* Without a ring it is these. */
static ssize_t in_turn(bool write, const void *buffer, size_t bytes, off_t offset)
{
	const struct io_uring_sqe sqe = {
		.opcode = write ? IORING_OP_WRITE : IORING_OP_READ,
		.addr = (uintptr_t)buffer, .len = bytes, .off = offset,
	};
	int result = transfer(&sqe);

	count_call();
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	return in_turn(false, buffer, bytes, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t bytes, off_t offset)
{
	return in_turn(true, buffer, bytes, offset);
}

FIXTURE(transfer) {
	struct io_ring *ring;
	char *bytes;
};

typedef FIXTURE_DATA(transfer) transfer_data;

FIXTURE_SETUP(transfer)
{
	size_t i;

	memset(&ring, 0, sizeof(ring));
	ring.most_taken = MOST_ENTRIES;
	self->bytes = malloc(DISK_BYTES);
	ASSERT_NE(NULL, self->bytes);
	for (i = 0; i < DISK_BYTES; i++)
		disk[i] = i * 2654435761u >> 24;
	self->ring = io_ring_open(-1);
	ASSERT_NE(NULL, self->ring);
}

FIXTURE_TEARDOWN(transfer)
{
	io_ring_close(self->ring);
	free(self->bytes);
}

static int read_all(transfer_data *self)
{
	memset(self->bytes, 0, DISK_BYTES);
	return io_ring_read(self->ring, self->bytes, DISK_BYTES, 0);
}

static bool reads_all(transfer_data *self)
{
	return !read_all(self) && !memcmp(self->bytes, disk, DISK_BYTES);
}

TEST_F(transfer, reads_and_writes)
{
	size_t i;

	EXPECT_TRUE(reads_all(self));
	for (i = 0; i < DISK_BYTES; i++)
		self->bytes[i] ^= i >> 12;
	EXPECT_EQ(0, io_ring_write(self->ring, self->bytes, DISK_BYTES, 0));
	EXPECT_EQ(0, memcmp(self->bytes, disk, DISK_BYTES));
	EXPECT_EQ(0, ring.pauses);
}

TEST_F(transfer, a_ring_that_takes_few_at_a_time)
{
	ring.most_taken = 3;
	EXPECT_TRUE(reads_all(self));
}

TEST_F(transfer, what_is_refused_for_a_while)
{
	static const int errors[] = { -EAGAIN, -EBUSY, -EINTR };
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ring.refuse_after = 20;
		ring.refuse = 50;
		ring.refuse_with = errors[i];
		EXPECT_TRUE(reads_all(self));
		EXPECT_EQ(0, ring.refuse);
	}
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ring.result_after = 20;
		ring.result_fails = 50;
		ring.result = errors[i];
		EXPECT_TRUE(reads_all(self));
		EXPECT_EQ(0, ring.result_fails);
	}
	/* Not in a row, so of any number. */
	for (i = 0; i < 400; i++) {
		ring.refuse_after = 1;
		ring.refuse = 1;
		EXPECT_EQ(0, io_ring_read(self->ring, self->bytes, 1 << 20, 0));
	}
}

TEST_F(transfer, a_ring_that_takes_nothing)
{
	static const int errors[] = { -EAGAIN, -EBUSY, -EINTR, -ENOMEM };
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		io_ring_close(self->ring);
		memset(&ring, 0, sizeof(ring));
		ring.most_taken = MOST_ENTRIES;
		self->ring = io_ring_open(-1);
		ASSERT_NE(NULL, self->ring);
		ring.refuse = FOR_EVER;
		ring.refuse_with = errors[i];
		EXPECT_EQ(errors[i], read_all(self));
		EXPECT_EQ(errors[i] == -ENOMEM, !ring.pauses);
		/* Then it goes without. */
		EXPECT_TRUE(reads_all(self));
	}
}

TEST_F(transfer, a_ring_that_takes_nothing_more)
{
	ring.most_taken = 20;
	ring.refuse_after = 10;
	ring.refuse = FOR_EVER;
	ring.refuse_with = -EAGAIN;
	EXPECT_EQ(-EAGAIN, read_all(self));
	/* Whoever has the buffer now may free it. */
	EXPECT_EQ(0, ring.under_way_count);
	EXPECT_TRUE(reads_all(self));
}

TEST_F(transfer, a_piece_that_is_always_refused)
{
	ring.result_after = 5;
	ring.result_fails = FOR_EVER;
	ring.result = -EAGAIN;
	EXPECT_EQ(-EAGAIN, read_all(self));
	EXPECT_EQ(0, ring.under_way_count);
	ring.result_fails = 0;
	EXPECT_TRUE(reads_all(self));
}

TEST_F(transfer, a_piece_that_fails)
{
	ring.result_after = 5;
	ring.result_fails = 1;
	ring.result = -EIO;
	EXPECT_EQ(-EIO, read_all(self));
	EXPECT_EQ(0, ring.pauses);
	EXPECT_EQ(0, ring.under_way_count);
	ring.result_fails = 1;
	ring.result = 0;
	EXPECT_EQ(-EIO, read_all(self));
}

/* What was sent is taken, and nothing has come back yet. */
TEST_F(transfer, a_signal_while_it_waits)
{
	ring.interrupted = 3;
	EXPECT_TRUE(reads_all(self));
}

TEST_F(transfer, without_a_ring)
{
	io_ring_close(self->ring);
	ring.forbidden = true;
	self->ring = io_ring_open(-1);
	ASSERT_NE(NULL, self->ring);
	EXPECT_TRUE(reads_all(self));
	ring.result_after = 5;
	ring.result_fails = 50;
	ring.result = -EAGAIN;
	EXPECT_TRUE(reads_all(self));
	ring.result_after = 5;
	ring.result_fails = FOR_EVER;
	EXPECT_EQ(-EAGAIN, read_all(self));
	ring.result_fails = 0;
	EXPECT_TRUE(reads_all(self));
}

TEST_HARNESS_MAIN
