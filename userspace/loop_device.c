// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/loop.h>

#include "device_file.h"
#include "loop_device.h"

#define MARK "dmcommit:"

enum { MAX_TRIES = 16, LOCK_TRIES = 100, LOCK_RETRY_US = 100000 };

static bool is_ours(const struct loop_info64 *info)
{
	return !strncmp((const char *)info->lo_file_name, MARK, strlen(MARK));
}

static bool is_over_file(const struct loop_info64 *info,
			 const struct stat *file)
{
	return info->lo_device == file->st_dev && info->lo_inode == file->st_ino;
}

/* --- one device --- */

/* -ENXIO: no file is attached to it. */
static int open_loop(struct loop_device *loop, const char *path,
		     struct loop_info64 *info)
{
	struct stat st;
	int error = 0;

	memset(loop, 0, sizeof(*loop));
	loop->lock = -1;
	snprintf(loop->path, sizeof(loop->path), "%s", path);
	loop->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (loop->fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	if (fstat(loop->fd, &st) || ioctl(loop->fd, LOOP_GET_STATUS64, info))
		error = -errno;
	if (!error && !S_ISBLK(st.st_mode))
		error = -ENOTBLK;
	if (error) {
		close(loop->fd);
		loop->fd = -1;
		return error;
	}
	loop->major = major(st.st_rdev);
	loop->minor = minor(st.st_rdev);
	return 0;
}

/* Partitions answer for their disk; only the disk itself has this directory. */
static bool is_loop(unsigned int major, unsigned int minor)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/loop", major, minor);
	return !access(path, F_OK);
}

static int open_number(struct loop_device *loop, unsigned int major,
		       unsigned int minor, struct loop_info64 *info)
{
	char path[DEVICE_PATH];

	if (!is_loop(major, minor))
		return -ENXIO;
	return open_loop(loop, device_path(major, minor, path), info);
}

/* --- finding --- */

static bool open_in_use(struct loop_device *loop, const char *name,
			struct loop_info64 *info)
{
	char path[320];

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "/dev/%s", name);
	return !open_loop(loop, path, info);
}

/* One of ours is preferred. */
static bool find_over_file(struct loop_device *found, const struct stat *file,
			   struct loop_info64 *found_info)
{
	DIR *directory = opendir("/sys/block");
	struct loop_device loop;
	struct loop_info64 info;
	struct dirent *entry;

	found->fd = -1;
	found->lock = -1;
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, "loop", 4) ||
		    !open_in_use(&loop, entry->d_name, &info))
			continue;
		if (!is_over_file(&info, file) ||
		    (found->fd >= 0 && !is_ours(&info))) {
			close(loop.fd);
			continue;
		}
		loop_close(found, true);
		*found = loop;
		*found_info = info;
	}
	if (directory)
		closedir(directory);
	return found->fd >= 0;
}

bool loop_find(const struct stat *file, unsigned int *major,
	       unsigned int *minor)
{
	struct loop_device loop;
	struct loop_info64 info;

	if (!find_over_file(&loop, file, &info))
		return false;
	*major = loop.major;
	*minor = loop.minor;
	loop_close(&loop, true);
	return true;
}

bool loop_lies_on(unsigned int major, unsigned int minor,
		  unsigned int *below_major, unsigned int *below_minor)
{
	struct loop_device loop;
	struct loop_info64 info;

	if (open_number(&loop, major, minor, &info))
		return false;
	loop_close(&loop, true);
	*below_major = major(info.lo_device);
	*below_minor = minor(info.lo_device);
	return true;
}

/* --- attaching --- */

static void fill_config(struct loop_config *config, int file, const char *path,
			bool read_only)
{
	char *full = realpath(path, NULL);

	memset(config, 0, sizeof(*config));
	config->fd = file;
	config->info.lo_flags = LO_FLAGS_DIRECT_IO;
	if (read_only)
		config->info.lo_flags |= LO_FLAGS_READ_ONLY;
	snprintf((char *)config->info.lo_file_name, LO_NAME_SIZE, MARK "%s",
		 full ? full : path);
	free(full);
}

/* Most kernels do without direct I/O where it cannot be; that is asked for too. */
static int configure(int fd, struct loop_config *config)
{
	if (!ioctl(fd, LOOP_CONFIGURE, config))
		return 0;
	if (errno != EINVAL)
		return -errno;
	config->info.lo_flags &= ~LO_FLAGS_DIRECT_IO;
	return ioctl(fd, LOOP_CONFIGURE, config) ? -errno : 0;
}

/* -EBUSY: somebody else was faster. */
static int take_free(struct loop_device *loop, int control,
		     struct loop_config *config)
{
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	struct loop_info64 info;
	char path[32];
	int fd, error;

	if (number < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	error = configure(fd, config);
	if (!error)
		error = open_loop(loop, path, &info);
	close(fd);
	loop->is_new = !error;
	return error;
}

static int attach_file(struct loop_device *loop, int file, const char *path,
		       bool read_only)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config;
	unsigned int tries;
	int error = -EBUSY;

	if (control < 0)
		return -ENOPKG;
	fill_config(&config, file, path, read_only);
	for (tries = 0; tries < MAX_TRIES && error == -EBUSY; tries++)
		error = take_free(loop, control, &config);
	close(control);
	return error;
}

static enum exit_code attach_new(struct loop_device *loop, const char *path,
				 bool read_only)
{
	int file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	int error;

	if (file < 0)
		return fail_errno(-errno, NULL, "%s", path);
	error = attach_file(loop, file, path, read_only);
	close(file);
	if (error == -ENOPKG)
		return fail(EXIT_FAILED,
			    "%s is a file and needs a loop device, but there is no /dev/loop-control; load module loop",
			    path);
	if (error)
		return fail_errno(error, NULL, "%s: cannot attach a loop device",
				  path);
	return EXIT_DONE;
}

static enum exit_code check_found(const struct loop_device *loop,
				  const struct loop_info64 *info,
				  const char *path, bool read_only)
{
	if (info->lo_offset || info->lo_sizelimit)
		return fail(EXIT_REFUSED,
			    "a part of %s is %s already; end its use and detach it with losetup -d %s",
			    path, loop->path, loop->path);
	if (!read_only && (info->lo_flags & LO_FLAGS_READ_ONLY))
		return fail(EXIT_REFUSED,
			    "%s is %s already, which is read-only; end its use and detach it with losetup -d %s",
			    path, loop->path, loop->path);
	return EXIT_DONE;
}

static enum exit_code find_or_attach(struct loop_device *loop, const char *path,
				     const struct stat *file, bool read_only)
{
	struct loop_info64 info;
	enum exit_code code;

	if (!find_over_file(loop, file, &info))
		return attach_new(loop, path, read_only);
	code = check_found(loop, &info, path, read_only);
	if (code)
		loop_close(loop, true);
	return code;
}

/*
 * Two at a time would both find no loop device, and attach one each.  Another of these
 * has the lock for a moment; who has it for longer, whoever that is, is not waited for.
 */
static int lock_for_attaching(int fd)
{
	unsigned int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		/* Some file systems have no locks. */
		if (!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
			return 0;
		usleep(LOCK_RETRY_US);
	}
	return -EBUSY;
}

enum exit_code loop_attach(struct loop_device *loop, const char *path,
			   bool read_only)
{
	int lock = open(path, O_RDONLY | O_CLOEXEC);
	enum exit_code code;
	struct stat st;
	int error = 0;

	loop->fd = -1;
	loop->lock = -1;
	if (lock < 0 || fstat(lock, &st))
		error = -errno;
	if (!error)
		error = lock_for_attaching(lock);
	code = error ? fail_errno(error, NULL, "%s", path) :
		       find_or_attach(loop, path, &st, read_only);
	if (!code)
		loop->lock = lock;
	else if (lock >= 0)
		close(lock);
	return code;
}

/* --- detaching --- */

/*
 * While anybody has it open still, the kernel detaches it when that one closes it:
 * somebody who found it just now keeps it as long as it is needed.
 */
static void detach_open(struct loop_device *loop)
{
	ioctl(loop->fd, LOOP_CLR_FD, 0);
}

void loop_close(struct loop_device *loop, bool use)
{
	if (loop->fd < 0)
		return;
	if (loop->is_new && !use)
		detach_open(loop);
	close(loop->fd);
	if (loop->lock >= 0)
		close(loop->lock);
	loop->fd = -1;
	loop->lock = -1;
}

void loop_detach(unsigned int major, unsigned int minor)
{
	struct loop_device loop;
	struct loop_info64 info;
	char user[DEVICE_PATH];

	if (open_number(&loop, major, minor, &info))
		return;
	if (is_ours(&info) && !device_holder(major, minor, user) &&
	    !device_mount_point(major, minor, user))
		detach_open(&loop);
	loop_close(&loop, true);
}

int loop_update_size(unsigned int major, unsigned int minor)
{
	struct loop_device loop;
	struct loop_info64 info;
	int error = 0;

	if (open_number(&loop, major, minor, &info))
		return 0;
	if (is_ours(&info) && ioctl(loop.fd, LOOP_SET_CAPACITY, 0))
		error = -errno;
	loop_close(&loop, true);
	return error;
}
