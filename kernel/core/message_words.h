/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The words of messages to stores and stacks, and what they say.  Whether there is
 * such a layer or a job is for those who carry them out to find.
 */
#ifndef COWSTACK_CORE_MESSAGE_WORDS_H
#define COWSTACK_CORE_MESSAGE_WORDS_H

#include "arguments.h"

enum message_verb {
	/* to a store */
	VERB_CREATE_VOLUME,
	VERB_CLONE_VOLUME,
	VERB_RESIZE_VOLUME,
	VERB_DELETE_VOLUME,
	VERB_GROW,
	VERB_VOLUMES,
	VERB_VOLUME,
	VERB_VOLUME_LAYERS,
	VERB_MAP,
	/* to a stack */
	VERB_SNAPSHOT,
	VERB_COMMIT_START,
	VERB_COMMIT_PLAN,
	VERB_COMMIT_PAUSE,
	VERB_COMMIT_RESUME,
	VERB_COMMIT_CANCEL,
	VERB_COMMIT_SPEED,
	VERB_STREAM_START,
	VERB_DROP,
	VERB_MAKE_EMPTY,
	VERB_PIN,
	VERB_UNPIN,
	VERB_LAYERS,
	VERB_ERRORS,
	VERB_COUNT,
};

/* Which words "commit start" or "stream start" was given. */
enum {
	JOB_OPTION_TOP = 1,
	JOB_OPTION_BASE = 2,
	JOB_OPTION_SPEED = 4,
	JOB_OPTION_YIELD = 8,
	JOB_OPTION_ON_ERROR = 16,
	JOB_OPTION_RETAIN = 32,
	JOB_OPTION_VERIFY = 64,
	JOB_OPTION_UNTIL = 128,
};

struct job_options {
	bool stream;			/* "stream start", else "commit start" */
	u32 given;			/* JOB_OPTION_* */
	u32 top;			/* layers; base 0: the base */
	u32 base;
	bool with_base;			/* a stream: "base none" */
	u64 speed;			/* bytes per second, 0: unlimited */
	u64 until;			/* seconds since 1970 */
	u8 on_error;			/* enum cowstack_on_error */
	bool yield;
	bool retain;
	bool verify;
	bool refused;			/* set: why was said where it was found */
};

/* What a message says; what its verb has no use for is zero. */
struct message_words {
	enum message_verb verb;
	bool question;			/* it changes nothing */
	volume_id_t volume;
	volume_id_t source;		/* of a clone */
	u32 layer;
	u64 number;			/* sectors, a sector, a rate, parts */
	const char *name;		/* valid, one of the words; NULL: none */
	struct job_options options;
};

/* Both: 0; -EINVAL, -EOPNOTSUPP with @refusal set. */
int store_message_parse(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal);
int stack_message_parse(unsigned int argc, char **argv,
			struct message_words *words, struct refusal *refusal);

#endif /* COWSTACK_CORE_MESSAGE_WORDS_H */
