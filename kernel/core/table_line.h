/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The words of the two targets' table lines, behind the target's name:
 *
 *   cowstore <store dev> [<#feature words> <word>…]
 *   cowstack <base dev> <cowstore dev> <volume id> [<#feature words> <word>…]
 */
#ifndef COWSTACK_CORE_TABLE_LINE_H
#define COWSTACK_CORE_TABLE_LINE_H

#include "arguments.h"

enum { ON_FULL_QUEUE, ON_FULL_ERROR };

struct store_features {
	u32 on_full;
	u32 no_space_timeout;		/* seconds, 0: wait for ever */
	u32 discard_passdown;
};

struct stack_features {
	u32 resume_commit;
	u32 read_only_base;
	u32 accept_base;
	u32 commit_base;		/* layer id, 0: the base */
	u32 allow_shared_base;
};

extern const struct feature_table store_feature_table;
extern const struct feature_table stack_feature_table;

/* What a line says; the devices are words of it. */
struct store_line {
	const char *device;
	struct store_features features;
};

struct stack_line {
	const char *base;
	const char *store;
	volume_id_t volume;
	struct stack_features features;
};

/* Both: 0; -EINVAL, -EOPNOTSUPP with @refusal set. */
int store_line_parse(unsigned int argc, char **argv, struct store_line *line,
		     struct refusal *refusal);
int stack_line_parse(unsigned int argc, char **argv, struct stack_line *line,
		     struct refusal *refusal);

#endif /* COWSTACK_CORE_TABLE_LINE_H */
