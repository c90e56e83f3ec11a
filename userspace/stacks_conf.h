/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stacks.conf(5): the stores and stacks that are to be up, one in a line.  This is
 * the pure part: text in, entries out, in the order in which they come up.
 */
#ifndef DMCOMMIT_STACKS_CONF_H
#define DMCOMMIT_STACKS_CONF_H

#include "options.h"

enum {
	STACKS_MAX_BYTES = 1 << 20,
	STACKS_MAX_ENTRIES = 4096,
};

enum stacks_kind { STACKS_STORE, STACKS_STACK };

struct stacks_entry {
	enum stacks_kind kind;
	unsigned int line;
	const char *name;
	const char *store;		/* of a stack */
	const char *device;		/* what the store lies on, or the base */
	const char *sets[OPTIONS_MAX_SETS];
	size_t set_count;
	const char *device_timeout;	/* or NULL */
	bool noauto;
	bool nofail;
	bool read_only_base;
	bool initramfs;			/* it, or what needs it, says so */
	bool wrong;			/* it was said what is; not to be used */
	/* What has to be up before; NULL: nothing of this file. */
	struct stacks_entry *store_entry;
	struct stacks_entry *device_entry;
	bool placed;			/* in order[] */
};

struct stacks_conf {
	const char *path;		/* as messages have it */
	char *text;			/* what the entries' strings are in */
	struct stacks_entry *entries;
	size_t count;
	struct stacks_entry **order;	/* first what others need; no wrong ones */
	size_t order_count;
	size_t wrong_lines;
};

/*
 * Takes @text apart, which has room for one byte more and is no longer the
 * caller's.  Each line that is wrong is
 * said, as PATH:LINE, and counted; the others stand.  To be freed with
 * stacks_conf_free(), also after a failure: -ENOMEM.
 */
int stacks_conf_parse(struct stacks_conf *conf, const char *path, char *text,
		      size_t bytes);
void stacks_conf_free(struct stacks_conf *conf);

/* The entry of this name, or NULL. */
struct stacks_entry *stacks_conf_find(const struct stacks_conf *conf,
				      const char *name);

/*
 * Reads the file.  It and its directory have to be root's, and nobody else may
 * write them: what it names is brought up at boot.  Missing: EXIT_MISSING.
 */
enum exit_code stacks_conf_read(struct stacks_conf *conf, const char *path);

/* /etc/dmcommit/stacks.conf */
const char *stacks_conf_default_path(void);

#endif /* DMCOMMIT_STACKS_CONF_H */
