// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "bring_up.h"
#include "device_tree.h"
#include "feature.h"
#include "store_file.h"

static enum exit_code target_check(const char *type)
{
	if (mapper_has_target(type))
		return EXIT_DONE;
	return fail(EXIT_FAILED,
		    "the kernel has no target %s: load module dm-cowstack",
		    type);
}

enum exit_code mapper_name_check(const char *name)
{
	struct mapped_device device;
	int error = mapper_find(name, &device);

	if (error == -ENXIO)
		return EXIT_DONE;
	if (error)
		return fail_errno(error, NULL, "mapped device %s", name);
	return fail(EXIT_REFUSED,
		    "there is a mapped device %s already; end its use, or choose another name",
		    name);
}

/* --- stores --- */

/* Before it was given a name, a store is called by its uuid. */
static void choose_store_name(const struct cowstack_superblock *superblock,
			      const char *uuid, char name[LINE_NAME])
{
	if (superblock->name[0])
		snprintf(name, LINE_NAME, "%s", superblock->name);
	else
		snprintf(name, LINE_NAME, "store-%.8s", uuid);
}

enum exit_code store_options_check(const struct options *options)
{
	char *words = feature_words(options->sets, options->set_count,
				    FEATURE_STORE, "");

	free(words);
	return words ? EXIT_DONE : EXIT_USAGE;
}

static enum exit_code attach_device(const struct device_file *device,
				    const char *uuid, const char *name,
				    const char *words)
{
	char text[2048], dm_uuid[LINE_DM_UUID];
	struct mapper_line line = {
		.length = device->bytes >> COWSTACK_SECTOR_SHIFT,
		.type = "cowstore",
		.text = text,
	};
	int error;

	snprintf(text, sizeof(text), "%u:%u%s", device->major, device->minor,
		 words);
	store_dm_uuid_print(uuid, dm_uuid);
	error = mapper_create(name, dm_uuid, &line, true);
	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot attach store %s on %s", name,
				  device->path);
	return EXIT_DONE;
}

static enum exit_code attach_backing(const char *path, const char *uuid,
				     const char *words,
				     struct attached_store *attached)
{
	struct backing backing;
	enum exit_code code = backing_open(&backing, path, false);

	if (code)
		return code;
	attached->major = backing.device.major;
	attached->minor = backing.device.minor;
	code = attach_device(&backing.device, uuid, attached->name, words);
	backing_close(&backing, !code);
	return code;
}

static enum exit_code check_not_attached(const struct inventory *inventory,
					 const struct device_file *device,
					 const char *uuid)
{
	size_t i;

	for (i = 0; i < inventory->store_count; i++) {
		const struct store *store = &inventory->stores[i];

		if (!strcmp(store->uuid, uuid) ||
		    (store->major == device->major &&
		     store->minor == device->minor))
			return fail(EXIT_REFUSED,
				    "%s: this store is attached already, as %s",
				    device->path, store->device.name);
	}
	return EXIT_DONE;
}

static enum exit_code check_wanted(const char *path, const char *wanted,
				   const char *name)
{
	if (!wanted || !strcmp(wanted, name))
		return EXIT_DONE;
	return fail(EXIT_REFUSED, "%s holds store %s, not %s", path, name,
		    wanted);
}

/*
 * @wanted: the name that it must have, or NULL.  *attached: what was done; of no
 * meaning after a failure.
 */
static enum exit_code attach(struct inventory *inventory, const char *path,
			     const char *const *sets, size_t set_count,
			     const char *wanted,
			     struct attached_store *attached)
{
	struct cowstack_superblock superblock;
	struct device_file device;
	char uuid[LINE_UUID];
	enum exit_code code;
	char *words;

	words = feature_words(sets, set_count, FEATURE_STORE, "");
	if (!words)
		return EXIT_USAGE;
	code = store_identify(path, &device, &superblock);
	if (!code && device.read_only)
		code = fail_errno(-EROFS, NULL, "%s", path);
	if (!code)
		code = target_check("cowstore");
	if (!code) {
		store_uuid_print(superblock.uuid, uuid);
		choose_store_name(&superblock, uuid, attached->name);
		code = check_wanted(path, wanted, attached->name);
	}
	if (!code)
		code = check_not_attached(inventory, &device, uuid);
	if (!code)
		code = mapper_name_check(attached->name);
	if (!code)
		code = attach_backing(path, uuid, words, attached);
	free(words);
	return code;
}

enum exit_code store_attach(struct inventory *inventory, const char *path,
			    const char *const *sets, size_t set_count,
			    const char *wanted)
{
	struct attached_store attached = { };

	return attach(inventory, path, sets, set_count, wanted, &attached);
}

static enum exit_code find_again(struct inventory *inventory, const char *text,
				 struct store **store)
{
	enum exit_code code;

	inventory_free(inventory);
	code = inventory_load(inventory);
	return code ? code : inventory_find_store(inventory, text, store);
}

enum exit_code store_prepare(struct inventory *inventory, const char *text,
			     struct store **store,
			     struct attached_store *attached)
{
	enum exit_code code = inventory_load(inventory);

	memset(attached, 0, sizeof(*attached));
	if (code)
		return code;
	if (inventory_store(inventory, text) || !strchr(text, '/'))
		return inventory_find_store(inventory, text, store);
	code = attach(inventory, text, NULL, 0, NULL, attached);
	if (code) {
		attached->name[0] = '\0';
		return code;
	}
	code = find_again(inventory, text, store);
	if (code)
		store_release(attached);
	return code;
}

/* What the command failed for was said; this adds no line to it. */
void store_release(struct attached_store *attached)
{
	if (!attached->name[0])
		return;
	mapper_remove(attached->name);
	loop_detach(attached->major, attached->minor);
	attached->name[0] = '\0';
}

/* --- stacks --- */

/*
 * The kernel looks through stacks of its own alone.  A base over its own store
 * would have a commit write into the store what it frees there, and one below it
 * would have it overwrite the store.
 */
static enum exit_code check_apart(const struct device_file *base,
				  const struct store *store)
{
	struct device_number base_number = { base->major, base->minor };
	struct device_number store_number = { store->device.major,
					      store->device.minor };
	struct device_number device_number = { store->major, store->minor };
	char path[DEVICE_PATH];

	device_path(store->major, store->minor, path);
	if (device_lies_on(base_number, store_number))
		return fail(EXIT_REFUSED,
			    "base %s lies on store %s, in which its own layers would be; give another base or another store",
			    base->path, store->device.name);
	if (device_lies_on(base_number, device_number))
		return fail(EXIT_REFUSED,
			    "base %s lies on %s, the device of store %s; give another base or another store",
			    base->path, path, store->device.name);
	if (device_lies_on(device_number, base_number))
		return fail(EXIT_REFUSED,
			    "%s, the device of store %s, lies on base %s; give another base or another store",
			    path, store->device.name, base->path);
	return EXIT_DONE;
}

static enum exit_code check_base(const struct device_file *base,
				 const struct options *options,
				 const struct store *store)
{
	char mounted[DEVICE_PATH];

	if (base->read_only && !options->read_only_base)
		return fail(EXIT_FAILED,
			    "base %s is read-only; make it writable, or say --read-only-base",
			    base->path);
	if (base->major == store->major && base->minor == store->minor)
		return fail(EXIT_REFUSED,
			    "base %s is the device of store %s itself; give another base",
			    base->path, store->device.name);
	if (base->major == store->device.major &&
	    base->minor == store->device.minor)
		return fail(EXIT_REFUSED,
			    "base %s is a store, which holds no image; give another base",
			    base->path);
	if (device_mount_point(base->major, base->minor, mounted))
		return fail(EXIT_REFUSED,
			    "base %s is mounted on %s; unmount it first",
			    base->path, mounted);
	return check_apart(base, store);
}

enum exit_code base_open(struct backing *base,
			 const struct options *options,
			 const struct store *store)
{
	enum exit_code code = backing_open(base, options->base,
					   options->read_only_base);

	if (code)
		return code;
	code = check_base(&base->device, options, store);
	if (code)
		backing_close(base, false);
	return code;
}

static char *stack_words(const struct options *options)
{
	char more[64];

	snprintf(more, sizeof(more), "%s%s",
		 options->accept_base ? " accept_base 1" : "",
		 options->read_only_base ? " read_only_base 1" : "");
	return feature_words(options->sets, options->set_count, FEATURE_STACK,
			     more);
}

enum exit_code stack_options_check(const struct options *options)
{
	char *words = stack_words(options);

	free(words);
	return words ? EXIT_DONE : EXIT_USAGE;
}

enum exit_code stack_bring_up(const struct store *store, u32 volume,
			      const char *name, u64 sectors,
			      const struct device_file *base,
			      const struct options *options)
{
	char text[2048], uuid[LINE_DM_UUID] = "";
	struct mapper_line line = {
		.length = sectors, .type = "cowstack", .text = text,
	};
	char *words = stack_words(options);
	int error;

	if (!words)
		return EXIT_USAGE;
	snprintf(text, sizeof(text), "%u:%u %u:%u %u%s", base->major,
		 base->minor, store->device.major, store->device.minor, volume,
		 words);
	free(words);
	/* A store that was attached by hand does not say who it is. */
	if (store->uuid[0])
		stack_dm_uuid_print(store->uuid, volume, uuid);
	error = mapper_create(name, uuid, &line, false);
	if (error)
		return fail_errno(error, mapper_reason(),
				  "cannot bring up %s over %s in store %s",
				  name, base->path, store->device.name);
	device_announce(base->major, base->minor);
	return EXIT_DONE;
}
