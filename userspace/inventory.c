// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "inventory.h"
#include "loop_device.h"
#include "size.h"

/* --- asking the kernel --- */

static int add_volume(struct inventory *inventory, const struct volume *volume)
{
	struct volume *more;

	more = reallocarray(inventory->volumes, inventory->volume_count + 1,
			    sizeof(*more));
	if (!more)
		return -ENOMEM;
	inventory->volumes = more;
	more[inventory->volume_count++] = *volume;
	return 0;
}

static void set_volume_name(struct volume *volume)
{
	if (volume->stack)
		snprintf(volume->name, sizeof(volume->name), "%s",
			 volume->stack->name);
	else if (volume->line.name[0])
		snprintf(volume->name, sizeof(volume->name), "%s",
			 volume->line.name);
	else
		snprintf(volume->name, sizeof(volume->name), "#%u",
			 volume->line.id);
}

static int add_volumes(struct inventory *inventory, struct store *store,
		       const char *reply)
{
	struct volume volume = { .store = store };
	int error = 0;

	while (*reply && !error) {
		error = volume_line_parse(reply, &volume.line);
		if (!error)
			error = add_volume(inventory, &volume);
		reply += strcspn(reply, "\n");
		reply += strspn(reply, "\n");
	}
	return error;
}

static int query_store(struct store *store)
{
	struct store_table table;
	struct mapper_line line;
	int error = mapper_query(store->device.name, MAPPER_TABLE, &line);

	if (error)
		return error;
	error = store_table_parse(line.text, &table);
	free(line.text);
	if (error)
		return error;
	store->major = table.major;
	store->minor = table.minor;
	error = mapper_query(store->device.name, MAPPER_STATUS, &line);
	if (error)
		return error;
	error = store_status_parse(line.text, &store->status);
	free(line.text);
	return error;
}

static int load_store(struct inventory *inventory, struct store *store)
{
	char *reply;
	int error = query_store(store);

	if (error)
		return error;
	error = mapper_message(store->device.name, 0, "volumes", &reply);
	if (!error && reply)
		error = add_volumes(inventory, store, reply);
	free(reply);
	return error;
}

static int load_stores(struct inventory *inventory)
{
	struct mapped_device *devices;
	size_t count, i;
	int error = mapper_list("cowstore", &devices, &count);

	if (error)
		return error;
	inventory->stores = calloc(count + 1, sizeof(*inventory->stores));
	if (!inventory->stores)
		error = -ENOMEM;
	for (i = 0; i < count && !error; i++) {
		struct store *store =
			&inventory->stores[inventory->store_count];

		store->device = devices[i];
		store_dm_uuid_parse(devices[i].uuid, store->uuid);
		/* One that does not answer must not hide the others. */
		store->error = load_store(inventory, store);
		inventory->store_count++;
	}
	free(devices);
	return error;
}

static struct store *store_of_number(struct inventory *inventory,
				     unsigned int major, unsigned int minor)
{
	size_t i;

	for (i = 0; i < inventory->store_count; i++)
		if (inventory->stores[i].device.major == major &&
		    inventory->stores[i].device.minor == minor)
			return &inventory->stores[i];
	return NULL;
}

static struct volume *volume_of_id(struct inventory *inventory,
				   const struct store *store, u32 id)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++)
		if (inventory->volumes[i].store == store &&
		    inventory->volumes[i].line.id == id)
			return &inventory->volumes[i];
	return NULL;
}

static int query_stack(const char *name, struct stack_table *table,
		       u64 *sectors)
{
	struct mapper_line line;
	int error = mapper_query(name, MAPPER_TABLE, &line);

	*sectors = line.length;
	if (!error)
		error = stack_table_parse(line.text, table);
	free(line.text);
	return error;
}

/* A stack is a volume that is up, also where its store does not tell of it. */
static int load_stack(struct inventory *inventory, struct mapped_device *stack)
{
	struct volume unknown = { };
	struct volume *volume = NULL;
	struct stack_table table;

	/* It may have gone meanwhile. */
	if (query_stack(stack->name, &table, &unknown.line.sectors))
		return 0;
	unknown.store = store_of_number(inventory, table.store_major,
					table.store_minor);
	if (unknown.store)
		volume = volume_of_id(inventory, unknown.store, table.volume);
	if (volume) {
		volume->stack = stack;
		return 0;
	}
	unknown.line.id = table.volume;
	unknown.line.up = true;
	unknown.stack = stack;
	return add_volume(inventory, &unknown);
}

static int load_stacks(struct inventory *inventory)
{
	size_t i;
	int error = mapper_list("cowstack", &inventory->stacks,
				&inventory->stack_count);

	for (i = 0; i < inventory->stack_count && !error; i++)
		error = load_stack(inventory, &inventory->stacks[i]);
	return error;
}

enum exit_code inventory_load(struct inventory *inventory)
{
	size_t i;
	int error;

	memset(inventory, 0, sizeof(*inventory));
	error = load_stores(inventory);
	if (!error)
		error = load_stacks(inventory);
	if (error)
		return fail_errno(error, NULL, "cannot list mapped devices");
	for (i = 0; i < inventory->volume_count; i++)
		set_volume_name(&inventory->volumes[i]);
	return EXIT_DONE;
}

void inventory_free(struct inventory *inventory)
{
	free(inventory->stores);
	free(inventory->stacks);
	free(inventory->volumes);
	memset(inventory, 0, sizeof(*inventory));
}

/* --- finding by name --- */

static bool is_number_of(const struct mapped_device *device,
			 const struct stat *st)
{
	return major(st->st_rdev) == device->major &&
	       minor(st->st_rdev) == device->minor;
}

/* The block device that a path leads to; a file's is a loop device. */
static bool find_number(const char *path, unsigned int *major,
			unsigned int *minor)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (S_ISREG(st.st_mode))
		return loop_find(&st, major, minor);
	*major = major(st.st_rdev);
	*minor = minor(st.st_rdev);
	return S_ISBLK(st.st_mode);
}

struct store *inventory_store(struct inventory *inventory, const char *text)
{
	unsigned int major, minor;
	bool block = strchr(text, '/') && find_number(text, &major, &minor);
	size_t i;

	for (i = 0; i < inventory->store_count; i++) {
		struct store *store = &inventory->stores[i];

		if (!strcmp(store->device.name, text))
			return store;
		if (block && ((store->device.major == major &&
			       store->device.minor == minor) ||
			      (store->major == major && store->minor == minor)))
			return store;
	}
	return NULL;
}

enum exit_code inventory_find_store(struct inventory *inventory,
				    const char *text, struct store **store)
{
	struct stat st;

	*store = inventory_store(inventory, text);
	if (*store && (*store)->error)
		return fail_errno((*store)->error, NULL, "store %s", text);
	if (*store)
		return EXIT_DONE;
	if (strchr(text, '/') && stat(text, &st))
		return fail_errno(-errno, NULL, "%s", text);
	return fail(EXIT_MISSING, "no store %s is attached; see dmcommit list",
		    text);
}

static bool volume_is_called(const struct volume *volume, const char *name)
{
	u64 id;

	if (name[0] == '#')
		return !number_parse(name + 1, U32_MAX, &id) &&
		       id == volume->line.id;
	return !strcmp(volume->line.name, name) || !strcmp(volume->name, name);
}

struct volume *inventory_volume_of(struct inventory *inventory,
				   const struct store *store, const char *name)
{
	size_t i;

	for (i = 0; i < inventory->volume_count; i++)
		if (inventory->volumes[i].store == store &&
		    volume_is_called(&inventory->volumes[i], name))
			return &inventory->volumes[i];
	return NULL;
}

static enum exit_code find_by_path(struct inventory *inventory,
				   const char *path, struct volume **volume)
{
	struct stat st;
	size_t i;

	if (stat(path, &st))
		return fail_errno(-errno, NULL, "%s", path);
	for (i = 0; i < inventory->volume_count; i++) {
		struct volume *v = &inventory->volumes[i];

		if (v->stack && S_ISBLK(st.st_mode) &&
		    is_number_of(v->stack, &st)) {
			*volume = v;
			return EXIT_DONE;
		}
	}
	return fail(EXIT_MISSING, "%s is no stack; see dmcommit list", path);
}

static enum exit_code find_in_store(struct inventory *inventory,
				    const char *text, struct volume **volume)
{
	const char *slash = strchr(text, '/');
	char name[LINE_NAME];
	struct store *store;

	if (slash - text >= (ssize_t)sizeof(name))
		return fail(EXIT_USAGE, "\"%s\" is no volume's name", text);
	snprintf(name, sizeof(name), "%.*s", (int)(slash - text), text);
	store = inventory_store(inventory, name);
	if (!store)
		return fail(EXIT_MISSING,
			    "no store %s is attached; see dmcommit list",
			    name);
	*volume = inventory_volume_of(inventory, store, slash + 1);
	if (!*volume)
		return fail(EXIT_MISSING,
			    "store %s has no volume %s; see dmcommit list", name,
			    slash + 1);
	return EXIT_DONE;
}

static const char *store_name(const struct volume *volume)
{
	return volume->store ? volume->store->device.name : "?";
}

/* *volume is NULL where there is none. */
static enum exit_code find_anywhere(struct inventory *inventory,
				    const char *name, struct volume **volume)
{
	struct volume *found = NULL;
	size_t i;

	for (i = 0; i < inventory->volume_count; i++) {
		struct volume *v = &inventory->volumes[i];

		if (!volume_is_called(v, name))
			continue;
		if (found)
			return fail(EXIT_USAGE,
				    "stores %s and %s both have a volume %s: say STORE/%s",
				    store_name(found), store_name(v), name,
				    name);
		found = v;
	}
	*volume = found;
	return EXIT_DONE;
}

enum exit_code inventory_find_volume(struct inventory *inventory,
				     const char *text, struct volume **volume)
{
	enum exit_code code;

	if (is_device_path(text))
		return find_by_path(inventory, text, volume);
	if (strchr(text, '/'))
		return find_in_store(inventory, text, volume);
	code = find_anywhere(inventory, text, volume);
	if (!code && !*volume)
		code = fail(EXIT_MISSING,
			    "no volume %s in any attached store; see dmcommit list",
			    text);
	return code;
}

enum exit_code inventory_find_either(struct inventory *inventory,
				     const char *text, struct store **store,
				     struct volume **volume)
{
	enum exit_code code;

	*volume = NULL;
	*store = inventory_store(inventory, text);
	if (*store)
		return EXIT_DONE;
	if (strchr(text, '/'))
		return inventory_find_volume(inventory, text, volume);
	code = find_anywhere(inventory, text, volume);
	if (!code && !*volume)
		code = fail(EXIT_MISSING,
			    "%s is no attached store, and no volume of one; see dmcommit list",
			    text);
	return code;
}

static enum exit_code check_up(const struct volume *volume, const char *text)
{
	return volume->stack ? EXIT_DONE :
		fail(EXIT_FAILED, "volume %s is not up; dmcommit up brings it up",
		     text);
}

enum exit_code inventory_find_stack(struct inventory *inventory,
				    const char *text, struct volume **volume)
{
	enum exit_code code = inventory_find_volume(inventory, text, volume);

	return code ? code : check_up(*volume, text);
}

enum exit_code inventory_find_live(struct inventory *inventory,
				   const char *text, struct store **store,
				   struct volume **volume)
{
	enum exit_code code = inventory_find_either(inventory, text, store,
						    volume);

	return code || *store ? code : check_up(*volume, text);
}

u64 store_chunk_bytes(const struct store *store)
{
	return store->status.chunk_sectors << COWSTACK_SECTOR_SHIFT;
}

u64 volume_chunk_bytes(const struct volume *volume)
{
	return volume->store ? store_chunk_bytes(volume->store) : 0;
}

bool volume_base_number(const struct volume *volume, unsigned int *major,
			unsigned int *minor)
{
	struct stack_table table;
	u64 sectors;

	if (!volume->stack ||
	    query_stack(volume->stack->name, &table, &sectors))
		return false;
	*major = table.base_major;
	*minor = table.base_minor;
	return true;
}

const char *volume_base_path(const struct volume *volume,
			     char path[DEVICE_PATH])
{
	unsigned int major, minor;

	if (!volume_base_number(volume, &major, &minor))
		return volume->line.base_name;
	return device_path(major, minor, path);
}

s64 inventory_free_id(const struct inventory *inventory,
		      const struct store *store)
{
	u32 id;
	size_t i;

	for (id = 1; id < 1u << COWSTACK_VOLUME_ID_BITS; id++) {
		for (i = 0; i < inventory->volume_count; i++)
			if (inventory->volumes[i].store == store &&
			    inventory->volumes[i].line.id == id)
				break;
		if (i == inventory->volume_count)
			return id;
	}
	return -1;
}
