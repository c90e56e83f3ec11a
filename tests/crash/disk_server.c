// SPDX-License-Identifier: GPL-2.0
/* A disk as the kernel sees it: its requests come in over a socket, as for a network's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk_server.h"

enum {
	LATE_REQUESTS = 12,		/* that overtake one at most */
	LATE_MILLISECONDS = 3,
};

static unsigned int late_percent = 20;
static bool has_fua = true;

static bool receive(int fd, void *buffer, size_t bytes)
{
	return recv(fd, buffer, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

/* The answer to @raw, and @bytes of data behind it, in one piece. */
static bool answer(struct disk *disk, const struct nbd_request *raw, int error,
		   size_t bytes)
{
	struct nbd_reply reply = {
		.magic = htonl(NBD_REPLY_MAGIC), .error = htonl(error),
	};
	struct iovec parts[2] = {
		{ .iov_base = &reply, .iov_len = sizeof(reply) },
		{ .iov_base = disk->buffer, .iov_len = bytes },
	};
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = bytes ? 2 : 1,
	};

	memcpy(reply.handle, raw->handle, sizeof(reply.handle));
	/* A blocking socket takes all of it. */
	return sendmsg(disk->socket, &message, MSG_NOSIGNAL) ==
	       (ssize_t)(sizeof(reply) + bytes);
}

static bool parse(struct disk *disk, const struct nbd_request *raw,
		  struct disk_request *r)
{
	static const enum disk_op ops[] = {
		[NBD_CMD_READ] = DISK_READ, [NBD_CMD_WRITE] = DISK_WRITE,
		[NBD_CMD_FLUSH] = DISK_FLUSH, [NBD_CMD_TRIM] = DISK_DISCARD,
	};
	u32 type = ntohl(raw->type) & 0xffff;

	if (type == NBD_CMD_DISC || type > NBD_CMD_TRIM)
		return false;
	r->disk = disk;
	r->op = ops[type];
	r->fua = ntohl(raw->type) & NBD_CMD_FLAG_FUA;
	r->sector = be64toh(raw->from) / DISK_SECTOR;
	r->sectors = ntohl(raw->len) / DISK_SECTOR;
	r->data = r->op == DISK_WRITE ? disk->buffer : NULL;
	return r->op == DISK_DISCARD || ntohl(raw->len) <= MAX_TRANSFER;
}

/* An answer that others overtake. */
struct late_answer {
	bool pending;
	bool unserved;			/* held: what is there then */
	struct nbd_request raw;
	struct disk_request request;
	int error;
	unsigned int requests;		/* until it is due */
};

static bool answer_request(struct disk *disk, const struct nbd_request *raw,
			   int error, const struct disk_request *r)
{
	bool has_data = r->op == DISK_READ && !error;

	return answer(disk, raw, error, has_data ? r->sectors * DISK_SECTOR : 0);
}

/* One that is held is due when it is released; true: another request came. */
static bool another_comes_first(struct disk *disk, struct late_answer *late)
{
	struct pollfd poll_for = { .fd = disk->socket, .events = POLLIN };

	if (!late->unserved)
		return late->requests && late->requests-- &&
		       poll(&poll_for, 1, LATE_MILLISECONDS);
	while (disk_holds(disk))
		if (poll(&poll_for, 1, 1))
			return true;
	return false;
}

static bool answer_late(struct disk *disk, struct late_answer *late)
{
	if (!late->pending || another_comes_first(disk, late))
		return true;
	late->pending = false;
	if (late->unserved)
		late->error = disk_serve(disk, &late->request, disk->buffer);
	return answer_request(disk, &late->raw, late->error, &late->request);
}

static bool is_to_be_held(struct disk *disk, const struct disk_request *r)
{
	if (READ_ONCE(disk->hold) != HOLDS_NEXT || r->op != disk->held_op ||
	    disk->passing--)
		return false;
	WRITE_ONCE(disk->hold, HOLDS_ONE);
	return true;
}

static bool is_to_be_late(struct disk *disk, const struct disk_request *r)
{
	return r->op != DISK_READ &&
	       random_percent(&disk->random, READ_ONCE(late_percent));
}

/* Chooses @r to be held, or answered late, unless one is already. */
static bool postpone(struct disk *disk, const struct disk_request *r,
		     const struct nbd_request *raw, struct late_answer *late)
{
	if (late->pending)
		return false;
	late->unserved = is_to_be_held(disk, r);
	if (!late->unserved && !is_to_be_late(disk, r))
		return false;
	late->pending = true;
	late->raw = *raw;
	late->request = *r;
	late->requests = 1 + random_below(&disk->random, LATE_REQUESTS);
	return true;
}

static void *server_thread(void *argument)
{
	struct disk *disk = argument;
	struct late_answer late = { };
	struct nbd_request raw;
	struct disk_request r;
	bool goes_on = true, is_late;
	int error;

	while (goes_on && answer_late(disk, &late) &&
	       receive(disk->socket, &raw, sizeof(raw))) {
		if (!parse(disk, &raw, &r) ||
		    (r.op == DISK_WRITE &&
		     !receive(disk->socket, disk->buffer,
			      r.sectors * DISK_SECTOR)))
			break;
		is_late = postpone(disk, &r, &raw, &late);
		if (is_late && late.unserved)
			continue;
		error = disk_serve(disk, &r, disk->buffer);
		if (is_late)
			late.error = error;
		else
			goes_on = answer_request(disk, &raw, error, &r);
	}
	close(disk->socket);
	return NULL;
}

static void *kernel_thread(void *argument)
{
	struct disk *disk = argument;

	/* Returns when the disk is closed. */
	ioctl(disk->fd, NBD_DO_IT);
	ioctl(disk->fd, NBD_CLEAR_SOCK);
	return NULL;
}

static int connect_kernel(struct disk *disk)
{
	unsigned long flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
			      NBD_FLAG_SEND_TRIM |
			      (has_fua ? NBD_FLAG_SEND_FUA : 0);
	int room = 2 * MAX_TRANSFER;
	int pair[2], i;

	disk->fd = open(disk->path, O_RDWR);
	if (disk->fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	disk->socket = pair[0];
	for (i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &room,
			   sizeof(room));
	if (ioctl(disk->fd, NBD_SET_BLKSIZE, disk->block * (unsigned long)DISK_SECTOR) ||
	    ioctl(disk->fd, NBD_SET_SIZE_BLOCKS, disk->sectors / disk->block) ||
	    ioctl(disk->fd, NBD_SET_FLAGS, flags) ||
	    ioctl(disk->fd, NBD_SET_SOCK, (unsigned long)pair[1]))
		return -errno;
	return 0;
}

/* Until the kernel serves it; its own first reads take a moment. */
static int wait_until_ready(struct disk *disk)
{
	u8 *sector = aligned_alloc(4096, 4096);
	int fd = open(disk->path, O_RDONLY | O_DIRECT);
	int tries;
	ssize_t n = -1;

	for (tries = 0; fd >= 0 && tries < 2000 && n != 4096; tries++) {
		n = pread(fd, sector, 4096, 0);
		usleep(1000);
	}
	if (fd >= 0)
		close(fd);
	free(sector);
	return n == 4096 ? 0 : -EIO;
}

int disk_start_serving(struct disk *disk)
{
	int error;

	snprintf(disk->path, sizeof(disk->path), "/dev/nbd%u", disk->node);
	error = connect_kernel(disk);
	if (error)
		return error;
	if (pthread_create(&disk->server, NULL, server_thread, disk) ||
	    pthread_create(&disk->kernel, NULL, kernel_thread, disk))
		return -ENOMEM;
	return wait_until_ready(disk);
}

void disk_stop_serving(struct disk *disk)
{
	pthread_join(disk->server, NULL);
	pthread_join(disk->kernel, NULL);
	close(disk->fd);
}

void disk_set_fua(bool fua)
{
	has_fua = fua;
}

void disk_set_late_percent(unsigned int percent)
{
	WRITE_ONCE(late_percent, percent);
}
