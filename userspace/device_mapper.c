// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdevmapper.h>

#include "device_mapper.h"
#include "kernel_log.h"
#include "signals.h"

/* What the kernel said of the last request that failed. */
static char reason[512];

/* Errors come back as errnos, and are reported once, with what was wanted. */
static void say_nothing(int level, const char *file, int line, int error,
			const char *format, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)error;
	(void)format;
}

/*
 * libdevmapper has no errno for a request that never reached the kernel, and
 * makes no task where there is no kernel to be reached.
 */
static int unreachable_error(void)
{
	return geteuid() ? -EPERM : -ENOTCONN;
}

static struct dm_task *begin_task(int type, const char *name)
{
	static bool quiet;
	struct dm_task *task;

	if (!quiet)
		dm_log_with_errno_init(say_nothing);
	quiet = true;
	task = dm_task_create(type);
	if (task && name && !dm_task_set_name(task, name)) {
		dm_task_destroy(task);
		return NULL;
	}
	return task;
}

static int run_task(struct dm_task *task)
{
	if (dm_task_run(task))
		return 0;
	if (dm_task_get_errno(task))
		return -dm_task_get_errno(task);
	return unreachable_error();
}

/*
 * Runs what udev acts upon, and waits until it has; where it does not run, the
 * nodes are made here.  The semaphore that is waited at goes by the wait alone,
 * so nothing may end us between the two.
 */
static int run_task_with_udev(struct dm_task *task, u16 flags)
{
	u32 cookie = 0;
	int error;

	if (!dm_task_set_cookie(task, &cookie, flags))
		return -EUSERS;
	error = run_task(task);
	dm_udev_wait(cookie);
	return error;
}

static int get_info(struct dm_task *task, struct mapped_device *device)
{
	struct dm_info info;

	if (!dm_task_get_info(task, &info))
		return -ENOMEM;
	if (!info.exists)
		return -ENXIO;
	memset(device, 0, sizeof(*device));
	snprintf(device->name, sizeof(device->name), "%s",
		 dm_task_get_name(task));
	snprintf(device->uuid, sizeof(device->uuid), "%s",
		 dm_task_get_uuid(task));
	device->major = info.major;
	device->minor = info.minor;
	return 0;
}

int mapper_find(const char *name, struct mapped_device *device)
{
	struct dm_task *task = begin_task(DM_DEVICE_INFO, name);
	int error;

	if (!task)
		return unreachable_error();
	error = run_task(task);
	if (!error)
		error = get_info(task, device);
	dm_task_destroy(task);
	return error;
}

/* Adds the device that @task asked the status of, if it is of this type. */
static int add_device(struct dm_task *task, const char *type,
		      struct mapped_device **devices, size_t *count)
{
	struct mapped_device device, *more;
	char *its_type = NULL, *text;
	u64 start, length;
	int error = get_info(task, &device);

	/* It may have gone since it was listed. */
	if (error)
		return error == -ENXIO ? 0 : error;
	dm_get_next_target(task, NULL, &start, &length, &its_type, &text);
	if (!its_type || strcmp(its_type, type))
		return 0;
	more = reallocarray(*devices, *count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	*devices = more;
	more[(*count)++] = device;
	return 0;
}

static int look_at_device(const char *name, const char *type,
			  struct mapped_device **devices, size_t *count)
{
	struct dm_task *task = begin_task(DM_DEVICE_STATUS, name);
	int error;

	if (!task)
		return unreachable_error();
	/* Others' devices are asked too: they shall not do anything for it. */
	dm_task_no_flush(task);
	error = run_task(task);
	if (!error)
		error = add_device(task, type, devices, count);
	else if (error == -ENXIO)
		error = 0;
	dm_task_destroy(task);
	return error;
}

static int add_devices(struct dm_names *names, const char *type,
		       struct mapped_device **devices, size_t *count)
{
	int error;

	if (!names || !names->dev)
		return 0;
	for (;;) {
		error = look_at_device(names->name, type, devices, count);
		if (error || !names->next)
			return error;
		names = (void *)((char *)names + names->next);
	}
}

int mapper_list(const char *type, struct mapped_device **devices,
		size_t *count)
{
	struct dm_task *task = begin_task(DM_DEVICE_LIST, NULL);
	int error;

	*devices = NULL;
	*count = 0;
	if (!task)
		return unreachable_error();
	error = run_task(task);
	if (!error)
		error = add_devices(dm_task_get_names(task), type, devices,
				    count);
	dm_task_destroy(task);
	if (error) {
		free(*devices);
		*devices = NULL;
	}
	return error;
}

static int copy_line(struct dm_task *task, struct mapper_line *line)
{
	char *type = NULL, *text = NULL;
	struct dm_info info;
	void *next = NULL;

	if (!dm_task_get_info(task, &info) || !info.exists)
		return -ENXIO;
	next = dm_get_next_target(task, next, &line->start, &line->length,
				  &type, &text);
	if (!type)
		return -ENODATA;
	snprintf(line->type, sizeof(line->type), "%s", type);
	line->text = strdup(text ? text : "");
	if (!line->text)
		return -ENOMEM;
	for (line->lines = 1; next; line->lines++) {
		u64 start, length;

		next = dm_get_next_target(task, next, &start, &length, &type,
					  &text);
	}
	return 0;
}

int mapper_query(const char *name, enum mapper_query query,
		 struct mapper_line *line)
{
	struct dm_task *task = begin_task(query == MAPPER_TABLE ?
					  DM_DEVICE_TABLE : DM_DEVICE_STATUS,
					  name);
	int error;

	memset(line, 0, sizeof(*line));
	if (!task)
		return unreachable_error();
	/* Otherwise the status would wait for a step; what is shown is as of now. */
	dm_task_no_flush(task);
	error = run_task(task);
	if (!error)
		error = copy_line(task, line);
	dm_task_destroy(task);
	return error;
}

static bool find_target(struct dm_task *task, const char *type)
{
	struct dm_versions *versions = dm_task_get_versions(task);

	while (versions) {
		if (!strcmp(versions->name, type))
			return true;
		if (!versions->next)
			break;
		versions = (void *)((char *)versions + versions->next);
	}
	return false;
}

bool mapper_has_target(const char *type)
{
	/* By this question the kernel loads the module; old ones do not know it. */
	struct dm_task *task = begin_task(DM_DEVICE_GET_TARGET_VERSION, type);
	bool found = false;

	if (task && !run_task(task))
		found = true;
	if (task)
		dm_task_destroy(task);
	if (found)
		return true;
	task = begin_task(DM_DEVICE_LIST_VERSIONS, NULL);
	if (task && !run_task(task))
		found = find_target(task, type);
	if (task)
		dm_task_destroy(task);
	return found;
}

static int create_empty(const char *name, const char *uuid, char number[32])
{
	struct dm_task *task = begin_task(DM_DEVICE_CREATE, name);
	struct dm_info info;
	int error = -ENOMEM;

	if (!task)
		return unreachable_error();
	if (!uuid[0] || dm_task_set_uuid(task, uuid))
		error = run_task(task);
	if (!error && dm_task_get_info(task, &info))
		snprintf(number, 32, "%u:%u", info.major, info.minor);
	dm_task_destroy(task);
	return error;
}

static int load_table(const char *name, const char *number,
		      const struct mapper_line *line)
{
	struct dm_task *task = begin_task(DM_DEVICE_RELOAD, name);
	int log, error = -ENOMEM;

	if (!task)
		return unreachable_error();
	log = kernel_log_begin();
	if (dm_task_add_target(task, line->start, line->length, line->type,
			       line->text))
		error = run_task(task);
	kernel_log_end(log, name, number, reason, sizeof(reason));
	dm_task_destroy(task);
	return error;
}

static int resume(const char *name, const char *number, u16 flags)
{
	struct dm_task *task = begin_task(DM_DEVICE_RESUME, name);
	int log, error;

	if (!task)
		return unreachable_error();
	/*
	 * With another table in wait this suspends first.  What waits for room
	 * would keep a flushing suspend waiting; here it is pushed back, and
	 * goes on under the new table.
	 */
	dm_task_no_flush(task);
	dm_task_skip_lockfs(task);
	log = kernel_log_begin();
	error = run_task_with_udev(task, flags);
	kernel_log_end(log, name, number, reason, sizeof(reason));
	dm_task_destroy(task);
	return error;
}

static int clear_table(const char *name)
{
	struct dm_task *task = begin_task(DM_DEVICE_CLEAR, name);
	int error = task ? run_task(task) : unreachable_error();

	if (task)
		dm_task_destroy(task);
	return error;
}

static int remove_device(const char *name)
{
	struct dm_task *task = begin_task(DM_DEVICE_REMOVE, name);
	int error;

	if (!task)
		return unreachable_error();
	if (dm_udev_get_sync_support())
		dm_task_retry_remove(task);
	error = run_task_with_udev(task, 0);
	/* What was made has to go all the same; the node goes by libdevmapper. */
	if (error == -EUSERS)
		error = run_task(task);
	dm_task_destroy(task);
	return error;
}

static int create_device(const char *name, const char *uuid,
			 const struct mapper_line *line, bool hidden)
{
	u16 flags = hidden ? DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |
				  DM_UDEV_DISABLE_DISK_RULES_FLAG |
				  DM_UDEV_DISABLE_OTHER_RULES_FLAG : 0;
	char number[32] = "";
	int error;

	reason[0] = '\0';
	error = create_empty(name, uuid, number);
	if (error)
		return error;
	error = load_table(name, number, line);
	if (!error)
		error = resume(name, number, flags);
	if (error)
		remove_device(name);
	return error;
}

int mapper_create(const char *name, const char *uuid,
		  const struct mapper_line *line, bool hidden)
{
	int error;

	signals_hold();
	error = create_device(name, uuid, line, hidden);
	signals_release();
	return error;
}

static bool is_same_line(const struct mapper_line *a,
			 const struct mapper_line *b)
{
	return a->start == b->start && a->length == b->length &&
	       !strcmp(a->type, b->type) && !strcmp(a->text, b->text);
}

static bool has_table(const char *name, const struct mapper_line *wanted)
{
	struct mapper_line line;
	bool same = !mapper_query(name, MAPPER_TABLE, &line) &&
		    is_same_line(&line, wanted);

	free(line.text);
	return same;
}

static bool is_suspended(const char *name)
{
	struct dm_task *task = begin_task(DM_DEVICE_INFO, name);
	struct dm_info info = { };
	bool known = task && !run_task(task) && dm_task_get_info(task, &info);

	if (task)
		dm_task_destroy(task);
	return known && info.suspended;
}

/*
 * A resume that was refused leaves the device suspended, with the old table or,
 * where the new one itself refused, with that.
 */
static int put_back(const char *name, const char *number,
		    const struct mapper_line *old)
{
	int error = 0;

	clear_table(name);
	if (!has_table(name, old))
		error = load_table(name, number, old);
	else if (!is_suspended(name))
		return 0;
	return error ? error : resume(name, number, 0);
}

/* What was there goes on; why the new one did not stays to be told. */
static void recover(const char *name, const char *number,
		    const struct mapper_line *old)
{
	char why[sizeof(reason)];
	int error;

	memcpy(why, reason, sizeof(why));
	error = put_back(name, number, old);
	memcpy(reason, why, sizeof(reason));
	if (error)
		snprintf(reason, sizeof(reason),
			 "%.300s; its old table could not be put back either (%s): it is suspended, see dmsetup table and dmsetup resume",
			 why[0] ? why : "its new table was refused",
			 strerror(-error));
}

static int reload_device(const char *name, const struct mapper_line *line)
{
	struct mapped_device device;
	struct mapper_line old;
	char number[32];
	int error = mapper_find(name, &device);

	reason[0] = '\0';
	if (!error)
		error = mapper_query(name, MAPPER_TABLE, &old);
	if (error)
		return error;
	snprintf(number, sizeof(number), "%u:%u", device.major, device.minor);
	/* Of more lines only the first would be put back. */
	error = old.lines == 1 ? load_table(name, number, line) : -EINVAL;
	if (!error) {
		error = resume(name, number, 0);
		if (error)
			recover(name, number, &old);
	}
	free(old.text);
	return error;
}

int mapper_reload(const char *name, const struct mapper_line *line)
{
	int error;

	signals_hold();
	error = reload_device(name, line);
	signals_release();
	return error;
}

int mapper_remove(const char *name)
{
	int error;

	reason[0] = '\0';
	signals_hold();
	error = remove_device(name);
	signals_release();
	return error;
}

/* The kernel calls a mapped device by its number as well as by its name. */
static void find_reason(int log, const char *name)
{
	struct mapped_device device = { };
	char number[32];

	mapper_find(name, &device);
	snprintf(number, sizeof(number), "%u:%u", device.major, device.minor);
	kernel_log_end(log, name, number, reason, sizeof(reason));
}

int mapper_message(const char *name, u64 sector, const char *message,
		   char **reply)
{
	struct dm_task *task = begin_task(DM_DEVICE_TARGET_MSG, name);
	const char *answer = NULL;
	int log, error = -ENOMEM;

	reason[0] = '\0';
	if (reply)
		*reply = NULL;
	if (!task)
		return unreachable_error();
	log = kernel_log_begin();
	if (dm_task_set_sector(task, sector) &&
	    dm_task_set_message(task, message))
		error = run_task(task);
	find_reason(log, name);
	if (!error && reply)
		answer = dm_task_get_message_response(task);
	if (answer) {
		*reply = strdup(answer);
		if (!*reply)
			error = -ENOMEM;
	}
	dm_task_destroy(task);
	return error;
}

const char *mapper_directory(void)
{
	return dm_dir();
}

const char *mapper_reason(void)
{
	return reason[0] ? reason : NULL;
}

void mapper_exit(void)
{
	dm_lib_release();
}
