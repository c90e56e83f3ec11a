// SPDX-License-Identifier: GPL-2.0

#include "json.h"
#include "size.h"

static void write_text(struct json *json, const char *text)
{
	fputc('"', json->file);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(json->file, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(json->file, "\\u%04x", c);
		else
			fputc(c, json->file);
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
