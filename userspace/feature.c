// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "feature.h"
#include "size.h"

enum value_kind {
	VALUE_FLAG,
	VALUE_PERCENT,
	VALUE_SECONDS,
	VALUE_LAYER,
	VALUE_ON_FULL,
};

static const struct known_feature {
	enum feature_target target;
	const char *name;
	enum value_kind kind;
} known_features[] = {
	{ FEATURE_STORE, "high_watermark", VALUE_PERCENT },
	{ FEATURE_STORE, "low_watermark", VALUE_PERCENT },
	{ FEATURE_STORE, "keep_hot", VALUE_PERCENT },
	{ FEATURE_STORE, "on_full", VALUE_ON_FULL },
	{ FEATURE_STORE, "no_space_timeout", VALUE_SECONDS },
	{ FEATURE_STORE, "discard_passdown", VALUE_FLAG },
	{ FEATURE_STACK, "layer", VALUE_LAYER },
	{ FEATURE_STACK, "commit_base", VALUE_LAYER },
	{ FEATURE_STACK, "accept_base", VALUE_FLAG },
	{ FEATURE_STACK, "auto_commit", VALUE_FLAG },
	{ FEATURE_STACK, "resume_commit", VALUE_FLAG },
	{ FEATURE_STACK, "read_only_base", VALUE_FLAG },
	{ FEATURE_STACK, "promote", VALUE_FLAG },
	{ FEATURE_STACK, "allow_shared_base", VALUE_FLAG },
};

static const char *wanted(enum value_kind kind)
{
	switch (kind) {
	case VALUE_FLAG:
		return "0 or 1";
	case VALUE_PERCENT:
		return "0 to 100";
	case VALUE_SECONDS:
		return "a number of seconds";
	case VALUE_LAYER:
		return "the number of a layer";
	case VALUE_ON_FULL:
		return "queue or error";
	}
	return "";
}

static bool value_is_valid(enum value_kind kind, const char *value)
{
	u64 number;

	switch (kind) {
	case VALUE_FLAG:
		return !number_parse(value, 1, &number);
	case VALUE_PERCENT:
		return !number_parse(value, 100, &number);
	case VALUE_SECONDS:
	case VALUE_LAYER:
		return !number_parse(value, U32_MAX, &number);
	case VALUE_ON_FULL:
		return !strcmp(value, "queue") || !strcmp(value, "error");
	}
	return false;
}

static const struct known_feature *find_feature(enum feature_target target,
						const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known_features); i++)
		if (known_features[i].target == target &&
		    !strcmp(known_features[i].name, name))
			return &known_features[i];
	return NULL;
}

const char *feature_describe(enum feature_target target, unsigned int n,
			     const char **values)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known_features); i++)
		if (known_features[i].target == target && !n--) {
			*values = wanted(known_features[i].kind);
			return known_features[i].name;
		}
	return NULL;
}

/* "on_full, no_space_timeout" */
static void name_features(enum feature_target target, char *text, size_t size)
{
	const char *name, *values;
	unsigned int n;
	size_t used = 0;

	for (n = 0; (name = feature_describe(target, n, &values)); n++)
		if (used < size)
			used += snprintf(text + used, size - used, "%s%s",
					 n ? ", " : "", name);
}

/* @why: what is wrong, where something is. */
static bool read_feature(const char *text, enum feature_target target,
			 struct feature *feature, char why[FEATURE_WHY])
{
	const char *kind = target == FEATURE_STORE ? "store" : "stack";
	const char *equals = strchr(text, '=');
	const struct known_feature *known;
	char names[256];

	if (!equals || equals == text || !equals[1]) {
		snprintf(why, FEATURE_WHY, "\"%s\" is not FEATURE=VALUE", text);
		return false;
	}
	snprintf(feature->name, sizeof(feature->name), "%.*s",
		 (int)(equals - text), text);
	snprintf(feature->value, sizeof(feature->value), "%s", equals + 1);
	known = find_feature(target, feature->name);
	if (!known) {
		name_features(target, names, sizeof(names));
		snprintf(why, FEATURE_WHY, "a %s has no feature \"%s\"; it has %s",
			 kind, feature->name, names);
	} else if (strlen(equals + 1) >= sizeof(feature->value) ||
		   !value_is_valid(known->kind, equals + 1)) {
		snprintf(why, FEATURE_WHY, "feature %s: \"%s\" is not %s",
			 feature->name, equals + 1, wanted(known->kind));
	} else {
		return true;
	}
	return false;
}

bool feature_check(const char *text, enum feature_target target,
		   char why[FEATURE_WHY])
{
	struct feature feature;

	return read_feature(text, target, &feature, why);
}

enum exit_code feature_parse(const char *text, enum feature_target target,
			     struct feature *feature)
{
	char why[FEATURE_WHY];

	if (read_feature(text, target, feature, why))
		return EXIT_DONE;
	return fail(EXIT_USAGE, "%s", why);
}

char *feature_words(const char *const *texts, size_t count,
		    enum feature_target target, const char *more)
{
	size_t room = 32 + strlen(more) + count * (sizeof(struct feature) + 2);
	unsigned int words = 0;
	struct feature feature;
	char *all, *list;
	const char *at;
	size_t used, i;

	list = calloc(1, room);
	all = calloc(1, room);
	if (!list || !all) {
		fail_errno(-ENOMEM, NULL, "features");
		goto fail;
	}
	snprintf(list, room, "%s", more);
	for (i = 0; i < count; i++) {
		if (feature_parse(texts[i], target, &feature))
			goto fail;
		used = strlen(list);
		snprintf(list + used, room - used, " %s %s", feature.name,
			 feature.value);
	}
	for (at = list; *at; at++)
		words += *at == ' ';
	if (words)
		snprintf(all, room, " %u%s", words, list);
	free(list);
	return all;
fail:
	free(list);
	free(all);
	return NULL;
}
