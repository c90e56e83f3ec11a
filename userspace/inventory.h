/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stores that are attached and volumes, up or down, as the kernel knows them,
 * and finding one of them by what a user calls it.
 */
#ifndef DMCOMMIT_INVENTORY_H
#define DMCOMMIT_INVENTORY_H

#include "device_file.h"
#include "device_mapper.h"

struct store {
	struct mapped_device device;
	char uuid[LINE_UUID];		/* "": the table was not made by us */
	unsigned int major, minor;	/* what it lies on */
	struct store_status status;
	int error;			/* it answered with this */
};

struct volume {
	struct store *store;		/* NULL: not attached (any more) */
	struct volume_line line;
	struct mapped_device *stack;	/* NULL: down */
	char name[LINE_NAME];		/* the stack's, if it is up; "#7" */
};

struct inventory {
	struct store *stores;
	size_t store_count;
	struct mapped_device *stacks;
	size_t stack_count;
	struct volume *volumes;
	size_t volume_count;
};

/* Asks the kernel for everything; to be freed, also after a failure. */
enum exit_code inventory_load(struct inventory *inventory);
void inventory_free(struct inventory *inventory);

/* A store by its name or by its device.  NULL, without a word: there is none. */
struct store *inventory_store(struct inventory *inventory, const char *text);

/* The same, or says that there is none. */
enum exit_code inventory_find_store(struct inventory *inventory,
				    const char *text, struct store **store);

/*
 * A volume: VOL, STORE/VOL, the path of a stack; #ID instead of a name.  Says
 * what is wrong: that there is none, that two stores have one.
 */
enum exit_code inventory_find_volume(struct inventory *inventory,
				     const char *text, struct volume **volume);

/* The volume of this name or id in one store, or NULL. */
struct volume *inventory_volume_of(struct inventory *inventory,
				   const struct store *store, const char *name);

u64 store_chunk_bytes(const struct store *store);

/* 0: its store is not attached. */
u64 volume_chunk_bytes(const struct volume *volume);

/* What it lies on now; while it is down, what it lay on last. */
const char *volume_base_path(const struct volume *volume,
			     char path[DEVICE_PATH]);

/* The device that it lies on now; false: it is down. */
bool volume_base_number(const struct volume *volume, unsigned int *major,
			unsigned int *minor);

/* Lowest id that no volume of the store has, or -1: none is left. */
s64 inventory_free_id(const struct inventory *inventory,
		      const struct store *store);

/*
 * For commands that take a store or else a volume: one of the two is NULL then; and
 * that for what can only be done while the volume is up.
 */
enum exit_code inventory_find_either(struct inventory *inventory,
				     const char *text, struct store **store,
				     struct volume **volume);
enum exit_code inventory_find_live(struct inventory *inventory,
				   const char *text, struct store **store,
				   struct volume **volume);

/* The same as _find_volume, for what can only be done while it is up. */
enum exit_code inventory_find_stack(struct inventory *inventory,
				    const char *text, struct volume **volume);

#endif /* DMCOMMIT_INVENTORY_H */
