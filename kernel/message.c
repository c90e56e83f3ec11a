// SPDX-License-Identifier: GPL-2.0
/* Messages to stores and stacks, and what is said of those that are refused. */
#include <linux/sched/mm.h>

#include "message.h"

static bool has_second_verb(const struct message *m)
{
	return m->argc > 1 && (!strcmp(m->argv[0], "commit") ||
			       !strcmp(m->argv[0], "stream"));
}

int message_refuse(const struct message *m, int error, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	pr_err("cowstack %s: %s%s%s: %pV\n", m->name, m->argv[0],
	       has_second_verb(m) ? " " : "",
	       has_second_verb(m) ? m->argv[1] : "", &vaf);
	va_end(args);
	return error;
}

int message_explain(const struct message *m, int error)
{
	switch (error) {
	case 0:
		return 0;
	case -EAGAIN:
		return message_refuse(m, error, "the store is suspended");
	case -EROFS:
		return message_refuse(m, error, "the store or the base is read-only");
	case -E2BIG:
		return message_refuse(m, error, "a chain has at most %u layers",
			      COWSTACK_MAX_LAYERS);
	case -EEXIST:
		return message_refuse(m, error, "id or name is taken");
	case -ENOSPC:
		return message_refuse(m, error, "the store is full: commit, delete or grow");
	case -EOVERFLOW:
		return message_refuse(m, error, "the store has used up its layer ids");
	case -ENOMEM:
		return message_refuse(m, error, "no memory");
	default:
		return message_refuse(m, error, "error %d", error);
	}
}

int message_carry_out(struct message *m, struct store_change *change, int error)
{
	if (!error)
		error = journal_commit(m->store, change);
	store_change_free(change);
	return error;
}

/* --- dispatch --- */

/*
 * Questions do not change anything: they need no message_mutex, and may take long
 * while others go on.
 */
static int run_message(struct message *m, const message_handler *handlers)
{
	message_handler handle = handlers[m->words.verb];
	unsigned int noio;
	int error;

	if (m->words.question)
		return handle(m);
	/* A resume may wait for the mutex: memory must not wait for a resume. */
	noio = memalloc_noio_save();
	mutex_lock(&m->store->message_mutex);
	if (READ_ONCE(m->store->mode) == STORE_FAIL)
		error = message_refuse(m, -EIO, "the store has failed");
	else if (READ_ONCE(m->store->suspended))
		error = message_refuse(m, -EAGAIN, "the store is suspended");
	else if (m->stack && !m->stack->target)
		error = message_refuse(m, -EAGAIN, "the stack was never resumed");
	else
		error = handle(m);
	mutex_unlock(&m->store->message_mutex);
	memalloc_noio_restore(noio);
	return error;
}

int store_message(struct store *store, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct message m = {
		.store = store, .name = store->name, .argc = argc,
		.argv = argv, .result = result, .maxlen = maxlen,
	};
	struct refusal refusal;
	int error;

	if (!argc)
		return -EINVAL;
	error = store_message_parse(argc, argv, &m.words, &refusal);
	if (error)
		return message_refuse(&m, error, "%s", refusal.text);
	return run_message(&m, store_handlers);
}

int stack_message(struct stack *stack, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct message m = {
		.store = stack->store, .stack = stack, .name = stack->name,
		.argc = argc, .argv = argv, .result = result, .maxlen = maxlen,
	};
	struct refusal refusal;
	int error;

	if (!argc)
		return -EINVAL;
	error = stack_message_parse(argc, argv, &m.words, &refusal);
	if (error)
		return message_refuse(&m, error, "%s", refusal.text);
	return run_message(&m, stack_handlers);
}
