/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A base that no stack is over, as a file: its sample, writes, zeroes, flush.
 */
#ifndef DMCOMMIT_BASE_FILE_H
#define DMCOMMIT_BASE_FILE_H

#include "device_file.h"
#include "io_ring.h"

struct base_file {
	struct device_file device;
	struct io_ring *ring;
	u64 sectors;
};

/* Opens it for writing, alone, or says why not. */
enum exit_code base_file_open(struct base_file *base, const char *path);
void base_file_close(struct base_file *base);

/* As the module takes it (kernel/base.c, on-disk-format.rst); 0 or -errno. */
int base_file_sample(struct base_file *base, u64 seed, u32 *crc);

int base_file_write(struct base_file *base, const struct io_ring_part *parts,
		    size_t count);
/* Bytes that read as zeroes from then on; room may come back for them. */
int base_file_zero(struct base_file *base, u64 offset, u64 bytes);
int base_file_flush(struct base_file *base);

/*
 * Flushes, and compares what was written with what is there, past the caches of
 * this machine.  @scratch: as large as all parts.  0, -EILSEQ: it differs, -errno.
 */
int base_file_verify(struct base_file *base, const struct io_ring_part *parts,
		     size_t count, char *scratch);

#endif /* DMCOMMIT_BASE_FILE_H */
