// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel_log.h"
#include "core/environment.h"

int kernel_log_begin(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log >= 0 && lseek(log, 0, SEEK_END) < 0) {
		close(log);
		log = -1;
	}
	return log;
}

/* Behind "@prefix@what: ", or NULL. */
static const char *behind(const char *text, const char *prefix,
			  const char *what)
{
	char start[256];
	const char *found;

	snprintf(start, sizeof(start), "%s%s: ", prefix, what);
	found = strstr(text, start);
	return found ? found + strlen(start) : NULL;
}

/* dm ends what it logs of a constructor with the errno: " (-EINVAL)". */
static void cut_errno(char *text)
{
	char *end = strrchr(text, '(');

	if (end > text && end[1] == '-' && text[strlen(text) - 1] == ')')
		end[-1] = '\0';
}

/*
 *	device-mapper: table: 253:1: cowstack: no such volume (-ENOENT)
 *	device-mapper: cowstack: vm1: commit start: top 9: no such layer
 */
const char *kernel_log_match(char *record, const char *name,
			     const char *number)
{
	static const char * const prefixes[] = {
		"cowstack: ", "cowstore: ", "cowstack ", "cowstore ",
	};
	char *text = strchr(record, ';');
	const char *found;
	size_t i;

	if (!text)
		return NULL;
	text++;
	text[strcspn(text, "\n")] = '\0';
	cut_errno(text);
	found = behind(text, "table: ", number);
	if (found && strchr(found, ' '))
		return strchr(found, ' ') + 1;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		found = behind(text, prefixes[i], name);
		if (!found)
			found = behind(text, prefixes[i], number);
		if (found && *found)
			return found;
	}
	return NULL;
}

size_t kernel_log_end(int log, const char *name, const char *number,
		      char *text, size_t size)
{
	char record[8192];
	const char *found;
	ssize_t bytes;

	text[0] = '\0';
	if (log < 0)
		return 0;
	for (;;) {
		bytes = read(log, record, sizeof(record) - 1);
		/* EPIPE: records were lost; what follows may still be ours. */
		if (bytes < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (bytes <= 0)
			break;
		record[bytes] = '\0';
		found = kernel_log_match(record, name, number);
		if (found)
			snprintf(text, size, "%s", found);
	}
	close(log);
	return strlen(text);
}
