// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include "offline_list.h"

static enum exit_code fail_without_line(const char *path, const char *name)
{
	return fail(EXIT_USAGE,
		    "start --offline needs --store, the store's device, and --base, the base's: no stack %s stands in %s",
		    name, path);
}

/* Where a commit goes when nothing else is said; NULL: to the base. */
static const char *named_destination(const struct stacks_entry *entry)
{
	static const char feature[] = "commit_base=";
	const char *value = NULL;
	size_t i;

	for (i = 0; i < entry->set_count; i++)
		if (!strncmp(entry->sets[i], feature, strlen(feature)))
			value = entry->sets[i] + strlen(feature);
	return value && strcmp(value, "0") ? value : NULL;
}

/* The base's device; of two tiers it is a stack, which has to be up. */
static enum exit_code take_base(const struct stacks_conf *conf,
				const struct stacks_entry *entry,
				struct options *options)
{
	if (entry->read_only_base)
		return fail(EXIT_REFUSED,
			    "%s:%u has read-only-base for %s; --base commits into it all the same",
			    conf->path, entry->line, entry->name);
	if (entry->device_entry && access(entry->device, F_OK))
		return fail(EXIT_MISSING,
			    "%s lies on the stack %s, which is not up; dmcommit up %s",
			    entry->name, entry->device_entry->name,
			    entry->device_entry->name);
	options->base = entry->device;
	return EXIT_DONE;
}

enum exit_code offline_list_look_up(struct stacks_conf *conf,
				    struct options *options)
{
	const char *path = options->config ? options->config :
					     stacks_conf_default_path();
	const char *name = options->arguments[0];
	const struct stacks_entry *entry;
	enum exit_code code;

	if (!options->config && access(path, F_OK))
		return fail_without_line(path, name);
	code = stacks_conf_read(conf, path);
	if (code)
		return code;
	entry = stacks_conf_find(conf, name);
	if (!entry || entry->kind != STACKS_STACK)
		return fail_without_line(path, name);
	/* What is wrong with a line was said when it was read. */
	if (entry->wrong || !entry->store_entry || entry->store_entry->wrong)
		return EXIT_FAILED;
	options->store = entry->store_entry->device;
	if (!options->base)
		options->base = named_destination(entry);
	return options->base ? EXIT_DONE : take_base(conf, entry, options);
}
