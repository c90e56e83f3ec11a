// SPDX-License-Identifier: GPL-2.0

#include "json.h"
#include "size.h"

static bool is_within(unsigned char c, unsigned char least, unsigned char most)
{
	return c >= least && c <= most;
}

/* Bytes of the character that @s begins with, as UTF-8 has it; 0: of none. */
static unsigned int count_bytes(const unsigned char *s)
{
	unsigned char least = 0x80, most = 0xbf;
	unsigned int bytes, i;

	if (s[0] < 0x80)
		return 1;
	if (!is_within(s[0], 0xc2, 0xf4))
		return 0;
	bytes = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* None in more bytes than it needs, no surrogate, none that is too high. */
	if (s[0] == 0xe0)
		least = 0xa0;
	else if (s[0] == 0xed)
		most = 0x9f;
	else if (s[0] == 0xf0)
		least = 0x90;
	else if (s[0] == 0xf4)
		most = 0x8f;
	if (!is_within(s[1], least, most))
		return 0;
	for (i = 2; i < bytes; i++)
		if (!is_within(s[i], 0x80, 0xbf))
			return 0;
	return bytes;
}

/* The names of files may hold any byte, and JSON is UTF-8. */
static void write_text(struct json *json, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned int bytes;

	fputc('"', json->file);
	for (; *s; s += bytes) {
		bytes = count_bytes(s);
		if (*s == '"' || *s == '\\')
			fprintf(json->file, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(json->file, "\\u%04x", *s);
		else if (bytes)
			fwrite(s, bytes, 1, json->file);
		else
			fputs("\\ufffd", json->file);
		bytes = bytes ? bytes : 1;
	}
	fputc('"', json->file);
}

static void begin_line(struct json *json)
{
	if (!json->compact)
		fprintf(json->file, "\n%*s", 2 * json->depth, "");
}

static void begin_value(struct json *json, const char *key)
{
	if (!json->depth)
		return;
	if (!json->empty)
		fputc(',', json->file);
	json->empty = false;
	begin_line(json);
	if (key) {
		write_text(json, key);
		fputs(": ", json->file);
	}
}

static void begin_group(struct json *json, const char *key, char c)
{
	begin_value(json, key);
	fputc(c, json->file);
	json->depth++;
	json->empty = true;
}

static void end_group(struct json *json, char c)
{
	json->depth--;
	if (!json->empty)
		begin_line(json);
	json->empty = false;
	fputc(c, json->file);
	if (!json->depth)
		fputc('\n', json->file);
}

void json_begin_object(struct json *json, const char *key)
{
	begin_group(json, key, '{');
}

void json_end_object(struct json *json)
{
	end_group(json, '}');
}

void json_begin_array(struct json *json, const char *key)
{
	begin_group(json, key, '[');
}

void json_end_array(struct json *json)
{
	end_group(json, ']');
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (!text || !*text) {
		json_null(json, key);
		return;
	}
	begin_value(json, key);
	write_text(json, text);
}

void json_number(struct json *json, const char *key, u64 number)
{
	begin_value(json, key);
	fprintf(json->file, "%llu", llu(number));
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	fputs("null", json->file);
}
