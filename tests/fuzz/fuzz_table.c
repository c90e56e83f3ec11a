// SPDX-License-Identifier: GPL-2.0
/*
 * Table lines and "set": an S in front says that it is a store's.  A line that is
 * taken is printed and taken again, with the same meaning.
 */
#include "fuzz.h"
#include "table_line.h"
#include "words.h"

static void check_refusal(int error, const struct refusal *refusal)
{
	if (error != -EINVAL && error != -EOPNOTSUPP)
		fuzz_fail("odd error");
	if (!refusal->text[0] ||
	    !memchr(refusal->text, 0, sizeof(refusal->text)))
		fuzz_fail("refused without a text");
}

/* In a buffer of just @room, as that of dm is as large as its caller likes. */
static size_t print(const struct feature_table *table, const void *features,
		    size_t room, char *copy)
{
	char *text = malloc(room);
	size_t size;

	if (!text)
		fuzz_fail("no memory");
	text[0] = '\0';
	size = features_print(table, features, text, 0, room);
	if (size >= room || strlen(text) != size)
		fuzz_fail("a line's length is not what was said");
	memcpy(copy, text, size + 1);
	free(text);
	return size;
}

static void check_print(const struct feature_table *table, void *features,
			size_t bytes)
{
	char text[MAX_TEXT], cut[MAX_TEXT];
	struct refusal refusal;
	struct words words;
	u8 again[64];
	size_t size, room;

	size = print(table, features, sizeof(text), text);
	for (room = 1; room <= size; room += 7)
		if (strncmp(text, cut, print(table, features, room, cut)))
			fuzz_fail("a line that does not fit is not cut");
	words_split(&words, text, size);
	memset(again, 0, sizeof(again));
	if (features_parse(table, words.argc, words.argv, again, &refusal))
		fuzz_fail("what was printed does not load");
	if (memcmp(again, features, bytes))
		fuzz_fail("what was printed says something else");
	words_free(&words);
}

/* Each word and the one behind it, as a message would say it. */
static void check_set(const struct feature_table *table, void *features,
		      size_t bytes, const struct words *words)
{
	struct refusal refusal;
	u8 before[64];
	unsigned int i;
	int error;

	for (i = 0; i + 1 < words->argc; i++) {
		memcpy(before, features, bytes);
		error = features_set(table, features, words->argv[i],
				     words->argv[i + 1], &refusal);
		if (!error)
			continue;
		check_refusal(error, &refusal);
		if (memcmp(before, features, bytes))
			fuzz_fail("what is refused changes something");
	}
}

static void test_store(struct words *words)
{
	struct store_line line = { };
	struct refusal refusal = { };
	int error = store_line_parse(words->argc, words->argv, &line, &refusal);

	if (error) {
		check_refusal(error, &refusal);
		return;
	}
	check_print(&store_feature_table, &line.features,
		    sizeof(line.features));
	check_set(&store_feature_table, &line.features, sizeof(line.features),
		  words);
	check_print(&store_feature_table, &line.features,
		    sizeof(line.features));
}

static void test_stack(struct words *words)
{
	struct stack_line line = { };
	struct refusal refusal = { };
	int error = stack_line_parse(words->argc, words->argv, &line, &refusal);

	if (error) {
		check_refusal(error, &refusal);
		return;
	}
	if (from_volume_id(line.volume) >> COWSTACK_VOLUME_ID_BITS)
		fuzz_fail("volume id is too large");
	/* Said once, it is not printed. */
	line.features.accept_base = 0;
	check_print(&stack_feature_table, &line.features,
		    sizeof(line.features));
	check_set(&stack_feature_table, &line.features, sizeof(line.features),
		  words);
	check_print(&stack_feature_table, &line.features,
		    sizeof(line.features));
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct words words;

	if (!size)
		return 0;
	words_split(&words, data + 1, size - 1);
	if (data[0] == 'S')
		test_store(&words);
	else
		test_stack(&words);
	words_free(&words);
	return 0;
}
