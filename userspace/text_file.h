/* SPDX-License-Identifier: GPL-2.0 */
/*
 * zlib's streams, and nothing but them: files of lines, compressed or not.
 */
#ifndef DMCOMMIT_TEXT_FILE_H
#define DMCOMMIT_TEXT_FILE_H

#include "exit_code.h"
#include "core/environment.h"

struct text_file;

/* @path: NULL: standard output; a file is made new, for its owner alone to read. */
enum exit_code text_file_create(struct text_file **file, const char *path,
				bool compress);

/* Writes to @fd, which it takes over, whatever comes of it; @path is its name. */
enum exit_code text_file_write_to(struct text_file **file, const char *path,
				  int fd, bool compress);

/* @path: "-": standard input.  What is compressed and what is not reads alike. */
enum exit_code text_file_open(struct text_file **file, const char *path);

/* Errors of these show when it is closed. */
void text_file_put(struct text_file *file, const char *text);

/*
 * The next line without its end.  Return: 1, 0: there is none, -EINVAL: it has no
 * end, a byte of zero in it, or is longer than @size; -EIO.
 */
int text_file_get(struct text_file *file, char *line, size_t size);

/* What was written is durable then, or the return says that it is not. */
enum exit_code text_file_close(struct text_file *file);

#endif /* DMCOMMIT_TEXT_FILE_H */
