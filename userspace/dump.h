/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All metadata of a store as text (Documentation/dump-format.rst), and back.
 */
#ifndef DMCOMMIT_DUMP_H
#define DMCOMMIT_DUMP_H

#include "text_file.h"
#include "core/load.h"

#define DUMP_HEAD "cowstack-dump 1"

/* @md: as it was loaded, so that all words are durable ones.  0 or -ENOMEM. */
int dump_write(struct cowstack_metadata *md, struct text_file *file);

struct dump_error {
	u64 line;			/* 0: none in particular */
	char why[160];
};

/*
 * Reads a dump, of which nothing is believed: what it says is checked as what a
 * device says is (core/load.h).
 * @file: its first line, DUMP_HEAD, has been read
 * @limits: the size of the device that it is for, and how much map memory can hold
 * @md: filled on success, to be freed with cowstack_metadata_exit()
 *
 * Return: 0, -EINVAL: no dump of a sound store, @error says why; -ENOSPC: of one that
 * is larger than the device; -ENOMEM, -EFBIG.
 */
int dump_read(struct text_file *file, const struct cowstack_reader *limits,
	      struct cowstack_metadata *md, struct dump_error *error);

#endif /* DMCOMMIT_DUMP_H */
