/* SPDX-License-Identifier: GPL-2.0 */
/* dm devices, by libdevmapper; each call returns 0 or a negative errno. */
#ifndef COWSTACK_CRASH_MAPPER_H
#define COWSTACK_CRASH_MAPPER_H

#include "core/environment.h"

void mapper_init(void);
int mapper_create(const char *name, u64 sectors, const char *target,
		  const char *parameters);
/* Another table for one that is live. */
int mapper_reload(const char *name, u64 sectors, const char *target,
		  const char *parameters);
int mapper_remove(const char *name);
/* A device without a table; one that is loaded, and not live; that again, as text; it goes. */
int mapper_make(const char *name);
int mapper_load(const char *name, u64 sectors, const char *target,
		const char *parameters);
int mapper_loaded(const char *name, char *text, size_t bytes);
int mapper_clear(const char *name);
/* How many events there were. */
u32 mapper_events(const char *name);
int mapper_message(const char *name, const char *message);
/* The answer of a message that asks, or the status line, in @text. */
int mapper_ask(const char *name, const char *message, char *text, size_t bytes);
int mapper_status(const char *name, char *text, size_t bytes);

#endif /* COWSTACK_CRASH_MAPPER_H */
