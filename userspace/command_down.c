// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "commands.h"
#include "device_file.h"
#include "loop_device.h"
#include "message.h"
#include "signals.h"

static enum exit_code check_unused(const struct mapped_device *stack)
{
	char user[DEVICE_PATH];

	if (device_mount_point(stack->major, stack->minor, user))
		return fail(EXIT_REFUSED,
			    "%s is mounted on %s; unmount it first",
			    stack->name, user);
	if (device_holder(stack->major, stack->minor, user))
		return fail(EXIT_REFUSED,
			    "%s is in use by %s; take that down first",
			    stack->name, user);
	return EXIT_DONE;
}

/* A stack that failed has nothing left that could be made durable. */
static bool is_failed(const char *name)
{
	struct stack_status status;

	return !stack_status(name, &status) && !strcmp(status.mode, "fail");
}

static enum exit_code make_durable(const struct mapped_device *stack)
{
	char path[DEVICE_PATH];
	int error;

	snprintf(path, sizeof(path), "%s/%s", mapper_directory(), stack->name);
	error = device_flush(path);
	if (error && !is_failed(stack->name))
		return fail_errno(error, NULL,
				  "not taken down: %s cannot be made durable",
				  stack->name);
	return EXIT_DONE;
}

/* Its base may be a file that was attached for it. */
static enum exit_code take_down(const struct volume *volume)
{
	unsigned int major, minor;
	bool has_base = volume_base_number(volume, &major, &minor);
	int error = mapper_remove(volume->stack->name);

	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot take down %s", volume->stack->name);
	if (has_base)
		loop_detach(major, minor);
	return EXIT_DONE;
}

enum exit_code command_down(const struct options *options)
{
	struct inventory inventory;
	struct volume *volume;
	enum exit_code code = inventory_load(&inventory);

	if (!code)
		code = inventory_find_stack(&inventory, options->arguments[0],
					    &volume);
	if (!code)
		code = check_unused(volume->stack);
	if (!code)
		code = make_durable(volume->stack);
	signals_hold();
	if (!code)
		code = take_down(volume);
	signals_release();
	inventory_free(&inventory);
	return code;
}
