// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device_file.h"
#include "generator.h"
#include "stacks_conf.h"
#include "core/format.h"

enum {
	ESCAPED_NAME = 4 * COWSTACK_NAME_SIZE,
	UNIT_NAME = ESCAPED_NAME + 64,
	UNIT_PATH = 4096,
};

static const char unit_directory[] = "/usr/lib/systemd/system";

/* --- the text of units --- */

/* As systemd-escape(1) does, which leaves no name two meanings. */
static void escape_name(const char *name, char text[ESCAPED_NAME])
{
	size_t used = 0;
	const char *c;

	text[0] = '\0';
	for (c = name; *c && used < ESCAPED_NAME; c++) {
		bool plain = isalnum((unsigned char)*c) || *c == '_' ||
			     *c == ':' || (*c == '.' && c > name);

		used += snprintf(text + used, ESCAPED_NAME - used,
				 plain ? "%c" : "\\x%02x", (unsigned char)*c);
	}
}

static void print_unit_name(const struct stacks_entry *entry,
			    char text[UNIT_NAME])
{
	char name[ESCAPED_NAME];

	escape_name(entry->name, name);
	snprintf(text, UNIT_NAME, "dmcommit-%s@%s.service",
		 entry->kind == STACKS_STORE ? "store" : "stack", name);
}

/* One word, of which none of @doubled means anything else. */
static void write_word(FILE *file, const char *word, const char *doubled)
{
	fputc('"', file);
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			fputc('\\', file);
		if (strchr(doubled, *word))
			fputc(*word, file);
		fputc(*word, file);
	}
	fputc('"', file);
}

static void write_need(FILE *file, const struct stacks_entry *below)
{
	char name[UNIT_NAME];

	if (!below)
		return;
	print_unit_name(below, name);
	fprintf(file, "Requires=%s\nAfter=%s\n", name, name);
}

static bool is_in_dev(const char *path)
{
	return !strncmp(path, "/dev/", 5);
}

static void write_unit_section(FILE *file, const struct stacks_conf *conf,
			       const struct stacks_entry *entry)
{
	fprintf(file, "# Made by dmcommit-generator\n[Unit]\nSourcePath=%s\n",
		conf->path);
	write_need(file, entry->store_entry);
	write_need(file, entry->device_entry);
	if (!is_in_dev(entry->device)) {
		fprintf(file, "RequiresMountsFor=");
		write_word(file, entry->device, "%");
		fputc('\n', file);
	}
	if (!entry->nofail)
		fprintf(file, "Before=dmcommit.target\n");
	/* What the root file system lies on stays until the very end. */
	if (!entry->initramfs)
		fprintf(file, "Conflicts=umount.target\n");
}

/* systemd takes no base for ready, so nothing but udev can be asked for it. */
static void write_service_section(FILE *file, const struct stacks_entry *entry)
{
	if (entry->device_entry || !is_in_dev(entry->device))
		return;
	fprintf(file, "\n[Service]\nExecStartPre=/usr/bin/udevadm wait --timeout=%s ",
		entry->device_timeout ? entry->device_timeout : "90");
	write_word(file, entry->device, "%$");
	fputc('\n', file);
}

/* --- files and links --- */

static enum exit_code make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return fail_errno(-errno, NULL, "%s", path);
	return EXIT_DONE;
}

static enum exit_code write_settings(const char *directory,
				     const struct stacks_conf *conf,
				     const struct stacks_entry *entry)
{
	char name[UNIT_NAME], path[UNIT_PATH];
	enum exit_code code;
	bool failed;
	FILE *file;

	print_unit_name(entry, name);
	snprintf(path, sizeof(path), "%s/%s.d", directory, name);
	code = make_directory(path);
	if (code)
		return code;
	snprintf(path, sizeof(path), "%s/%s.d/50-stacks.conf", directory, name);
	file = fopen(path, "wxe");
	if (!file)
		return fail_errno(-errno, NULL, "%s", path);
	write_unit_section(file, conf, entry);
	write_service_section(file, entry);
	failed = ferror(file);
	if (fclose(file) || failed)
		return fail_errno(-EIO, NULL, "%s", path);
	return EXIT_DONE;
}

/* @unit wants, or requires, another, as "UNIT.wants". */
static enum exit_code add_link(const char *directory, const char *unit,
			       const char *how, const char *name,
			       const char *file)
{
	char path[UNIT_PATH], target[UNIT_NAME];
	enum exit_code code;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, unit, how);
	code = make_directory(path);
	if (code)
		return code;
	snprintf(path, sizeof(path), "%s/%s.%s/%s", directory, unit, how, name);
	snprintf(target, sizeof(target), "%s/%s", unit_directory, file);
	if (symlink(target, path) && errno != EEXIST)
		return fail_errno(-errno, NULL, "%s", path);
	return EXIT_DONE;
}

/* A mount of a stack brings it up, also one that does not come up by itself. */
static enum exit_code add_device_link(const char *directory, const char *name,
				      const struct stacks_entry *entry)
{
	char escaped[ESCAPED_NAME], device[UNIT_NAME];

	escape_name(entry->name, escaped);
	snprintf(device, sizeof(device), "dev-mapper-%s.device", escaped);
	return add_link(directory, device, "requires", name,
			"dmcommit-stack@.service");
}

static enum exit_code generate(const char *directory,
			       const struct stacks_conf *conf,
			       const struct stacks_entry *entry)
{
	bool is_store = entry->kind == STACKS_STORE;
	char name[UNIT_NAME];
	enum exit_code code = write_settings(directory, conf, entry);

	print_unit_name(entry, name);
	if (!code && !entry->noauto)
		code = add_link(directory, "dmcommit.target",
				entry->nofail ? "wants" : "requires", name,
				is_store ? "dmcommit-store@.service" :
					   "dmcommit-stack@.service");
	if (!code && !is_store)
		code = add_device_link(directory, name, entry);
	return code;
}

static enum exit_code generate_all(const char *directory,
				   const struct stacks_conf *conf)
{
	enum exit_code code = EXIT_DONE, one;
	size_t i;

	if (conf->order_count)
		code = add_link(directory, "sysinit.target", "wants",
				"dmcommit.target", "dmcommit.target");
	for (i = 0; i < conf->order_count; i++) {
		one = generate(directory, conf, conf->order[i]);
		code = code ? code : one;
	}
	return code;
}

bool generator_is_meant(const char *name)
{
	const char *slash = strrchr(name, '/');

	return !strcmp(slash ? slash + 1 : name, "dmcommit-generator");
}

enum exit_code generator_run(int argc, char **argv)
{
	const char *path = argc > 4 ? argv[4] : stacks_conf_default_path();
	struct stacks_conf conf;
	enum exit_code code;

	if (argc < 2)
		return fail(EXIT_USAGE, "a generator is given directories");
	if (access(path, F_OK))
		return EXIT_DONE;
	code = stacks_conf_read(&conf, path);
	if (!code)
		code = generate_all(argv[1], &conf);
	stacks_conf_free(&conf);
	return code;
}
