// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exit_code.h"
#include "core/environment.h"

struct meaning {
	int error;
	enum exit_code code;
	const char *why;	/* NULL: as the C library has it */
	const char *advice;	/* or NULL */
};

static const struct meaning meanings[] = {
	{ EINVAL, EXIT_FAILED, "the kernel refuses it",
	  "its log has the reason" },
	{ ENOENT, EXIT_MISSING, NULL, NULL },
	{ ENXIO, EXIT_MISSING, "there is no such device", "see dmcommit list" },
	{ ENODEV, EXIT_FAILED, "the device is not there", NULL },
	{ ENOTCONN, EXIT_FAILED, "the kernel's device-mapper does not answer",
	  "is module dm_mod loaded?" },
	{ ELOOP, EXIT_REFUSED, "it would lie on itself", "give another base" },
	{ ENOTBLK, EXIT_FAILED, "this is no block device",
	  "give one, or a regular file" },
	{ EPERM, EXIT_FAILED, "not permitted", "are you root?" },
	{ EACCES, EXIT_FAILED, "not permitted", "are you root?" },
	{ EBUSY, EXIT_REFUSED, "it is in use",
	  "end its use or its job, then try again" },
	{ EAGAIN, EXIT_REFUSED, "its store is suspended",
	  "try again when it was resumed" },
	{ EEXIST, EXIT_REFUSED, "the name or id is taken", "choose another" },
	{ ESTALE, EXIT_REFUSED, "the base is not the one recorded",
	  "give the right base, or take this one with --accept-base" },
	{ EROFS, EXIT_FAILED, "read-only", "make the device writable" },
	{ E2BIG, EXIT_FAILED, "the chain has 250 layers",
	  "commit lower ones with dmcommit start" },
	{ ENOSPC, EXIT_FAILED, "no room is left",
	  "commit with dmcommit start, or enlarge the store" },
	{ EUCLEAN, EXIT_DAMAGED, "metadata is damaged",
	  "see dmcommit check" },
	{ EUSERS, EXIT_FAILED, "no semaphore is left to wait for udev with",
	  "dmsetup udevcookies lists those there are" },
	{ EOPNOTSUPP, EXIT_FAILED,
	  "this version of the module does not support it", NULL },
	{ EFBIG, EXIT_FAILED, "it is too large", NULL },
};

static const struct meaning *find_meaning(int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].error == error)
			return &meanings[i];
	return NULL;
}

enum exit_code exit_code_of_errno(int error)
{
	const struct meaning *meaning = find_meaning(-error);

	if (!error)
		return EXIT_DONE;
	return meaning ? meaning->code : EXIT_FAILED;
}

enum exit_code fail(enum exit_code code, const char *format, ...)
{
	va_list arguments;

	/* What was printed before belongs before it on a terminal, too. */
	fflush(stdout);
	fputs("dmcommit: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return code;
}

enum exit_code fail_errno(int error, const char *why, const char *format, ...)
{
	const struct meaning *meaning = find_meaning(-error);
	bool own_words = why;
	va_list arguments;

	if (!why && meaning)
		why = meaning->why;
	fflush(stdout);
	fputs("dmcommit: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s", why ? why : strerror(-error));
	/* In the words of the kernel is all there is to know. */
	if (meaning && meaning->advice && !(own_words && error == -EINVAL))
		fprintf(stderr, "; %s", meaning->advice);
	fputc('\n', stderr);
	return exit_code_of_errno(error);
}

enum exit_code fail_output(int error, const char *path)
{
	return fail(EXIT_FAILED, "%s: %s", path, strerror(-error));
}
