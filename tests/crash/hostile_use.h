/* SPDX-License-Identifier: GPL-2.0 */
/* A store that the module has taken has to be usable, whoever wrote it. */
#ifndef COWSTACK_CRASH_HOSTILE_USE_H
#define COWSTACK_CRASH_HOSTILE_USE_H

#include "random.h"

struct hostile_volume {
	u32 id;
	u32 layer;			/* the top one, as it was loaded */
	u64 sectors;
};

/* 0 or a negative errno. */
int hostile_open_store(const char *path, u64 sectors);
int hostile_close_store(void);

/*
 * A stack is brought up, read, written to, flushed; a snapshot, a job, other messages
 * follow, and what was seen is still seen.
 */
void hostile_use_volume(const struct hostile_volume *volume, struct random *r);
/* Volumes are made, cloned, deleted. */
void hostile_use_store(const struct hostile_volume *volumes, u32 count,
		       struct random *r);
/* How much of that there was. */
void hostile_use_print(void);

#endif /* COWSTACK_CRASH_HOSTILE_USE_H */
