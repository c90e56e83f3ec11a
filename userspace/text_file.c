// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "text_file.h"

struct text_file {
	void *stream;			/* of zlib */
	const char *path;
	int fd;				/* of a file that is written, else -1 */
	int error;
};

static enum exit_code open_stream(struct text_file **result, const char *path,
				  int fd, const char *mode)
{
	struct text_file *file = calloc(1, sizeof(*file));
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (file && again >= 0)
		file->stream = gzdopen(again, mode);
	if (!file || !file->stream) {
		if (again >= 0)
			close(again);
		free(file);
		close(fd);
		return fail_errno(again < 0 ? -EMFILE : -ENOMEM, NULL, "%s",
				  path);
	}
	gzbuffer(file->stream, 128 << 10);
	file->path = path;
	file->fd = fd;
	*result = file;
	return EXIT_DONE;
}

enum exit_code text_file_write_to(struct text_file **file, const char *path,
				  int fd, bool compress)
{
	/* T: as it is. */
	return open_stream(file, path, fd, compress ? "wb" : "wbT");
}

enum exit_code text_file_create(struct text_file **file, const char *path,
				bool compress)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
				   O_NOCTTY, 0600) :
			fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (!path)
		path = "standard output";
	if (fd < 0)
		return fail_errno(-errno, NULL, "%s", path);
	return text_file_write_to(file, path, fd, compress);
}

enum exit_code text_file_open(struct text_file **file, const char *path)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) :
			    open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return fail_errno(-errno, NULL, "%s", path);
	return open_stream(file, standard ? "standard input" : path, fd, "rb");
}

static int stream_error(struct text_file *file)
{
	int error;

	gzerror(file->stream, &error);
	return error == Z_ERRNO ? -errno : error == Z_MEM_ERROR ? -ENOMEM : -EIO;
}

void text_file_put(struct text_file *file, const char *text)
{
	if (!file->error && *text && gzputs(file->stream, text) <= 0)
		file->error = stream_error(file);
}

int text_file_get(struct text_file *file, char *line, size_t size)
{
	size_t length;
	int error;

	if (!gzgets(file->stream, line, size)) {
		gzerror(file->stream, &error);
		return error ? -EIO : 0;
	}
	length = strlen(line);
	if (!length || line[length - 1] != '\n')
		return -EINVAL;
	line[length - 1] = '\0';
	return 1;
}

static int sync_file(int fd)
{
	struct stat st;

	/* Pipes and terminals have nothing to be made durable. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	return fsync(fd) ? -errno : 0;
}

enum exit_code text_file_close(struct text_file *file)
{
	enum exit_code code = EXIT_DONE;
	int error, result;

	if (!file)
		return EXIT_DONE;
	error = file->error;
	errno = 0;
	result = gzclose(file->stream);
	/* Of a file that was read it says whether it ended too early. */
	if (!error && result != Z_OK && result != Z_BUF_ERROR)
		error = errno ? -errno : -EIO;
	if (!error)
		error = sync_file(file->fd);
	if (error)
		code = fail_output(error, file->path);
	close(file->fd);
	free(file);
	return code;
}
