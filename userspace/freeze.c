// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "device_file.h"
#include "freeze.h"
#include "signals.h"

enum exit_code freeze_begin(struct freeze *freeze, const struct volume *volume)
{
	const struct mapped_device *stack = volume->stack;
	char path[DEVICE_PATH];
	enum exit_code code = EXIT_DONE;

	freeze->fd = -1;
	if (!device_mount_point(stack->major, stack->minor, path))
		return fail(EXIT_FAILED,
			    "--freeze: no file system of %s is mounted here",
			    stack->name);
	freeze->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (freeze->fd < 0)
		return fail_errno(-errno, NULL, "%s", path);
	signals_hold();
	if (ioctl(freeze->fd, FIFREEZE, 0)) {
		code = fail_errno(-errno, NULL, "cannot freeze %s", path);
		signals_release();
		close(freeze->fd);
		freeze->fd = -1;
	}
	return code;
}

void freeze_end(struct freeze *freeze)
{
	if (freeze->fd < 0)
		return;
	ioctl(freeze->fd, FITHAW, 0);
	signals_release();
	close(freeze->fd);
	freeze->fd = -1;
}
