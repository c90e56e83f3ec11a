/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Feature words of the table lines.  One table per target parses the
 * constructor's line, prints it again and serves the message "set", so that what
 * is printed always loads.
 */
#ifndef COWSTACK_ARGUMENTS_H
#define COWSTACK_ARGUMENTS_H

#include <linux/device-mapper.h>

struct feature {
	const char *name;
	const char * const *words;	/* names of the values, or NULL: numbers */
	u32 max;			/* greatest value */
	u32 normal;			/* the default */
	size_t offset;			/* of the u32 in the features struct */
	bool once;			/* said once: never printed, never set */
	bool fixed;			/* only a reload changes it */
	bool not_built;			/* known, refused for now */
};

struct feature_table {
	const struct feature *features;
	unsigned int count;
};

/* Every feature at its default. */
void features_default(const struct feature_table *table, void *features);

/**
 * features_parse() - the optional part of a table line: [<#words> <word>…].
 * @error_text: set to a sentence that names the word, on failure
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP.  Process context.
 */
int features_parse(const struct feature_table *table, unsigned int argc,
		   char **argv, void *features, char **error_text);

/* "set <feature> <value>": 0, -EINVAL, -EOPNOTSUPP. */
int features_set(const struct feature_table *table, void *features,
		 const char *name, const char *value, char **error_text);

/* Appends the part of the table line that differs from the defaults. */
size_t features_print(const struct feature_table *table, const void *features,
		      char *result, size_t size, size_t maxlen);

/*
 * A text for ti->error made from @format.  It lives until some more are made: dm
 * prints it as soon as the constructor has returned.  Any context.
 */
__printf(1, 2) char *error_text_make(const char *format, ...);

/* A number without sign or spaces; 0 or -EINVAL. */
int parse_number(const char *word, u64 *value);
/* A number of bytes per second or sectors, with an optional K, M, G, T. */
int parse_scaled(const char *word, u32 unit, u64 *value);

#endif /* COWSTACK_ARGUMENTS_H */
