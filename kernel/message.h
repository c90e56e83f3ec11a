/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages: what the files that answer them share.  message.c takes them in,
 * message_store.c and message_stack.c hold a table of {verb, arguments, handler}
 * each.
 *
 * A handler has an errno to return and writes one line to the kernel log that
 * names the word: dm returns no text.  None waits for more than a durable step
 * and, where it takes a snapshot, the writes in flight.  message_mutex is held,
 * but for questions, which change nothing.
 */
#ifndef COWSTACK_MESSAGE_H
#define COWSTACK_MESSAGE_H

#include "stack.h"

struct message {
	struct store *store;
	struct stack *stack;		/* NULL: to a store */
	const char *name;		/* of the device, for logs */
	unsigned int argc;
	char **argv;
	char *result;
	unsigned int maxlen;
};

struct verb {
	const char *name;
	unsigned int least;		/* words behind the verb */
	unsigned int most;
	int (*handle)(struct message *m);	/* NULL: not built yet */
};

extern const struct verb store_verbs[];
extern const unsigned int store_verb_count;
extern const struct verb stack_verbs[];
extern const unsigned int stack_verb_count;

/* One line that names the device and the words; returns @error. */
__printf(3, 4)
int message_refuse(const struct message *m, int error, const char *format, ...);

/* A line for the errors that speak for themselves; returns @error. */
int message_explain(const struct message *m, int error);

/* Commits @change unless preparing it failed with @error, and frees it. */
int message_carry_out(struct message *m, struct store_change *change, int error);

/* 0, or -EINVAL after a line. */
int message_parse_volume_id(const struct message *m, const char *word,
			    volume_id_t *id);
int message_parse_layer(const struct message *m, const char *word, u32 *id);

/* A line for each layer of @volume, from the top; metadata_lock held. */
int message_list_layers(struct message *m, const struct cowstack_volume *volume);

static inline const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

#endif /* COWSTACK_MESSAGE_H */
