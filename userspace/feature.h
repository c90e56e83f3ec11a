/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Features of table lines, as the user gives them: "name=value".
 */
#ifndef DMCOMMIT_FEATURE_H
#define DMCOMMIT_FEATURE_H

#include "exit_code.h"
#include "core/environment.h"

enum feature_target { FEATURE_STORE, FEATURE_STACK };

enum { FEATURE_WHY = 400 };		/* room for a reason */

struct feature {
	char name[32];
	char value[32];
};

/* Takes "name=value" apart and checks both, or says what is wrong. */
enum exit_code feature_parse(const char *text, enum feature_target target,
			     struct feature *feature);

/* The @n-th feature there is; NULL: there are no more.  @values: what it may be set to. */
const char *feature_describe(enum feature_target target, unsigned int n,
			     const char **values);
/* The same without a word: @why says it. */
bool feature_check(const char *text, enum feature_target target,
		   char why[FEATURE_WHY]);

/*
 * The words behind the positional ones of a table line, "4 a 1 b 2", or "".
 * To be freed; NULL: @texts has a wrong one, which was said.
 */
char *feature_words(const char *const *texts, size_t count,
		    enum feature_target target, const char *more);

#endif /* DMCOMMIT_FEATURE_H */
