// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "dump_line.h"
#include "size.h"
#include "target_line.h"

enum field_kind {
	FIELD_DECIMAL,
	FIELD_HEX,
	FIELD_CHUNK,			/* a number less than what is stored */
	FIELD_WORD,			/* one of .words, by its number */
	FIELD_FLAGS,			/* of .words, by bits */
	FIELD_NAME,			/* "-": none */
	FIELD_REST,			/* text up to the line's end */
	FIELD_UUID,
};

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset;
	u64 most;			/* of a number */
	const char * const *words;	/* up to a NULL */
};

static const char * const layer_flags[] = { "frozen", "pinned", "mixed", NULL };
static const char * const base_flags[] = { "recorded", NULL };
static const char * const job_kinds[] = { "none", "commit", "stream", NULL };
static const char * const job_states[] = {
	"idle", "queued", "running", "paused", "stopped", "completed",
	"cancelled", NULL
};

static const char * const on_errors[] = { "stop", "report", "ignore", NULL };
static const char * const job_flags[] = {
	"yield", "retain", "verify", "with_base", NULL
};

static const char * const word_flags[] = { "zero", "clean", NULL };

#define NUMBER(type, key, member, kind, most) \
	{ key, FIELD_##kind, offsetof(struct dump_##type, member), most, NULL }
#define WORDS(type, key, member, kind, words) \
	{ key, FIELD_##kind, offsetof(struct dump_##type, member), 0, words }
#define TEXT(type, key, member, kind) \
	{ key, FIELD_##kind, offsetof(struct dump_##type, member), 0, NULL }

static const struct field store_fields[] = {
	TEXT(store, "uuid", uuid, UUID),
	TEXT(store, "name", name, NAME),
	NUMBER(store, "created", created, DECIMAL, U64_MAX),
	NUMBER(store, "compat", compat, HEX, U64_MAX),
	NUMBER(store, "ro_compat", ro_compat, HEX, U64_MAX),
	NUMBER(store, "chunk_sectors", chunk_sectors, DECIMAL, U32_MAX),
	NUMBER(store, "ring_blocks", ring_blocks, DECIMAL, U64_MAX),
	NUMBER(store, "data_start", data_start, DECIMAL, U64_MAX),
	NUMBER(store, "chunks", chunks, DECIMAL, U64_MAX),
	NUMBER(store, "next_layer", next_layer, DECIMAL, U32_MAX),
	{ }
};

static const struct field layer_fields[] = {
	NUMBER(layer, "id", id, DECIMAL, U32_MAX),
	NUMBER(layer, "parent", parent, DECIMAL, U32_MAX),
	WORDS(layer, "flags", flags, FLAGS, layer_flags),
	NUMBER(layer, "created", created, DECIMAL, U64_MAX),
	TEXT(layer, "name", name, NAME),
	{ }
};

static const struct field volume_fields[] = {
	NUMBER(volume, "id", id, DECIMAL, U32_MAX),
	NUMBER(volume, "top", top, DECIMAL, U32_MAX),
	NUMBER(volume, "sectors", sectors, DECIMAL, U64_MAX),
	TEXT(volume, "name", name, NAME),
	{ }
};

static const struct field base_fields[] = {
	WORDS(base, "flags", flags, FLAGS, base_flags),
	NUMBER(base, "sectors", sectors, DECIMAL, U64_MAX),
	NUMBER(base, "seed", seed, HEX, U64_MAX),
	NUMBER(base, "crc", crc, HEX, U32_MAX),
	NUMBER(base, "mixed_top", mixed_top, DECIMAL, U32_MAX),
	NUMBER(base, "time", time, DECIMAL, U64_MAX),
	TEXT(base, "device", name, REST),
	{ }
};

static const struct field job_fields[] = {
	WORDS(job, "kind", kind, WORD, job_kinds),
	WORDS(job, "state", state, WORD, job_states),
	WORDS(job, "on_error", on_error, WORD, on_errors),
	WORDS(job, "flags", flags, FLAGS, job_flags),
	NUMBER(job, "top", top, DECIMAL, U32_MAX),
	NUMBER(job, "base", base, DECIMAL, U32_MAX),
	NUMBER(job, "error", error, DECIMAL, U32_MAX),
	NUMBER(job, "speed", speed, DECIMAL, U64_MAX),
	NUMBER(job, "until", until, DECIMAL, U64_MAX),
	NUMBER(job, "cursor", cursor, DECIMAL, U64_MAX),
	NUMBER(job, "done", done, DECIMAL, U64_MAX),
	NUMBER(job, "total", total, DECIMAL, U64_MAX),
	NUMBER(job, "errors", errors, DECIMAL, U64_MAX),
	NUMBER(job, "first_error", first_error, DECIMAL, U64_MAX),
	{ }
};

static const struct field map_fields[] = {
	NUMBER(map, "layer", layer, DECIMAL, U32_MAX),
	{ }
};

static const struct field run_fields[] = {
	NUMBER(run, "first", first, DECIMAL, U64_MAX),
	NUMBER(run, "count", count, DECIMAL, U64_MAX),
	NUMBER(run, "chunk", chunk, CHUNK, MAP_WORD_MAX_CHUNKS),
	NUMBER(run, "mask", mask, HEX, U16_MAX),
	WORDS(run, "flags", flags, FLAGS, word_flags),
	{ }
};

static const struct field end_fields[] = {
	NUMBER(end, "layers", layers, DECIMAL, U64_MAX),
	NUMBER(end, "volumes", volumes, DECIMAL, U64_MAX),
	NUMBER(end, "runs", runs, DECIMAL, U64_MAX),
	NUMBER(end, "chunks", chunks, DECIMAL, U64_MAX),
	{ }
};

static const struct line {
	const char *word;
	const struct field *fields;	/* up to one without a key */
} lines[DUMP_LINE_KINDS] = {
	[DUMP_LINE_STORE] = { "store", store_fields },
	[DUMP_LINE_LAYER] = { "layer", layer_fields },
	[DUMP_LINE_VOLUME] = { "volume", volume_fields },
	[DUMP_LINE_BASE] = { "base", base_fields },
	[DUMP_LINE_JOB] = { "job", job_fields },
	[DUMP_LINE_MAP] = { "map", map_fields },
	[DUMP_LINE_RUN] = { "run", run_fields },
	[DUMP_LINE_END] = { "end", end_fields },
};

/* --- printing --- */

static void print_flags(char *text, size_t size, u64 flags,
			const char * const *words)
{
	size_t length = 0;
	unsigned int i;

	snprintf(text, size, "-");
	for (i = 0; words[i]; i++)
		if (flags & BIT_ULL(i))
			length += snprintf(text + length, size - length, "%s%s",
					   length ? "," : "", words[i]);
}

static void print_value(const struct field *field, const void *place,
			char *text, size_t size)
{
	u64 number = 0;

	if (field->kind < FIELD_NAME)
		memcpy(&number, place, sizeof(number));
	switch (field->kind) {
	case FIELD_DECIMAL:
		snprintf(text, size, "%llu", llu(number));
		break;
	case FIELD_HEX:
		snprintf(text, size, "0x%llx", llu(number));
		break;
	case FIELD_CHUNK:
		if (number)
			snprintf(text, size, "%llu", llu(number - 1));
		else
			snprintf(text, size, "-");
		break;
	case FIELD_WORD:
		snprintf(text, size, "%s", field->words[number]);
		break;
	case FIELD_FLAGS:
		print_flags(text, size, number, field->words);
		break;
	case FIELD_NAME:
		snprintf(text, size, "%.63s",
			 *(const char *)place ? (const char *)place : "-");
		break;
	case FIELD_REST:
		snprintf(text, size, "%.63s", (const char *)place);
		break;
	case FIELD_UUID:
		store_uuid_print(place, text);
		break;
	}
}

void dump_line_print(enum dump_line_kind kind, const void *fields,
		     char line[DUMP_LINE])
{
	const struct field *field;
	char value[128];
	size_t length = snprintf(line, DUMP_LINE, "%s", lines[kind].word);

	for (field = lines[kind].fields; field->key; field++) {
		print_value(field, (const char *)fields + field->offset, value,
			    sizeof(value));
		length += snprintf(line + length, DUMP_LINE - length, " %s=%s",
				   field->key, value);
	}
}

/* --- reading --- */

enum dump_line_kind dump_line_kind(const char *line)
{
	size_t length = strcspn(line, " ");
	int i;

	for (i = 0; i < DUMP_LINE_KINDS; i++)
		if (strlen(lines[i].word) == length &&
		    !memcmp(lines[i].word, line, length))
			break;
	return i;
}

const char *dump_line_word(enum dump_line_kind kind)
{
	return lines[kind].word;
}

static bool find_word(const char * const *words, const char *text,
		      size_t length, u64 *number)
{
	for (*number = 0; words[*number]; ++*number)
		if (strlen(words[*number]) == length &&
		    !memcmp(words[*number], text, length))
			return true;
	return false;
}

static bool parse_flags(const struct field *field, const char *text, u64 *flags)
{
	u64 number;
	size_t n;

	*flags = 0;
	if (!strcmp(text, "-"))
		return true;
	for (;; text += n + 1) {
		n = strcspn(text, ",");
		if (!find_word(field->words, text, n, &number))
			return false;
		*flags |= BIT_ULL(number);
		if (!text[n])
			return true;
	}
}

static bool parse_hex(const char *text, u64 *number)
{
	char *end;

	if (strncmp(text, "0x", 2) || !isxdigit((unsigned char)text[2]))
		return false;
	errno = 0;
	*number = strtoull(text + 2, &end, 16);
	return !errno && !*end;
}

static bool parse_uuid(const char *text, u8 uuid[COWSTACK_UUID_SIZE])
{
	unsigned int i, value;

	if (strlen(text) != LINE_UUID - 1)
		return false;
	for (i = 0; i < COWSTACK_UUID_SIZE; i++) {
		if (*text == '-')
			text++;
		if (!isxdigit((unsigned char)text[0]) ||
		    !isxdigit((unsigned char)text[1]) ||
		    sscanf(text, "%2x", &value) != 1)
			return false;
		uuid[i] = value;
		text += 2;
	}
	return !*text;
}

static bool parse_number(const struct field *field, const char *text,
			 u64 *number)
{
	switch (field->kind) {
	case FIELD_DECIMAL:
		return !number_parse(text, field->most, number);
	case FIELD_HEX:
		return parse_hex(text, number) && *number <= field->most;
	case FIELD_CHUNK:
		*number = 0;
		if (!strcmp(text, "-"))
			return true;
		if (number_parse(text, field->most - 1, number))
			return false;
		++*number;
		return true;
	case FIELD_WORD:
		return find_word(field->words, text, strlen(text), number);
	default:
		return parse_flags(field, text, number);
	}
}

static bool parse_text(const struct field *field, const char *text, char *place)
{
	if (field->kind == FIELD_UUID)
		return parse_uuid(text, (u8 *)place);
	if (strlen(text) >= COWSTACK_NAME_SIZE)
		return false;
	if (field->kind == FIELD_NAME && !strcmp(text, "-"))
		return true;
	memcpy(place, text, strlen(text));
	return true;
}

static bool parse_value(const struct field *field, const char *text, char *place)
{
	u64 number;

	if (field->kind >= FIELD_NAME)
		return parse_text(field, text, place);
	if (!parse_number(field, text, &number))
		return false;
	memcpy(place, &number, sizeof(number));
	return true;
}

/* Takes " KEY=" and what follows it, up to the next blank or the end. */
static bool take_value(const struct field *field, const char **line,
		       char value[DUMP_LINE])
{
	size_t length = strlen(field->key);
	const char *from = *line;

	if (from[0] != ' ' || strncmp(from + 1, field->key, length) ||
	    from[1 + length] != '=')
		return false;
	from += length + 2;
	length = field->kind == FIELD_REST ? strlen(from) : strcspn(from, " ");
	memcpy(value, from, length);
	value[length] = '\0';
	*line = from + length;
	return true;
}

const char *dump_line_parse(enum dump_line_kind kind, const char *line,
			    union dump_fields *fields)
{
	char value[DUMP_LINE], again[DUMP_LINE];
	const char *at = line + strlen(lines[kind].word);
	const struct field *field;

	memset(fields, 0, sizeof(*fields));
	for (field = lines[kind].fields; field->key; field++)
		if (!take_value(field, &at, value) ||
		    !parse_value(field, value, (char *)fields + field->offset))
			return field->key;
	/* What is spelled otherwise than it would be printed was not printed. */
	dump_line_print(kind, fields, again);
	return strcmp(line, again) ? "spelling" : NULL;
}
