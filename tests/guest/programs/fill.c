// SPDX-License-Identifier: GPL-2.0
/*
 * fill SEED DEVICE…: the same content to each of them, to the end of the shortest,
 * every sector another. /dev/urandom takes seconds for a MiB where a guest is slow.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

static uint64_t state;

/* xorshift64: every word another, none of them zero. */
static uint64_t next_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Bytes that the device took of @buffer, which stands at @at. */
static size_t put(const char *path, const void *buffer, off_t at)
{
	off_t end;
	size_t bytes = BUFFER;
	int fd = open(path, O_WRONLY | O_DIRECT);

	if (fd < 0)
		err(1, "%s", path);
	end = lseek(fd, 0, SEEK_END);
	if (end - at < BUFFER)
		bytes = end - at;
	if (bytes && pwrite(fd, buffer, bytes, at) != (ssize_t)bytes)
		err(1, "%s at %lld", path, (long long)at);
	close(fd);
	return bytes;
}

int main(int argc, char **argv)
{
	size_t bytes = BUFFER;
	uint64_t *buffer;
	off_t at = 0;
	int i;

	if (argc < 3)
		errx(2, "usage: fill SEED DEVICE…");
	state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	if (posix_memalign((void **)&buffer, 4096, BUFFER))
		errx(1, "no memory");
	for (; bytes == BUFFER; at += BUFFER) {
		for (i = 0; i < BUFFER / 8; i++)
			buffer[i] = next_word();
		for (i = 2; i < argc; i++) {
			size_t took = put(argv[i], buffer, at);

			bytes = took < bytes ? took : bytes;
		}
	}
	return 0;
}
