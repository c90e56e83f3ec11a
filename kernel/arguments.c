// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "arguments.h"

char *error_text_make(const char *format, ...)
{
	static char texts[16][160];
	static atomic_t next;
	char *text = texts[(unsigned int)atomic_inc_return(&next) %
			   ARRAY_SIZE(texts)];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(texts[0]), format, args);
	va_end(args);
	return text;
}

int parse_number(const char *word, u64 *value)
{
	if (!isdigit(word[0]))
		return -EINVAL;
	return kstrtou64(word, 10, value);
}

int parse_scaled(const char *word, u32 unit, u64 *value)
{
	static const char letters[] = "KMGT";
	char digits[24];
	size_t length = strlen(word);
	const char *letter = NULL;

	if (!length || length >= sizeof(digits))
		return -EINVAL;
	letter = strchr(letters, word[length - 1]);
	memcpy(digits, word, length + 1);
	if (letter)
		digits[length - 1] = '\0';
	if (parse_number(digits, value))
		return -EINVAL;
	if (!letter)
		return 0;
	if (check_mul_overflow(*value, 1ULL << (10 * (letter - letters + 1)),
			       value))
		return -EINVAL;
	*value = div_u64(*value, unit);
	return 0;
}

static u32 *value_place(const struct feature *f, void *features)
{
	return features + f->offset;
}

void features_default(const struct feature_table *table, void *features)
{
	unsigned int i;

	for (i = 0; i < table->count; i++)
		if (!table->features[i].not_built)
			*value_place(&table->features[i], features) =
				table->features[i].normal;
}

static const struct feature *find_feature(const struct feature_table *table,
					  const char *name)
{
	unsigned int i;

	for (i = 0; i < table->count; i++)
		if (!strcmp(table->features[i].name, name))
			return &table->features[i];
	return NULL;
}

static int parse_value(const struct feature *f, const char *word, u32 *value)
{
	u64 number;
	u32 i;

	if (f->words) {
		for (i = 0; i <= f->max; i++) {
			if (!strcmp(f->words[i], word)) {
				*value = i;
				return 0;
			}
		}
		return -EINVAL;
	}
	if (parse_number(word, &number) || number > f->max)
		return -EINVAL;
	*value = number;
	return 0;
}

static int set_feature(const struct feature_table *table, void *features,
		       const char *name, const char *word, bool live,
		       char **error_text)
{
	const struct feature *f = find_feature(table, name);
	u32 value;

	if (!f) {
		*error_text = error_text_make("unknown feature %s", name);
		return -EINVAL;
	}
	if (f->not_built) {
		*error_text = error_text_make("feature %s is not built yet",
					      name);
		return -EOPNOTSUPP;
	}
	if (live && (f->fixed || f->once)) {
		*error_text = error_text_make("feature %s is set by a reload only",
					      name);
		return -EINVAL;
	}
	if (parse_value(f, word, &value)) {
		*error_text = error_text_make("feature %s: bad value %s", name,
					      word);
		return -EINVAL;
	}
	WRITE_ONCE(*value_place(f, features), value);
	return 0;
}

int features_parse(const struct feature_table *table, unsigned int argc,
		   char **argv, void *features, char **error_text)
{
	u64 words;
	unsigned int i;
	int error;

	features_default(table, features);
	if (!argc)
		return 0;
	if (parse_number(argv[0], &words) || words != argc - 1 || words % 2) {
		*error_text = error_text_make("wrong count of feature words %s",
					      argv[0]);
		return -EINVAL;
	}
	for (i = 1; i < argc; i += 2) {
		error = set_feature(table, features, argv[i], argv[i + 1],
				    false, error_text);
		if (error)
			return error;
	}
	return 0;
}

int features_set(const struct feature_table *table, void *features,
		 const char *name, const char *value, char **error_text)
{
	return set_feature(table, features, name, value, true, error_text);
}

static bool is_printed(const struct feature *f, const void *features)
{
	return !f->not_built && !f->once &&
	       *value_place(f, (void *)features) != f->normal;
}

size_t features_print(const struct feature_table *table, const void *features,
		      char *result, size_t size, size_t maxlen)
{
	unsigned int i, words = 0;
	size_t sz = size;

	for (i = 0; i < table->count; i++)
		if (is_printed(&table->features[i], features))
			words += 2;
	if (!words)
		return sz;
	DMEMIT(" %u", words);
	for (i = 0; i < table->count; i++) {
		const struct feature *f = &table->features[i];
		u32 value;

		if (!is_printed(f, features))
			continue;
		value = *value_place(f, (void *)features);
		if (f->words)
			DMEMIT(" %s %s", f->name, f->words[value]);
		else
			DMEMIT(" %s %u", f->name, value);
	}
	return sz;
}
