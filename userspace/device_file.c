// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Before linux/fs.h, which has macros of the same names as ours. */
#include <linux/fs.h>
#include <linux/blkzoned.h>

#include "device_file.h"
#include "loop_device.h"

static enum exit_code read_properties(struct device_file *file)
{
	struct stat st;
	u32 zone_sectors = 0;
	int read_only = 0, logical_block = 0;

	if (fstat(file->fd, &st))
		return fail_errno(-errno, NULL, "%s", file->path);
	if (S_ISREG(st.st_mode)) {
		file->bytes = st.st_size;
		return EXIT_DONE;
	}
	if (!S_ISBLK(st.st_mode))
		return fail_errno(-ENOTBLK, NULL, "%s", file->path);
	file->block = true;
	file->major = major(st.st_rdev);
	file->minor = minor(st.st_rdev);
	if (ioctl(file->fd, BLKGETSIZE64, &file->bytes) ||
	    ioctl(file->fd, BLKROGET, &read_only) ||
	    ioctl(file->fd, BLKSSZGET, &logical_block))
		return fail_errno(-errno, NULL, "%s", file->path);
	file->read_only = read_only;
	file->logical_block = logical_block;
	/* A kernel without zones has no zoned devices. */
	file->zoned = !ioctl(file->fd, BLKGETZONESZ, &zone_sectors) &&
		      zone_sectors;
	return EXIT_DONE;
}

/* O_EXCL says of a block device: fail if anybody holds it (a mount, dm, md). */
static int open_flags(const char *path, enum device_use use)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;

	flags |= use == DEVICE_WRITE ? O_RDWR : O_RDONLY;
	if (use != DEVICE_LOOK && !stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	return flags;
}

/* Names who holds the device, where that can be seen. */
static enum exit_code fail_to_open(const char *path, int error)
{
	char user[DEVICE_PATH];
	struct stat st;

	if (error == -EISDIR)
		error = -ENOTBLK;
	if (error == -EBUSY && !stat(path, &st)) {
		unsigned int high = major(st.st_rdev), low = minor(st.st_rdev);

		if (device_mount_point(high, low, user))
			return fail(EXIT_REFUSED,
				    "%s is mounted on %s; unmount it first",
				    path, user);
		if (device_holder(high, low, user))
			return fail(EXIT_REFUSED,
				    "%s is in use by %s; end that first", path,
				    user);
	}
	return fail_errno(error, NULL, "%s", path);
}

/* What O_EXCL is for a device: another of these commands may be at work on it. */
static enum exit_code lock_file(const struct device_file *file,
				enum device_use use)
{
	if (!flock(file->fd, (use == DEVICE_WRITE ? LOCK_EX : LOCK_SH) |
			     LOCK_NB) || errno != EWOULDBLOCK)
		return EXIT_DONE;
	return fail_errno(-EBUSY, NULL, "%s", file->path);
}

/*
 * A file is used by others as the loop device that it is.  Where there is one that nobody
 * uses it is held, so that nobody does: a device asks for no lock of a file.  None is made
 * meanwhile, by us: that takes the lock.
 */
static enum exit_code hold_loop(struct device_file *file)
{
	unsigned int major, minor;
	char path[DEVICE_PATH];
	struct stat st;

	if (fstat(file->fd, &st) || !loop_find(&st, &major, &minor))
		return EXIT_DONE;
	device_path(major, minor, path);
	file->loop = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (file->loop < 0 && errno == EBUSY)
		return fail(EXIT_REFUSED, "%s is in use as %s; end that first",
			    file->path, path);
	return EXIT_DONE;
}

enum exit_code device_file_open(struct device_file *file, const char *path,
				enum device_use use)
{
	enum exit_code code;

	memset(file, 0, sizeof(*file));
	file->path = path;
	file->loop = -1;
	file->fd = open(path, open_flags(path, use));
	if (file->fd < 0)
		return fail_to_open(path, -errno);
	code = read_properties(file);
	if (!code && use == DEVICE_WRITE && file->read_only)
		code = fail_errno(-EROFS, NULL, "%s", path);
	if (!code && use != DEVICE_LOOK && !file->block)
		code = lock_file(file, use);
	if (!code && use != DEVICE_LOOK && !file->block)
		code = hold_loop(file);
	if (code)
		device_file_close(file);
	return code;
}

enum exit_code block_device_open(struct device_file *file, const char *path,
				 enum device_use use)
{
	enum exit_code code = device_file_open(file, path, use);

	if (!code && !file->block) {
		code = fail_errno(-ENOTBLK, NULL, "%s", path);
		device_file_close(file);
	}
	return code;
}

void device_file_close(struct device_file *file)
{
	if (file->fd < 0)
		return;
	if (file->loop >= 0)
		close(file->loop);
	close(file->fd);
	file->loop = -1;
	file->fd = -1;
}

bool device_file_is_at(const struct device_file *file, const char *path)
{
	char below[DEVICE_PATH];
	struct stat here, there;

	if (fstat(file->fd, &here) || stat(path, &there))
		return false;
	if (file->block && S_ISBLK(there.st_mode))
		return there.st_rdev == here.st_rdev;
	/* A loop device is the file that it is over. */
	if (file->block &&
	    (!device_backing_file(file->major, file->minor, below) ||
	     stat(below, &here)))
		return false;
	return there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

bool is_device_path(const char *text)
{
	return text[0] == '/' || text[0] == '.';
}

/* The first line of /sys/dev/block/MAJOR:MINOR/@name. */
static bool read_attribute(unsigned int major, unsigned int minor,
			   const char *name, char *text, size_t size)
{
	char path[128];
	FILE *file;
	bool found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major, minor,
		 name);
	file = fopen(path, "re");
	if (!file)
		return false;
	found = fgets(text, size, file);
	fclose(file);
	if (found)
		text[strcspn(text, "\n")] = '\0';
	return found && text[0];
}

static bool read_device_name(unsigned int major, unsigned int minor,
			     char *name, size_t size)
{
	static const char key[] = "DEVNAME=";
	char path[64], line[DEVICE_PATH - 16];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major,
		 minor);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, strlen(key));
	fclose(file);
	if (found) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%s", line + strlen(key));
	}
	return found;
}

const char *device_path(unsigned int major, unsigned int minor,
			char path[DEVICE_PATH])
{
	char name[DEVICE_PATH - 16];

	if (read_attribute(major, minor, "dm/name", name, sizeof(name)))
		snprintf(path, DEVICE_PATH, "/dev/mapper/%s", name);
	else if (read_device_name(major, minor, name, sizeof(name)))
		snprintf(path, DEVICE_PATH, "/dev/%s", name);
	else
		snprintf(path, DEVICE_PATH, "%u:%u", major, minor);
	return path;
}

u64 device_bytes(unsigned int major, unsigned int minor)
{
	char text[64];

	if (!read_attribute(major, minor, "size", text, sizeof(text)))
		return 0;
	return strtoull(text, NULL, 10) * 512;
}

/* mountinfo writes blanks and the like as \ooo. */
static void decode_path(char *path)
{
	char *to = path;
	const char *from;

	for (from = path; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (from[1] - '0') << 6 | (from[2] - '0') << 3 |
			      (from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/*
 * btrfs shows a number of its own in place of the device's; then the name of the
 * device, which follows behind " - TYPE", has to do.
 */
static bool is_mounted_from(const char *line, unsigned int major,
			    unsigned int minor)
{
	const char *end = strstr(line, " - ");
	char source[DEVICE_PATH];
	struct stat st;

	if (!end || sscanf(end, " - %*s %511s", source) != 1)
		return false;
	decode_path(source);
	return source[0] == '/' && !stat(source, &st) && S_ISBLK(st.st_mode) &&
	       st.st_rdev == makedev(major, minor);
}

/* Goes through the mounts of a device, until @found, if there is one, is content. */
static bool find_mount(unsigned int major, unsigned int minor,
		       char path[DEVICE_PATH],
		       bool (*found)(const char *path, unsigned int mount,
				     void *result), void *result)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	unsigned int mount, line_major, line_minor;
	char *line = NULL;
	size_t size = 0;
	bool is_it = false;

	if (!file)
		return false;
	while (!is_it && getline(&line, &size, file) > 0) {
		if (sscanf(line, "%u %*u %u:%u %*s %511s", &mount, &line_major,
			   &line_minor, path) != 4)
			continue;
		decode_path(path);
		is_it = ((line_major == major && line_minor == minor) ||
			 is_mounted_from(line, major, minor)) &&
			(!found || found(path, mount, result));
	}
	free(line);
	fclose(file);
	return is_it;
}

bool device_mount_point(unsigned int major, unsigned int minor,
			char path[DEVICE_PATH])
{
	return find_mount(major, minor, path, NULL, NULL);
}

/* Kernels before 5.8 do not say which mount it is. */
static bool open_mount(const char *path, unsigned int mount, void *result)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx stx;

	if (fd < 0)
		return false;
	if (!statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) &&
	    (!(stx.stx_mask & STATX_MNT_ID) || stx.stx_mnt_id == mount)) {
		*(int *)result = fd;
		return true;
	}
	close(fd);
	return false;
}

int device_mount_open(unsigned int major, unsigned int minor,
		      char path[DEVICE_PATH])
{
	int fd = -1;

	find_mount(major, minor, path, open_mount, &fd);
	return fd;
}

bool device_holder(unsigned int major, unsigned int minor,
		   char name[DEVICE_PATH])
{
	unsigned int holder_major, holder_minor;
	struct dirent *entry;
	char path[DEVICE_PATH];
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major,
		 minor);
	directory = opendir(path);
	if (!directory)
		return false;
	while (!found && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		found = true;
		snprintf(name, DEVICE_PATH, "%s", entry->d_name);
	}
	closedir(directory);
	if (!found)
		return false;
	snprintf(path, sizeof(path), "/sys/block/%.64s/dev", name);
	if (sscanf(name, "dm-%u", &holder_minor) == 1) {
		FILE *file = fopen(path, "re");

		if (file && fscanf(file, "%u:%u", &holder_major,
				   &holder_minor) == 2)
			device_path(holder_major, holder_minor, name);
		if (file)
			fclose(file);
	}
	return true;
}

bool device_backing_file(unsigned int major, unsigned int minor,
			 char path[DEVICE_PATH])
{
	return read_attribute(major, minor, "loop/backing_file", path,
			      DEVICE_PATH);
}

bool device_has_write_zeroes(unsigned int major, unsigned int minor)
{
	static const char name[] = "queue/write_zeroes_max_bytes";
	char text[64], above[64];

	/* A partition has the queue of its disk. */
	snprintf(above, sizeof(above), "../%s", name);
	if (!read_attribute(major, minor, name, text, sizeof(text)) &&
	    !read_attribute(major, minor, above, text, sizeof(text)))
		return false;
	return strcmp(text, "0");
}

static void write_event(const char *directory)
{
	char path[DEVICE_PATH];
	FILE *file;

	snprintf(path, sizeof(path), "%s/uevent", directory);
	file = fopen(path, "we");
	if (!file)
		return;
	fputs("change", file);
	fclose(file);
}

void device_announce(unsigned int major, unsigned int minor)
{
	char directory[64], path[DEVICE_PATH];
	struct dirent *entry;
	DIR *parts;

	snprintf(directory, sizeof(directory), "/sys/dev/block/%u:%u", major,
		 minor);
	write_event(directory);
	parts = opendir(directory);
	while (parts && (entry = readdir(parts))) {
		snprintf(path, sizeof(path), "%s/%.200s/partition", directory,
			 entry->d_name);
		if (access(path, F_OK))
			continue;
		*strrchr(path, '/') = '\0';
		write_event(path);
	}
	if (parts)
		closedir(parts);
}

int device_flush(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0 || fsync(fd))
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}
