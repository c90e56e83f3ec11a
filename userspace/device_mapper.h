/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libdevmapper, and nothing but it: the one file that knows it is
 * device_mapper.c.  Errors are negative errnos; what the kernel logged of a
 * failed request is in mapper_reason().
 *
 * Where udev runs, it makes the nodes and is waited for; where it does not, or
 * with DM_DISABLE_UDEV, libdevmapper makes them.  -EUSERS: there is no semaphore
 * to wait for udev with.  Signals are held back while a device is made, changed
 * or removed.
 */
#ifndef DMCOMMIT_DEVICE_MAPPER_H
#define DMCOMMIT_DEVICE_MAPPER_H

#include "target_line.h"

struct mapped_device {
	char name[LINE_NAME];
	char uuid[LINE_DM_UUID];
	unsigned int major, minor;
};

/* One line of a table; for a status, what the target says. */
struct mapper_line {
	u64 start;			/* sectors */
	u64 length;
	char type[LINE_WORD];
	char *text;			/* to be freed */
	unsigned int lines;		/* that the table has in all */
};

enum mapper_query { MAPPER_TABLE, MAPPER_STATUS };

/* Mapped devices whose target is @type; the array is to be freed. */
int mapper_list(const char *type, struct mapped_device **devices,
		size_t *count);

/* -ENXIO: there is none. */
int mapper_find(const char *name, struct mapped_device *device);

/* The first line of the table; -ENXIO: no device, -ENODATA: no table. */
int mapper_query(const char *name, enum mapper_query query,
		 struct mapper_line *line);

/* Has the kernel a target of this type, once its module was asked for? */
bool mapper_has_target(const char *type);

/*
 * Makes a device with one line of table and sets it going; nothing is left of
 * it after an error.  @hidden: udev's rules for disks pass it by.
 */
int mapper_create(const char *name, const char *uuid,
		  const struct mapper_line *line, bool hidden);

/*
 * Puts another table of one line into use in place of one such, without waiting
 * for I/O.  After an error the old one is in use; where even that could not be,
 * mapper_reason() says so.
 */
int mapper_reload(const char *name, const struct mapper_line *line);

/* Where udev runs it may have the device open for a moment: that is sat out. */
int mapper_remove(const char *name);

/*
 * @sector: of the device, says which target is meant.  @reply: to be freed, NULL
 * where the target said nothing; may be NULL.
 */
int mapper_message(const char *name, u64 sector, const char *message,
		   char **reply);

/* "/dev/mapper" */
const char *mapper_directory(void);

/* What the kernel said of the last request that failed, or NULL. */
const char *mapper_reason(void);

void mapper_exit(void);

#endif /* DMCOMMIT_DEVICE_MAPPER_H */
