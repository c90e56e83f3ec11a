/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes JSON, one value after the other.  Commas, indentation and quoting are
 * seen to here; that what was begun is ended is up to the caller.
 */
#ifndef DMCOMMIT_JSON_H
#define DMCOMMIT_JSON_H

#include <stdio.h>

#include "core/environment.h"

struct json {
	FILE *file;
	unsigned int depth;
	bool empty;			/* nothing is in the innermost yet */
	bool compact;			/* all of the outermost in one line */
};

/* @key: NULL inside an array, and for the outermost. */
void json_begin_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *key);
void json_end_array(struct json *json);

/* @text: NULL or "" is written as null. */
void json_string(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, u64 number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif /* DMCOMMIT_JSON_H */
