// SPDX-License-Identifier: GPL-2.0
#include "backing.h"

/* The kernel takes no part of a sector; an image that has one would lose it. */
static enum exit_code check_size(const char *path, const struct stat *st)
{
	if (st->st_size && !(st->st_size % 512))
		return EXIT_DONE;
	return fail(EXIT_FAILED,
		    "%s: a file has to have a whole number of sectors, not %lld bytes; truncate -s %%512 enlarges it",
		    path, (long long)st->st_size);
}

static enum exit_code attach_file(struct backing *backing, const char *path,
				  const struct stat *st, bool read_only)
{
	enum exit_code code = check_size(path, st);

	return code ? code : loop_attach(&backing->loop, path, read_only);
}

enum exit_code backing_open(struct backing *backing, const char *path,
			    bool read_only)
{
	bool is_file;
	enum exit_code code = EXIT_DONE;
	struct stat st;

	memset(backing, 0, sizeof(*backing));
	backing->device.fd = -1;
	backing->loop.fd = -1;
	is_file = !stat(path, &st) && S_ISREG(st.st_mode);
	if (is_file)
		code = attach_file(backing, path, &st, read_only);
	if (!code)
		code = block_device_open(&backing->device,
					 is_file ? backing->loop.path : path,
					 DEVICE_LOOK);
	if (code) {
		backing_close(backing, false);
		return code;
	}
	/* Not held: the kernel wants it for itself. */
	device_file_close(&backing->device);
	backing->device.path = path;
	return EXIT_DONE;
}

void backing_close(struct backing *backing, bool use)
{
	loop_close(&backing->loop, use);
}
