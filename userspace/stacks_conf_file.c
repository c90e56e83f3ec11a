// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stacks_conf.h"

const char *stacks_conf_default_path(void)
{
	return "/etc/dmcommit/stacks.conf";
}

static enum exit_code check_owner(const char *path, const struct stat *st)
{
	if (st->st_uid)
		return fail(EXIT_REFUSED,
			    "%s is not root's, and says what is brought up; chown it",
			    path);
	if (st->st_mode & 022)
		return fail(EXIT_REFUSED,
			    "%s may be written by others than root; chmod go-w it",
			    path);
	return EXIT_DONE;
}

static enum exit_code fail_to_open(const char *path, int error)
{
	if (error == -ELOOP)
		return fail(EXIT_REFUSED,
			    "%s is a symbolic link; give the file itself",
			    path);
	return fail_errno(error, NULL, "%s", path);
}

/* Held open, so that what was checked is what is read from. */
static enum exit_code open_directory(const char *path, int *fd)
{
	enum exit_code code = EXIT_DONE;
	char *copy = strdup(path), *name;
	struct stat st;

	*fd = -1;
	if (!copy)
		return fail_errno(-ENOMEM, NULL, "%s", path);
	name = dirname(copy);
	*fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st))
		code = fail_to_open(path, -errno);
	else
		code = check_owner(name, &st);
	free(copy);
	return code;
}

static enum exit_code open_in(int directory, const char *path, int *fd)
{
	const char *slash = strrchr(path, '/');
	enum exit_code code;
	struct stat st;

	*fd = openat(directory, slash ? slash + 1 : path,
		     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st))
		return fail_to_open(path, -errno);
	if (!S_ISREG(st.st_mode))
		return fail(EXIT_FAILED, "%s is no regular file", path);
	code = check_owner(path, &st);
	if (!code && st.st_size > STACKS_MAX_BYTES)
		code = fail_errno(-EFBIG, NULL, "%s", path);
	return code;
}

/* One byte more than may be there is asked for: it may have grown. */
static int read_text(int fd, char **text, size_t *bytes)
{
	ssize_t got;

	*bytes = 0;
	*text = malloc(STACKS_MAX_BYTES + 2);
	if (!*text)
		return -ENOMEM;
	do {
		got = read(fd, *text + *bytes, STACKS_MAX_BYTES + 1 - *bytes);
		if (got > 0)
			*bytes += got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		return -errno;
	return *bytes > STACKS_MAX_BYTES ? -EFBIG : 0;
}

static enum exit_code read_file(struct stacks_conf *conf, const char *path,
				int fd)
{
	size_t bytes;
	char *text;
	int error = read_text(fd, &text, &bytes);

	if (error)
		free(text);
	else
		error = stacks_conf_parse(conf, path, text, bytes);
	return error ? fail_errno(error, NULL, "%s", path) : EXIT_DONE;
}

enum exit_code stacks_conf_read(struct stacks_conf *conf, const char *path)
{
	int directory, fd = -1;
	enum exit_code code;

	memset(conf, 0, sizeof(*conf));
	code = open_directory(path, &directory);
	if (!code)
		code = open_in(directory, path, &fd);
	if (!code)
		code = read_file(conf, path, fd);
	if (fd >= 0)
		close(fd);
	if (directory >= 0)
		close(directory);
	return code;
}
