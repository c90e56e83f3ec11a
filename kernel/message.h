/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages: what the files that answer them share.  core/message_words.h says what
 * their words mean, message.c takes them in, message_store.c and message_stack.c
 * hold a table of handlers each.
 *
 * A handler has an errno to return and writes one line to the kernel log that
 * names the word: dm returns no text.  None waits for more than a durable step
 * and, where it takes a snapshot, the writes in flight.  message_mutex is held,
 * but for questions, which change nothing.
 */
#ifndef COWSTACK_MESSAGE_H
#define COWSTACK_MESSAGE_H

#include "core/message_words.h"
#include "stack.h"

struct message {
	struct store *store;
	struct stack *stack;		/* NULL: to a store */
	const char *name;		/* of the device, for logs */
	unsigned int argc;
	char **argv;
	struct message_words words;	/* what argv says */
	char *result;
	unsigned int maxlen;
};

typedef int (*message_handler)(struct message *m);

/* By verb; those of the other target have none. */
extern const message_handler store_handlers[VERB_COUNT];
extern const message_handler stack_handlers[VERB_COUNT];

/* One line that names the device and the words; returns @error. */
__printf(3, 4)
int message_refuse(const struct message *m, int error, const char *format, ...);

/* A line for the errors that speak for themselves; returns @error. */
int message_explain(const struct message *m, int error);

/* Commits @change unless preparing it failed with @error, and frees it. */
int message_carry_out(struct message *m, struct store_change *change, int error);

/* A line for each layer of @volume, from the top; metadata_lock held. */
int message_list_layers(struct message *m, const struct cowstack_volume *volume);

static inline const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

#endif /* COWSTACK_MESSAGE_H */
