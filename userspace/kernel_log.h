/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device-mapper answers a failed request with an errno; the words are in the
 * kernel's log.  They are looked for there so that the tool's one line can have
 * them.  They are for people: nothing is decided by them.
 */
#ifndef DMCOMMIT_KERNEL_LOG_H
#define DMCOMMIT_KERNEL_LOG_H

#include <stddef.h>

/* From here on; a descriptor, or -1 where the log cannot be read. */
int kernel_log_begin(void);

/*
 * Ends what kernel_log_begin() began.  @text: what the last line about the
 * mapped device, known by its name or its number, says behind that name.
 * Return: its length, 0 if there is none.
 */
size_t kernel_log_end(int log, const char *name, const char *number,
		      char *text, size_t size);

/* Pure: finds the words in one record of /dev/kmsg; NULL: none for us. */
const char *kernel_log_match(char *record, const char *name,
			     const char *number);

#endif /* DMCOMMIT_KERNEL_LOG_H */
