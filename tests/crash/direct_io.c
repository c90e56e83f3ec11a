// SPDX-License-Identifier: GPL-2.0
/*
 * usage: direct_io DEVICE DISK… -- OPERATION…
 *
 * Does exactly these, past the page cache: w:OFFSET:BYTES writes, r:OFFSET:BYTES
 * reads, s is fdatasync, f:N has bytes of value N written from there on; "=" prints
 * what has come to each DISK (a name in /sys/block) since the last "=" or the start:
 *
 *	ssd reads 0 writes 1 written 4096 flushes 0 discards 0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DISKS = 4, MAX_BYTES = 8 << 20 };

struct counts {
	unsigned long long reads, writes, written, discards, flushes;
};

static const char *disks[MAX_DISKS];
static struct counts seen[MAX_DISKS];
static int disk_count;

static void die(const char *what)
{
	fprintf(stderr, "direct_io: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_counts(const char *disk, struct counts *c)
{
	char path[128], text[512];
	int fd, n;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		die(path);
	text[n] = 0;
	if (sscanf(text,
		   "%llu %*u %*u %*u %llu %*u %llu %*u %*u %*u %*u %llu %*u %*u %*u %llu",
		   &c->reads, &c->writes, &c->written, &c->discards,
		   &c->flushes) != 5)
		die(path);
	close(fd);
}

static void note_counts(int print)
{
	struct counts c;
	int i;

	for (i = 0; i < disk_count; i++) {
		read_counts(disks[i], &c);
		if (print) {
			printf("%s reads %llu writes %llu written %llu ",
			       disks[i], c.reads - seen[i].reads,
			       c.writes - seen[i].writes,
			       (c.written - seen[i].written) * 512);
			printf("flushes %llu discards %llu\n",
			       c.flushes - seen[i].flushes,
			       c.discards - seen[i].discards);
		}
		seen[i] = c;
	}
}

static char *buffer;

static void fill(int value)
{
	memset(buffer, value, MAX_BYTES);
}

static void transfer(int fd, const char *operation)
{
	unsigned long long offset;
	size_t bytes;
	ssize_t n;

	if (sscanf(operation + 1, ":%llu:%zu", &offset, &bytes) != 2 ||
	    bytes > MAX_BYTES) {
		errno = EINVAL;
		die(operation);
	}
	n = *operation == 'w' ? pwrite(fd, buffer, bytes, offset) :
				pread(fd, buffer, bytes, offset);
	if (n != (ssize_t)bytes)
		die(operation);
}

int main(int argc, char **argv)
{
	int fd, i;

	if (argc < 2) {
		errno = EINVAL;
		die("no device");
	}
	for (i = 2; i < argc && strcmp(argv[i], "--") &&
	     disk_count < MAX_DISKS; i++)
		disks[disk_count++] = argv[i];
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die(argv[1]);
	buffer = aligned_alloc(4096, MAX_BYTES);
	fill(0x5a);
	note_counts(0);
	for (i++; i < argc; i++) {
		if (*argv[i] == '=')
			note_counts(1);
		else if (*argv[i] == 's' && fdatasync(fd))
			die("fdatasync");
		else if (*argv[i] == 'f')
			fill(atoi(argv[i] + 2));
		else if (*argv[i] == 'w' || *argv[i] == 'r')
			transfer(fd, argv[i]);
	}
	return 0;
}
