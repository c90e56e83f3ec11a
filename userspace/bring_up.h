/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What attach, create and up share: making the mapped devices of stores and of
 * stacks.  A step that fails leaves nothing behind.
 */
#ifndef DMCOMMIT_BRING_UP_H
#define DMCOMMIT_BRING_UP_H

#include "backing.h"
#include "inventory.h"
#include "options.h"

/* A store that was attached on the way. */
struct attached_store {
	char name[LINE_NAME];		/* "": none was */
	unsigned int major, minor;	/* what it lies on */
};

/* Says what is wrong with the features given, before anything is done. */
enum exit_code store_options_check(const struct options *options);

/* Attaches the store on a device, or in a file.  @wanted: its name, NULL: any. */
enum exit_code store_attach(struct inventory *inventory, const char *path,
			    const char *const *sets, size_t set_count,
			    const char *wanted);

/*
 * The store called @text.  One on a device that is not attached is attached;
 * *attached tells, and is none after a failure.  The inventory is loaded here.
 */
enum exit_code store_prepare(struct inventory *inventory, const char *text,
			     struct store **store,
			     struct attached_store *attached);

/* Takes back what store_prepare() did, for a step after it failed. */
void store_release(struct attached_store *attached);

/*
 * Finds the base and checks what can be checked before the kernel is asked.
 * Held until backing_close().
 */
enum exit_code base_open(struct backing *base,
			 const struct options *options,
			 const struct store *store);

/* Is the name free for a mapped device?  Says so if not. */
enum exit_code mapper_name_check(const char *name);

/* The same of a stack's. */
enum exit_code stack_options_check(const struct options *options);

/* Makes the stack of a volume, over @base. */
enum exit_code stack_bring_up(const struct store *store, u32 volume,
			      const char *name, u64 sectors,
			      const struct device_file *base,
			      const struct options *options);

#endif /* DMCOMMIT_BRING_UP_H */
