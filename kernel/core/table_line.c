// SPDX-License-Identifier: GPL-2.0
#include "table_line.h"

static const char * const on_full_words[] = {
	[ON_FULL_QUEUE] = "queue", [ON_FULL_ERROR] = "error",
};

#define STORE_FEATURE(field) .name = #field, \
	.offset = offsetof(struct store_features, field)

static const struct feature store_feature_list[] = {
	{ .name = "high_watermark", .not_built = true },
	{ .name = "low_watermark", .not_built = true },
	{ .name = "keep_hot", .not_built = true },
	{ STORE_FEATURE(on_full), .words = on_full_words,
	  .max = ON_FULL_ERROR },
	{ STORE_FEATURE(no_space_timeout), .max = 86400, .normal = 60 },
	{ STORE_FEATURE(discard_passdown), .max = 1, .normal = 1 },
};

const struct feature_table store_feature_table = {
	store_feature_list, ARRAY_SIZE(store_feature_list),
};

#define STACK_FEATURE(field) .name = #field, \
	.offset = offsetof(struct stack_features, field)

static const struct feature stack_feature_list[] = {
	{ .name = "layer", .not_built = true },
	{ STACK_FEATURE(commit_base), .max = U32_MAX },
	{ STACK_FEATURE(accept_base), .max = 1, .once = true },
	{ .name = "auto_commit", .not_built = true },
	{ STACK_FEATURE(resume_commit), .max = 1, .normal = 1 },
	{ STACK_FEATURE(read_only_base), .max = 1, .fixed = true },
	{ .name = "promote", .not_built = true },
	{ STACK_FEATURE(allow_shared_base), .max = 1 },
};

const struct feature_table stack_feature_table = {
	stack_feature_list, ARRAY_SIZE(stack_feature_list),
};

int store_line_parse(unsigned int argc, char **argv, struct store_line *line,
		     struct refusal *refusal)
{
	if (argc < 1)
		return refusal_set(refusal, -EINVAL,
				   "cowstore wants: <store dev> [<#feature words> <word>...]");
	line->device = argv[0];
	return features_parse(&store_feature_table, argc - 1, argv + 1,
			      &line->features, refusal);
}

int stack_line_parse(unsigned int argc, char **argv, struct stack_line *line,
		     struct refusal *refusal)
{
	int error;

	if (argc < 3)
		return refusal_set(refusal, -EINVAL,
				   "cowstack wants: <base dev> <cowstore dev> <volume id> [<features>]");
	line->base = argv[0];
	line->store = argv[1];
	error = features_parse(&stack_feature_table, argc - 3, argv + 3,
			       &line->features, refusal);
	if (!error && parse_volume_id(argv[2], &line->volume))
		error = refusal_set(refusal, -EINVAL, "bad volume id %s",
				    argv[2]);
	return error;
}
