/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the tool ends: its exit codes, and the one line on stderr that goes with
 * each but the first.
 */
#ifndef DMCOMMIT_EXIT_CODE_H
#define DMCOMMIT_EXIT_CODE_H

#ifndef __printf
#define __printf(text, first) \
	__attribute__((__format__(__printf__, \
				   text, first)))
#endif

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_MISSING = 3,	/* no such store, volume, layer or device path */
	EXIT_REFUSED = 4,	/* busy, or refused for safety */
	EXIT_DAMAGED = 5,
	EXIT_JOB_ERRORS = 6,	/* job stopped, or errors reported */
	EXIT_JOB_AWAY = 7,	/* job cancelled or paused while waited for */
	EXIT_INTERRUPTED = 130,
};

/* Prints "dmcommit: …" and returns @code. */
enum exit_code fail(enum exit_code code, const char *format, ...)
	__printf(2, 3);

/*
 * The same for a negative errno: adds why it was, and what to do.  @why: what
 * the kernel said of it in words, or NULL.
 */
enum exit_code fail_errno(int error, const char *why, const char *format, ...)
	__printf(3, 4);

/*
 * The same for what is printed, or written to a file: a store that is full has an
 * advice of its own, which is of no use here.
 */
enum exit_code fail_output(int error, const char *path);

/* @error: negative, as all errors are that are passed around here. */
enum exit_code exit_code_of_errno(int error);

#endif /* DMCOMMIT_EXIT_CODE_H */
