// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "device_file.h"
#include "loop_device.h"
#include "message.h"
#include "signals.h"
#include "take_down.h"

/* --- stacks --- */

static enum exit_code check_stack_unused(const struct mapped_device *stack)
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
static enum exit_code remove_stack(const struct volume *volume)
{
	unsigned int major, minor;
	bool has_base = volume_base_number(volume, &major, &minor);
	int error = mapper_remove(volume->stack->name);

	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot take down %s", volume->stack->name);
	if (has_base) {
		device_announce(major, minor);
		loop_detach(major, minor);
	}
	return EXIT_DONE;
}

enum exit_code volume_take_down(const struct volume *volume)
{
	enum exit_code code = check_stack_unused(volume->stack);

	if (!code)
		code = make_durable(volume->stack);
	signals_hold();
	if (!code)
		code = remove_stack(volume);
	signals_release();
	return code;
}

/* --- stores --- */

static enum exit_code check_store_unused(const struct inventory *inventory,
					 const struct store *store)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++) {
		const struct volume *volume = &inventory->volumes[i];

		if (volume->store == store && volume->stack)
			return fail(EXIT_REFUSED,
				    "store %s: its volume %s is up; dmcommit down takes it down",
				    store->device.name, volume->name);
	}
	return EXIT_DONE;
}

static enum exit_code remove_store(const char *name)
{
	int error = mapper_remove(name);

	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot detach store %s", name);
	return EXIT_DONE;
}

/* Was this a store, before its table was taken from it by force? */
static bool is_left_over(const char *name)
{
	struct mapped_device device;
	char uuid[LINE_UUID];

	return !mapper_find(name, &device) &&
	       store_dm_uuid_parse(device.uuid, uuid);
}

enum exit_code store_take_down(struct inventory *inventory, const char *text)
{
	/* One that does not answer any more must go all the same. */
	struct store *store = inventory_store(inventory, text);
	enum exit_code code;

	if (store) {
		code = check_store_unused(inventory, store);
		if (!code)
			code = remove_store(store->device.name);
		if (!code)
			loop_detach(store->major, store->minor);
		return code;
	}
	if (is_left_over(text))
		return remove_store(text);
	return inventory_find_store(inventory, text, &store);
}
