// SPDX-License-Identifier: GPL-2.0
#include "arguments.h"

int refusal_set(struct refusal *refusal, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vscnprintf(refusal->text, sizeof(refusal->text), format, args);
	va_end(args);
	return error;
}

int parse_word(const char * const *words, unsigned int count, const char *word)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return i;
	return -EINVAL;
}

int parse_number(const char *word, u64 *value)
{
	if (!isdigit((unsigned char)word[0]))
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

int parse_flag(const char *word, bool *flag)
{
	u64 n;

	if (parse_number(word, &n) || n > 1)
		return -EINVAL;
	*flag = n;
	return 0;
}

int parse_layer_id(const char *word, u32 *id)
{
	u64 n;

	if (parse_number(word, &n) || n > U32_MAX)
		return -EINVAL;
	*id = n;
	return 0;
}

int parse_volume_id(const char *word, volume_id_t *id)
{
	u64 n;

	if (parse_number(word, &n) || n >> COWSTACK_VOLUME_ID_BITS)
		return -EINVAL;
	*id = to_volume_id(n);
	return 0;
}

static u32 *value_place(const struct feature *f, void *features)
{
	return (void *)((u8 *)features + f->offset);
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
	int n;

	if (f->words) {
		n = parse_word(f->words, f->max + 1, word);
		if (n < 0)
			return n;
		*value = n;
		return 0;
	}
	if (parse_number(word, &number) || number > f->max)
		return -EINVAL;
	*value = number;
	return 0;
}

static int set_feature(const struct feature_table *table, void *features,
		       const char *name, const char *word, bool live,
		       struct refusal *refusal)
{
	const struct feature *f = find_feature(table, name);
	u32 value;

	if (!f)
		return refusal_set(refusal, -EINVAL, "unknown feature %s",
				   name);
	if (f->not_built)
		return refusal_set(refusal, -EOPNOTSUPP,
				   "feature %s is not built yet", name);
	if (live && (f->fixed || f->once))
		return refusal_set(refusal, -EINVAL,
				   "feature %s is set by a reload only", name);
	if (parse_value(f, word, &value))
		return refusal_set(refusal, -EINVAL, "feature %s: bad value %s",
				   name, word);
	WRITE_ONCE(*value_place(f, features), value);
	return 0;
}

int features_parse(const struct feature_table *table, unsigned int argc,
		   char **argv, void *features, struct refusal *refusal)
{
	u64 words;
	unsigned int i;
	int error;

	features_default(table, features);
	if (!argc)
		return 0;
	if (parse_number(argv[0], &words) || words != argc - 1 || words % 2)
		return refusal_set(refusal, -EINVAL,
				   "wrong count of feature words %s", argv[0]);
	for (i = 1; i < argc; i += 2) {
		error = set_feature(table, features, argv[i], argv[i + 1],
				    false, refusal);
		if (error)
			return error;
	}
	return 0;
}

int features_set(const struct feature_table *table, void *features,
		 const char *name, const char *value, struct refusal *refusal)
{
	return set_feature(table, features, name, value, true, refusal);
}

static bool is_printed(const struct feature *f, const void *features)
{
	return !f->not_built && !f->once &&
	       *value_place(f, (void *)features) != f->normal;
}

__printf(4, 5)
static size_t append(char *result, size_t size, size_t maxlen,
		     const char *format, ...)
{
	va_list args;

	if (size >= maxlen)
		return size;
	va_start(args, format);
	size += vscnprintf(result + size, maxlen - size, format, args);
	va_end(args);
	return size;
}

size_t features_print(const struct feature_table *table, const void *features,
		      char *result, size_t size, size_t maxlen)
{
	unsigned int i, words = 0;

	for (i = 0; i < table->count; i++)
		if (is_printed(&table->features[i], features))
			words += 2;
	if (!words)
		return size;
	size = append(result, size, maxlen, " %u", words);
	for (i = 0; i < table->count; i++) {
		const struct feature *f = &table->features[i];
		u32 value;

		if (!is_printed(f, features))
			continue;
		value = *value_place(f, (void *)features);
		if (f->words)
			size = append(result, size, maxlen, " %s %s", f->name,
				      f->words[value]);
		else
			size = append(result, size, maxlen, " %s %u", f->name,
				      value);
	}
	return size;
}
