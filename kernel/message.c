// SPDX-License-Identifier: GPL-2.0
/* Messages to stores and stacks, and what is said of those that are refused. */
#include <linux/sched/mm.h>

#include "arguments.h"
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
	case -ENOMEM:
		return message_refuse(m, error, "no memory");
	default:
		return message_refuse(m, error, "error %d", error);
	}
}

int message_parse_volume_id(const struct message *m, const char *word,
			    volume_id_t *id)
{
	u64 n;

	if (parse_number(word, &n) || n >> COWSTACK_VOLUME_ID_BITS)
		return message_refuse(m, -EINVAL, "bad volume id %s", word);
	*id = to_volume_id(n);
	return 0;
}

int message_carry_out(struct message *m, struct store_change *change, int error)
{
	if (!error)
		error = journal_commit(m->store, change);
	store_change_free(change);
	return error;
}

int message_parse_layer(const struct message *m, const char *word, u32 *id)
{
	u64 n;

	if (parse_number(word, &n) || n > U32_MAX)
		return message_refuse(m, -EINVAL, "bad layer %s", word);
	*id = n;
	return 0;
}

/* --- dispatch --- */

static int handle(struct message *m, const struct verb *verbs,
		  unsigned int count)
{
	unsigned int words = m->argc - 1;
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, m->argv[0]))
			continue;
		if (!v->handle)
			return message_refuse(m, -EOPNOTSUPP, "not built yet");
		if (words < v->least || words > v->most)
			return message_refuse(m, -EINVAL, "wrong number of words");
		return v->handle(m);
	}
	return message_refuse(m, -EINVAL, "unknown message");
}

/*
 * Questions do not change anything: they need no message_mutex, and may take long
 * while others go on.
 */
static bool is_question(const struct message *m)
{
	static const char * const verbs[] = {
		"layers", "volumes", "volume", "errors",
	};

	return match_string(verbs, ARRAY_SIZE(verbs), m->argv[0]) >= 0 ||
	       (m->argc > 1 && !strcmp(m->argv[0], "commit") &&
		!strcmp(m->argv[1], "plan"));
}

static int run_message(struct message *m, const struct verb *verbs,
		       unsigned int count)
{
	unsigned int noio;
	int error;

	if (!m->argc)
		return -EINVAL;
	if (is_question(m))
		return handle(m, verbs, count);
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
		error = handle(m, verbs, count);
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

	return run_message(&m, store_verbs, store_verb_count);
}

int stack_message(struct stack *stack, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen)
{
	struct message m = {
		.store = stack->store, .stack = stack, .name = stack->name,
		.argc = argc, .argv = argv, .result = result, .maxlen = maxlen,
	};

	return run_message(&m, stack_verbs, stack_verb_count);
}
