/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words: numbers, and the features of table lines.  One table per target parses
 * the constructor's line, prints it again and serves the message "set", so that
 * what is printed always loads.
 */
#ifndef COWSTACK_CORE_ARGUMENTS_H
#define COWSTACK_CORE_ARGUMENTS_H

#include "types.h"

/* Why words are refused: a sentence that names the wrong one. */
struct refusal {
	char text[256];
};

/* Says why; returns @error. */
__printf(3, 4)
int refusal_set(struct refusal *refusal, int error, const char *format, ...);

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

/*
 * The optional part of a table line: [<#words> <word>…].
 * 0; -EINVAL, -EOPNOTSUPP with @refusal set.
 */
int features_parse(const struct feature_table *table, unsigned int argc,
		   char **argv, void *features, struct refusal *refusal);

/* "set <feature> <value>": as features_parse(). */
int features_set(const struct feature_table *table, void *features,
		 const char *name, const char *value, struct refusal *refusal);

/* Appends the part of the table line that differs from the defaults. */
size_t features_print(const struct feature_table *table, const void *features,
		      char *result, size_t size, size_t maxlen);

/* Which of @count @words is @word?  Negative: none. */
int parse_word(const char * const *words, unsigned int count,
	       const char *word);
/* A number without sign or spaces; 0 or -EINVAL. */
int parse_number(const char *word, u64 *value);
/* A number of bytes per second or sectors, with an optional K, M, G, T. */
int parse_scaled(const char *word, u32 unit, u64 *value);
int parse_flag(const char *word, bool *flag);
int parse_layer_id(const char *word, u32 *id);
int parse_volume_id(const char *word, volume_id_t *id);

#endif /* COWSTACK_CORE_ARGUMENTS_H */
