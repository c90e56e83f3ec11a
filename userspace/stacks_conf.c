// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "device_file.h"
#include "feature.h"
#include "stacks_conf.h"
#include "core/format.h"

enum { MAX_FIELDS = 5 };

static void __printf(3, 4) complain(struct stacks_conf *conf,
				    unsigned int line, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fail(EXIT_FAILED, "%s:%u: %s", conf->path, line, text);
	conf->wrong_lines++;
}

/* --- one line --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Return: how many there are, of which the first MAX_FIELDS are in @fields. */
static unsigned int split_line(char *line, char *fields[MAX_FIELDS])
{
	unsigned int count = 0;

	memset(fields, 0, MAX_FIELDS * sizeof(*fields));
	for (;;) {
		while (is_blank(*line))
			line++;
		if (!*line)
			return count;
		if (count < MAX_FIELDS)
			fields[count] = line;
		count++;
		while (*line && !is_blank(*line))
			line++;
		if (*line)
			*line++ = '\0';
	}
}

static bool has_control_character(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' ? line[i] != '\t' :
						   line[i] == 0x7f)
			return true;
	return false;
}

static bool is_duration(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;

	return digits && digits < 10 &&
	       (!*unit || !strcmp(unit, "s") || !strcmp(unit, "min"));
}

/* What a line must not settle for good. */
static const char *refused_feature(const struct stacks_entry *entry,
				   const char *option)
{
	if (entry->kind != STACKS_STACK)
		return NULL;
	if (!strncmp(option, "accept_base=", 12))
		return "accept_base is for once: dmcommit up --accept-base";
	if (!strncmp(option, "layer=", 6))
		return "a view of a layer is no stack that is brought up at boot";
	return NULL;
}

static bool take_feature(struct stacks_entry *entry, const char *option,
			 char why[FEATURE_WHY])
{
	enum feature_target target = entry->kind == STACKS_STORE ?
				     FEATURE_STORE : FEATURE_STACK;
	const char *refused = refused_feature(entry, option);

	if (refused) {
		snprintf(why, FEATURE_WHY, "%s", refused);
		return false;
	}
	if (!feature_check(option, target, why))
		return false;
	if (entry->set_count == OPTIONS_MAX_SETS) {
		snprintf(why, FEATURE_WHY, "too many features");
		return false;
	}
	entry->sets[entry->set_count++] = option;
	return true;
}

static bool take_timeout(struct stacks_entry *entry, const char *time,
			 char why[FEATURE_WHY])
{
	entry->device_timeout = time;
	if (is_duration(time))
		return true;
	snprintf(why, FEATURE_WHY, "\"%.64s\" is not SECONDS, or 5min", time);
	return false;
}

/* Options that are words. */
static bool take_word(struct stacks_entry *entry, const char *option)
{
	if (!strcmp(option, "noauto"))
		entry->noauto = true;
	else if (!strcmp(option, "nofail"))
		entry->nofail = true;
	else if (!strcmp(option, "initramfs"))
		entry->initramfs = true;
	else if (!strcmp(option, "read-only-base") &&
		 entry->kind == STACKS_STACK)
		entry->read_only_base = true;
	else
		return false;
	return true;
}

static bool take_option(struct stacks_entry *entry, const char *option,
			char why[FEATURE_WHY])
{
	static const char timeout[] = "x-systemd.device-timeout=";

	if (take_word(entry, option))
		return true;
	if (!strncmp(option, timeout, strlen(timeout)))
		return take_timeout(entry, option + strlen(timeout), why);
	if (strchr(option, '='))
		return take_feature(entry, option, why);
	snprintf(why, FEATURE_WHY, "no option \"%.64s\" for a %s", option,
		 entry->kind == STACKS_STORE ? "store" : "stack");
	return false;
}

static bool take_options(struct stacks_conf *conf, struct stacks_entry *entry,
			 char *list)
{
	char why[FEATURE_WHY], *option;

	if (!list || !strcmp(list, "-") || !strcmp(list, "none"))
		return true;
	while ((option = strsep(&list, ","))) {
		if (take_option(entry, option, why))
			continue;
		complain(conf, entry->line, "%s", why);
		return false;
	}
	return true;
}

/* "/dev/mapper/vm1" or "/dev/disk/by-id/dm-name-vm1": the name in it, or NULL. */
static const char *mapped_name(const char *device)
{
	static const char * const places[] = {
		"/dev/mapper/", "/dev/disk/by-id/dm-name-",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!strncmp(device, places[i], strlen(places[i])))
			return device + strlen(places[i]);
	return NULL;
}

static bool check_device(struct stacks_conf *conf,
			 const struct stacks_entry *entry)
{
	const char *what = entry->kind == STACKS_STORE ? "device" : "base";

	if (entry->device[0] == '/' && strlen(entry->device) < DEVICE_PATH)
		return true;
	complain(conf, entry->line, "%s \"%.64s\" is no absolute path", what,
		 entry->device);
	return false;
}

static bool check_name(struct stacks_conf *conf, unsigned int line,
		       const char *name)
{
	if (cowstack_name_is_valid(name))
		return true;
	complain(conf, line,
		 "\"%.64s\" is no name: 1 to 63 of A-Z a-z 0-9 . _ + - not starting with -",
		 name);
	return false;
}

static bool take_fields(struct stacks_conf *conf, struct stacks_entry *entry,
			char *fields[MAX_FIELDS], unsigned int count)
{
	unsigned int wanted = entry->kind == STACKS_STORE ? 3 : 4;

	if (count < wanted || count > wanted + 1) {
		complain(conf, entry->line, "%s: %s",
			 count < wanted ? "something is missing" :
					  "something is too many",
			 entry->kind == STACKS_STORE ?
			 "store NAME DEVICE [OPTIONS]" :
			 "stack NAME STORE BASE [OPTIONS]");
		return false;
	}
	entry->name = fields[1];
	entry->store = entry->kind == STACKS_STACK ? fields[2] : NULL;
	entry->device = fields[wanted - 1];
	return check_name(conf, entry->line, entry->name) &&
	       (!entry->store || check_name(conf, entry->line, entry->store)) &&
	       check_device(conf, entry) &&
	       take_options(conf, entry, count > wanted ? fields[wanted] : NULL);
}

static struct stacks_entry *add_entry(struct stacks_conf *conf)
{
	struct stacks_entry *more;

	/* It grows by doubling; pointers into it are made when it is complete. */
	if (!(conf->count & (conf->count - 1))) {
		more = reallocarray(conf->entries,
				    conf->count ? 2 * conf->count : 1,
				    sizeof(*more));
		if (!more)
			return NULL;
		conf->entries = more;
	}
	memset(&conf->entries[conf->count], 0, sizeof(*more));
	return &conf->entries[conf->count++];
}

static int parse_line(struct stacks_conf *conf, unsigned int number, char *line,
		      size_t length)
{
	char *fields[MAX_FIELDS];
	struct stacks_entry *entry;
	unsigned int count;

	if (has_control_character(line, length)) {
		complain(conf, number, "there is a control character in it");
		return 0;
	}
	count = split_line(line, fields);
	if (!count || fields[0][0] == '#')
		return 0;
	if (strcmp(fields[0], "store") && strcmp(fields[0], "stack")) {
		complain(conf, number, "\"%.64s\" is neither store nor stack",
			 fields[0]);
		return 0;
	}
	if (conf->count == STACKS_MAX_ENTRIES) {
		complain(conf, number, "these are too many, of %u at most",
			 STACKS_MAX_ENTRIES);
		return 0;
	}
	entry = add_entry(conf);
	if (!entry)
		return -ENOMEM;
	entry->line = number;
	entry->kind = strcmp(fields[0], "store") ? STACKS_STACK : STACKS_STORE;
	entry->wrong = !take_fields(conf, entry, fields, count);
	if (!entry->name)
		conf->count--;
	return 0;
}

static int parse_lines(struct stacks_conf *conf, size_t bytes)
{
	char *line = conf->text, *end = line + bytes, *next;
	unsigned int number = 1;
	int error;

	for (; line < end; line = next, number++) {
		char *stop = memchr(line, '\n', end - line);

		stop = stop ? stop : end;
		next = stop + 1;
		*stop = '\0';
		error = parse_line(conf, number, line, stop - line);
		if (error)
			return error;
	}
	return 0;
}

/* --- what lies on what --- */

struct stacks_entry *stacks_conf_find(const struct stacks_conf *conf,
				      const char *name)
{
	size_t i;

	for (i = 0; i < conf->count; i++)
		if (!strcmp(conf->entries[i].name, name))
			return &conf->entries[i];
	return NULL;
}

static void __printf(3, 4) reject(struct stacks_conf *conf,
				  struct stacks_entry *entry,
				  const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	complain(conf, entry->line, "%s", text);
	entry->wrong = true;
}

/* All are mapped devices, so a name stands for one thing. */
static void reject_same_name(struct stacks_conf *conf,
			     struct stacks_entry *entry)
{
	const struct stacks_entry *first = stacks_conf_find(conf, entry->name);

	if (first != entry && !entry->wrong)
		reject(conf, entry, "there is another %s above", entry->name);
}

/* Two of one device would be one thing under two names. */
static void reject_same_device(struct stacks_conf *conf,
			       struct stacks_entry *entry)
{
	const struct stacks_entry *other;

	for (other = conf->entries; other != entry && !entry->wrong; other++) {
		if (other->wrong || strcmp(other->device, entry->device))
			continue;
		if (other->kind != entry->kind)
			reject(conf, entry,
			       "%s is a store's device and a base: see line %u",
			       entry->device, other->line);
		else if (entry->kind == STACKS_STORE)
			reject(conf, entry, "its device is that of store %s",
			       other->name);
	}
}

static void connect_entry(struct stacks_conf *conf, struct stacks_entry *entry)
{
	const char *below = mapped_name(entry->device);

	if (entry->kind == STACKS_STACK) {
		entry->store_entry = stacks_conf_find(conf, entry->store);
		if (!entry->store_entry ||
		    entry->store_entry->kind != STACKS_STORE) {
			entry->store_entry = NULL;
			reject(conf, entry, "there is no line for store %s",
			       entry->store);
			return;
		}
	}
	if (below)
		entry->device_entry = stacks_conf_find(conf, below);
	if (entry->device_entry && entry->device_entry->kind != STACKS_STACK)
		reject(conf, entry, "%s is a store, which holds no image",
		       below);
}

static bool is_placed(const struct stacks_entry *entry)
{
	return !entry || entry->placed;
}

/* Something that cannot be used keeps back what lies on it, when it is its turn. */
static bool is_ready(const struct stacks_entry *entry)
{
	return is_placed(entry->store_entry) && is_placed(entry->device_entry);
}

static int order_entries(struct stacks_conf *conf)
{
	bool moved = true;
	size_t i;

	conf->order = calloc(conf->count + 1, sizeof(*conf->order));
	if (!conf->order)
		return -ENOMEM;
	while (moved) {
		moved = false;
		for (i = 0; i < conf->count; i++) {
			struct stacks_entry *entry = &conf->entries[i];

			if (entry->placed || (!entry->wrong && !is_ready(entry)))
				continue;
			entry->placed = true;
			moved = true;
			if (!entry->wrong)
				conf->order[conf->order_count++] = entry;
		}
	}
	return 0;
}

static void reject_circles(struct stacks_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->count; i++)
		if (!conf->entries[i].placed)
			reject(conf, &conf->entries[i],
			       "%s lies on itself, or on what does",
			       conf->entries[i].name);
}

/* What one needs in the initramfs has to be there too. */
static void spread_initramfs(struct stacks_conf *conf)
{
	size_t i = conf->order_count;

	while (i--) {
		struct stacks_entry *entry = conf->order[i];

		if (entry->initramfs && entry->store_entry)
			entry->store_entry->initramfs = true;
		if (entry->initramfs && entry->device_entry)
			entry->device_entry->initramfs = true;
	}
}

int stacks_conf_parse(struct stacks_conf *conf, const char *path, char *text,
		      size_t bytes)
{
	size_t i;
	int error;

	memset(conf, 0, sizeof(*conf));
	conf->path = path;
	conf->text = text;
	error = parse_lines(conf, bytes);
	if (error)
		return error;
	for (i = 0; i < conf->count; i++)
		reject_same_name(conf, &conf->entries[i]);
	for (i = 0; i < conf->count; i++)
		reject_same_device(conf, &conf->entries[i]);
	for (i = 0; i < conf->count; i++)
		if (!conf->entries[i].wrong)
			connect_entry(conf, &conf->entries[i]);
	error = order_entries(conf);
	if (error)
		return error;
	reject_circles(conf);
	spread_initramfs(conf);
	return 0;
}

void stacks_conf_free(struct stacks_conf *conf)
{
	free(conf->order);
	free(conf->entries);
	free(conf->text);
	memset(conf, 0, sizeof(*conf));
}
