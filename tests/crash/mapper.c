// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <libdevmapper.h>

#include "mapper.h"

static void say_nothing(int level, const char *file, int line, int error,
			const char *format, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)error;
	(void)format;
}

void mapper_init(void)
{
	/* No udev in the guest: libdevmapper makes the nodes. */
	setenv("DM_DISABLE_UDEV", "1", 1);
	dm_log_with_errno_init(say_nothing);
}

static struct dm_task *begin(int type, const char *name)
{
	struct dm_task *task = dm_task_create(type);

	if (task && dm_task_set_name(task, name))
		return task;
	fprintf(stderr, "no memory\n");
	exit(1);
}

static int run(struct dm_task *task)
{
	if (dm_task_run(task))
		return 0;
	return dm_task_get_errno(task) ? -dm_task_get_errno(task) : -EPROTO;
}

static int run_simple(int type, const char *name)
{
	struct dm_task *task = begin(type, name);
	int error = run(task);

	dm_task_destroy(task);
	return error;
}

int mapper_load(const char *name, u64 sectors, const char *target,
		const char *parameters)
{
	struct dm_task *task = begin(DM_DEVICE_RELOAD, name);
	int error = -ENOMEM;

	if (dm_task_add_target(task, 0, sectors, target, parameters))
		error = run(task);
	dm_task_destroy(task);
	return error;
}

/* In steps: libdevmapper forgets the error when it undoes a create by itself. */
int mapper_create(const char *name, u64 sectors, const char *target,
		  const char *parameters)
{
	int error = run_simple(DM_DEVICE_CREATE, name);

	if (error)
		return error;
	error = mapper_load(name, sectors, target, parameters);
	if (!error)
		error = run_simple(DM_DEVICE_RESUME, name);
	if (error)
		run_simple(DM_DEVICE_REMOVE, name);
	dm_task_update_nodes();
	return error;
}

int mapper_reload(const char *name, u64 sectors, const char *target,
		  const char *parameters)
{
	int error = mapper_load(name, sectors, target, parameters);

	return error ?: run_simple(DM_DEVICE_RESUME, name);
}

u32 mapper_events(const char *name)
{
	struct dm_task *task = begin(DM_DEVICE_INFO, name);
	struct dm_info info = { };

	if (run(task) || !dm_task_get_info(task, &info))
		info.event_nr = 0;
	dm_task_destroy(task);
	return info.event_nr;
}

int mapper_remove(const char *name)
{
	int tries, error = 0;

	for (tries = 0; tries < 1000; tries++) {
		error = run_simple(DM_DEVICE_REMOVE, name);
		if (error != -EBUSY)
			break;
		usleep(10000);
	}
	dm_task_update_nodes();
	return error == -ENXIO ? 0 : error;
}

int mapper_ask(const char *name, const char *message, char *text, size_t bytes)
{
	struct dm_task *task = begin(DM_DEVICE_TARGET_MSG, name);
	const char *answer;
	int error = -ENOMEM;

	if (dm_task_set_sector(task, 0) && dm_task_set_message(task, message))
		error = run(task);
	if (!error && text) {
		answer = dm_task_get_message_response(task);
		snprintf(text, bytes, "%s", answer ? answer : "");
	}
	dm_task_destroy(task);
	return error;
}

int mapper_message(const char *name, const char *message)
{
	return mapper_ask(name, message, NULL, 0);
}

/* Of the first target. */
static int ask_target(struct dm_task *task, char *text, size_t bytes)
{
	char *type = NULL, *parameters = NULL;
	u64 start, length;
	int error;

	dm_task_no_flush(task);
	error = run(task);
	if (!error) {
		dm_get_next_target(task, NULL, &start, &length, &type,
				   &parameters);
		snprintf(text, bytes, "%s", parameters ? parameters : "");
	}
	dm_task_destroy(task);
	return error;
}

int mapper_status(const char *name, char *text, size_t bytes)
{
	return ask_target(begin(DM_DEVICE_STATUS, name), text, bytes);
}

int mapper_make(const char *name)
{
	return run_simple(DM_DEVICE_CREATE, name);
}

int mapper_loaded(const char *name, char *text, size_t bytes)
{
	struct dm_task *task = begin(DM_DEVICE_TABLE, name);

	dm_task_query_inactive_table(task);
	return ask_target(task, text, bytes);
}

int mapper_clear(const char *name)
{
	return run_simple(DM_DEVICE_CLEAR, name);
}
