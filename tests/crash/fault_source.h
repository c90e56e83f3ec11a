/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where one thing fails: the n-th request of a disk, or, on kernels that can make them,
 * a bio to a disk, or an allocation of the module.
 *
 * fail_make_request, failslab and fail_page_alloc let pass what is asked for until that is
 * so many bytes or pages in all ("space"), then one fails ("times"), whoever's thread it
 * is: so these are what their places are counted in, and what has no bytes, as an empty
 * flush, fails only at the first.  What counts as an allocation of the module, the caller
 * of this program has told them.
 */
#ifndef COWSTACK_CRASH_FAULT_SOURCE_H
#define COWSTACK_CRASH_FAULT_SOURCE_H

#include "core/environment.h"

enum fault_source {
	SOURCE_STORE,		/* a request of the store's device */
	SOURCE_STORE_STAYS,	/* that, and all that come after it */
	SOURCE_BASE,
	SOURCE_BASE_STAYS,
	SOURCE_BIOS,		/* to any of the disks, which never see it */
	SOURCE_SLAB,		/* kmalloc and the like */
	SOURCE_PAGES,
	SOURCES,
};

const char *fault_source_name(enum fault_source source);
/* SOURCES: no such name. */
enum fault_source fault_source_find(const char *name);
/* What its places are counted in. */
const char *fault_source_unit(enum fault_source source);
/* Does the kernel make it?  Then its places are bytes or pages. */
bool fault_source_is_of_kernel(enum fault_source source);
bool fault_source_is_memory(enum fault_source source);

/* From now on, place @n fails, from 1. */
void fault_arm(enum fault_source source, u64 n);
/* Has it failed by now? */
bool fault_has_fired(void);
/*
 * Was it a write, or a flush, of a base, and all others behind it?  Users' never are, and
 * what fails once a commit tries again in parts.
 */
bool fault_stays_in_commit(void);
/* Nothing fails any more. */
void fault_disarm(void);

/* Counts the places of @wanted sources while nothing fails. */
void fault_begin_count(const bool wanted[SOURCES]);
void fault_end_count(u64 counts[SOURCES]);

#endif /* COWSTACK_CRASH_FAULT_SOURCE_H */
