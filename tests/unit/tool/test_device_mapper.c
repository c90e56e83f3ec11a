// SPDX-License-Identifier: GPL-2.0
/*
 * What is asked of libdevmapper, and what a device is after a step that failed.  In
 * place of the library and the kernel stands a model of one device, which refuses
 * what a test wants refused, and of udev's semaphores.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <libdevmapper.h>

#include "device_mapper.h"
#include "kernel_log.h"

#include "harness.h"

enum refusal {
	REFUSE_NOTHING,
	REFUSE_LOAD,
	REFUSE_EXCHANGE,		/* suspended, the old table stays */
	REFUSE_RESUME,			/* suspended, the new one is live */
};

struct table {
	u64 length;
	char text[64];			/* "": there is none */
};

/* The one device. */
static struct {
	bool exists;
	bool suspended;
	struct table live, inactive;
} device;

static struct {
	enum refusal refusal;
	unsigned int refusals;		/* that are left */
	bool udev;
	bool no_semaphores;
	int semaphores;			/* that nobody has waited at */
	unsigned int waits;
	bool killable;			/* a wait that a signal could have ended */
	bool retries;			/* the last removal was to be retried */
	u16 flags;			/* for udev's rules */
} world;

struct dm_task {
	int type;
	struct table table;
	int error;
	u32 cookie;
};

static bool refuses(enum refusal what)
{
	if (world.refusal != what || !world.refusals)
		return false;
	world.refusals--;
	return true;
}

/* --- in place of libdevmapper --- */

void dm_log_with_errno_init(dm_log_with_errno_fn fn)
{
}

struct dm_task *dm_task_create(int type)
{
	struct dm_task *task = calloc(1, sizeof(*task));

	task->type = type;
	return task;
}

void dm_task_destroy(struct dm_task *task)
{
	free(task);
}

int dm_task_set_name(struct dm_task *task, const char *name)
{
	return 1;
}

int dm_task_set_uuid(struct dm_task *task, const char *uuid)
{
	return 1;
}

int dm_task_add_target(struct dm_task *task, uint64_t start, uint64_t size,
		       const char *type, const char *text)
{
	task->table.length = size;
	snprintf(task->table.text, sizeof(task->table.text), "%s", text);
	return 1;
}

static int load(const struct dm_task *task)
{
	if (refuses(REFUSE_LOAD))
		return -EINVAL;
	device.inactive = task->table;
	return 0;
}

static int resume(void)
{
	if (device.inactive.text[0]) {
		device.suspended = true;
		if (refuses(REFUSE_EXCHANGE)) {
			device.inactive.text[0] = '\0';
			return -EINVAL;
		}
		device.live = device.inactive;
		device.inactive.text[0] = '\0';
	}
	if (refuses(REFUSE_RESUME))
		return -EBUSY;
	device.suspended = false;
	return 0;
}

static int carry_out(const struct dm_task *task)
{
	if (task->type != DM_DEVICE_CREATE && !device.exists)
		return -ENXIO;
	switch (task->type) {
	case DM_DEVICE_CREATE:
		device.exists = true;
		device.suspended = true;
		return 0;
	case DM_DEVICE_RELOAD:
		return load(task);
	case DM_DEVICE_RESUME:
		return resume();
	case DM_DEVICE_CLEAR:
		device.inactive.text[0] = '\0';
		return 0;
	case DM_DEVICE_REMOVE:
		memset(&device, 0, sizeof(device));
		return 0;
	default:
		return 0;
	}
}

/* The library itself takes back what nothing will come of. */
int dm_task_run(struct dm_task *task)
{
	if (task->type == DM_DEVICE_REMOVE)
		world.retries = task->table.length;
	task->error = -carry_out(task);
	return !task->error;
}

int dm_task_get_errno(struct dm_task *task)
{
	return task->error;
}

int dm_task_get_info(struct dm_task *task, struct dm_info *info)
{
	memset(info, 0, sizeof(*info));
	info->exists = device.exists;
	info->suspended = device.suspended;
	info->major = 253;
	info->minor = 7;
	return 1;
}

const char *dm_task_get_name(const struct dm_task *task)
{
	return "vm";
}

const char *dm_task_get_uuid(const struct dm_task *task)
{
	return "";
}

void *dm_get_next_target(struct dm_task *task, void *next, uint64_t *start,
			 uint64_t *length, char **type, char **text)
{
	*start = 0;
	*length = device.live.length;
	*type = device.live.text[0] ? "cowstack" : NULL;
	*text = device.live.text;
	return NULL;
}

int dm_task_no_flush(struct dm_task *task)
{
	return 1;
}

int dm_task_skip_lockfs(struct dm_task *task)
{
	return 1;
}

int dm_task_retry_remove(struct dm_task *task)
{
	task->table.length = 1;
	return 1;
}

int dm_task_set_cookie(struct dm_task *task, uint32_t *cookie, uint16_t flags)
{
	*cookie = 0;
	world.flags = flags;
	if (!world.udev)
		return 1;
	if (world.no_semaphores)
		return 0;
	*cookie = 0xd4d0001;
	world.semaphores++;
	return 1;
}

int dm_udev_wait(uint32_t cookie)
{
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	if (!sigismember(&set, SIGINT) || !sigismember(&set, SIGTERM))
		world.killable = true;
	world.waits++;
	if (cookie)
		world.semaphores--;
	return 1;
}

int dm_udev_get_sync_support(void)
{
	return world.udev;
}

struct dm_names *dm_task_get_names(struct dm_task *task)
{
	return NULL;
}

struct dm_versions *dm_task_get_versions(struct dm_task *task)
{
	return NULL;
}

int dm_task_set_sector(struct dm_task *task, uint64_t sector)
{
	return 1;
}

int dm_task_set_message(struct dm_task *task, const char *message)
{
	return 1;
}

const char *dm_task_get_message_response(struct dm_task *task)
{
	return NULL;
}

const char *dm_dir(void)
{
	return "/dev/mapper";
}

void dm_lib_release(void)
{
}

int kernel_log_begin(void)
{
	return -1;
}

/* The kernel has a word for each refusal; what was no refusal has none. */
size_t kernel_log_end(int log, const char *name, const char *number, char *text,
		      size_t size)
{
	snprintf(text, size, "%s", device.suspended ? "the kernel's words" : "");
	return strlen(text);
}

/* --- tests --- */

FIXTURE(task) {
	struct mapper_line first, second;
};

FIXTURE_SETUP(task)
{
	memset(&device, 0, sizeof(device));
	memset(&world, 0, sizeof(world));
	world.udev = true;
	world.refusals = 1;
	self->first = (struct mapper_line) {
		.length = 100, .type = "cowstack", .text = "first",
	};
	self->second = (struct mapper_line) {
		.length = 200, .type = "cowstack", .text = "second",
	};
}

FIXTURE_TEARDOWN(task)
{
	sigset_t set;

	EXPECT_EQ(0, world.semaphores);
	EXPECT_FALSE(world.killable);
	EXPECT_STREQ("", device.inactive.text);
	sigprocmask(SIG_SETMASK, NULL, &set);
	EXPECT_FALSE(sigismember(&set, SIGINT));
	EXPECT_FALSE(sigismember(&set, SIGTERM));
}

TEST_F(task, create_and_remove)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	EXPECT_STREQ("first", device.live.text);
	EXPECT_FALSE(device.suspended);
	EXPECT_EQ(0, world.flags);
	EXPECT_EQ(1, world.waits);
	ASSERT_EQ(0, mapper_remove("vm"));
	EXPECT_FALSE(device.exists);
	EXPECT_TRUE(world.retries);
	EXPECT_EQ(2, world.waits);
}

TEST_F(task, create_hidden)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, true));
	EXPECT_TRUE(world.flags & DM_UDEV_DISABLE_DISK_RULES_FLAG);
	EXPECT_TRUE(world.flags & DM_UDEV_DISABLE_OTHER_RULES_FLAG);
	EXPECT_TRUE(world.flags & DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG);
}

TEST_F(task, without_udev)
{
	world.udev = false;
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	ASSERT_EQ(0, mapper_reload("vm", &self->second));
	ASSERT_EQ(0, mapper_remove("vm"));
	/* Others keep it open on purpose. */
	EXPECT_FALSE(world.retries);
}

TEST_F(task, create_refused)
{
	enum refusal refusal;

	for (refusal = REFUSE_LOAD; refusal <= REFUSE_RESUME; refusal++) {
		world.refusal = refusal;
		world.refusals = 1;
		EXPECT_NE(0, mapper_create("vm", "uuid", &self->first, false));
		EXPECT_EQ(0, world.refusals);
		EXPECT_FALSE(device.exists);
	}
}

TEST_F(task, create_without_semaphores)
{
	world.no_semaphores = true;
	EXPECT_EQ(-EUSERS, mapper_create("vm", "uuid", &self->first, false));
	EXPECT_FALSE(device.exists);
}

TEST_F(task, remove_without_semaphores)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	world.no_semaphores = true;
	EXPECT_EQ(0, mapper_remove("vm"));
	EXPECT_FALSE(device.exists);
}

TEST_F(task, reload)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	ASSERT_EQ(0, mapper_reload("vm", &self->second));
	EXPECT_STREQ("second", device.live.text);
	EXPECT_EQ(200, device.live.length);
	EXPECT_FALSE(device.suspended);
}

TEST_F(task, reload_refused)
{
	enum refusal refusal;

	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	for (refusal = REFUSE_LOAD; refusal <= REFUSE_RESUME; refusal++) {
		world.refusal = refusal;
		world.refusals = 1;
		EXPECT_NE(0, mapper_reload("vm", &self->second));
		EXPECT_EQ(0, world.refusals);
		EXPECT_STREQ("first", device.live.text);
		EXPECT_EQ(100, device.live.length);
		EXPECT_FALSE(device.suspended);
		if (refusal == REFUSE_LOAD)
			continue;
		ASSERT_NE(NULL, mapper_reason());
		EXPECT_STREQ("the kernel's words", mapper_reason());
	}
}

TEST_F(task, reload_without_semaphores)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	world.no_semaphores = true;
	EXPECT_EQ(-EUSERS, mapper_reload("vm", &self->second));
	EXPECT_STREQ("first", device.live.text);
	EXPECT_FALSE(device.suspended);
	EXPECT_EQ(NULL, mapper_reason());
}

/* Nothing is left to be tried; it has to be said. */
TEST_F(task, reload_refused_for_good)
{
	ASSERT_EQ(0, mapper_create("vm", "uuid", &self->first, false));
	world.refusal = REFUSE_RESUME;
	world.refusals = 2;
	EXPECT_EQ(-EBUSY, mapper_reload("vm", &self->second));
	EXPECT_EQ(0, world.refusals);
	EXPECT_STREQ("first", device.live.text);
	ASSERT_NE(NULL, mapper_reason());
	EXPECT_NE(NULL, strstr(mapper_reason(), "the kernel's words; "));
	EXPECT_NE(NULL, strstr(mapper_reason(), "it is suspended"));
}

TEST_HARNESS_MAIN
