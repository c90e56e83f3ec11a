// SPDX-License-Identifier: GPL-2.0
/*
 * Table lines and messages, of those that the fuzzers begin with, with other words.  The
 * script has made what they speak of: st, a store on /dev/ssd, and v, its volume 1, over
 * /dev/base; and /dev/ssd2, another store, and /dev/base2, that nobody uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "mapper.h"
#include "message_words.h"
#include "mutation.h"
#include "surely.h"
#include "table_line.h"
#include "words.h"

enum {
	VOLUME_SECTORS = 8 << 11,
	MOST_LINE_WORDS = 120,
	MOST_LINE = 16384,
	ARENA = 1 << 17,
	SETTLE_EVERY = 100,
	JOB_TENTHS = 600,
};

struct line {
	bool is_table;
	bool to_store;
	const char *text;
};

static const char nobody[] = "lines-table";

static struct line *lines;
static u32 line_count;
static const char **dictionary;
static u32 word_count;
static struct random choices;
static u32 content_crc;

static struct {
	u64 tables, messages, refused, taken, compared;
} totals;

/* --- what there is to begin with --- */

static void add_line(bool is_table, const char *text)
{
	struct line *line;

	if (!text[0])
		return;
	lines = surely(realloc(lines, (line_count + 1) * sizeof(*lines)));
	line = &lines[line_count++];
	line->is_table = is_table;
	line->to_store = text[0] == 'S';
	line->text = text + 1;
}

static void add_lines(bool is_table, char *text)
{
	char *line;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		add_line(is_table, line);
}

/* Of lines "word". */
static void add_words(char *text)
{
	char *line, *end;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		end = strrchr(line, '"');
		if (line[0] != '"' || end == line)
			continue;
		*end = '\0';
		dictionary = surely(realloc(dictionary, (word_count + 1) *
							sizeof(*dictionary)));
		dictionary[word_count++] = line + 1;
	}
}

static void take_inputs(const struct hostile_options *o, bool is_table,
			const char *part)
{
	struct hostile_file *files;
	u32 count, i;

	files = hostile_files(o, part, &count);
	for (i = 0; i < count; i++)
		add_line(is_table, (char *)files[i].bytes);
}

static void take_all(const struct hostile_options *o)
{
	struct hostile_file *files;
	u32 count, i;

	files = hostile_files(o, "lines", &count);
	for (i = 0; i < count; i++) {
		if (!strcmp(files[i].name, "words.dict"))
			add_words((char *)files[i].bytes);
		else
			add_lines(!strcmp(files[i].name, "table"),
				  (char *)files[i].bytes);
	}
	take_inputs(o, true, "table");
	take_inputs(o, false, "message");
}

/* --- other words --- */

static struct {
	const char *word[MOST_LINE_WORDS];
	u32 count;
	char arena[ARENA];
	u32 used;
} draft;

static char *room_for(size_t bytes)
{
	char *at = draft.arena + draft.used;

	if (draft.used + bytes > ARENA) {
		fprintf(stderr, "hostile_test: a line is too long\n");
		exit(2);
	}
	draft.used += bytes;
	return at;
}

static const char *copy_word(const char *word, size_t length)
{
	char *at = room_for(length + 1);

	memcpy(at, word, length);
	at[length] = '\0';
	return at;
}

/* Devices that are there, in place of those that the fuzzers speak of. */
static const char *real_device(const char *word, const struct line *line, bool live)
{
	const char *base = live ? "/dev/base" : "/dev/base2";
	const char *store = live ? "/dev/ssd" : "/dev/ssd2";

	if (!line->is_table || random_percent(&choices, 5))
		return word;
	if (!strcmp(word, "/dev/sdb") || !strcmp(word, "253:2"))
		return line->to_store ? store : base;
	if (!strcmp(word, "253:1"))
		return line->to_store ? store : "/dev/mapper/st";
	return word;
}

static void take_apart(const struct line *line, bool live)
{
	const char *at = line->text;

	draft.count = 0;
	draft.used = 0;
	while (draft.count < MOST_LINE_WORDS / 2) {
		size_t length;

		at += strspn(at, " \t\n");
		length = strcspn(at, " \t\n");
		if (!length)
			break;
		draft.word[draft.count++] =
			real_device(copy_word(at, length), line, live);
		at += length;
	}
}

static const char *number_word(void)
{
	static const char letters[] = "KMGTPE";
	char *at = room_for(32);
	u64 number = interesting_number(&choices);
	u32 n;

	n = random_percent(&choices, 10) ? sprintf(at, "-%llu", (unsigned long long)number) :
	    random_percent(&choices, 10) ? sprintf(at, "0x%llx", (unsigned long long)number) :
	    random_percent(&choices, 10) ? sprintf(at, "0%llu", (unsigned long long)number) :
					   sprintf(at, "%llu", (unsigned long long)number);
	if (random_percent(&choices, 25))
		sprintf(at + n, "%c", letters[random_below(&choices, sizeof(letters) - 1)]);
	return at;
}

static const char *long_word(void)
{
	u32 length = 1 + random_below(&choices, random_percent(&choices, 80) ? 200 : 6000);
	char *at = room_for(length + 1);

	memset(at, 'a' + random_below(&choices, 26), length);
	at[length] = '\0';
	return at;
}

static const char *other_bytes(const char *word)
{
	u32 length = strlen(word);
	char *at = (char *)copy_word(word, length);

	if (length)
		mutate_bytes(&choices, (u8 *)at, length);
	return at;
}

static const char *other_word(const char *word)
{
	switch (random_below(&choices, 8)) {
	case 0:
	case 1:
	case 2:
		return dictionary[random_below(&choices, word_count)];
	case 3:
	case 4:
		return number_word();
	case 5:
		return long_word();
	default:
		return other_bytes(word);
	}
}

static void insert_word(u32 i, const char *word)
{
	if (draft.count == MOST_LINE_WORDS)
		return;
	memmove(&draft.word[i + 1], &draft.word[i],
		(draft.count - i) * sizeof(*draft.word));
	draft.word[i] = word;
	draft.count++;
}

static void change_words(void)
{
	u32 i = random_below(&choices, draft.count + 1), n;
	const char *word;

	if (i == draft.count) {
		insert_word(i, other_word(""));
		return;
	}
	word = draft.word[i];
	switch (random_below(&choices, 8)) {
	case 0:
		insert_word(i, other_word(word));
		break;
	case 1:		/* again, once or many times */
		for (n = 1 + (random_percent(&choices, 10) ? 50 : 0); n--;)
			insert_word(i, word);
		break;
	case 2:
		draft.count--;
		memmove(&draft.word[i], &draft.word[i + 1],
			(draft.count - i) * sizeof(*draft.word));
		break;
	case 3:
		n = random_below(&choices, draft.count);
		draft.word[i] = draft.word[n];
		draft.word[n] = word;
		break;
	default:
		draft.word[i] = other_word(word);
	}
}

/* The number of feature words is right again, or a line is only refused for that. */
static void count_features(const struct line *line)
{
	u32 at = line->to_store ? 1 : 3;
	char *number;

	if (!line->is_table || draft.count <= at || random_percent(&choices, 20))
		return;
	number = room_for(16);
	sprintf(number, "%u", draft.count - at - 1);
	draft.word[at] = number;
}

static void put_together(char *text)
{
	static const char *const between[] = { " ", " ", " ", " ", "  ", "\t" };
	u32 i, at = 0;

	text[0] = '\0';
	for (i = 0; i < draft.count; i++) {
		size_t length = strlen(draft.word[i]);

		if (at + length + 3 > MOST_LINE)
			break;
		if (i)
			at += sprintf(text + at, "%s",
				      between[random_below(&choices, ARRAY_SIZE(between))]);
		memcpy(text + at, draft.word[i], length + 1);
		at += length;
	}
}

static void make_line(const struct line *line, bool live, char *text)
{
	u32 times = random_below(&choices, 4);

	take_apart(line, live);
	while (times--)
		change_words();
	if (random_percent(&choices, 70))
		count_features(line);
	put_together(text);
}

/* --- what is to come of it --- */

/* Can our splitting of words be compared with dm's? */
static bool is_comparable(const char *text, const struct words *words)
{
	const u8 *at;

	for (at = (const u8 *)text; *at; at++)
		if (*at >= 0x80)
			return false;
	return words->argc && words->argc < MAX_WORDS &&
	       strlen(text) < MAX_TEXT && text[0] != '@';
}

static int parse(const struct line *line, struct words *words)
{
	struct refusal refusal;
	union {
		struct store_line store;
		struct stack_line stack;
		struct message_words message;
	} result;

	memset(&result, 0, sizeof(result));
	if (line->is_table && line->to_store)
		return store_line_parse(words->argc, words->argv, &result.store,
					&refusal);
	if (line->is_table)
		return stack_line_parse(words->argc, words->argv, &result.stack,
					&refusal);
	if (line->to_store)
		return store_message_parse(words->argc, words->argv,
					   &result.message, &refusal);
	return stack_message_parse(words->argc, words->argv, &result.message,
				   &refusal);
}

static bool is_refusal(int error)
{
	switch (error) {
	case -EINVAL:
	case -ENOENT:
	case -EBUSY:
	case -EROFS:
	case -EEXIST:
	case -E2BIG:
	case -ENOSPC:
	case -EUCLEAN:
	case -EOPNOTSUPP:
	case -ESTALE:		/* a base that is not the recorded one */
	/* dm's, of a device that is not there or is none */
	case -ENODEV:
	case -ENXIO:
	case -ENOTBLK:
		return true;
	default:
		return false;
	}
}

static void judge(const struct line *line, const char *text, int error)
{
	struct words words;
	int expected;

	words_split(&words, text, strlen(text));
	if (is_comparable(text, &words)) {
		expected = parse(line, &words);
		totals.compared++;
		if (expected && error != expected)
			hostile_found("the parser says %d, the module %d", expected,
				      error);
	}
	words_free(&words);
	if (error && !is_refusal(error))
		hostile_found("an odd error: %d", error);
	if (error)
		totals.refused++;
	else
		totals.taken++;
}

/* --- tables --- */

static u64 length_of(const struct line *line)
{
	if (random_percent(&choices, 90))
		return line->to_store ? 16 << 11 : VOLUME_SECTORS;
	return 1 + (interesting_number(&choices) >> 12);
}

/* What is printed of a table that was taken is taken again, and printed as the same. */
static void load_again(const char *name, u64 sectors, const char *target)
{
	char text[1024], again[1024];
	int error = mapper_loaded(name, text, sizeof(text));

	if (!error)
		error = mapper_load(name, sectors, target, text);
	if (!error)
		error = mapper_loaded(name, again, sizeof(again));
	if (error)
		hostile_found("what is printed is not taken: %d: %s", error, text);
	else if (strcmp(text, again))
		hostile_found("\"%s\" is printed as \"%s\"", text, again);
}

static void offer_table(const struct line *line, const char *text, bool live)
{
	const char *target = line->to_store ? "cowstore" : "cowstack";
	const char *name = !live ? nobody : line->to_store ? "st" : "v";
	u64 sectors = length_of(line);
	int error = mapper_load(name, sectors, target, text);

	totals.tables++;
	judge(line, text, error);
	if (!error && !strstr(text, "accept_base"))
		load_again(name, sectors, target);
	mapper_clear(name);
}

/* --- messages --- */

static void offer_message(const struct line *line, const char *text)
{
	static char answer[65536];

	totals.messages++;
	judge(line, text, mapper_ask(line->to_store ? "st" : "v", text, answer,
				     sizeof(answer)));
}

static bool job_is_under_way(void)
{
	char status[512], state[32] = "";

	if (mapper_status("v", status, sizeof(status)) ||
	    strncmp(status, "rw ", 3)) {
		hostile_found("its status is not rw");
		return false;
	}
	if (sscanf(status, "%*s %*s %*s %*s %*s %*s %31s", state) != 1)
		hostile_found("no job in its status: %s", status);
	return !strcmp(state, "running") || !strcmp(state, "queued");
}

static void wait_for_job(const char *what)
{
	u32 i;

	for (i = 0; i < JOB_TENTHS && job_is_under_way(); i++)
		usleep(i < 20 ? 5000 : 100000);
	if (i == JOB_TENTHS)
		hostile_found("%s does not end", what);
}

/* --- what a volume shows --- */

static u32 read_content(int stack)
{
	static u8 memory[(1 << 20) + 4096];
	u8 *buffer = (u8 *)(((uintptr_t)memory + 4095) & ~4095UL);
	u32 crc = 0, i;

	for (i = 0; i < VOLUME_SECTORS >> 11; i++) {
		if (pread(stack, buffer, 1 << 20, (u64)i << 20) != 1 << 20)
			hostile_found("the volume cannot be read");
		crc = environment_crc32(crc, buffer, 1 << 20);
	}
	return crc;
}

static void write_some(int stack)
{
	static u8 memory[8192];
	u8 *buffer = (u8 *)(((uintptr_t)memory + 4095) & ~4095UL);
	u32 i, n;

	for (n = 0; n < 8; n++) {
		u64 place = random_below(&choices, VOLUME_SECTORS / 8) * 4096;

		for (i = 0; i < 4096; i++)
			buffer[i] = random_next(&choices);
		if (pwrite(stack, buffer, 4096, place) != 4096)
			hostile_found("the volume cannot be written: %s",
				      strerror(errno));
	}
	if (fsync(stack))
		hostile_found("a flush fails: %s", strerror(errno));
}

/* Layers that many snapshots have made go down, and content is what it was. */
static void settle(bool first)
{
	int stack = open("/dev/mapper/v", O_RDWR | O_DIRECT), error;

	if (stack < 0) {
		hostile_found("the volume cannot be opened");
		return;
	}
	if (!first && read_content(stack) != content_crc)
		hostile_found("the volume shows something else");
	mapper_message("v", "commit cancel");
	wait_for_job("a job that is cancelled");
	error = mapper_message("v", "commit start yield 0");
	/* Pins are in the way, or there is nothing to be done. */
	if (error && error != -EBUSY)
		hostile_found("a commit does not start: %d", error);
	wait_for_job("a commit");
	if (!first && read_content(stack) != content_crc)
		hostile_found("the volume shows something else after a commit");
	write_some(stack);
	content_crc = read_content(stack);
	close(stack);
}

static void offer_number(const struct hostile_options *o, u64 number)
{
	static char text[MOST_LINE];
	const struct line *line;
	bool live;

	hostile_seed(&choices, o, number);
	line = &lines[random_below(&choices, line_count)];
	live = random_percent(&choices, 50);
	make_line(line, live, text);
	hostile_begin(number, text);
	if (line->is_table)
		offer_table(line, text, live);
	else
		offer_message(line, text);
	hostile_end();
}

static void say(bool only_one)
{
	printf("# %llu table lines and %llu messages: %llu are refused, %llu taken\n",
	       (unsigned long long)totals.tables,
	       (unsigned long long)totals.messages,
	       (unsigned long long)totals.refused,
	       (unsigned long long)totals.taken);
	/* Both kinds, or nothing was shown. */
	if (!only_one &&
	    !(totals.refused && totals.taken && totals.compared))
		hostile_found("none was refused, or none was taken");
	printf("# totals: table-lines=%llu messages=%llu taken=%llu compared-with-parser=%llu\n",
	       (unsigned long long)totals.tables,
	       (unsigned long long)totals.messages,
	       (unsigned long long)totals.taken,
	       (unsigned long long)totals.compared);
}

void hostile_lines(const struct hostile_options *o)
{
	u64 i;

	take_all(o);
	if (mapper_make(nobody)) {
		fprintf(stderr, "hostile_test: no device can be made\n");
		exit(2);
	}
	settle(true);
	for (i = o->only ? o->count : 1; i <= o->count && !hostile_has_found(); i++) {
		offer_number(o, i);
		if (i % SETTLE_EVERY == 0 || i == o->count)
			settle(false);
	}
	mapper_remove(nobody);
	say(o->only);
}
