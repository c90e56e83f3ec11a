/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stores and stacks looked like at one time, and what has changed between two.
 * Something that came and went in between was not seen.
 */
#ifndef DMCOMMIT_SIGHTING_H
#define DMCOMMIT_SIGHTING_H

#include "inventory.h"

struct sighted {
	bool is_store;
	char name[LINE_NAME];
	char store[LINE_NAME];		/* of a stack */
	char mode[LINE_WORD];
	bool out_of_space;		/* of a store */
	struct job_status job;		/* of a stack */
	u64 errors;
	u64 base_time;
};

struct sighting {
	struct sighted *things;
	size_t count;
};

struct change {
	const struct sighted *thing;
	const char *event;		/* up, down, mode, out_of_space, job */
	const char *value;
	const char *before;		/* NULL: nothing was known */
	bool urgent;			/* somebody should look */
};

/* To be freed, also after a failure, which it says. */
enum exit_code sighting_take(struct sighting *sighting);
void sighting_free(struct sighting *sighting);

/*
 * Calls @report for each change, in the order in which they are listed.
 * @before: NULL: this is the first look; then only what somebody should look at is
 * a change.
 */
void sighting_compare(const struct sighting *before,
		      const struct sighting *now,
		      void (*report)(const struct change *change, void *data),
		      void *data);

#endif /* DMCOMMIT_SIGHTING_H */
