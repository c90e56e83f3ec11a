/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages to targets: sent, and said what came of them where it was no good.
 */
#ifndef DMCOMMIT_MESSAGE_H
#define DMCOMMIT_MESSAGE_H

#include "inventory.h"

enum exit_code store_message(const struct store *store, const char *format, ...)
	__printf(2, 3);
enum exit_code stack_message(const struct volume *volume,
			     const char *format, ...)
	__printf(2, 3);

/* The two halves of it: it is sent without a word, then said what came of it. */
int stack_send(const struct volume *volume, const char *text);
enum exit_code stack_judge(const struct volume *volume, const char *text,
			   int error);

/* @reply: to be freed, "" where the stack had nothing to say. */
enum exit_code stack_ask(const struct volume *volume, const char *message,
			 char **reply);

/*
 * The layers of a volume, up or down, top first as the kernel has them; to be
 * freed.
 */
enum exit_code volume_layers(const struct volume *volume,
			     struct layer_line **layers, size_t *count);

/* The same without a word where it cannot be told. */
int volume_try_layers(const struct volume *volume, struct layer_line **layers,
		      size_t *count);

/* What the records say of a volume, in the words of a stack. */
enum exit_code volume_record(const struct volume *volume,
			     struct stack_status *status);

/* What makes sense only while there is a job; says if there is none. */
enum exit_code stack_job_message(const struct volume *volume,
				 const char *message);

/* -ENXIO: the stack has gone. */
int stack_status(const char *name, struct stack_status *status);

#endif /* DMCOMMIT_MESSAGE_H */
