// SPDX-License-Identifier: GPL-2.0
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "all_stacks.h"
#include "bring_up.h"
#include "signals.h"
#include "take_down.h"
#include "volume_up.h"

/* --- what is there already --- */

static struct store *find_store(struct inventory *inventory, const char *name)
{
	size_t i;

	for (i = 0; i < inventory->store_count; i++)
		if (!strcmp(inventory->stores[i].device.name, name))
			return &inventory->stores[i];
	return NULL;
}

/* The stack of this entry, if it is up; one of another store is none. */
static struct volume *find_stack(struct inventory *inventory,
				 const struct stacks_entry *entry)
{
	struct store *store = find_store(inventory, entry->store);
	struct volume *volume = NULL;

	if (store)
		volume = inventory_volume_of(inventory, store, entry->name);
	return volume && volume->stack ? volume : NULL;
}

static bool is_device(const char *path, unsigned int major, unsigned int minor)
{
	char file[DEVICE_PATH];
	struct stat st, backing;

	if (stat(path, &st))
		return false;
	if (S_ISBLK(st.st_mode))
		return st.st_rdev == makedev(major, minor);
	return device_backing_file(major, minor, file) &&
	       !stat(file, &backing) && backing.st_dev == st.st_dev &&
	       backing.st_ino == st.st_ino;
}

static enum exit_code fail_other_device(const struct stacks_conf *conf,
					const struct stacks_entry *entry,
					unsigned int major, unsigned int minor)
{
	char path[DEVICE_PATH];

	return fail(EXIT_REFUSED, "%s is up on %s, not on %s as %s:%u says",
		    entry->name, device_path(major, minor, path),
		    entry->device, conf->path, entry->line);
}

/* --- up --- */

static enum exit_code store_up(const struct stacks_conf *conf,
			       const struct stacks_entry *entry)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);
	struct store *store = NULL;

	if (!code)
		store = find_store(&inventory, entry->name);
	if (!store && !code)
		code = store_attach(&inventory, entry->device, entry->sets,
				    entry->set_count, entry->name);
	else if (store && store->error)
		code = fail_errno(store->error, NULL, "store %s", entry->name);
	else if (store && !is_device(entry->device, store->major, store->minor))
		code = fail_other_device(conf, entry, store->major,
					 store->minor);
	inventory_free(&inventory);
	return code;
}

static enum exit_code bring_up(const struct stacks_entry *entry)
{
	struct options options = {
		.arguments = { entry->name }, .argument_count = 1,
		.store = entry->store, .base = entry->device,
		.read_only_base = entry->read_only_base,
		.set_count = entry->set_count,
	};
	struct inventory inventory = { };
	enum exit_code code;

	memcpy(options.sets, entry->sets, sizeof(options.sets));
	code = volume_up_in_store(&inventory, &options);
	inventory_free(&inventory);
	return code;
}

static enum exit_code stack_up(const struct stacks_conf *conf,
			       const struct stacks_entry *entry)
{
	unsigned int major, minor;
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);
	const struct volume *volume = NULL;

	if (!code)
		volume = find_stack(&inventory, entry);
	if (volume && volume_base_number(volume, &major, &minor) &&
	    !is_device(entry->device, major, minor))
		code = fail_other_device(conf, entry, major, minor);
	inventory_free(&inventory);
	if (code || volume)
		return code;
	return bring_up(entry);
}

/* What came of each entry, by its place in the file. */
enum progress { UNWANTED, WANTED, DONE, FAILED };

struct run {
	const struct stacks_conf *conf;
	enum progress *progress;
	enum exit_code code;		/* the first that counts */
};

static enum progress *progress_of(const struct run *run,
				  const struct stacks_entry *entry)
{
	return &run->progress[entry - run->conf->entries];
}

static enum exit_code begin_run(struct run *run, const struct stacks_conf *conf)
{
	memset(run, 0, sizeof(*run));
	run->conf = conf;
	run->progress = calloc(conf->count + 1, sizeof(*run->progress));
	return run->progress ? EXIT_DONE :
			       fail_errno(-ENOMEM, NULL, "%s", conf->path);
}

static void note_result(struct run *run, const struct stacks_entry *entry,
			enum exit_code code)
{
	*progress_of(run, entry) = code ? FAILED : DONE;
	if (code && !run->code && !entry->nofail)
		run->code = code;
}

static bool is_missing(const struct run *run, const struct stacks_entry *below)
{
	return below && (below->wrong || *progress_of(run, below) != DONE);
}

static enum exit_code entry_up(const struct run *run,
			       const struct stacks_entry *entry)
{
	const struct stacks_entry *below = NULL;

	if (is_missing(run, entry->store_entry))
		below = entry->store_entry;
	else if (is_missing(run, entry->device_entry))
		below = entry->device_entry;
	if (below)
		return fail(EXIT_FAILED,
			    "%s is not brought up, as it needs %s (%s:%u)",
			    entry->name, below->name, run->conf->path,
			    below->line);
	return entry->kind == STACKS_STORE ? store_up(run->conf, entry) :
					     stack_up(run->conf, entry);
}

static void want(const struct run *run, const struct stacks_entry *entry)
{
	if (entry && !entry->wrong)
		*progress_of(run, entry) = WANTED;
}

/* What a wanted one needs is wanted; it comes before it in the order. */
static void spread_wants(const struct run *run)
{
	size_t i = run->conf->order_count;

	while (i--) {
		const struct stacks_entry *entry = run->conf->order[i];

		if (*progress_of(run, entry) != WANTED)
			continue;
		want(run, entry->store_entry);
		want(run, entry->device_entry);
	}
}

static enum exit_code fail_without_line(const char *path, const char *name)
{
	return fail(EXIT_MISSING,
		    "no volume %s stands in %s, and no --base was given; see dmcommit list",
		    name, path);
}

static enum exit_code choose(const struct run *run,
			     const struct options *options)
{
	const struct stacks_conf *conf = run->conf;
	const char *name = options->arguments[0];
	const struct stacks_entry *entry;
	size_t i;

	if (name) {
		entry = stacks_conf_find(conf, name);
		if (!entry)
			return fail_without_line(conf->path, name);
		if (entry->wrong)
			return EXIT_FAILED;
		want(run, entry);
	}
	for (i = 0; i < conf->order_count && !name; i++)
		if (options->initramfs ? conf->order[i]->initramfs :
					 !conf->order[i]->noauto)
			want(run, conf->order[i]);
	spread_wants(run);
	return EXIT_DONE;
}

static void up_in_order(struct run *run)
{
	size_t i;

	for (i = 0; i < run->conf->order_count; i++) {
		const struct stacks_entry *entry = run->conf->order[i];

		if (*progress_of(run, entry) != WANTED)
			continue;
		signals_hold();
		note_result(run, entry, entry_up(run, entry));
		signals_release();
	}
}

static void up_all(struct run *run, const struct options *options)
{
	run->code = choose(run, options);
	if (!run->code)
		up_in_order(run);
}

/* --- down --- */

static enum exit_code stack_down(struct inventory *inventory,
				 const struct stacks_entry *entry)
{
	const struct volume *volume = find_stack(inventory, entry);

	return volume ? volume_take_down(volume) : EXIT_DONE;
}

static enum exit_code store_down(struct inventory *inventory,
				 const struct stacks_entry *entry)
{
	if (!find_store(inventory, entry->name))
		return EXIT_DONE;
	return store_take_down(inventory, entry->name);
}

static enum exit_code entry_down(const struct stacks_entry *entry)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	signals_hold();
	if (!code)
		code = entry->kind == STACKS_STORE ?
		       store_down(&inventory, entry) :
		       stack_down(&inventory, entry);
	signals_release();
	inventory_free(&inventory);
	return code;
}

static void keep(const struct run *run, const struct stacks_entry *below)
{
	if (below && !below->wrong)
		*progress_of(run, below) = FAILED;
}

/* What lies below one that stays has to stay; that was said once, of the first. */
static void down_all(struct run *run, const struct options *options)
{
	size_t i = run->conf->order_count;

	while (i--) {
		const struct stacks_entry *entry = run->conf->order[i];

		if (*progress_of(run, entry) != FAILED)
			note_result(run, entry, entry_down(entry));
		if (*progress_of(run, entry) != FAILED)
			continue;
		keep(run, entry->store_entry);
		keep(run, entry->device_entry);
	}
}

/* --- both --- */

/* A line that is wrong was said when it was read; it counts where all are meant. */
static enum exit_code end_run(struct run *run, const struct options *options)
{
	if (!run->code && options->all && run->conf->wrong_lines)
		run->code = EXIT_FAILED;
	free(run->progress);
	return run->code;
}

/* Whoever may not bring anything up has no use for what the list says. */
static enum exit_code check_permission(void)
{
	struct inventory inventory;
	enum exit_code code = inventory_load(&inventory);

	inventory_free(&inventory);
	return code;
}

static enum exit_code read_list(struct stacks_conf *conf, const char *path,
				const struct options *options)
{
	if (!options->all && !options->config && access(path, F_OK))
		return fail_without_line(path, options->arguments[0]);
	return stacks_conf_read(conf, path);
}

static enum exit_code for_all(const struct options *options,
			      void (*act)(struct run *run,
					  const struct options *options))
{
	const char *path = options->config ? options->config :
			   stacks_conf_default_path();
	enum exit_code code = check_permission();
	struct stacks_conf conf = { };
	struct run run;

	if (!code)
		code = read_list(&conf, path, options);
	if (!code)
		code = begin_run(&run, &conf);
	if (!code) {
		act(&run, options);
		code = end_run(&run, options);
	}
	stacks_conf_free(&conf);
	return code;
}

enum exit_code all_stacks_up(const struct options *options)
{
	return for_all(options, up_all);
}

enum exit_code all_stacks_down(const struct options *options)
{
	return for_all(options, down_all);
}
