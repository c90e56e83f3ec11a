// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "device_file.h"
#include "freeze.h"
#include "message.h"
#include "signals.h"

/* *fd: of the mount point. */
static enum exit_code begin(const struct volume *volume, int *fd)
{
	const struct mapped_device *stack = volume->stack;
	char path[DEVICE_PATH];
	enum exit_code code = EXIT_DONE;

	*fd = device_mount_open(stack->major, stack->minor, path);
	if (*fd < 0)
		return fail(EXIT_FAILED,
			    "--freeze: no file system of %s is mounted here, or another one over it; leave it out, or freeze that where it is mounted",
			    stack->name);
	signals_hold();
	if (ioctl(*fd, FIFREEZE, 0)) {
		code = fail_errno(-errno, NULL, "cannot freeze %s", path);
		signals_release();
		close(*fd);
	}
	return code;
}

static void end(int fd)
{
	ioctl(fd, FITHAW, 0);
	signals_release();
	close(fd);
}

enum exit_code freeze_message(const struct volume *volume, const char *text)
{
	int fd, error;
	enum exit_code code = begin(volume, &fd);

	if (code)
		return code;
	error = stack_send(volume, text);
	end(fd);
	return stack_judge(volume, text, error);
}
