/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store that is not attached, as a file: reading and writing its blocks.
 */
#ifndef DMCOMMIT_STORE_FILE_H
#define DMCOMMIT_STORE_FILE_H

#include "device_file.h"
#include "io_ring.h"
#include "core/load.h"

struct store_file;

/* Opens it, or says why not. */
enum exit_code store_file_open(struct store_file **file, const char *path,
			       enum device_use use);
void store_file_close(struct store_file *file);

const struct device_file *store_file_device(const struct store_file *file);
u64 store_file_sectors(const struct store_file *file);

/* For cowstack_load(); reads at depth, what follows each other and what does not. */
struct cowstack_reader *store_file_reader(struct store_file *file);

/* Loads what is there (core/load.h), or says why not. */
enum exit_code store_file_load(struct store_file *file,
			       struct cowstack_metadata *md,
			       struct cowstack_load_report *report);

/* Says why what is at @path could not be loaded, and what to do. */
enum exit_code store_file_refuse(const char *path, int error,
				 const struct cowstack_load_report *report);

/*
 * The newer of the two superblocks.  @why: what is wrong where there is none.
 * Return: 0, -EINVAL: no store is there, -EUCLEAN, -EOPNOTSUPP, -EIO …
 */
int store_file_superblock(struct store_file *file,
			  struct cowstack_superblock *superblock,
			  const char **why);

/*
 * Makes it an empty store.  Cut off at any point it leaves an empty store or
 * none at all, whatever there was before.
 */
int store_file_format(struct store_file *file,
		      const struct cowstack_superblock *superblock);

/* Blocks to be written, or that were read. */
struct store_block {
	u64 place;
	void *image;			/* aligned to a block's size */
};

/* Writes blocks that lie anywhere, many at a time; they are not durable yet. */
int store_file_write(struct store_file *file, const struct store_block *blocks,
		     size_t count);
int store_file_flush(struct store_file *file);

/* Data, in whole blocks, anywhere and many at a time. */
int store_file_read_parts(struct store_file *file,
			  const struct io_ring_part *parts, size_t count);
int store_file_write_parts(struct store_file *file,
			   const struct io_ring_part *parts, size_t count);
/* As base_file_verify(). */
int store_file_verify(struct store_file *file, const struct io_ring_part *parts,
		      size_t count, char *scratch);

/* Zeroes over superblocks and ring, each durably: no store is there any more. */
int store_file_clear(struct store_file *file,
		     const struct cowstack_geometry *geometry);

/* Both superblocks, one after the other, each durably. */
int store_file_write_superblocks(struct store_file *file,
				 const struct cowstack_superblock *superblock);

/*
 * The store on a device, or says why there is none.
 */
enum exit_code store_identify(const char *path, struct device_file *device,
			      struct cowstack_superblock *superblock);

#endif /* DMCOMMIT_STORE_FILE_H */
